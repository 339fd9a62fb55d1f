//! Cost of an encoder for one image: multiply-accumulates, parameters, activation memory.

use serde::Serialize;

use super::spec::{EncoderSpec, Node, SpecError, ValueId};
use crate::kernel::Grid;

/// Cost of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Multiply-accumulates of the convolutions and of the readout's linear map.
    pub macs: u64,
    /// Parameters: weights, scale and shift of the batch norms, and the linear map.
    pub parameters: u64,
    /// Largest number of bytes of f32 activations alive at once in inference, input included, when each value is
    /// freed after its last reader.
    pub activation_bytes: u64,
    /// Length of the feature.
    pub feature_dim: u64,
}

impl EncoderSpec {
    /// Multiply-accumulates, parameters and activation memory for one image.
    ///
    /// # Errors
    /// As [`Self::shapes`].
    pub fn cost(&self) -> Result<Cost, SpecError> {
        let shapes = self.shapes()?;
        let (mut macs, mut parameters) = (0, 0);
        for (node, shape) in self.nodes.iter().zip(&shapes[1..]) {
            if let Node::Conv { conv, .. } = node {
                let weights = conv.weight_len() as u64;
                macs += weights * (shape.rows * shape.columns) as u64;
                parameters += weights + 2 * conv.channels_out as u64;
            }
        }
        if self.readout.dim.is_some() {
            let weights = self.pooled_len() as u64 * self.feature_dim() as u64;
            macs += weights;
            parameters += weights + self.feature_dim() as u64;
        }
        let activation_bytes = self.peak_activation_bytes(&shapes);
        Ok(Cost { macs, parameters, activation_bytes, feature_dim: self.feature_dim() as u64 })
    }

    /// Multiply-accumulates of the convolutions for one image in a training step: forward, gradient of the weights, and
    /// gradient of the input, which a convolution of the network's own input does not need.
    ///
    /// # Errors
    /// As [`Self::shapes`].
    pub fn training_macs(&self) -> Result<u64, SpecError> {
        let of_node = |node: &Node, shape: &Grid| match node {
            Node::Conv { input, conv, .. } => {
                let passes = if *input == 0 { 2 } else { 3 };
                passes * (conv.weight_len() * shape.rows * shape.columns) as u64
            }
            Node::Add { .. } => 0,
        };
        let shapes = self.shapes()?;
        Ok(self.nodes.iter().zip(&shapes[1..]).map(|(node, shape)| of_node(node, shape)).sum())
    }

    fn peak_activation_bytes(&self, shapes: &[Grid]) -> u64 {
        let bytes = |value: ValueId| 4 * shapes[value].len() as u64;
        let reads = |node: &Node, value: ValueId| node.inputs().contains(&value);
        // The last value is read by the pool, after all nodes.
        let last_reader =
            |value: ValueId| self.nodes.iter().rposition(|node| reads(node, value)).unwrap_or(self.nodes.len());
        let alive_at = |node: usize| (0..=node).filter(|&value| last_reader(value) >= node).map(bytes).sum::<u64>();
        (0..self.nodes.len()).map(|node| alive_at(node) + bytes(node + 1)).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::presets::Preset;
    use super::super::spec::InputShape;
    use super::*;

    /// The figures of the same networks in PyTorch, counted with forward hooks.
    #[test]
    fn costs_of_presets_match_pytorch() {
        for (preset, channels, side, macs, parameters, feature_dim) in [
            (Preset::Pico, 1, 28, 2_364_544, 19_480, 32),
            (Preset::Nano, 3, 32, 12_500_992, 77_392, 64),
            (Preset::Nano, 1, 64, 12_206_080, 77_104, 64),
            (Preset::Micro, 3, 32, 105_742_336, 695_328, 128),
            (Preset::Mobile, 3, 64, 9_984_000, 138_368, 128),
        ] {
            let input = InputShape { channels, height: side, width: side };
            let found = EncoderSpec::preset(preset, input).unwrap().cost().unwrap();
            let expected = (macs, parameters, feature_dim);
            assert_eq!((found.macs, found.parameters, found.feature_dim), expected, "{preset:?} {input:?}");
        }
    }

    /// `pico` at 1×28×28: its first convolution has 9 · 8 weights at 28 × 28 pixels, and no gradient of its input.
    #[test]
    fn a_training_step_has_three_passes_but_for_the_first_convolution() {
        let spec = EncoderSpec::preset(Preset::Pico, InputShape { channels: 1, height: 28, width: 28 }).unwrap();
        assert_eq!(spec.training_macs().unwrap(), 3 * 2_364_544 - 9 * 8 * 28 * 28);
    }
}
