//! The health of the encoder after an epoch: how the features that the objective reads are spread over some training images.
//!
//! A loss does not show a collapse. Triplets of equal embeddings have exactly the margin as their loss, and a contrastive
//! loss at the logarithm of its candidates looks like one that has not fallen yet.

use super::batch::Recipe;
use super::config::PretrainConfig;
use super::features::{Extractor, FeatureError};
use super::metrics::Health;
use super::training_set::ImageSet;
use crate::augment::{Augmentation, Views};
use crate::data::DataError;
use crate::encoder::Network;
use crate::measure::{
    ConfusionMatrix, Features, KnnSettings, alignment, argmax_rows, deviation, effective_rank, knn_leave_one_out,
    uniformity,
};
use crate::rng::Rng;

/// Fewest and most images in the sample. The k-NN accuracy of 1,000 images has a standard error of 1.6 points at most.
const IMAGES: std::ops::RangeInclusive<usize> = 256..=1_000;

/// Network inputs of an epoch per image in the sample. A forward pass is a third of a step's work, and half as many views
/// come on top: a fiftieth of the time of an epoch, unless the epoch is so short that the smallest sample dominates.
const INPUTS_EACH: usize = 25;

/// Images in the sample per image of which two augmented views are made.
const IMAGES_EACH_PAIR: usize = 4;

/// The epoch that seeds the views. No epoch of a run has this number, so the views are the same after every epoch and do not
/// occur in training.
const VIEWS: u64 = u64::MAX;

/// The images that health is measured on.
pub(super) struct Sample {
    /// Positions in the training set.
    positions: Vec<usize>,
    /// Those of which two augmented views are made.
    paired: Vec<usize>,
}

impl Sample {
    /// Draws by seed, labelled images first. In training an image has `views` views.
    pub fn draw(training: &ImageSet<'_>, views: usize, seed: u64) -> Self {
        let inputs = training.readable.len() * views;
        let count = (inputs / INPUTS_EACH).clamp(*IMAGES.start(), *IMAGES.end());
        let mut order = training.readable.clone();
        Rng::for_purpose(seed, "health").shuffle(&mut order);
        order.sort_by_key(|&position| training.labels[position].is_none());
        order.truncate(count);
        let mut paired = order.clone();
        paired.truncate(order.len().div_ceil(IMAGES_EACH_PAIR));
        Self { positions: order, paired }
    }
}

/// Measures the encoder on `sample`; `None` if there are fewer than two images to compare.
pub(super) fn examine(
    extractor: Extractor<'_>,
    config: &PretrainConfig,
    training: &ImageSet<'_>,
    sample: &Sample,
    num_classes: usize,
) -> Result<Option<Health>, FeatureError> {
    if sample.positions.len() < 2 {
        return Ok(None);
    }
    let dim = extractor.network.trained_dim();
    let rows = extractor.features(training, &sample.positions, Network::embed_trained)?;
    FeatureError::check(&rows)?;
    let augmented = config.augmentation != Augmentation::NONE;
    let alignment = augmented.then(|| alignment_of(extractor, config, training, &sample.paired)).transpose()?;
    Ok(Some(Health {
        images: sample.positions.len(),
        alignment,
        uniformity: uniformity(&rows, dim),
        effective_rank: effective_rank(&rows, dim),
        deviation: deviation(&rows, dim),
        knn: knn(Features { dim, rows }, training, &sample.positions, num_classes),
    }))
}

/// Mean squared distance between the features of two augmented views of the images at `paired`.
fn alignment_of(
    extractor: Extractor<'_>,
    config: &PretrainConfig,
    training: &ImageSet<'_>,
    paired: &[usize],
) -> Result<f64, DataError> {
    let Extractor { network, preprocessing } = extractor;
    let (views, augmentation) = (Views::Independent(2), config.augmentation);
    let recipe = Recipe { views, augmentation, preprocessing, seed: config.seed, order: None };
    let dim = network.trained_dim();
    let mut pair = [Vec::new(), Vec::new()];
    let features = extractor.embed(recipe, training, paired, VIEWS, Network::embed_trained)?;
    for (number, feature) in features.chunks_exact(dim).enumerate() {
        pair[number % 2].extend_from_slice(feature);
    }
    Ok(alignment(&pair[0], &pair[1], dim))
}

/// Balanced accuracy of leave-one-out k-NN on the labelled images; `None` unless two classes occur and one of them twice.
fn knn(features: Features, training: &ImageSet<'_>, positions: &[usize], num_classes: usize) -> Option<f64> {
    let labelled: Vec<usize> = (0..positions.len()).filter(|&at| training.labels[positions[at]].is_some()).collect();
    let labels: Vec<usize> = labelled.iter().filter_map(|&at| training.labels[positions[at]]).collect();
    labels.iter().find(|&&label| label != labels[0])?;
    labels.iter().enumerate().find(|(at, label)| labels[..*at].contains(label))?;
    let scores = knn_leave_one_out(&features.select(&labelled), &labels, num_classes, KnnSettings::default());
    Some(ConfusionMatrix::of(num_classes, &labels, &argmax_rows(&scores, num_classes)).balanced_accuracy())
}
