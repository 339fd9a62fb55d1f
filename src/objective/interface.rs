//! The interface of an objective, the only part that the training loop uses.

use std::collections::BTreeMap;

use super::head::Head;
use super::settings::{Comparison, ObjectiveSettings};
use crate::augment::Views;
use crate::encoder::{NamedTensor, Network, TensorError};
use crate::measure::Features;
use crate::ranks::{Part, Ranks};
use crate::rng::Rng;

/// The loss of one step with its gradients, and the metrics that come with it.
#[derive(Clone, Debug, PartialEq)]
pub struct StepOutput {
    /// Mean over the network inputs.
    pub loss: f64,
    /// The correct class of each network input.
    pub targets: Vec<usize>,
    /// The predicted class of each network input.
    pub predictions: Vec<usize>,
    /// Further metrics by name; the same names in every step.
    pub measures: Vec<(&'static str, f64)>,
    /// Gradient of the loss with respect to the head's parameters.
    pub dhead: Vec<f32>,
    /// Gradient of the loss with respect to the features.
    pub dfeatures: Vec<f32>,
}

impl StepOutput {
    /// The output of a step of several ranks, from that of each rank's own images: loss and metrics are means over all
    /// network inputs, targets and predictions are those of all. The gradients are this rank's share: their sums over the
    /// ranks are the gradient.
    pub fn over(self, ranks: Ranks) -> Self {
        if ranks.is_one() {
            return self;
        }
        // One message of 64-bit words: loss, metrics, then target and prediction of each input.
        let numbers = 1 + self.measures.len();
        let mut words = vec![self.loss.to_bits()];
        words.extend(self.measures.iter().map(|(_, value)| value.to_bits()));
        let pairs = self.targets.iter().zip(&self.predictions);
        words.extend(pairs.map(|(&target, &prediction)| (target as u64) << 32 | prediction as u64));
        let all = ranks.gather_by_rank(&words);
        let inputs: usize = all.iter().map(|words| words.len() - numbers).sum();
        let weight = |words: &[u64]| (words.len() - numbers) as f64 / inputs as f64;
        let mean = |at: usize| all.iter().map(|words| f64::from_bits(words[at]) * weight(words)).sum::<f64>();
        let pairs = || all.iter().flat_map(|words| &words[numbers..]);
        let share = weight(&words) as f32;
        let scaled = |mut values: Vec<f32>| {
            values.iter_mut().for_each(|value| *value *= share);
            values
        };
        Self {
            loss: mean(0),
            targets: pairs().map(|pair| (pair >> 32) as usize).collect(),
            predictions: pairs().map(|pair| (pair & u64::from(u32::MAX)) as usize).collect(),
            measures: self.measures.iter().enumerate().map(|(at, (name, _))| (*name, mean(at + 1))).collect(),
            dhead: scaled(self.dhead),
            dfeatures: scaled(self.dfeatures),
        }
    }
}

/// What is known of the images of a step besides their pixels: what a loss compares features with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Targets<'a> {
    /// `[N]`, one per image.
    pub labels: &'a [Option<usize>],
    /// The target features of each teacher for the views, `[N * V, T]`; empty without teachers.
    pub teachers: &'a [Features],
    /// Which of the images of all ranks they are.
    pub part: Part,
}

impl<'a> Targets<'a> {
    /// Labels alone, without teachers and other ranks.
    pub fn labels(labels: &'a [Option<usize>]) -> Self {
        Self { labels, teachers: &[], part: Part::whole(labels.len()) }
    }
}

/// An objective of pretraining.
///
/// N images become `N * V` network inputs; the V views of one image are adjacent. One step calls
/// [`encoder_input`](Self::encoder_input), runs the encoder, calls [`loss`](Self::loss), moves all parameters, then calls
/// [`after_step`](Self::after_step). Only `views`, `head` and `loss` are required.
///
/// With several ranks each has its own N images of a step. The loss is the mean of the ranks' losses, weighted by their
/// network inputs, so a loss that is a mean over inputs needs no change. One that compares inputs gathers those of the other
/// ranks itself, with [`Targets::part`]; its gradients are then those of the loss of all ranks, divided by this rank's weight.
pub trait Objective: Send {
    /// The views of an image.
    fn views(&self) -> Views;

    /// The trained layers on top of the encoder. They are not exported.
    fn head(&self) -> &Head;

    /// Loss of a step with its gradients.
    ///
    /// * `head`: parameters of [`Self::head`]
    /// * `features`: `[M, D]` for the M inputs that [`Self::encoder_input`] returned; the last activations
    ///   `[M, H', W', D]` where [`Self::reads_map`]
    /// * `targets`: labels and teacher features of the N images
    fn loss(&self, head: &[f32], features: &[f32], targets: Targets<'_>) -> StepOutput;

    /// Classes that accuracy is counted over; 1 where an input is only correct or not.
    fn num_classes(&self) -> usize {
        1
    }

    /// Whether every training image needs a label.
    fn needs_labels(&self) -> bool {
        false
    }

    /// Whether the loss reads the encoder's last activations before they are averaged to a feature.
    fn reads_map(&self) -> bool {
        false
    }

    /// Whether [`Self::loss`] is defined for features alone, without a training step: on held-out images.
    fn has_held_out_loss(&self) -> bool {
        true
    }

    /// Creates state that depends on the encoder, once, before the first step.
    fn begin(&mut self, _network: &Network, _head: &[f32], _seed: u64) {}

    /// The network inputs of a step, made in place of the views `[N * V, H, W, C]` of the images of `part`. `rng` is the same on all
    /// ranks.
    fn encoder_input<'a>(&mut self, views: &'a mut [f32], _part: Part, _rng: &mut Rng) -> &'a [f32] {
        views
    }

    /// Network inputs of a step on `images` images: what [`Self::encoder_input`] gives.
    fn encoder_inputs(&self, images: usize) -> usize {
        images * self.views().count()
    }

    /// About how many bytes a step on `images` images needs beside the training step of `network`: the objective's own state, what
    /// [`Self::encoder_input`] computes, and the arrays of [`Self::loss`].
    fn step_bytes(&self, network: &Network, images: usize) -> usize {
        self.head().pass_bytes(network.trained_dim(), images * self.views().count())
    }

    /// Updates the objective's own state after the optimiser moved the encoder and the head.
    fn after_step(&mut self, _network: &Network, _head: &[f32], _targets: Targets<'_>) {}

    /// The objective's own state, for the checkpoint.
    fn state(&self) -> Vec<NamedTensor> {
        Vec::new()
    }

    /// Restores [`Self::state`] from the tensors of a checkpoint.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    fn restore(&mut self, _tensors: &[NamedTensor]) -> Result<(), TensorError> {
        Ok(())
    }

    /// A warning about an epoch with this mean loss and these mean metrics.
    fn warning(&self, _loss: f64, _measures: &BTreeMap<String, f64>) -> Option<String> {
        None
    }

    /// A setting of this objective to change if the encoder collapses, such as "a temperature above 0.5".
    fn collapse_advice(&self) -> Option<String> {
        None
    }
}

/// Facts about a method that do not need its objective.
pub struct MethodInfo {
    /// Whether it compares views of images. Such a method defaults to strong augmentation, a larger batch and a lower
    /// learning rate, and needs 2 images per step.
    pub is_contrastive: bool,
    /// Its default settings.
    pub comparison: Comparison,
    /// Builds the objective.
    pub build: fn(&ObjectiveSettings) -> Box<dyn Objective>,
}
