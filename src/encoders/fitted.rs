//! Baselines: their preprocessing comes from the images at hand, or is fixed.

use super::OpenError;
use super::tiles::untiled_name;
use crate::data::{Dataset, Preprocessing, ResizeFilter};
use crate::evaluate::EvaluateError;

/// The images that a baseline is fitted to, and the input it gets.
#[derive(Clone, Copy)]
pub struct EncoderInput<'a> {
    /// The dataset.
    pub dataset: &'a Dataset,
    /// Images that may be used without labels: pixel mean and standard deviation, and the batch norm statistics of a
    /// random encoder, are measured on them.
    pub unlabelled: &'a [usize],
    /// 1 or 3.
    pub channels: usize,
    /// Rows of the network's input.
    pub height: usize,
    /// Columns of the network's input.
    pub width: usize,
}

impl EncoderInput<'_> {
    pub(super) fn preprocessing(&self) -> Result<Preprocessing, OpenError> {
        let fitted = Preprocessing::for_corpus(self.dataset, self.unlabelled, self.channels, self.height, self.width);
        Ok(fitted.map_err(EvaluateError::from)?)
    }
}

/// Preprocessing of a baseline without images: always the same, so that a store finds the same encoder again.
pub(super) fn fixed_recipe(channels: usize) -> Preprocessing {
    Preprocessing {
        filter: ResizeFilter::Triangle,
        mean: vec![0.5; channels],
        std: vec![0.25; channels],
        ..Preprocessing::unit(channels, 32, 32)
    }
}

/// Whether `name` is a baseline, whose preprocessing comes from the images of the dataset.
pub fn is_fitted(name: &str) -> bool {
    let name = untiled_name(name);
    name == "raw-pixels" || name == "colour-statistics" || name.starts_with("random:")
}

/// 3 if any of a sample of `indices` is in colour, else 1. Unreadable images do not count.
pub fn channels_of(dataset: &Dataset, indices: &[usize]) -> usize {
    dataset.channels(indices).0
}
