//! Baselines, which bring no preprocessing of their own.

use super::OpenError;
use crate::data::{Dataset, Preprocessing, ResizeFilter};
use crate::encoder::Preset;
use crate::evaluate::EvaluateError;

/// The images that a baseline is fitted to, and the input it gets.
#[derive(Clone, Copy)]
pub struct EncoderInput<'a> {
    /// The images at hand.
    pub dataset: &'a Dataset,
    /// Those that may be looked at without their labels: mean and deviation of pixels, and batch
    /// norm statistics of a random encoder, are measured on them.
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

/// The recipe of a baseline that is fitted to no images: a device taught today has the same encoder tomorrow.
pub(super) fn fixed_recipe(channels: usize) -> Preprocessing {
    Preprocessing {
        filter: ResizeFilter::Triangle,
        mean: vec![0.5; channels],
        std: vec![0.25; channels],
        ..Preprocessing::unit(channels, 32, 32)
    }
}

/// Whether `name` is a baseline, which takes its preprocessing from the images at hand.
pub fn is_fitted(name: &str) -> bool {
    name == "raw-pixels" || name == "colour-statistics" || name.starts_with("random:")
}

/// 3 where any of some images spread over `indices` shows colour, else 1; images that cannot be read do not count.
pub fn channels_of(dataset: &Dataset, indices: &[usize]) -> usize {
    dataset.channels(indices).0
}

/// The baselines that stand beside an encoder: `raw-pixels`, then `random:PRESET`, without those asked for.
///
/// * `preset`: that of the asked encoder where it has one, else nano
pub fn baselines_for(name: &str, preset: Option<Preset>) -> Vec<String> {
    let random = format!("random:{}", preset.unwrap_or(Preset::Nano).name());
    ["raw-pixels".to_owned(), random].into_iter().filter(|baseline| baseline != name).collect()
}
