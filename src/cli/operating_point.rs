//! Operating points on the command line: parsed, and printed with threshold, intervals and promise.

use macula_edge::protocol::Reason;

use super::classes::ClassNames;
use super::failure::Kind;
use crate::link::{LinkError, OperatingPoint, OperatingPointReport, Target};
use crate::measure::wilson;
use crate::report::text::{count, shown};

/// Parses a target: `sensitivity=0.95`, `specificity=0.9` or `costs=10:1` (of a missed positive, of a false alarm).
pub fn parse_target(text: &str) -> Result<Target, String> {
    let unknown = || format!("'{text}' is not sensitivity=SHARE, specificity=SHARE or costs=MISSED:FALSE_ALARM");
    let (name, value) = text.split_once('=').ok_or_else(unknown)?;
    match name {
        "sensitivity" => Ok(Target::Sensitivity { permille: parse_permille(value)? }),
        "specificity" => Ok(Target::Specificity { permille: parse_permille(value)? }),
        "costs" => {
            let (missed, false_alarm) = value.split_once(':').ok_or_else(unknown)?;
            Ok(Target::Costs { missed: parse_cost(missed)?, false_alarm: parse_cost(false_alarm)? })
        }
        _ => Err(unknown()),
    }
}

/// A share of 0.001 to 0.999 in thousandths.
fn parse_permille(text: &str) -> Result<u16, String> {
    let permille = text.parse().map(|share: f64| (share * 1000.0).round());
    match permille {
        Ok(permille) if (1.0..=f64::from(Target::PERMILLE_MAX)).contains(&permille) => Ok(permille as u16),
        _ => Err(format!("'{text}' is not a share of 0.001 to 0.999")),
    }
}

fn parse_cost(text: &str) -> Result<u16, String> {
    let limit = Target::COST_MAX;
    let cost = text.parse().ok().filter(|cost| (1..=limit).contains(cost));
    cost.ok_or_else(|| format!("'{text}' is not a cost, a whole number of 1 to {limit}"))
}

/// The target as [`parse_target`] reads it.
pub fn target_text(target: Target) -> String {
    let share = |permille: u16| f64::from(permille) / 1000.0;
    match target {
        Target::Sensitivity { permille } => format!("sensitivity={}", share(permille)),
        Target::Specificity { permille } => format!("specificity={}", share(permille)),
        Target::Costs { missed, false_alarm } => format!("costs={missed}:{false_alarm}"),
    }
}

/// The operating point of `target` for the class called `positive`.
pub fn point(target: Target, positive: &str, names: &ClassNames) -> anyhow::Result<OperatingPoint> {
    Ok(OperatingPoint { class: names.slot(positive)?, target })
}

/// The error of a request about operating points; a device that is too old cannot read it.
pub fn refused(error: LinkError) -> anyhow::Error {
    if error.reason() == Some(Reason::Malformed) {
        let message = format!("{error}; its program is too old for operating points");
        return Kind::Refused.because(Reason::Malformed as u64, message);
    }
    error.into()
}

/// A share with its 95 % Wilson interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Share {
    value: f64,
    low: f64,
    high: f64,
    count: u64,
    of: u64,
}

impl Share {
    /// `count` of `of`; none of no trial.
    pub fn of(count: u64, of: u64) -> Option<Self> {
        let [low, high] = wilson(count, of)?;
        Some(Self { value: count as f64 / of as f64, low, high, count, of })
    }

    /// As text, with what was counted.
    pub fn text(share: Option<Self>, what: &str) -> String {
        share.map_or("-".to_owned(), |Self { value, low, high, count: found, of }| {
            format!("{value:.3} [{low:.3}, {high:.3}]  ({found} of {})", count(of, what))
        })
    }
}

/// An operating point with its threshold, as `--json` prints it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PointRow {
    /// Name of the positive class.
    pub positive: String,
    /// As `--operating-point` takes it.
    pub target: String,
    /// Lowest score of a positive image; none while too few samples have a score.
    threshold: Option<f32>,
    /// Of the samples, each left out.
    sensitivity: Option<Share>,
    /// Of the samples, each left out.
    specificity: Option<Share>,
    /// Share that is promised for new images; none for costs.
    promise: Option<f64>,
    /// Samples that the target needs: of the positive class for a sensitivity, of the others for a specificity.
    samples_needed: u16,
    /// Whether there are that many.
    enough: bool,
}

impl PointRow {
    /// From the report of a device.
    pub fn of(report: &OperatingPointReport, names: &ClassNames) -> Self {
        let OperatingPointReport { point, threshold } = report;
        let share = |found: u32, of: u32| Share::of(found.into(), of.into());
        let promise = threshold.and_then(|threshold| threshold.promise_permille(point.target));
        let enough = threshold.is_some_and(|threshold| threshold.is_enough(point.target));
        Self {
            positive: names.name(point.class),
            target: target_text(point.target),
            threshold: threshold.map(|threshold| threshold.score),
            sensitivity: threshold.and_then(|threshold| share(threshold.detected, threshold.positives)),
            specificity: threshold.and_then(|threshold| share(threshold.rejected, threshold.negatives)),
            promise: promise.map(|permille| f64::from(permille) / 1000.0),
            samples_needed: point.target.shots_needed(),
            enough,
        }
    }

    /// In a few words.
    pub fn title(&self) -> String {
        format!("{} at {}", shown(&self.positive), self.target)
    }

    /// The side whose samples the threshold is chosen from.
    fn decisive(&self) -> String {
        match self.target.starts_with("specificity") {
            true => "other classes".to_owned(),
            false => shown(&self.positive).into_owned(),
        }
    }

    /// Prints it with threshold, intervals and promise.
    pub fn print(&self) {
        println!("operating point    {}", self.title());
        let Some(threshold) = self.threshold else {
            println!(
                "threshold          none: too few samples; two of {} and two of other classes are enough",
                shown(&self.positive)
            );
            return;
        };
        println!(
            "threshold          {threshold:.3}  (log odds of {} against all other classes)",
            shown(&self.positive)
        );
        println!("sensitivity        {}", Share::text(self.sensitivity, "left-out sample"));
        println!("specificity        {}", Share::text(self.specificity, "left-out sample"));
        let Some(promise) = self.promise else { return };
        let needed = match self.enough {
            true => String::new(),
            false => format!("; the target needs {} samples of {}", self.samples_needed, self.decisive()),
        };
        println!("promised           {promise:.3} of new images of {}{needed}", self.decisive());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Class, Threshold};

    #[test]
    fn targets_are_read_and_written() {
        for (text, target) in [
            ("sensitivity=0.95", Target::Sensitivity { permille: 950 }),
            ("specificity=0.999", Target::Specificity { permille: 999 }),
            ("costs=20:1", Target::Costs { missed: 20, false_alarm: 1 }),
        ] {
            assert_eq!(parse_target(text), Ok(target));
            assert_eq!(target_text(target), text);
        }
        for text in [
            "sensitivity",
            "sensitivity=",
            "sensitivity=1",
            "sensitivity=0",
            "specificity=95",
            "specificity=nan",
            "recall=0.9",
            "costs=1",
            "costs=0:1",
            "costs=1:10001",
            "costs=1:2:3",
            "costs=1.5:1",
        ] {
            assert!(parse_target(text).is_err(), "{text}");
        }
    }

    #[test]
    fn too_few_samples_weaken_the_promise() {
        let names = ClassNames(vec![Class { slot: 3, name: "malignant".to_owned(), supports: 8 }]);
        let point = OperatingPoint { class: 3, target: Target::Sensitivity { permille: 950 } };
        let row = |positives| {
            let threshold = Threshold { score: -0.5, detected: positives, positives, rejected: 3, negatives: 10 };
            PointRow::of(&OperatingPointReport { point, threshold: Some(threshold) }, &names)
        };
        let few = row(8);
        assert_eq!((few.promise, few.enough, few.samples_needed), (Some(0.888), false, 19));
        assert_eq!(few.decisive(), "malignant");
        assert_eq!((row(19).promise, row(19).enough), (Some(0.95), true));
        assert_eq!(few.title(), "malignant at sensitivity=0.95");
        assert_eq!(few.specificity.map(|share| (share.count, share.of)), Some((3, 10)));
        let none = PointRow::of(&OperatingPointReport { point, threshold: None }, &names);
        assert_eq!((none.threshold, none.sensitivity, none.promise, none.enough), (None, None, None, false));
    }
}
