//! Detection of a collapsed encoder, and warnings about settings and data from which little can be learned.

use super::config::PretrainConfig;
use super::metrics::{Health, Score};
use crate::objective::Objective;

/// Smallest healthy deviation; below it all features have the same direction. It is 0.017 for features that differ by 1° on
/// average. Features after a ReLU are not negative and so share part of their direction: healthy encoders have 0.2 or
/// more, with every objective on phantoms and chest x-rays.
const DEVIATION_MIN: f64 = 0.015;

/// Smallest healthy effective rank; below it features differ along a single line. Even a network that only separates two
/// classes has small differences along other directions, which add up to more than this.
const RANK_MIN: f64 = 1.2;

/// Fewest images for a check of the rank: features of N images differ along at most N - 1 directions, and few of them may be
/// near a line by chance.
const RANK_IMAGES_MIN: usize = 8;

/// Largest batch for which a method that compares images is warned about.
const COMPARED_MIN: usize = 2;

/// Smallest healthy mean squared distance of embeddings (2 between unrelated directions). The gradient of every contrastive
/// loss is a sum of differences of embeddings and vanishes with them. With the hardest triplets of PneumoniaMNIST the
/// distance was 0.0068 after two epochs and 0.0004 ten epochs later, while the loss stayed at the margin.
const DISTANCE_MIN: f64 = 0.01;

/// A symptom of a collapse.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Collapse {
    /// All features are nearly equal.
    #[error(
        "all images have nearly the same feature (deviation {deviation:.4} of 1, healthy from {min}; uniformity {uniformity:.4})",
        min = DEVIATION_MIN
    )]
    OneFeature {
        /// Mean deviation of a dimension.
        deviation: f64,
        /// Uniformity of the features.
        uniformity: f64,
    },
    /// Features differ along a line.
    #[error(
        "features differ along one direction only (effective rank {effective_rank:.2}, healthy from {min})",
        min = RANK_MIN
    )]
    OneDirection {
        /// Effective rank of the features.
        effective_rank: f64,
    },
    /// The embeddings that the loss compares are nearly equal.
    #[error(
        "the embeddings are nearly equal (mean squared distance {distance:.5}, healthy from {min}; loss {loss:.4}), so the loss has no gradient",
        min = DISTANCE_MIN
    )]
    OneEmbedding {
        /// Mean squared distance over the epoch.
        distance: f64,
        /// Mean loss over the epoch.
        loss: f64,
    },
}

/// The symptom of a collapse, if any. `train` is the score of the epoch, which for contrastive objectives has the
/// measure `distance`.
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

/// A warning if there is too little to learn from: a tiny batch, or a single class.
///
/// * `images`: trained on, `batch_size` of them per step
/// * `num_classes`: of the dataset
pub(super) fn too_little(
    config: &PretrainConfig,
    images: usize,
    batch_size: usize,
    num_classes: usize,
) -> Option<String> {
    if config.needs_labels() && num_classes < 2 {
        return Some("all images are of one class, so there is nothing to learn and the loss is 0".to_owned());
    }
    if !config.method.is_contrastive() || batch_size > COMPARED_MIN {
        return None;
    }
    let remedy = if images <= COMPARED_MIN { "more images" } else { "a larger batch" };
    Some(format!(
        "batch of {batch_size} from {images} training images: too few for a contrastive loss and for \
         batch norm; train on {remedy}"
    ))
}

/// Settings to change if the encoder collapses.
pub(super) fn advice(config: &PretrainConfig, objective: &dyn Objective) -> String {
    let rate = format!("a learning rate below {}", config.learning_rate);
    match objective.collapse_advice() {
        Some(own) => format!("{rate}, {own} or a batch above {}", config.batch_size),
        None => format!("{rate} or less weight decay"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::Method;
    use std::collections::BTreeMap;

    const HEALTHY: Health =
        Health { images: 100, alignment: None, uniformity: -1.0, effective_rank: 20.0, deviation: 0.4, knn: None };

    fn train(loss: f64, distance: Option<f64>) -> Score {
        let measures: BTreeMap<String, f64> =
            distance.map(|distance| ("distance".to_owned(), distance)).into_iter().collect();
        Score { inputs: 8, loss, balanced_accuracy: 0.5, recall: Vec::new(), accuracy: 0.5, measures }
    }

    #[test]
    fn each_sign_of_a_collapse_is_found() {
        assert_eq!(collapse(&HEALTHY, &train(1.0, None)), None);
        assert_eq!(collapse(&HEALTHY, &train(0.2, Some(1.4))), None);
        let sign = |health: Health, distance| collapse(&health, &train(0.2, distance)).unwrap();
        let equal = sign(Health { deviation: 0.001, ..HEALTHY }, None);
        assert!(matches!(equal, Collapse::OneFeature { deviation: 0.001, .. }), "{equal}");
        let line = sign(Health { effective_rank: 1.01, ..HEALTHY }, None);
        assert_eq!(line, Collapse::OneDirection { effective_rank: 1.01 });
        assert_eq!(sign(HEALTHY, Some(1e-4)), Collapse::OneEmbedding { distance: 1e-4, loss: 0.2 });
    }

    #[test]
    fn few_images_are_no_collapse() {
        let flat = Health { effective_rank: 1.0, ..HEALTHY };
        assert!(collapse(&flat, &train(1.0, None)).is_some());
        assert_eq!(
            collapse(&Health { images: 2, ..flat }, &train(1.0, None)),
            None,
            "the features of two images always differ along a line"
        );
    }

    #[test]
    fn a_tiny_batch_and_a_single_class_are_warned_of() {
        let warning = |method, images, batch_size, classes| {
            too_little(&PretrainConfig::new("phantoms", method), images, batch_size, classes)
        };
        for method in [Method::Simclr, Method::Triplet, Method::Moco] {
            assert!(warning(method, 1, 1, 0).unwrap().contains("more images"));
            assert!(warning(method, 100, 2, 0).unwrap().contains("larger batch"));
            assert_eq!(warning(method, 100, 3, 0), None);
        }
        assert_eq!((warning(Method::Rotation, 1, 1, 0), warning(Method::Masked, 1, 1, 0)), (None, None));
        assert!(warning(Method::Supervised, 50, 8, 1).is_some());
        assert_eq!(warning(Method::Supervised, 50, 8, 2), None);
    }
}
