//! Predictions: the class of a sample, the set of classes that cannot be excluded, and the nearest supports.
//!
//! `decide/out_of_distribution.rs` decides whether the answer is "I don't know" (`known`), `decide/conformal.rs` the class set.

use super::Session;
use super::head_cache::HeadCache;
use super::nearest::nearest;
use crate::decide::Predictor;
use crate::encoder::Encoder;
use crate::head::{HeadError, HeadKind};
use crate::protocol::message::{ERROR_RATE_PERMILLE_MAX, Input, Prediction};
use crate::protocol::{Reason, Refusal, Reply};
use crate::store::Flash;

impl<E: Encoder, F: Flash> Session<'_, E, F> {
    pub(super) fn predict(&mut self, input: Input<'_>, head: u8, error_rate: u16) -> Result<Reply<'_>, Refusal> {
        let highest = HeadKind::Logistic as u8;
        let kind = HeadKind::from_repr(head).ok_or(Reason::NoSuchHead.with(head.into(), highest.into()))?;
        if !(1..=ERROR_RATE_PERMILLE_MAX).contains(&error_rate) {
            return Err(Reason::ErrorRate.with(error_rate.into(), ERROR_RATE_PERMILLE_MAX.into()));
        }
        if self.support_set.supports().is_empty() {
            return Err(Reason::NothingLearned.with(0, 0));
        }
        let length = self.load_feature(input)?;
        let (supports, classes) = (self.support_set.supports(), self.support_set.names().len());
        let HeadCache { scratch, probabilities, solved, set } = &mut self.head_cache;
        let length_max = self.encoder.info().corpus.and_then(|corpus| corpus.length_max);
        // Solving takes far longer than deciding, so it is done once for each change of the support set.
        let mut predictor = match solved.take() {
            Some((known, revision, fitted)) if known == kind && revision == self.revision => {
                Predictor::resume(fitted, length_max, error_rate, scratch)
            }
            _ => Predictor::fit(kind, supports, classes, length_max, error_rate, scratch).map_err(head_refusal)?,
        };
        *solved = Some((kind, self.revision, predictor.fitted()));
        let prediction = predictor.predict(supports, self.feature, length, probabilities).map_err(head_refusal)?;
        *set = prediction.set.to_bytes();
        Ok(Reply::Prediction(Prediction {
            head,
            class: prediction.class,
            probability: prediction.probability,
            set: &set[..classes.div_ceil(8)],
            known: prediction.in_distribution,
            enough: prediction.enough,
            shots_needed: prediction.shots_needed,
            nearest: nearest(supports, self.feature),
        }))
    }

    pub(super) fn why(&mut self, input: Input<'_>) -> Result<Reply<'static>, Refusal> {
        self.load_feature(input)?;
        Ok(Reply::Why { nearest: nearest(self.support_set.supports(), self.feature) })
    }
}

/// The numbers of [`Reason::HeadFailed`]: 1 too little memory, 2 a covariance without an inverse, 3 anything else.
fn head_refusal(error: HeadError) -> Refusal {
    match error {
        HeadError::NothingLearned => Reason::NothingLearned.with(0, 0),
        HeadError::Memory { .. } => Reason::HeadFailed.with(1, 0),
        HeadError::NotPositiveDefinite { .. } => Reason::HeadFailed.with(2, 0),
        _ => Reason::HeadFailed.with(3, 0),
    }
}
