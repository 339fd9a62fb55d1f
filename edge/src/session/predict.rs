//! Predictions: the class of a sample, the set of classes that cannot be excluded, and the nearest supports.
//!
//! `decide/out_of_distribution.rs` decides whether the answer is "I don't know" (`known`), `decide/conformal.rs` the class
//! set, `decide/operating_point.rs` whether the sample is positive.

use super::Session;
use super::head_cache::HeadCache;
use super::nearest::nearest;
use crate::decide::{OperatingPoint, Predictor, Threshold};
use crate::encoder::Encoder;
use crate::head::{HeadError, HeadKind};
use crate::protocol::message::{Decision, ERROR_RATE_PERMILLE_MAX, Input, OperatingPointReport, Prediction};
use crate::protocol::{Reason, Refusal, Reply};
use crate::store::Flash;

/// An operating point that was applied, and what it decided; no decision while it has no threshold.
type Decided = (OperatingPointReport, Option<Decision>);

impl<E: Encoder, F: Flash> Session<'_, E, F> {
    pub(super) fn predict(&mut self, input: Input<'_>, head: u8, error_rate: u16) -> Result<Reply<'_>, Refusal> {
        let (prediction, _) = self.prediction(input, head, error_rate, None)?;
        Ok(Reply::Prediction(prediction))
    }

    /// Predicts, and applies `point`, or the operating point of the device.
    pub(super) fn decide(
        &mut self,
        input: Input<'_>,
        head: u8,
        error_rate: u16,
        point: Option<OperatingPoint>,
    ) -> Result<Reply<'_>, Refusal> {
        let point = match point {
            Some(point) => Some(self.check_point(point)?),
            None => self.operating_point,
        };
        let (prediction, decided) = self.prediction(input, head, error_rate, point)?;
        let (point, decision) = decided.map_or((None, None), |(report, decision)| (Some(report), decision));
        Ok(Reply::Decision { prediction, point, decision })
    }

    fn prediction(
        &mut self,
        input: Input<'_>,
        head: u8,
        error_rate: u16,
        point: Option<OperatingPoint>,
    ) -> Result<(Prediction<'_>, Option<Decided>), Refusal> {
        let highest = HeadKind::Logistic as u8;
        let kind = HeadKind::from_repr(head).ok_or(Reason::NoSuchHead.with(head.into(), highest.into()))?;
        if !(1..=ERROR_RATE_PERMILLE_MAX).contains(&error_rate) {
            return Err(Reason::ErrorRate.with(error_rate.into(), ERROR_RATE_PERMILLE_MAX.into()));
        }
        if self.support_set.supports().is_empty() {
            return Err(Reason::NothingLearned.with(0, 0));
        }
        let length = self.load_feature(input)?;
        let (support_set, cache) = (&self.support_set, &mut self.head_cache);
        let fitted = cache.fit(kind, support_set, self.revision).map_err(head_refusal)?;
        let report = match point {
            None => None,
            Some(point) => {
                let threshold = cache.threshold(point, support_set, self.revision).map_err(head_refusal)?;
                Some(OperatingPointReport { point, threshold })
            }
        };
        let (supports, classes) = (support_set.supports(), support_set.names().len());
        let HeadCache { scratch, probabilities, set, .. } = cache;
        let length_max = self.encoder.info().corpus.and_then(|corpus| corpus.length_max);
        let mut predictor = Predictor::resume(fitted, length_max, error_rate, scratch);
        let prediction = predictor.predict(supports, self.feature, length, probabilities).map_err(head_refusal)?;
        let decided = report.map(|report| {
            let score = report.threshold.zip(predictor.score(report.point.class));
            let decision =
                |(threshold, score): (Threshold, f32)| Decision { score, positive: threshold.is_positive(score) };
            (report, score.map(decision))
        });
        *set = prediction.set.to_bytes();
        let prediction = Prediction {
            head,
            class: prediction.class,
            probability: prediction.probability,
            set: &set[..classes.div_ceil(8)],
            known: prediction.in_distribution,
            enough: prediction.enough,
            shots_needed: prediction.shots_needed,
            nearest: nearest(supports, self.feature),
        };
        Ok((prediction, decided))
    }

    pub(super) fn why(&mut self, input: Input<'_>) -> Result<Reply<'static>, Refusal> {
        self.load_feature(input)?;
        Ok(Reply::Why { nearest: nearest(self.support_set.supports(), self.feature) })
    }
}

/// The numbers of [`Reason::HeadFailed`]: 1 too little memory, 2 a covariance without an inverse, 3 anything else.
pub(super) fn head_refusal(error: HeadError) -> Refusal {
    match error {
        HeadError::NothingLearned => Reason::NothingLearned.with(0, 0),
        HeadError::Memory { .. } => Reason::HeadFailed.with(1, 0),
        HeadError::NotPositiveDefinite { .. } => Reason::HeadFailed.with(2, 0),
        _ => Reason::HeadFailed.with(3, 0),
    }
}
