//! Supervised classification: predict the label of an image.
//!
//! The reference for objectives without labels, and the method to use where labels abound. With hidden layers it is the
//! probe on a frozen encoder of Gidaris et al. 2018, arXiv:1803.07728, section 4.1: fully connected layers of 200 units
//! with ReLU. They normalise by batch after each hidden layer; here the features come standardised, which conditions a
//! network this shallow as well, and a prediction depends on its own image alone.

use super::classifier::classify;
use super::head::Head;
use super::interface::{MethodInfo, Objective, StepOutput, Targets};
use super::settings::{Comparison, Freeze};
use crate::augment::Views;

pub(super) const METHOD: MethodInfo = MethodInfo {
    is_contrastive: false,
    comparison: Comparison::DEFAULT,
    build: |settings| match settings.freeze {
        Some(probe) => Box::new(Supervised::probe(settings.num_classes, probe, settings.label_smoothing)),
        None => Box::new(Supervised::new(settings.num_classes, settings.label_smoothing)),
    },
};

/// Most hidden layers of a probe.
pub const PROBE_LAYERS_MAX: usize = 3;

/// A classifier on the feature; every image needs a label.
#[derive(Clone, Debug, PartialEq)]
pub struct Supervised {
    head: Head,
    label_smoothing: f32,
}

impl Supervised {
    /// A linear classifier of at least 1 class, with `label_smoothing` in 0 to 1.
    pub fn new(num_classes: usize, label_smoothing: f32) -> Self {
        Self { head: Head::linear("head", num_classes), label_smoothing }
    }

    /// A classifier with hidden layers, at most [`PROBE_LAYERS_MAX`]; 0 is a linear classifier.
    pub fn probe(num_classes: usize, probe: Freeze, label_smoothing: f32) -> Self {
        let hidden = vec![probe.hidden; probe.layers.min(PROBE_LAYERS_MAX)];
        Self { head: Head::mlp("probe", &hidden, num_classes), label_smoothing }
    }
}

impl Objective for Supervised {
    fn views(&self) -> Views {
        Views::Independent(1)
    }

    fn head(&self) -> &Head {
        &self.head
    }

    fn num_classes(&self) -> usize {
        self.head.outputs()
    }

    fn needs_labels(&self) -> bool {
        true
    }

    /// # Panics
    /// When a label is missing; [`crate::pretrain`] refuses such data before training begins.
    fn loss(&self, head: &[f32], features: &[f32], targets: Targets<'_>) -> StepOutput {
        let targets = targets.labels.iter().map(|label| label.expect("every image is labelled")).collect();
        classify(&self.head, head, features, targets, self.label_smoothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::gradient_check::check_objective;

    #[test]
    fn the_targets_are_the_labels() {
        let supervised = Supervised::new(3, 0.0);
        let head = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
        let features = [5.0, 0.0, 0.0, 0.0, 0.0, 5.0];
        let right = supervised.loss(&head, &features, Targets::labels(&[Some(0), Some(2)]));
        let wrong = supervised.loss(&head, &features, Targets::labels(&[Some(0), Some(1)]));
        assert_eq!((right.targets, right.predictions), (vec![0, 2], vec![0, 2]));
        assert_eq!((wrong.targets, wrong.predictions), (vec![0, 1], vec![0, 2]));
        assert!(right.loss < 0.02 && (wrong.loss - right.loss - 2.5).abs() < 1e-5, "{} {}", right.loss, wrong.loss);
        // The gradient lowers the wrong logit and raises the right one.
        assert!(wrong.dfeatures[5] > 0.4 && wrong.dfeatures[4] < -0.4, "{:?}", wrong.dfeatures);
    }

    #[test]
    fn gradients_agree_with_central_differences() {
        let labels = [Some(0), Some(2), Some(1), Some(2)];
        for layers in 0..=PROBE_LAYERS_MAX {
            // A ReLU has a kink; the step is small enough to avoid it.
            let probe = Supervised::probe(3, Freeze { hidden: 6, layers }, 0.1);
            check_objective(&probe, 4, &labels, 1.0 / 8192.0, 2e-3);
        }
    }
}
