//! Statistics of the features of a corpus.

use super::MakeError;
use crate::data::Dataset;
use crate::encoder::{CorpusStatistics, HostEncoder};
use crate::export::{corpus_features, statistics_of};

/// The statistics that `encoder` brings, or else those of its features of the images `indices` of `dataset`, of which at
/// most [`crate::export::CORPUS_IMAGES`] are used.
///
/// # Errors
/// An image that cannot be read, features that are not finite, or [`MakeError::NoCorpus`] if no two features differ.
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
