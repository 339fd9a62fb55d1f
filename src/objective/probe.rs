//! The shallow network on frozen features: how much of the classes can be read off them?
//!
//! Gidaris et al. 2018 (rotation prediction), arXiv:1803.07728, section 4.1: fully connected hidden layers of 200 units
//! with ReLU, then the classes. They normalise by batch after each hidden layer; here the features come standardised,
//! which conditions a network this shallow as well, and an answer depends on its own image alone.

use super::{Batch, HeadTensor, Objective, Verdict};
use crate::augment::Augmentation;
use crate::data::Image;
use crate::nn::cross_entropy::{argmax_rows, cross_entropy};
use crate::nn::linear::{linear_backward, linear_forward, linear_initialise};
use crate::rng::Rng;

/// Most hidden layers.
pub const PROBE_LAYERS_MAX: usize = 3;

/// Names in a checkpoint, as PyTorch has them for layers with a ReLU between.
const NAMES: [[&str; 2]; PROBE_LAYERS_MAX + 1] = [
    ["probe.0.weight", "probe.0.bias"],
    ["probe.2.weight", "probe.2.bias"],
    ["probe.4.weight", "probe.4.bias"],
    ["probe.6.weight", "probe.6.bias"],
];

/// A classifier with hidden layers; every image needs a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probe {
    classes: usize,
    hidden: usize,
    layers: usize,
    label_smoothing: f32,
}

impl Probe {
    /// * `classes`: at least 1
    /// * `hidden`: units of a hidden layer, at least 1
    /// * `layers`: hidden layers, at most [`PROBE_LAYERS_MAX`]; 0 is a linear classifier
    /// * `label_smoothing`: 0 to 1
    pub fn new(classes: usize, hidden: usize, layers: usize, label_smoothing: f32) -> Self {
        Self { classes, hidden, layers: layers.min(PROBE_LAYERS_MAX), label_smoothing }
    }

    /// Inputs and outputs of each layer.
    fn sizes(self, feature_dim: usize) -> Vec<(usize, usize)> {
        let hidden = (0..self.layers).map(|layer| (if layer == 0 { feature_dim } else { self.hidden }, self.hidden));
        let last = (if self.layers == 0 { feature_dim } else { self.hidden }, self.classes);
        hidden.chain([last]).collect()
    }

    /// What each layer reads, the features first, and the logits.
    fn forward(self, head: &[f32], features: &[f32], rows: usize) -> (Vec<Vec<f32>>, Vec<f32>) {
        let (mut rest, mut inputs, mut x) = (head, Vec::new(), features.to_vec());
        let sizes = self.sizes(features.len() / rows);
        for (layer, &(inputs_len, outputs)) in sizes.iter().enumerate() {
            let (weight, after) = rest.split_at(inputs_len * outputs);
            let (bias, after) = after.split_at(outputs);
            let mut y = vec![0.0; rows * outputs];
            linear_forward(&mut y, &x, weight, bias);
            if layer + 1 < sizes.len() {
                y.iter_mut().for_each(|y| *y = y.max(0.0));
            }
            inputs.push(std::mem::replace(&mut x, y));
            rest = after;
        }
        (inputs, x)
    }
}

impl Objective for Probe {
    fn views(&self) -> usize {
        1
    }

    fn views_of(&self, image: &Image, augmentation: &Augmentation, rng: &mut Rng) -> Vec<Image> {
        vec![augmentation.apply(image, rng)]
    }

    fn num_classes(&self) -> usize {
        self.classes
    }

    fn head_layout(&self, feature_dim: usize) -> Vec<HeadTensor> {
        let (mut layout, mut start) = (Vec::new(), 0);
        for ((inputs, outputs), names) in self.sizes(feature_dim).into_iter().zip(NAMES) {
            for (name, shape) in names.into_iter().zip([vec![outputs, inputs], vec![outputs]]) {
                let range = start..start + shape.iter().product::<usize>();
                start = range.end;
                layout.push(HeadTensor { name, decayed: shape.len() == 2, shape, range });
            }
        }
        layout
    }

    fn head_start(&self, feature_dim: usize, rng: &mut Rng) -> Vec<f32> {
        self.sizes(feature_dim)
            .into_iter()
            .flat_map(|(inputs, outputs)| linear_initialise(inputs, outputs, rng))
            .collect()
    }

    /// # Panics
    /// When a label is missing; [`crate::pretrain`] refuses such data before training begins.
    fn loss(&self, head: &[f32], batch: Batch<'_>, dhead: &mut [f32], dfeatures: &mut [f32]) -> Verdict {
        let Batch { features, labels, .. } = batch;
        let targets: Vec<usize> = labels.iter().map(|label| label.expect("every image is labelled")).collect();
        let (inputs, logits) = self.forward(head, features, targets.len());
        let mut dy = vec![0.0; logits.len()];
        let loss = cross_entropy(&mut dy, &logits, &targets, self.label_smoothing);
        let sizes = self.sizes(features.len() / targets.len());
        let mut end = head.len();
        for (layer, &(inputs_len, outputs)) in sizes.iter().enumerate().rev() {
            let start = end - (inputs_len + 1) * outputs;
            let (dweight, dbias) = dhead[start..end].split_at_mut(inputs_len * outputs);
            let (x, weight) = (&inputs[layer], &head[start..start + inputs_len * outputs]);
            let mut dx = vec![0.0; x.len()];
            linear_backward(dweight, dbias, &mut dx, x, weight, &dy);
            if layer > 0 {
                // What a ReLU let through is above 0.
                dx.iter_mut().zip(x).for_each(|(d, x)| *d = if *x > 0.0 { *d } else { 0.0 });
            }
            (dy, end) = (dx, start);
        }
        dfeatures.copy_from_slice(&dy);
        Verdict { loss, answers: argmax_rows(&logits, self.classes), targets, measures: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::Supervised;

    const LABELS: [Option<usize>; 4] = [Some(0), Some(2), Some(1), Some(2)];

    fn verdict(probe: &dyn Objective, head: &[f32], features: &[f32]) -> (Verdict, Vec<f32>, Vec<f32>) {
        let (mut dhead, mut dfeatures) = (vec![9.0; head.len()], vec![9.0; features.len()]);
        let batch = Batch { features, labels: &LABELS, ..Batch::default() };
        (probe.loss(head, batch, &mut dhead, &mut dfeatures), dhead, dfeatures)
    }

    #[test]
    fn gradients_agree_with_central_differences() {
        for layers in 0..=PROBE_LAYERS_MAX {
            let (probe, feature_dim) = (Probe::new(3, 6, layers, 0.1), 5);
            let mut rng = Rng::for_purpose(layers as u64, "test");
            let head = probe.head_start(feature_dim, &mut rng);
            let layout = probe.head_layout(feature_dim);
            assert_eq!(layout.last().unwrap().range.end, head.len());
            assert_eq!(layout.len(), 2 * (layers + 1));
            let features: Vec<f32> = (0..4 * feature_dim).map(|_| rng.normal()).collect();
            let (_, dhead, dfeatures) = verdict(&probe, &head, &features);
            let check = |analytic: &[f32], at: &[f32], loss: &dyn Fn(&[f32]) -> f64| {
                for i in 0..at.len() {
                    let nudged = |by: f32| {
                        let mut nudged = at.to_vec();
                        nudged[i] += by;
                        loss(&nudged)
                    };
                    // A ReLU has a kink; the step is small enough to meet none.
                    let numeric = (nudged(1.0 / 8192.0) - nudged(-1.0 / 8192.0)) * 4096.0;
                    assert!((numeric - f64::from(analytic[i])).abs() < 2e-3, "{layers} {i}: {numeric} {}", analytic[i]);
                }
            };
            check(&dhead, &head, &|head| verdict(&probe, head, &features).0.loss);
            check(&dfeatures, &features, &|features| verdict(&probe, &head, features).0.loss);
        }
    }

    #[test]
    fn without_a_hidden_layer_it_is_the_linear_classifier() {
        let (probe, supervised) = (Probe::new(3, 6, 0, 0.0), Supervised::new(3, 0.0));
        let mut rng = Rng::for_purpose(1, "test");
        let head = probe.head_start(5, &mut rng);
        let features: Vec<f32> = (0..20).map(|_| rng.normal()).collect();
        assert_eq!(verdict(&probe, &head, &features), verdict(&supervised, &head, &features));
    }
}
