//! The pooled values of an encoder: which values its readout takes, and their order.
//!
//! # Stages
//!
//! A stage is the part of a network between two convolutions of stride 2. Its output is that of its last block: of the values
//! through which every path from input to feature leads, the last sum or convolution without activation. Thus the expansion
//! of a strided inverted residual, which has the resolution of the stage before, is not mistaken for that stage's output. A stage
//! without blocks ends with its last value, and the last stage always does.
//!
//! # Order
//!
//! For each pooled value, in the order of the graph: the mean of each channel, then the standard deviation of each channel; at
//! the end, for each cell of the last value (top left, top right, bottom left, bottom right) the mean of each channel.
//! The cells are those of PyTorch's `AdaptiveAvgPool2d(2)` and overlap where a side is odd ([`cell`]).

use std::ops::Range;

use super::readout::Pooling;
use super::spec::{EncoderSpec, Node, SpecError, ValueId};
use crate::kernel::Activation;

/// What a readout takes of a network, in the order of the pooled vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pooled {
    /// The pooled values with their channels, in order; the last is the last value of the network.
    pub values: Vec<(ValueId, usize)>,
    /// Whether the standard deviations follow the means of each value.
    pub has_std: bool,
    /// Whether the cells of the last value follow at the end.
    pub has_cells: bool,
}

impl Pooled {
    /// Number of pooled values, P.
    pub fn len(&self) -> usize {
        let channels: usize = self.values.iter().map(|(_, channels)| channels).sum();
        let last = self.values.last().map_or(0, |(_, channels)| *channels);
        channels * if self.has_std { 2 } else { 1 } + if self.has_cells { 4 * last } else { 0 }
    }

    /// Where the statistics of `value` start in the pooled vector, and its channels; `None` if it is not pooled.
    pub(super) fn place(&self, value: ValueId) -> Option<(usize, usize)> {
        let at = self.values.iter().position(|&(pooled, _)| pooled == value)?;
        let before: usize = self.values[..at].iter().map(|(_, channels)| channels).sum();
        Some((before * if self.has_std { 2 } else { 1 }, self.values[at].1))
    }

    /// Whether nothing is pooled: only of a spec that is not valid.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Rows (or columns) of cell 0 or 1 of a side of `len`: `⌊i len / 2⌋ .. ⌈(i + 1) len / 2⌉`.
pub fn cell(len: usize, index: usize) -> Range<usize> {
    index * len / 2..((index + 1) * len).div_ceil(2)
}

impl EncoderSpec {
    /// What `pooling` takes of this network.
    pub fn pooled(&self, pooling: Pooling) -> Pooled {
        let channels = self.channels();
        let values = if pooling.takes_stages() { self.stage_outputs() } else { vec![self.nodes.len()] };
        Pooled {
            values: values.into_iter().map(|value| (value, channels.get(value).copied().unwrap_or(0))).collect(),
            has_std: pooling.takes_std(),
            has_cells: pooling.takes_cells(),
        }
    }

    /// Number of values that the readout pools, P.
    pub fn pooled_len(&self) -> usize {
        self.pooled(self.readout.pooling).len()
    }

    /// Length of the feature, D: the outputs of the readout's linear map, or its pooled values.
    pub fn feature_dim(&self) -> usize {
        self.readout.dim.unwrap_or_else(|| self.pooled_len())
    }

    /// Output of each stage, in order.
    pub fn stage_outputs(&self) -> Vec<ValueId> {
        let (last, strides) = (self.nodes.len(), self.strides());
        // Whether no later node reads past the value.
        let passed =
            |value: ValueId| self.nodes[value..].iter().all(|node| node.inputs().iter().all(|&read| read >= value));
        let mut outputs: Vec<(ValueId, bool)> = Vec::new();
        for value in (1..=last).filter(|&value| passed(value)) {
            let is_block = value == last || is_block_output(&self.nodes[value - 1]);
            match outputs.last_mut().filter(|(before, _)| strides[*before] == strides[value]) {
                None => outputs.push((value, is_block)),
                Some((before, was_block)) if is_block || !*was_block => (*before, *was_block) = (value, is_block),
                Some(_) => {}
            }
        }
        outputs.into_iter().map(|(value, _)| value).collect()
    }

    /// # Errors
    /// When the linear map has no output, or more outputs than inputs.
    pub(super) fn check_readout(&self) -> Result<(), SpecError> {
        let pooled = self.pooled_len();
        match self.readout.dim.filter(|dim| !(1..=pooled).contains(dim)) {
            Some(dim) => Err(SpecError::FeatureDim { dim, pooled }),
            None => Ok(()),
        }
    }

    /// Channels of each value.
    fn channels(&self) -> Vec<usize> {
        let mut channels = vec![self.input.channels];
        for node in &self.nodes {
            channels.push(match node {
                Node::Conv { conv, .. } => conv.channels_out,
                Node::Add { left, .. } => channels.get(*left).copied().unwrap_or(0),
            });
        }
        channels
    }

    /// Number of convolutions of stride 2 before each value.
    fn strides(&self) -> Vec<usize> {
        let mut strides: Vec<usize> = vec![0];
        for node in &self.nodes {
            let before = node.inputs().first().and_then(|&value| strides.get(value)).copied().unwrap_or(0);
            strides.push(match node {
                Node::Conv { conv, .. } if conv.stride > 1 => before + 1,
                _ => before,
            });
        }
        strides
    }
}

/// A sum, or the projection at the end of an inverted residual.
fn is_block_output(node: &Node) -> bool {
    match node {
        Node::Conv { conv, .. } => conv.activation == Activation::Identity,
        Node::Add { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::presets::Preset;
    use super::super::readout::Readout;
    use super::super::spec::InputShape;
    use super::*;

    fn spec(preset: Preset, channels: usize, side: usize) -> EncoderSpec {
        EncoderSpec::preset(preset, InputShape { channels, height: side, width: side }).unwrap()
    }

    /// (channels, side) of each stage's output.
    fn stages(spec: &EncoderSpec) -> Vec<(usize, usize)> {
        let shapes = spec.shapes().unwrap();
        spec.stage_outputs().iter().map(|&value| (shapes[value].channels, shapes[value].rows)).collect()
    }

    #[test]
    fn a_stage_ends_with_the_last_block_before_the_next_downsampling_block() {
        assert_eq!(stages(&spec(Preset::Pico, 1, 28)), [(8, 28), (16, 14), (32, 7)]);
        assert_eq!(stages(&spec(Preset::Nano, 1, 64)), [(16, 32), (32, 16), (64, 8)]);
        assert_eq!(stages(&spec(Preset::Micro, 3, 32)), [(32, 32), (64, 16), (128, 8)]);
        assert_eq!(stages(&spec(Preset::Mobile, 3, 64)), [(16, 32), (24, 16), (32, 8), (128, 4)]);
        // Sides of 1 stay 1, but stages remain stages.
        assert_eq!(stages(&spec(Preset::Mobile, 3, 8)), [(16, 4), (24, 2), (32, 1), (128, 1)]);
        for preset in [Preset::Nano, Preset::Micro] {
            let spec = spec(preset, 1, 64);
            assert!(spec.stage_outputs().iter().all(|&value| matches!(spec.nodes[value - 1], Node::Add { .. })));
        }
    }

    #[test]
    fn a_stage_without_blocks_ends_with_its_last_value() {
        let mut plain = spec(Preset::Pico, 1, 28);
        plain.nodes.truncate(2);
        assert_eq!(plain.stage_outputs(), [2]);
        if let Node::Conv { conv, .. } = &mut plain.nodes[1] {
            conv.stride = 2;
        }
        assert_eq!(plain.stage_outputs(), [1, 2]);
    }

    #[test]
    fn the_feature_is_as_long_as_the_readout_says() {
        let dims = |preset, side| {
            Pooling::ALL
                .map(|pooling| EncoderSpec { readout: Readout::pooled(pooling), ..spec(preset, 1, side) }.feature_dim())
        };
        assert_eq!(dims(Preset::Nano, 64), [64, 128, 224, 480]);
        assert_eq!(dims(Preset::Mobile, 64), [128, 256, 400, 912]);
        let with = |dim| EncoderSpec {
            readout: Readout { dim: Some(dim), ..Readout::pooled(Pooling::Stages) },
            ..spec(Preset::Nano, 1, 64)
        };
        assert_eq!((with(128).feature_dim(), with(128).pooled_len()), (128, 224));
        assert!(with(1).shapes().is_ok() && with(224).shapes().is_ok());
        for dim in [0, 225] {
            assert_eq!(with(dim).shapes(), Err(SpecError::FeatureDim { dim, pooled: 224 }));
        }
    }

    #[test]
    fn cells_are_those_of_adaptive_pooling() {
        for (len, cells) in [(1, [0..1, 0..1]), (2, [0..1, 1..2]), (7, [0..4, 3..7]), (8, [0..4, 4..8])] {
            assert_eq!([cell(len, 0), cell(len, 1)], cells, "{len}");
        }
    }

    /// Stored configurations and identities of encoders with the usual readout do not change.
    #[test]
    fn the_usual_readout_is_not_written() {
        let plain = spec(Preset::Nano, 1, 28);
        assert!(!toml::to_string(&plain).unwrap().contains("readout"));
        let tiny = EncoderSpec { nodes: Vec::new(), ..plain.clone() };
        let text =
            "EncoderSpec { name: \"nano\", input: InputShape { channels: 1, height: 28, width: 28 }, nodes: [] }";
        assert_eq!(format!("{tiny:?}"), text);
        let stages = EncoderSpec { readout: Readout::pooled(Pooling::Stages), ..plain.clone() };
        for spec in [plain, stages] {
            assert_eq!(toml::from_str::<EncoderSpec>(&toml::to_string(&spec).unwrap()).unwrap(), spec);
        }
    }
}
