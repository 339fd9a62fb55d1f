//! The average of the weights over the steps of a run: the encoder that the run gives.
//!
//! An exponential moving average of parameters and of batch norm's running statistics is usually a better encoder than the
//! weights of any one step (Polyak and Juditsky 1992; Cai et al. 2021, arXiv:2101.08482, for self-supervision). Training does
//! not depend on it. In a checkpoint the average has the usual names of an encoder, so all that reads an encoder reads the
//! average; the weights that training continues with have the prefix `trained.`.

use crate::encoder::{NamedTensor, Network, TensorError};
use crate::nn::ema::{ema_decay_at, ema_update};
use crate::objective::Head;

/// Prefix of the weights that training continues with.
pub(super) const TRAINED: &str = "trained.";
/// Prefix of the average, where the encoder of the run is an average of an earlier epoch.
pub(super) const AVERAGE: &str = "average.";

/// The average of an encoder and of the head.
pub(super) struct WeightAverage {
    pub network: Network,
    pub head: Vec<f32>,
    decay: f32,
}

impl WeightAverage {
    /// The average at the start, which is the start itself.
    pub fn new(network: &Network, head: &[f32], decay: f32) -> Self {
        Self { network: network.clone(), head: head.to_vec(), decay }
    }

    /// Adds the weights after step `step`, counted from 0.
    pub fn update(&mut self, network: &Network, head: &[f32], step: u64) {
        let decay = ema_decay_at(self.decay, step);
        self.network.ema_update(network, decay);
        ema_update(&mut self.head, head, decay);
    }
}

/// The tensors of an encoder and a head, with `prefix` before their names.
pub(super) fn prefixed_tensors(prefix: &str, network: &Network, layers: &Head, head: &[f32]) -> Vec<NamedTensor> {
    let tensors = [network.to_named(&network.parameters), network.statistics(), layers.to_named(head)].concat();
    tensors.into_iter().map(|tensor| tensor.with_prefix(prefix)).collect()
}

/// Restores those of [`prefixed_tensors`].
///
/// # Errors
/// A tensor is missing or has another shape.
pub(super) fn restore_prefixed(
    prefix: &str,
    tensors: &[NamedTensor],
    network: &mut Network,
    layers: &Head,
    head: &mut [f32],
) -> Result<(), TensorError> {
    let own = NamedTensor::without_prefix(tensors, prefix);
    network.parameters = network.from_named(&own)?;
    network.set_statistics(&own)?;
    layers.read_named(&own, head)
}
