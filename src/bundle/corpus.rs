//! Statistics of the features of a corpus.

use super::MakeError;
use crate::data::Dataset;
use crate::encoder::{CorpusStatistics, HostEncoder};
use crate::export::{corpus_features, statistics_of};

/// The encoder's own statistics, or else those of its features of at most [`CorpusStatistics::IMAGES_MAX`] of the images
/// `indices`.
///
/// # Errors
/// When an image cannot be read, a feature is not finite, or no two features differ ([`MakeError::NoCorpus`]).
pub fn measure(encoder: &dyn HostEncoder, dataset: &Dataset, indices: &[usize]) -> Result<CorpusStatistics, MakeError> {
    if let Some(known) = encoder.corpus() {
        return Ok(known.clone());
    }
    let statistics = statistics_of(&corpus_features(encoder, dataset, indices)?, encoder.feature_dim())?;
    if statistics.std.iter().all(|&std| std == 0.0) {
        return Err(MakeError::NoCorpus);
    }
    Ok(statistics)
}
