//! The operating point of the device as the API has it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ApiError, ErrorKind};
use super::proportion::Proportion;
use crate::link;

/// What a threshold shall reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Target {
    /// Share of positive images that are called positive, at least.
    Sensitivity {
        /// 0.001 to 0.999.
        share: f64,
    },
    /// Share of the other images that are called negative, at least.
    Specificity {
        /// 0.001 to 0.999.
        share: f64,
    },
    /// The least cost of both kinds of error.
    Costs {
        /// Cost of a positive image that is called negative, 1 to 10,000.
        missed: u16,
        /// Cost of another image that is called positive, 1 to 10,000.
        false_alarm: u16,
    },
}

/// A positive class, and what its threshold shall reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatingPoint {
    /// Slot of the positive class.
    pub class: u8,
    /// What its threshold shall reach.
    pub target: Target,
}

impl OperatingPoint {
    /// As the device takes it.
    ///
    /// # Errors
    /// If a value is out of range.
    pub fn checked(&self) -> Result<link::OperatingPoint, ApiError> {
        let permille = |share: f64| (share * 1000.0).round().clamp(0.0, 1000.0) as u16;
        let target = match self.target {
            Target::Sensitivity { share } => link::Target::Sensitivity { permille: permille(share) },
            Target::Specificity { share } => link::Target::Specificity { permille: permille(share) },
            Target::Costs { missed, false_alarm } => link::Target::Costs { missed, false_alarm },
        };
        target.check().map_err(|_| {
            let message = "operating point: a share is 0.001 to 0.999, a cost 1 to 10,000";
            ApiError::new(ErrorKind::Input, message)
        })?;
        Ok(link::OperatingPoint { class: self.class, target })
    }
}

/// An operating point with its threshold. The figures are those of the samples, each left out and scored by the others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct OperatingPointReport {
    /// The operating point.
    #[serde(flatten)]
    pub point: OperatingPoint,
    /// Lowest score of a positive image, log odds of the class against all others; none while too few samples have a score.
    pub threshold: Option<f32>,
    /// Share of the samples of the class that are called positive.
    pub sensitivity: Option<Proportion>,
    /// Share of the other samples that are called negative.
    pub specificity: Option<Proportion>,
    /// Share that is promised for new images; none for costs.
    pub promise: Option<f64>,
    /// Samples that the target needs: of the class for a sensitivity, of the others for a specificity.
    pub samples_needed: u16,
    /// Whether there are that many.
    pub enough: bool,
}

impl From<link::OperatingPointReport> for OperatingPointReport {
    fn from(report: link::OperatingPointReport) -> Self {
        let link::OperatingPointReport { point, threshold } = report;
        let share = |permille: u16| f64::from(permille) / 1000.0;
        let target = match point.target {
            link::Target::Sensitivity { permille } => Target::Sensitivity { share: share(permille) },
            link::Target::Specificity { permille } => Target::Specificity { share: share(permille) },
            link::Target::Costs { missed, false_alarm } => Target::Costs { missed, false_alarm },
        };
        let promise = threshold.and_then(|threshold| threshold.promise_permille(point.target));
        let enough = threshold.is_some_and(|threshold| threshold.is_enough(point.target));
        Self {
            point: OperatingPoint { class: point.class, target },
            threshold: threshold.map(|threshold| threshold.score),
            sensitivity: threshold.and_then(|found| Proportion::of(found.detected.into(), found.positives.into())),
            specificity: threshold.and_then(|found| Proportion::of(found.rejected.into(), found.negatives.into())),
            promise: promise.map(share),
            samples_needed: point.target.shots_needed(),
            enough,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_checked_and_reported() {
        let read = |text: &str| serde_json::from_str::<OperatingPoint>(text).unwrap();
        let point = read(r#"{"class": 2, "target": {"kind": "sensitivity", "share": 0.95}}"#);
        let expected = link::OperatingPoint { class: 2, target: link::Target::Sensitivity { permille: 950 } };
        assert_eq!(point.checked().unwrap(), expected);
        for text in [
            r#"{"class": 2, "target": {"kind": "sensitivity", "share": 1}}"#,
            r#"{"class": 2, "target": {"kind": "specificity", "share": -1e300}}"#,
            r#"{"class": 2, "target": {"kind": "costs", "missed": 0, "false_alarm": 1}}"#,
        ] {
            assert_eq!(read(text).checked().unwrap_err().kind, ErrorKind::Input, "{text}");
        }
        let threshold = link::Threshold { score: 0.5, detected: 18, positives: 18, rejected: 3, negatives: 4 };
        let report: OperatingPointReport =
            link::OperatingPointReport { point: expected, threshold: Some(threshold) }.into();
        assert_eq!(
            (report.point, report.enough, report.samples_needed, report.promise),
            (point, false, 19, Some(0.947))
        );
        assert_eq!(report.specificity.map(|share| (share.value, share.of)), Some((0.75, 4)));
    }
}
