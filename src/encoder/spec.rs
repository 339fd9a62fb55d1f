//! An encoder as plain data: a list of nodes, each of which reads values computed before it.
//!
//! Value 0 is the input image; node `i` computes value `i + 1`. The readout turns values into the feature (`readout.rs`).
//! A convolution node is convolution, batch norm and activation in one, because it is trained so (statistics are
//! gathered while convolving) and exported so (batch norm folded).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::readout::Readout;
use crate::kernel::{Activation, Grid};

/// Index of a value: 0 is the input, `i + 1` the output of node `i`.
pub type ValueId = usize;

/// Shape of one input image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputShape {
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Kernel of a convolution. All pad with zeros by `K / 2` on each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConvKind {
    /// 3×3 over all channels.
    Full3x3,
    /// 1×1 over all channels.
    Pointwise,
    /// 3×3 on each channel separately.
    Depthwise3x3,
}

/// A convolution without bias, its batch norm and its activation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conv {
    /// Name of its parameters in a checkpoint, for instance `blocks.0.conv1`.
    pub name: String,
    /// Name of its batch norm's parameters, for instance `blocks.0.norm1`.
    pub norm: String,
    /// Kernel.
    pub kind: ConvKind,
    /// C.
    pub channels_in: usize,
    /// O; equals C where depthwise.
    pub channels_out: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Follows the batch norm.
    pub activation: Activation,
}

/// One step of the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Node {
    /// `activation(norm(conv(input)))`.
    Conv {
        /// Value it reads.
        input: ValueId,
        /// The convolution.
        conv: Conv,
    },
    /// `activation(left + right)`, two values of the same shape.
    Add {
        /// First summand.
        left: ValueId,
        /// Second summand.
        right: ValueId,
        /// Follows the sum.
        activation: Activation,
    },
}

/// An invalid spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The input has an unsupported number of channels.
    #[error("input of {channels} channels: an encoder takes 1 (grey) or 3 (colour)")]
    Channels {
        /// Number requested.
        channels: usize,
    },
    /// The input is too small or too large for the encoder.
    #[error("input of {height}×{width} pixels: each side must be {min} to {max}")]
    Size {
        /// Rows requested.
        height: usize,
        /// Columns requested.
        width: usize,
        /// Smallest side.
        min: usize,
        /// Largest side.
        max: usize,
    },
    /// A node does not fit its inputs.
    #[error("node {node}: {message}")]
    Node {
        /// Index of the node.
        node: usize,
        /// The fault.
        message: String,
    },
    /// The linear map of the readout has no output, or more outputs than inputs.
    #[error("feature of {dim} dimensions: the readout pools {pooled} values, its linear map has 1 to {pooled} outputs")]
    FeatureDim {
        /// Outputs requested.
        dim: usize,
        /// Pooled values.
        pooled: usize,
    },
    /// No preset has this name.
    #[error("unknown encoder '{name}'; available: pico, nano, micro, mobile")]
    UnknownPreset {
        /// Name requested.
        name: String,
    },
}

/// An encoder: input shape, graph and readout.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncoderSpec {
    /// Name of the preset, or a name chosen by the user.
    pub name: String,
    /// Shape of the input.
    pub input: InputShape,
    /// From the values of the graph to the feature; the mean of the last value where none is stated.
    #[serde(default, skip_serializing_if = "Readout::is_mean")]
    pub readout: Readout,
    /// The graph, in order of computation.
    pub nodes: Vec<Node>,
}

impl fmt::Debug for EncoderSpec {
    /// The usual readout is left out: the identity of a random encoder covers this text, and is as before there were others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, input, readout, nodes } = self;
        let mut spec = f.debug_struct("EncoderSpec");
        spec.field("name", name).field("input", input).field("nodes", nodes);
        if !readout.is_mean() {
            spec.field("readout", readout);
        }
        spec.finish()
    }
}

/// Sides an encoder accepts. Below 8 the last stage would have no pixel to spare for its border.
const SIDE: std::ops::RangeInclusive<usize> = 8..=1024;

impl EncoderSpec {
    /// Shape of every value, the input first.
    ///
    /// # Errors
    /// An unsupported input shape, the first node that does not fit its inputs, or a readout that does not fit the graph.
    pub fn shapes(&self) -> Result<Vec<Grid>, SpecError> {
        let InputShape { channels, height, width } = self.input;
        if channels != 1 && channels != 3 {
            return Err(SpecError::Channels { channels });
        }
        if !SIDE.contains(&height) || !SIDE.contains(&width) {
            return Err(SpecError::Size { height, width, min: *SIDE.start(), max: *SIDE.end() });
        }
        let mut shapes = vec![Grid { rows: height, columns: width, channels }];
        for (index, node) in self.nodes.iter().enumerate() {
            let shape = node.shape(&shapes).map_err(|message| SpecError::Node { node: index, message })?;
            shapes.push(shape);
        }
        if self.nodes.is_empty() {
            return Err(SpecError::Node { node: 0, message: "an encoder needs at least one node".into() });
        }
        self.check_readout()?;
        Ok(shapes)
    }

    /// Name of node `index` in errors: the convolution's name, or `sum` and the index.
    pub fn node_name(&self, index: usize) -> String {
        match &self.nodes[index] {
            Node::Conv { conv, .. } => conv.name.clone(),
            Node::Add { .. } => format!("sum {index}"),
        }
    }
}

impl Node {
    /// The values it reads.
    pub fn inputs(&self) -> Vec<ValueId> {
        match self {
            Node::Conv { input, .. } => vec![*input],
            Node::Add { left, right, .. } => vec![*left, *right],
        }
    }

    /// Its convolution; none for a sum.
    pub fn conv(&self) -> Option<&Conv> {
        match self {
            Node::Conv { conv, .. } => Some(conv),
            Node::Add { .. } => None,
        }
    }

    /// Shape of its output, from the `shapes` of the values before it; or why it does not fit them.
    fn shape(&self, shapes: &[Grid]) -> Result<Grid, String> {
        let shape_of = |value: ValueId| {
            shapes.get(value).copied().ok_or(format!("reads value {value}, but only {} exist", shapes.len()))
        };
        match self {
            Node::Conv { input, conv } => {
                let Grid { rows, columns, channels } = shape_of(*input)?;
                let Conv { name, channels_in, channels_out, stride, .. } = conv;
                if channels != *channels_in {
                    return Err(format!("{name} expects {channels_in} channels, value {input} has {channels}"));
                }
                if !(1..=2).contains(stride) {
                    return Err(format!("{name} has stride {stride}, only 1 and 2 are supported"));
                }
                if *channels_out == 0 || !channels_out.is_multiple_of(8) {
                    return Err(format!("{name} has {channels_out} output channels, which is not a multiple of 8"));
                }
                if conv.kind == ConvKind::Depthwise3x3 && channels_in != channels_out {
                    return Err(format!(
                        "{name} is depthwise, but has {channels_in} input and {channels_out} output channels"
                    ));
                }
                Ok(Grid { rows: rows.div_ceil(*stride), columns: columns.div_ceil(*stride), channels: *channels_out })
            }
            Node::Add { left, right, .. } => {
                let (a, b) = (shape_of(*left)?, shape_of(*right)?);
                if a == b { Ok(a) } else { Err(format!("adds values of shape {a} and {b}")) }
            }
        }
    }
}

impl Conv {
    /// Side of the kernel, `K`.
    pub fn kernel(&self) -> usize {
        if self.kind == ConvKind::Pointwise { 1 } else { 3 }
    }

    /// Number of weights.
    pub fn weight_len(&self) -> usize {
        let channels_in = if self.kind == ConvKind::Depthwise3x3 { 1 } else { self.channels_in };
        self.channels_out * channels_in * self.kernel() * self.kernel()
    }
}
