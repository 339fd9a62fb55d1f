//! The momentum encoder: an exponential moving average of encoder and head.
//!
//! He et al. 2020, arXiv:1911.05722, section 3.2. It has its own batch statistics.

use super::head::Head;
use crate::encoder::{NamedTensor, Network, TensorError, Workspace};
use crate::nn::ema::ema_update;

/// An average of an encoder and its head over the steps so far.
pub(super) struct EmaEncoder {
    pub network: Network,
    pub parameters: Vec<f32>,
    ema_decay: f32,
    workspace: Workspace,
}

impl EmaEncoder {
    /// A copy of `network` and of the head's `parameters`. `ema_decay` is below 1.
    pub fn new(network: &Network, parameters: &[f32], ema_decay: f32) -> Self {
        let (network, parameters) = (network.clone(), parameters.to_vec());
        let workspace = Workspace::with_schedule(network.forward_schedule());
        Self { network, parameters, ema_decay, workspace }
    }

    /// `average = ema_decay · average + (1 - ema_decay) · current`, for encoder and head.
    pub fn ema_update(&mut self, network: &Network, parameters: &[f32]) {
        ema_update(&mut self.network.parameters, &network.parameters, self.ema_decay);
        ema_update(&mut self.parameters, parameters, self.ema_decay);
    }

    /// Outputs of `head` for `input`, normalised with the statistics of `input` and with the averaged parameters.
    pub fn forward(&mut self, head: &Head, input: &[f32]) -> Vec<f32> {
        let features = self.network.forward(&mut self.workspace, input);
        // A rank without images only takes part in the statistics of the batch.
        if features.is_empty() { Vec::new() } else { head.forward(&self.parameters, features).out }
    }

    /// All its tensors, by name.
    pub fn to_named(&self, head: &Head) -> Vec<NamedTensor> {
        let mut tensors = self.network.to_named(&self.network.parameters);
        tensors.extend(self.network.statistics());
        tensors.extend(head.to_named(&self.parameters));
        tensors
    }

    /// Restores the tensors of [`Self::to_named`].
    pub fn read_named(&mut self, head: &Head, tensors: &[NamedTensor]) -> Result<(), TensorError> {
        head.read_named(tensors, &mut self.parameters)?;
        self.network.parameters = self.network.from_named(tensors)?;
        self.network.set_statistics(tensors)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::encoder::{EncoderSpec, InputShape, Preset};

    pub fn network(seed: u64) -> Network {
        let input = InputShape { channels: 1, height: 8, width: 8 };
        Network::new(EncoderSpec::preset(Preset::Pico, input).unwrap(), seed).unwrap()
    }

    /// After n updates towards a fixed encoder: `current + ema_decayⁿ (start - current)`.
    #[test]
    fn the_average_of_a_fixed_encoder_in_closed_form() {
        let (start, current) = (network(1), network(2));
        let mut average = EmaEncoder::new(&start, &[1.0, -2.0], 0.9);
        (0..20).for_each(|_| average.ema_update(&current, &[3.0, 4.0]));
        let left = 0.9f32.powi(20);
        let check = |found: &[f32], start: &[f32], current: &[f32]| {
            for ((found, start), current) in found.iter().zip(start).zip(current) {
                let expected = current + left * (start - current);
                assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{found} {expected}");
            }
        };
        check(&average.network.parameters, &start.parameters, &current.parameters);
        check(&average.parameters, &[1.0, -2.0], &[3.0, 4.0]);
    }

    /// After n updates by a moving encoder: `dⁿ start + (1 - d) Σ dⁿ⁻¹⁻ⁱ current_i`, d the decay.
    #[test]
    fn the_average_of_a_moving_encoder_weighs_each_step() {
        let (steps, decay) = (30, 0.8f32);
        let moving: Vec<Network> = (0..steps).map(|step| network(10 + step)).collect();
        let mut average = EmaEncoder::new(&network(1), &[], decay);
        moving.iter().for_each(|current| average.ema_update(current, &[]));
        let decay = f64::from(decay);
        let first = network(1).parameters;
        for (at, found) in average.network.parameters.iter().enumerate() {
            let start = decay.powi(steps as i32) * f64::from(first[at]);
            let weight = |step: usize| (1.0 - decay) * decay.powi(steps as i32 - 1 - step as i32);
            let moved = moving.iter().enumerate().map(|(step, o)| weight(step) * f64::from(o.parameters[at]));
            let expected = start + moved.sum::<f64>();
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{at}: {found} {expected}");
        }
    }
}
