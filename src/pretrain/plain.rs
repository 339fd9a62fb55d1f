//! Features of images as they are, with the running statistics: what the encoder will be asked for.

use super::batch::Recipe;
use super::training_set::ImageSet;
use crate::augment::Augmentation;
use crate::data::{DataError, Preprocessing, evenly_spread};
use crate::encoder::{CorpusStatistics, Network};
use crate::objective::Supervised;

/// Images the statistics of the features are measured on: enough that their sampling error is a
/// fiftieth of the deviation.
const CORPUS_IMAGES_MAX: usize = 2_000;

/// Network inputs that are embedded together outside of training.
pub(super) const EMBED_TOGETHER: usize = 256;

/// Features `[N, D]` of the images at `positions`, one upright view each, whatever the objective.
pub(super) fn plain_features(
    network: &Network,
    preprocessing: &Preprocessing,
    set: &ImageSet<'_>,
    positions: &[usize],
) -> Result<Vec<f32>, DataError> {
    let upright = Supervised::new(1, 0.0);
    let recipe = Recipe { objective: &upright, augmentation: Augmentation::NONE, preprocessing, seed: 0 };
    let (mut input, mut features) = (Vec::new(), Vec::new());
    for positions in positions.chunks(EMBED_TOGETHER) {
        recipe.fill(&mut input, set, positions, 0)?;
        features.extend(network.embed(&input));
    }
    Ok(features)
}

/// What the features over training images spread evenly look like.
///
/// The error's inner value is the first statistic that is not finite.
pub(super) fn corpus_statistics(
    network: &Network,
    preprocessing: &Preprocessing,
    set: &ImageSet<'_>,
) -> Result<Result<CorpusStatistics, f64>, DataError> {
    let positions = evenly_spread(&set.readable, CORPUS_IMAGES_MAX);
    let dim = network.spec().feature_dim();
    let features = plain_features(network, preprocessing, set, &positions)?;
    let statistics = CorpusStatistics::of(&features, dim);
    if let Some(&value) = statistics.mean.iter().chain(&statistics.std).find(|value| !value.is_finite()) {
        return Ok(Err(f64::from(value)));
    }
    // Features that cannot be scaled have no length; whoever quantises them will say so.
    Ok(Ok(statistics.clone().with_lengths_of(&features).unwrap_or(statistics)))
}
