//! Supervised classification: which class does the image's label name?
//!
//! The yardstick for objectives without labels, and what to use where labels abound.

use super::{Batch, HeadTensor, LinearClassifier, Objective, Verdict};
use crate::augment::Augmentation;
use crate::data::Image;
use crate::nn::linear::linear_initialise;
use crate::rng::Rng;

/// A linear classifier on the feature; every image needs a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Supervised {
    classifier: LinearClassifier,
}

impl Supervised {
    /// `classes` at least 1, `label_smoothing` in 0 to 1.
    pub fn new(classes: usize, label_smoothing: f32) -> Self {
        Self { classifier: LinearClassifier { classes, label_smoothing } }
    }
}

impl Objective for Supervised {
    fn views(&self) -> usize {
        1
    }

    fn views_of(&self, image: &Image, augmentation: &Augmentation, rng: &mut Rng) -> Vec<Image> {
        vec![augmentation.apply(image, rng)]
    }

    fn num_classes(&self) -> usize {
        self.classifier.classes
    }

    fn head_layout(&self, feature_dim: usize) -> Vec<HeadTensor> {
        self.classifier.layout(feature_dim)
    }

    fn head_start(&self, feature_dim: usize, rng: &mut Rng) -> Vec<f32> {
        linear_initialise(feature_dim, self.classifier.classes, rng)
    }

    /// # Panics
    /// When a label is missing; [`crate::pretrain`] refuses such data before training begins.
    fn loss(&self, head: &[f32], batch: Batch<'_>, dhead: &mut [f32], dfeatures: &mut [f32]) -> Verdict {
        let Batch { features, labels, .. } = batch;
        let targets = labels.iter().map(|label| label.expect("every image is labelled")).collect();
        self.classifier.loss(head, features, targets, dhead, dfeatures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_answers_are_the_labels() {
        let supervised = Supervised::new(3, 0.0);
        // Feature d argues for class d: identity weights.
        let head = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
        let features = [5.0, 0.0, 0.0, 0.0, 0.0, 5.0];
        let (mut dhead, mut dfeatures) = ([0.0; 12], [0.0; 6]);
        let right = supervised.loss(
            &head,
            Batch { features: &features, labels: &[Some(0), Some(2)], ..Batch::default() },
            &mut dhead,
            &mut dfeatures,
        );
        let wrong = supervised.loss(
            &head,
            Batch { features: &features, labels: &[Some(0), Some(1)], ..Batch::default() },
            &mut dhead,
            &mut dfeatures,
        );
        assert_eq!((right.targets, right.answers), (vec![0, 2], vec![0, 2]));
        assert_eq!((wrong.targets, wrong.answers), (vec![0, 1], vec![0, 2]));
        assert!(right.loss < 0.02 && (wrong.loss - right.loss - 2.5).abs() < 1e-5, "{} {}", right.loss, wrong.loss);
        // The wrong answer's feature is pushed down, the right one's pulled up.
        assert!(dfeatures[5] > 0.4 && dfeatures[4] < -0.4, "{dfeatures:?}");
    }
}
