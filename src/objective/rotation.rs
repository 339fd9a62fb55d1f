//! Rotation prediction: which of four quarter turns was the image given?
//!
//! All four turns of every image are in the batch, so N images make 4N network inputs, and each turn
//! is seen equally often. Gidaris, Singh and Komodakis 2018, arXiv:1803.07728, sections 2.1 and 3.1.

use super::{Batch, HeadTensor, LinearClassifier, Objective, Verdict};
use crate::augment::{Augmentation, rotate90};
use crate::data::Image;
use crate::nn::linear::linear_initialise;
use crate::rng::Rng;

const TURNS: usize = 4;

/// A linear 4-way classifier on the feature; no labels are read. Images must be square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rotation {
    classifier: LinearClassifier,
}

impl Rotation {
    /// `label_smoothing` in 0 to 1.
    pub fn new(label_smoothing: f32) -> Self {
        Self { classifier: LinearClassifier { classes: TURNS, label_smoothing } }
    }
}

impl Objective for Rotation {
    fn views(&self) -> usize {
        TURNS
    }

    /// One augmented image in its four turns: the turns differ in nothing else.
    fn views_of(&self, image: &Image, augmentation: &Augmentation, rng: &mut Rng) -> Vec<Image> {
        let image = augmentation.apply(image, rng);
        (0..TURNS).map(|turns| rotate90(&image, turns)).collect()
    }

    fn num_classes(&self) -> usize {
        TURNS
    }

    fn head_layout(&self, feature_dim: usize) -> Vec<HeadTensor> {
        self.classifier.layout(feature_dim)
    }

    fn head_start(&self, feature_dim: usize, rng: &mut Rng) -> Vec<f32> {
        linear_initialise(feature_dim, TURNS, rng)
    }

    fn loss(&self, head: &[f32], batch: Batch<'_>, dhead: &mut [f32], dfeatures: &mut [f32]) -> Verdict {
        let Batch { features, labels, .. } = batch;
        let targets = (0..labels.len() * TURNS).map(|input| input % TURNS).collect();
        self.classifier.loss(head, features, targets, dhead, dfeatures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_makes_its_four_turns() {
        let image = Image { width: 2, height: 2, channels: 1, pixels: vec![1, 2, 3, 4] };
        let views = Rotation::new(0.0).views_of(&image, &Augmentation::NONE, &mut Rng::for_purpose(1, "test"));
        let pixels: Vec<_> = views.into_iter().map(|view| view.pixels).collect();
        assert_eq!(pixels, [[1, 2, 3, 4], [2, 4, 1, 3], [4, 3, 2, 1], [3, 1, 4, 2]]);
    }

    /// A head that reads the turn off a one-hot feature is right on all inputs; its loss is
    /// `ln(1 + 3 exp(-s))` for scale s. Labels, present or not, change nothing.
    #[test]
    fn the_right_answers_are_the_turns() {
        let rotation = Rotation::new(0.0);
        let one_hot: Vec<f32> = (0..2 * 16).map(|i| f32::from(i % 4 == i / 4 % 4)).collect();
        let head: Vec<f32> = (0..20).map(|i| if i < 16 && i % 5 == 0 { 7.0 } else { 0.0 }).collect();
        let (mut dhead, mut dfeatures) = (vec![0.0; 20], vec![0.0; 32]);
        let mut verdict = |labels| {
            rotation.loss(&head, Batch { features: &one_hot, labels, ..Batch::default() }, &mut dhead, &mut dfeatures)
        };
        let verdict_blind = verdict(&[None, None]);
        assert_eq!(verdict_blind.targets, [0, 1, 2, 3, 0, 1, 2, 3]);
        assert_eq!(verdict_blind.answers, verdict_blind.targets);
        assert!((verdict_blind.loss - (1.0 + 3.0 * (-7f64).exp()).ln()).abs() < 1e-6, "{}", verdict_blind.loss);
        assert_eq!(verdict(&[Some(1), Some(0)]), verdict_blind);
    }

    #[test]
    fn the_layout_covers_the_head() {
        let rotation = Rotation::new(0.0);
        let head = rotation.head_start(64, &mut Rng::for_purpose(1, "initialise head"));
        let layout = rotation.head_layout(64);
        assert_eq!(layout.iter().map(|t| t.range.len()).sum::<usize>(), head.len());
        assert!(layout.iter().all(|t| t.shape.iter().product::<usize>() == t.range.len()));
        assert!(head.iter().all(|w| w.abs() <= 0.125) && head.iter().any(|w| w.abs() > 0.12));
    }
}
