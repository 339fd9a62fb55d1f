//! Shared parts of SimCLR, triplet and MoCo: two views, a projection head, embeddings of unit length, their metrics.

use super::head::Head;
use super::interface::StepOutput;
use super::settings::Comparison;
use crate::augment::Views;
use crate::nn::l2_normalize::{l2_normalize, l2_normalize_backward};

/// The two views that are compared.
pub(super) const VIEWS: Views = Views::Independent(2);

/// Bytes of the similarities of all pairs of `views`, and of their gradients.
pub(super) fn pair_bytes(views: usize) -> usize {
    2 * size_of::<f32>() * views * views
}

/// The loss of a batch of embeddings of unit length.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingLoss {
    /// Mean over the embeddings, or over the triplets.
    pub loss: f64,
    /// Gradient with respect to the embeddings, `[M, P]`.
    pub dz: Vec<f32>,
    /// For each embedding, whether a positive is nearer than all negatives.
    pub correct: Vec<bool>,
    /// Further metrics by name. `distance` is the mean squared distance between embeddings of different images, 0 to 4: near
    /// 0 the embeddings have collapsed. `zero_gradient` is the share of terms with (nearly) no gradient.
    pub measures: Vec<(&'static str, f64)>,
}

impl EmbeddingLoss {
    /// A metric by its name.
    pub fn measure(&self, name: &str) -> Option<f64> {
        self.measures.iter().find(|measure| measure.0 == name).map(|measure| measure.1)
    }
}

/// The projection head: feature → hidden layer with ReLU → embedding.
pub(super) fn projection_head(settings: &Comparison) -> Head {
    Head::mlp("projector", &[settings.projection_hidden], settings.projection_dim)
}

/// `loss` of `z = u / |u|`, with `dz` turned into the gradient with respect to `u` `[M, dim]`.
pub fn normalized_loss(u: &[f32], dim: usize, loss: impl FnOnce(&[f32]) -> EmbeddingLoss) -> EmbeddingLoss {
    let mut z = vec![0.0; u.len()];
    let inverse_lengths = l2_normalize(&mut z, u, dim);
    let mut found = loss(&z);
    l2_normalize_backward(&mut found.dz, &z, &inverse_lengths, dim);
    found
}

/// A step of an objective whose `loss` is that of normalised projections of `features` `[M, D]`.
pub fn contrastive_step(
    head: &Head,
    parameters: &[f32],
    features: &[f32],
    loss: impl FnOnce(&[f32]) -> EmbeddingLoss,
) -> StepOutput {
    let pass = head.forward(parameters, features);
    let EmbeddingLoss { loss, dz, correct, measures } = normalized_loss(&pass.out, head.outputs(), loss);
    let (dhead, dfeatures) = head.backward(parameters, &pass, dz);
    // All targets are class 0; another prediction is an error.
    let predictions = correct.iter().map(|&correct| usize::from(!correct)).collect();
    StepOutput { loss, targets: vec![0; correct.len()], predictions, measures, dhead, dfeatures }
}
