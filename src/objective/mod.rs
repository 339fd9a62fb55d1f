//! What pretraining minimises: one objective a file.
//!
//! An objective says which network inputs an image becomes (its *views*), and what a step's features
//! cost. It holds settings only. Its trained parameters, the *head*, are one flat vector that the
//! training loop keeps beside the encoder's, so that optimiser and checkpoint treat all objectives alike.
//! The head serves pretraining and is left behind at export.

mod masked;
mod moco;
mod nt_xent;
mod probe;
mod projection;
mod rotation;
mod simclr;
mod supervised;
mod triplet;
mod triplet_loss;

use std::ops::Range;

pub use masked::Masked;
pub use moco::{Moco, info_nce};
pub use nt_xent::{Contrast, nt_xent};
pub use probe::{PROBE_LAYERS_MAX, Probe};
pub use rotation::Rotation;
pub use simclr::SimClr;
pub use supervised::Supervised;
pub use triplet::Triplet;
pub use triplet_loss::{Miner, Triplets, triplet_loss};

use crate::augment::Augmentation;
use crate::data::Image;
use crate::nn::cross_entropy::{argmax_rows, cross_entropy};
use crate::nn::linear::{linear_backward, linear_forward};
use crate::rng::Rng;

/// One tensor of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadTensor {
    /// Its name in a checkpoint, as PyTorch has it: `head.weight`.
    pub name: &'static str,
    /// Its shape as PyTorch has it, row-major.
    pub shape: Vec<usize>,
    /// Its place in the flat head.
    pub range: Range<usize>,
    /// Whether weight decay applies to it.
    pub decayed: bool,
}

/// What a step's features cost, and what the head answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Mean over the network inputs.
    pub loss: f64,
    /// For each network input, the class that is right.
    pub targets: Vec<usize>,
    /// For each network input, the class that was answered.
    pub answers: Vec<usize>,
    /// What else the objective tells of the step, by name; the same names in every step.
    pub measures: Vec<(&'static str, f64)>,
}

/// What an objective sees of one step. N images in V views each; what an objective does not ask for is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    /// Features of the network inputs, `[N V, D]`; of the queries alone, `[N, D]`, where a momentum encoder makes
    /// keys; the last activations `[N V, H', W', D]` where the objective reads maps.
    pub features: &'a [f32],
    /// `[N]`.
    pub labels: &'a [Option<usize>],
    /// Keys of the images, of unit length, `[N, P]`.
    pub keys: &'a [f32],
    /// Keys of earlier images, of unit length, `[K, P]`.
    pub queue: &'a [f32],
    /// Network inputs before they were masked, `[N V, H, W, C]`.
    pub inputs: &'a [f32],
    /// Which patches of each network input were masked, `[N V, H' W']`.
    pub masked: &'a [bool],
}

/// A copy of encoder and head that follows them slowly and makes keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Momentum {
    /// Share of the copy that stays at each step, below 1.
    pub keep: f32,
    /// Keys of earlier images that are kept, K.
    pub queue_len: usize,
    /// Length of a key, P.
    pub key_dim: usize,
}

/// What pretraining minimises.
///
/// N images make `N * views` network inputs, the views of one image one after another.
pub trait Objective: Send + Sync {
    /// Network inputs one image makes, `V`.
    fn views(&self) -> usize;

    /// The `V` network inputs of an image, each of its shape, augmented as the objective needs it: once for
    /// all views, or each view anew.
    fn views_of(&self, image: &Image, augmentation: &Augmentation, rng: &mut Rng) -> Vec<Image>;

    /// The classes its accuracy is counted over.
    fn num_classes(&self) -> usize;

    /// The tensors of the head for features of length `feature_dim`.
    fn head_layout(&self, feature_dim: usize) -> Vec<HeadTensor>;

    /// The head at the start of a run.
    fn head_start(&self, feature_dim: usize, rng: &mut Rng) -> Vec<f32>;

    /// The momentum encoder it needs, if any; view 0 of an image is then its query and view 1 its key.
    fn momentum(&self) -> Option<Momentum> {
        None
    }

    /// The projections that the momentum encoder's features make with its own copy of the head.
    fn keys(&self, _head: &[f32], _features: &[f32], _feature_dim: usize) -> Vec<f32> {
        Vec::new()
    }

    /// Share of the patches of a network input that are masked; an objective that masks reads maps.
    fn mask_share(&self) -> Option<f32> {
        None
    }

    /// Loss of a step with its gradients; `dhead` and `dfeatures` (as long as `batch.features`) are overwritten.
    fn loss(&self, head: &[f32], batch: Batch<'_>, dhead: &mut [f32], dfeatures: &mut [f32]) -> Verdict;
}

/// The head of the objectives that classify: one linear layer and cross-entropy.
#[derive(Clone, Copy, Debug, PartialEq)]
struct LinearClassifier {
    classes: usize,
    label_smoothing: f32,
}

impl LinearClassifier {
    fn layout(self, feature_dim: usize) -> Vec<HeadTensor> {
        let weights = self.classes * feature_dim;
        vec![
            HeadTensor {
                name: "head.weight",
                shape: vec![self.classes, feature_dim],
                range: 0..weights,
                decayed: true,
            },
            HeadTensor {
                name: "head.bias",
                shape: vec![self.classes],
                range: weights..weights + self.classes,
                decayed: false,
            },
        ]
    }

    fn loss(
        self,
        head: &[f32],
        features: &[f32],
        targets: Vec<usize>,
        dhead: &mut [f32],
        dfeatures: &mut [f32],
    ) -> Verdict {
        let (weight, bias) = head.split_at(head.len() - self.classes);
        let (dweight, dbias) = dhead.split_at_mut(weight.len());
        let mut logits = vec![0.0; targets.len() * self.classes];
        linear_forward(&mut logits, features, weight, bias);
        let mut dlogits = vec![0.0; logits.len()];
        let loss = cross_entropy(&mut dlogits, &logits, &targets, self.label_smoothing);
        linear_backward(dweight, dbias, dfeatures, features, weight, &dlogits);
        Verdict { loss, answers: argmax_rows(&logits, self.classes), targets, measures: Vec::new() }
    }
}
