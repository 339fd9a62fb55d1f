//! Rotation prediction: predict by which of four multiples of 90° an image was rotated.
//!
//! All four rotations of every image are in the batch, so N images make 4N network inputs, and each rotation is equally
//! frequent. Gidaris, Singh and Komodakis 2018, arXiv:1803.07728, sections 2.1 and 3.1.

use super::classifier::classify;
use super::head::Head;
use super::interface::{MethodInfo, Objective, StepOutput, Targets};
use super::settings::Comparison;
use crate::augment::Views;

pub(super) const METHOD: MethodInfo = MethodInfo {
    is_contrastive: false,
    comparison: Comparison::DEFAULT,
    build: |settings| Box::new(Rotation::new(settings.label_smoothing)),
};

/// A linear 4-way classifier on the feature; reads no labels. Images must be square.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotation {
    head: Head,
    label_smoothing: f32,
}

impl Rotation {
    /// `label_smoothing` in 0 to 1.
    pub fn new(label_smoothing: f32) -> Self {
        Self { head: Head::linear("head", Views::Rotated.count()), label_smoothing }
    }
}

impl Objective for Rotation {
    fn views(&self) -> Views {
        Views::Rotated
    }

    fn head(&self) -> &Head {
        &self.head
    }

    fn num_classes(&self) -> usize {
        self.head.outputs()
    }

    fn loss(&self, head: &[f32], features: &[f32], targets: Targets<'_>) -> StepOutput {
        let rotations = self.views().count();
        let targets = (0..targets.labels.len() * rotations).map(|input| input % rotations).collect();
        classify(&self.head, head, features, targets, self.label_smoothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head that reads the rotation off a one-hot feature is correct on all inputs; its loss is
    /// `ln(1 + 3 exp(-s))` for scale s. Labels, present or not, change nothing.
    #[test]
    fn the_targets_are_the_rotations() {
        let rotation = Rotation::new(0.0);
        let one_hot: Vec<f32> = (0..2 * 16).map(|i| f32::from(i % 4 == i / 4 % 4)).collect();
        let head: Vec<f32> = (0..20).map(|i| if i < 16 && i % 5 == 0 { 7.0 } else { 0.0 }).collect();
        let output = rotation.loss(&head, &one_hot, Targets::labels(&[None, None]));
        assert_eq!(output.targets, [0, 1, 2, 3, 0, 1, 2, 3]);
        assert_eq!(output.predictions, output.targets);
        assert!((output.loss - (1.0 + 3.0 * (-7f64).exp()).ln()).abs() < 1e-6, "{}", output.loss);
        assert_eq!(rotation.loss(&head, &one_hot, Targets::labels(&[Some(1), Some(0)])), output);
    }
}
