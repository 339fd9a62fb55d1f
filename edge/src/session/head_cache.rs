//! The head that was fitted last, kept until the support set changes.

use crate::decide::{Fitted, Predictor};
use crate::head::HeadKind;
use crate::support_set::SupportSet;

/// Memory for a head and its answer.
#[derive(Debug)]
pub(super) struct HeadCache<'m> {
    pub scratch: &'m mut [f64],
    pub probabilities: &'m mut [f64],
    /// The head that is solved in `scratch`, and the revision of the support set that it was solved for.
    pub solved: Option<(HeadKind, u32, Fitted)>,
    /// The class set of the last answer.
    pub set: [u8; 32],
}

impl<'m> HeadCache<'m> {
    pub fn new(scratch: &'m mut [f64], probabilities: &'m mut [f64]) -> Self {
        Self { scratch, probabilities, solved: None, set: [0; 32] }
    }

    /// Values of scratch available, and values that any head of this device may need.
    pub fn memory(&self, support_set: &SupportSet<'_>) -> (usize, usize) {
        (
            self.scratch.len(),
            Predictor::scratch_len(support_set.dim(), support_set.names().len(), support_set.capacity()),
        )
    }
}
