//! Statistics of the features over the images that an encoder was pretrained on.

use crate::data::Dataset;
use crate::encoder::{CorpusStatistics, HostEncoder};

use super::parity::{ParityError, Sample};
use crate::data::evenly_spread;

/// Images per batch; bounds memory.
const CHUNK: usize = 64;

/// Statistics of the features of `indices`, at most [`CorpusStatistics::IMAGES_MAX`] spread evenly over them.
///
/// # Errors
/// When there is no image, an image cannot be read, or a feature is not finite.
pub fn measure_corpus(
    encoder: &dyn HostEncoder,
    dataset: &Dataset,
    indices: &[usize],
) -> Result<CorpusStatistics, ParityError> {
    statistics_of(&corpus_features(encoder, dataset, indices)?, encoder.feature_dim())
}

/// The features `[N, D]` that [`measure_corpus`] uses.
///
/// # Errors
/// As [`measure_corpus`].
pub fn corpus_features(
    encoder: &dyn HostEncoder,
    dataset: &Dataset,
    indices: &[usize],
) -> Result<Vec<f32>, ParityError> {
    let chosen = evenly_spread(indices, CorpusStatistics::IMAGES_MAX);
    if chosen.is_empty() {
        return Err(ParityError::NoImages);
    }
    let mut features = Vec::with_capacity(chosen.len() * encoder.feature_dim());
    for chunk in chosen.chunks(CHUNK) {
        let sample = Sample::load(dataset, chunk, encoder.preprocessing())?;
        features.extend(encoder.encode_batch(&sample.pixels)?);
    }
    Ok(features)
}

/// Statistics of `features` `[N, D]`, N at least 1, with the length that 95 % of them do not exceed.
///
/// # Errors
/// When a feature is not finite.
pub fn statistics_of(features: &[f32], dim: usize) -> Result<CorpusStatistics, ParityError> {
    Ok(CorpusStatistics::of(features, dim).with_lengths_of(features)?)
}
