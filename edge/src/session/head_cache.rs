//! The head that was fitted last, and the threshold that was chosen last, kept until the support set changes.

use crate::decide::{Fitted, OperatingPoint, Predictor, Threshold};
use crate::head::{HeadError, HeadKind};
use crate::support_set::SupportSet;

/// An error rate for work that does not depend on it.
const ANY_RATE: u16 = 500;

/// Memory for a head and its answer.
#[derive(Debug)]
pub(super) struct HeadCache<'m> {
    pub scratch: &'m mut [f64],
    pub probabilities: &'m mut [f64],
    /// The head that is solved in `scratch`, and the revision of the support set that it was solved for.
    solved: Option<(HeadKind, u32, Fitted)>,
    /// The threshold of an operating point, and the revision of the support set that it was chosen for.
    threshold: Option<(OperatingPoint, u32, Option<Threshold>)>,
    /// The class set of the last answer.
    pub set: [u8; 32],
}

impl<'m> HeadCache<'m> {
    pub fn new(scratch: &'m mut [f64], probabilities: &'m mut [f64]) -> Self {
        Self { scratch, probabilities, solved: None, threshold: None, set: [0; 32] }
    }

    /// Solves the head of `kind`, unless that was done for this revision: solving takes far longer than deciding.
    pub fn fit(&mut self, kind: HeadKind, support_set: &SupportSet<'_>, revision: u32) -> Result<Fitted, HeadError> {
        match self.solved.take() {
            Some((known, at, fitted)) if known == kind && at == revision => {
                self.solved = Some((kind, revision, fitted));
                Ok(fitted)
            }
            _ => {
                let (supports, classes) = (support_set.supports(), support_set.names().len());
                let fitted = Predictor::fit(kind, supports, classes, None, ANY_RATE, self.scratch)?.fitted();
                self.solved = Some((kind, revision, fitted));
                Ok(fitted)
            }
        }
    }

    /// The threshold of `point`, which does not depend on the kind of head; `None` when too few supports have a score.
    pub fn threshold(
        &mut self,
        point: OperatingPoint,
        support_set: &SupportSet<'_>,
        revision: u32,
    ) -> Result<Option<Threshold>, HeadError> {
        if let Some((known, at, threshold)) = self.threshold
            && known == point
            && at == revision
        {
            return Ok(threshold);
        }
        let supports = support_set.supports();
        if supports.is_empty() {
            return Ok(None);
        }
        let kind = self.solved.filter(|&(_, at, _)| at == revision).map_or(HeadKind::Auto, |(kind, ..)| kind);
        let fitted = self.fit(kind, support_set, revision)?;
        let threshold = Predictor::resume(fitted, None, ANY_RATE, self.scratch).threshold(supports, point);
        self.threshold = Some((point, revision, threshold));
        Ok(threshold)
    }

    /// Values of scratch available, and values that any head of this device may need.
    pub fn memory(&self, support_set: &SupportSet<'_>) -> (usize, usize) {
        (
            self.scratch.len(),
            Predictor::scratch_len(support_set.dim(), support_set.names().len(), support_set.capacity()),
        )
    }
}
