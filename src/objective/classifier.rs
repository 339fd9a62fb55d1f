//! The loss of objectives that classify: cross-entropy of a head's logits.

use super::head::Head;
use super::interface::StepOutput;
use crate::nn::cross_entropy::{argmax_rows, cross_entropy};

/// Cross-entropy of the logits that `head` computes from `features`, with label smoothing in 0 to 1.
pub(super) fn classify(
    head: &Head,
    parameters: &[f32],
    features: &[f32],
    targets: Vec<usize>,
    label_smoothing: f32,
) -> StepOutput {
    let pass = head.forward(parameters, features);
    let mut dlogits = vec![0.0; pass.out.len()];
    let loss = cross_entropy(&mut dlogits, &pass.out, &targets, label_smoothing);
    let (dhead, dfeatures) = head.backward(parameters, &pass, dlogits);
    let predictions = argmax_rows(&pass.out, head.outputs());
    StepOutput { loss, targets, predictions, measures: Vec::new(), dhead, dfeatures }
}
