//! Whether the encoder still tells images apart: looked at after every epoch, and the end of a run that collapsed.
//!
//! A loss does not say it. Triplets of embeddings that all fell together cost exactly the margin, and a contrastive loss
//! at the logarithm of its candidates looks like one that has not begun to fall.

use serde::{Deserialize, Serialize};

use super::batch::Recipe;
use super::config::{Method, PretrainConfig};
use super::metrics::Score;
use super::plain::{EMBED_TOGETHER, plain_features};
use super::training_set::ImageSet;
use crate::augment::Augmentation;
use crate::data::{DataError, Preprocessing};
use crate::encoder::Network;
use crate::measure::{
    ConfusionMatrix, Features, KnnSettings, alignment, deviation, effective_rank, knn_leave_one_out, predictions,
    uniformity,
};
use crate::objective::{Miner, SimClr};
use crate::rng::Rng;

/// Most and fewest images that are looked at. The k-NN accuracy of 1,000 has a standard error of 1.6 points at most.
const IMAGES: std::ops::RangeInclusive<usize> = 256..=1_000;

/// Network inputs of an epoch for one image that is looked at. Going forward is a third of a step's work, and half as many
/// views come on top: a fiftieth of an epoch, as long as it is not held up by the fewest images.
const INPUTS_EACH: usize = 25;

/// Images for one that two augmented views are made of.
const IMAGES_EACH_PAIR: usize = 4;

/// No epoch of a run has this number: the views are the same after every epoch, and none of training.
const VIEWS: u64 = u64::MAX;

/// Below it all features point the same way. Images whose features differ by 1° on average have 0.017. Features after a
/// ReLU are never negative, so those of healthy encoders share much of their direction too, but ten times less: 0.2 or more
/// with every objective on phantoms and chest x-rays.
const DEVIATION_MIN: f64 = 0.015;

/// Below it features differ along a single line. A network that tells two classes apart and nothing else keeps small
/// differences along its other directions, which add up to more than this.
const RANK_MIN: f64 = 1.2;

/// Images below which the rank says nothing: features of N images differ along N - 1 directions at most, and a few may lie
/// near a line by chance.
const RANK_IMAGES_MIN: usize = 8;

/// Images of a step up to which an objective that compares images is warned of.
const COMPARED_MIN: usize = 2;

/// Below it (mean squared distance, 2 for directions that have nothing in common) embeddings fell together: the gradient of
/// every contrastive loss is a sum of differences of embeddings, and there is next to none. With the hardest triplets of
/// PneumoniaMNIST they were at 0.0068 after two epochs and at 0.0004 ten epochs later, the loss at the margin all the while.
const DISTANCE_MIN: f64 = 0.01;

/// Mining is told to be stuck when the loss is this near the margin, in shares of it, and distances are below a twentieth
/// of what they are between unrelated directions.
const STUCK_SHARE: f64 = 0.02;
const STUCK_DISTANCE: f64 = 0.1;

/// When health is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthGate {
    /// Not at all; nothing stops a run that collapsed.
    Never,
    /// After every epoch.
    #[default]
    Epoch,
}

impl HealthGate {
    pub(super) fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// What the features of some training images look like, not augmented, with the running statistics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Images looked at; labelled ones first.
    pub images: usize,
    /// Mean squared distance of two augmented views of an image, at unit length: 0 where augmentation does not matter. Absent
    /// where nothing is augmented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alignment: Option<f64>,
    /// 0 when all images get one feature, about -4 when features cover the sphere.
    pub uniformity: f64,
    /// Along how many directions features differ, of D.
    pub effective_rank: f64,
    /// Deviation of a dimension at unit length, in units of `1/√D`: 0 when all images get one feature, 1 at most.
    pub deviation: f64,
    /// Balanced accuracy of k-NN among the images that have labels, each left out in turn; no label is trained on for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knn: Option<f64>,
}

/// How a collapse shows.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Collapse {
    /// All features are one.
    #[error(
        "all images get nearly the same feature (deviation {deviation:.4} of 1, at least {min} is healthy; uniformity {uniformity:.4})",
        min = DEVIATION_MIN
    )]
    OneFeature {
        /// Mean deviation of a dimension.
        deviation: f64,
        /// Of the features.
        uniformity: f64,
    },
    /// Features lie on a line.
    #[error(
        "features differ along one direction only (effective rank {effective_rank:.2}, at least {min} is healthy)",
        min = RANK_MIN
    )]
    OneDirection {
        /// Of the features.
        effective_rank: f64,
    },
    /// What the loss compares is one.
    #[error(
        "the embeddings that the loss compares fell together (mean squared distance {distance:.5}, at least {min} is healthy; loss {loss:.4}), so nothing more is learnt",
        min = DISTANCE_MIN
    )]
    OneEmbedding {
        /// Mean over the epoch's pairs.
        distance: f64,
        /// Mean over the epoch.
        loss: f64,
    },
}

/// The images that a run's health is looked at on.
pub(super) struct Sample {
    /// Positions in the training set.
    positions: Vec<usize>,
    /// Those that two views are made of.
    paired: Vec<usize>,
}

impl Sample {
    /// Drawn by seed, the labelled before the others; `views` network inputs are made of an image in training.
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

/// The encoder as it is now; none where there are fewer than two images to compare. `Err` inside: a feature that is not finite.
pub(super) fn examine(
    network: &Network,
    preprocessing: &Preprocessing,
    augmentation: Augmentation,
    seed: u64,
    (training, sample): (&ImageSet<'_>, &Sample),
    num_classes: usize,
) -> Result<Option<Result<Health, f64>>, DataError> {
    if sample.positions.len() < 2 {
        return Ok(None);
    }
    let dim = network.spec().feature_dim();
    let rows = plain_features(network, preprocessing, training, &sample.positions)?;
    if let Some(&value) = rows.iter().find(|value| !value.is_finite()) {
        return Ok(Some(Err(f64::from(value))));
    }
    let alignment = match augmentation == Augmentation::NONE {
        true => None,
        false => Some(alignment_of(network, preprocessing, augmentation, seed, (training, &sample.paired))?),
    };
    Ok(Some(Ok(Health {
        images: sample.positions.len(),
        alignment,
        uniformity: uniformity(&rows, dim),
        effective_rank: effective_rank(&rows, dim),
        deviation: deviation(&rows, dim),
        knn: knn(Features { dim, rows }, training, &sample.positions, num_classes),
    })))
}

fn alignment_of(
    network: &Network,
    preprocessing: &Preprocessing,
    augmentation: Augmentation,
    seed: u64,
    (training, paired): (&ImageSet<'_>, &[usize]),
) -> Result<f64, DataError> {
    // Of this objective only its way of making two views is used.
    let pairs = SimClr::new(1.0, 1, 1);
    let recipe = Recipe { objective: &pairs, augmentation, preprocessing, seed };
    let dim = network.spec().feature_dim();
    let (mut input, mut views) = (Vec::new(), [Vec::new(), Vec::new()]);
    for positions in paired.chunks(EMBED_TOGETHER / 2) {
        recipe.fill(&mut input, training, positions, VIEWS)?;
        for (number, feature) in network.embed(&input).chunks_exact(dim).enumerate() {
            views[number % 2].extend_from_slice(feature);
        }
    }
    Ok(alignment(&views[0], &views[1], dim))
}

/// None without two labelled images of two classes at least, or where no class has a second image to be found by.
fn knn(features: Features, training: &ImageSet<'_>, positions: &[usize], num_classes: usize) -> Option<f64> {
    let labelled: Vec<usize> = (0..positions.len()).filter(|&at| training.labels[positions[at]].is_some()).collect();
    let labels: Vec<usize> = labelled.iter().filter_map(|&at| training.labels[positions[at]]).collect();
    labels.iter().find(|&&label| label != labels[0])?;
    labels.iter().enumerate().find(|(at, label)| labels[..*at].contains(label))?;
    let scores = knn_leave_one_out(&features.select(&labelled), &labels, num_classes, KnnSettings::default());
    Some(ConfusionMatrix::of(num_classes, &labels, &predictions(&scores, num_classes)).balanced_accuracy())
}

/// Whether the encoder collapsed. `train` is the score of the epoch, in which contrastive objectives tell the mean squared
/// distance of their embeddings.
pub fn collapse(health: &Health, train: &Score) -> Option<Collapse> {
    let Health { images, deviation, uniformity, effective_rank, .. } = *health;
    if deviation < DEVIATION_MIN {
        return Some(Collapse::OneFeature { deviation, uniformity });
    }
    if effective_rank < RANK_MIN && images >= RANK_IMAGES_MIN {
        return Some(Collapse::OneDirection { effective_rank });
    }
    let distance = *train.measures.get("distance")?;
    (distance < DISTANCE_MIN).then_some(Collapse::OneEmbedding { distance, loss: train.loss })
}

/// That there is next to nothing to learn from: no other image to compare with, or no other class.
///
/// * `images`: trained on; `batch_size` of them a step
/// * `classes`: of the data set
pub(super) fn too_little(config: &PretrainConfig, images: usize, batch_size: usize, classes: usize) -> Option<String> {
    if config.method == Method::Supervised && classes < 2 {
        return Some(
            "all images are of one class: there is nothing to tell apart, and the loss is 0 from the start".to_owned(),
        );
    }
    if !config.method.is_contrastive() || batch_size > COMPARED_MIN {
        return None;
    }
    let what = match (config.method, images, batch_size) {
        (Method::Moco, 1, _) => "the only negatives are earlier keys of the same image".to_owned(),
        (Method::Moco, ..) => format!("the queue of {} holds keys of {images} images", config.comparison.queue),
        (_, _, 1) => "there are no negatives, and the loss is 0 whatever the encoder does".to_owned(),
        _ => format!("each view has {} negatives only", 2 * (batch_size - 1)),
    };
    let batches = if images <= COMPARED_MIN { "more images" } else { "a larger batch" };
    let each = if batch_size == 1 { "1 image" } else { "2 images" };
    Some(format!("{each} a step: {what}, and batch norm sees {each} at a time; train on {batches}"))
}

/// That mining gives nothing more to learn: the loss is stuck at the margin, as it is when anchors, positives and negatives
/// are equally far from each other (pulled together faster than apart).
pub(super) fn stuck_at_margin(config: &PretrainConfig, train: &Score) -> Option<String> {
    let (margin, distance) = (f64::from(config.comparison.margin), *train.measures.get("distance")?);
    let stuck = config.method == Method::Triplet
        && (train.loss - margin).abs() < STUCK_SHARE * margin
        && distance < STUCK_DISTANCE;
    stuck.then(|| {
        format!(
            "mining is collapsing: the loss {:.4} is stuck at the margin {} and embeddings are {distance:.4} apart (mean squared distance; 2 where they have nothing in common); try {}",
            train.loss,
            config.comparison.margin,
            advice(config)
        )
    })
}

/// What may help a run that collapses.
pub(super) fn advice(config: &PretrainConfig) -> String {
    let rate = format!("a learning rate below {}", config.learning_rate);
    let batch = format!("a batch above {}", config.batch_size);
    match config.method {
        Method::Simclr | Method::Moco => {
            format!("{rate}, a temperature above {} or {batch}", config.comparison.temperature)
        }
        Method::Triplet if config.comparison.miner != Miner::SemiHard => {
            format!("{rate}, the semi-hard miner or {batch}")
        }
        Method::Triplet => format!("{rate}, a margin above {} or {batch}", config.comparison.margin),
        Method::Rotation | Method::Supervised | Method::Masked => format!("{rate} or less weight decay"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const HEALTHY: Health =
        Health { images: 100, alignment: None, uniformity: -1.0, effective_rank: 20.0, deviation: 0.4, knn: None };

    fn train(loss: f64, distance: Option<f64>) -> Score {
        let measures: BTreeMap<String, f64> =
            distance.map(|distance| ("distance".to_owned(), distance)).into_iter().collect();
        Score { inputs: 8, loss, balanced_accuracy: 0.5, recall: Vec::new(), accuracy: 0.5, measures }
    }

    #[test]
    fn each_sign_of_a_collapse_is_told_with_its_figure() {
        assert_eq!(collapse(&HEALTHY, &train(1.0, None)), None);
        assert_eq!(collapse(&HEALTHY, &train(0.2, Some(1.4))), None);
        let told = |health: Health, distance| collapse(&health, &train(0.2, distance)).unwrap().to_string();
        assert!(told(Health { deviation: 0.001, ..HEALTHY }, None).contains("deviation 0.0010"));
        assert!(told(Health { effective_rank: 1.01, ..HEALTHY }, None).contains("effective rank 1.01"));
        assert!(told(HEALTHY, Some(1e-4)).contains("0.00010"));
    }

    #[test]
    fn a_few_images_are_no_collapse() {
        let flat = Health { effective_rank: 1.0, ..HEALTHY };
        assert!(collapse(&flat, &train(1.0, None)).is_some());
        assert_eq!(
            collapse(&Health { images: 2, ..flat }, &train(1.0, None)),
            None,
            "two images always differ along a line"
        );
    }

    #[test]
    fn comparing_images_of_a_tiny_batch_is_warned_of() {
        let warned = |method, images, batch_size, classes| {
            let config = PretrainConfig::new("phantoms", method);
            too_little(&config, images, batch_size, classes)
        };
        for method in [Method::Simclr, Method::Triplet] {
            assert!(warned(method, 1, 1, 0).unwrap().contains("no negatives"));
            assert!(warned(method, 100, 2, 0).unwrap().contains("2 negatives"));
            assert_eq!(warned(method, 100, 3, 0), None);
        }
        assert!(warned(Method::Moco, 1, 1, 0).unwrap().contains("same image"));
        assert!(warned(Method::Moco, 2, 2, 0).is_some() && warned(Method::Moco, 9, 8, 0).is_none());
        assert_eq!((warned(Method::Rotation, 1, 1, 0), warned(Method::Masked, 1, 1, 0)), (None, None));
        assert!(warned(Method::Supervised, 50, 8, 1).unwrap().contains("one class"));
        assert_eq!(warned(Method::Supervised, 50, 8, 2), None);
    }

    #[test]
    fn a_loss_at_the_margin_is_a_warning_only_where_embeddings_are_near() {
        let mut config = PretrainConfig::new("phantoms", Method::Triplet);
        let warning = stuck_at_margin(&config, &train(0.2003, Some(0.05))).unwrap();
        assert!(
            warning.contains("0.2003") && warning.contains("margin 0.2") && warning.contains("0.0500"),
            "{warning}"
        );
        assert_eq!(stuck_at_margin(&config, &train(0.2003, Some(1.5))), None, "met on the way down");
        assert_eq!(stuck_at_margin(&config, &train(0.15, Some(0.05))), None);
        config.method = Method::Simclr;
        assert_eq!(stuck_at_margin(&config, &train(0.2, Some(0.05))), None);
    }
}
