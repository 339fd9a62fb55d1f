//! An encoder as plain data: a list of nodes, each reading values made before it.
//!
//! Value 0 is the input image; node `i` makes value `i + 1`. The feature is the mean over pixels of
//! the last value. A convolution node is convolution, batch norm and activation in one, because
//! that is how it is trained (statistics gathered while convolving) and how it is exported (folded).

use serde::{Deserialize, Serialize};

use crate::kernel::Activation;

/// Index of a value: 0 is the input, `i + 1` what node `i` makes.
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
    /// 3×3 on each channel alone.
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
        /// What it reads.
        input: ValueId,
        /// What it does.
        conv: Conv,
    },
    /// `activation(left + right)`, two values of one shape.
    Add {
        /// First summand.
        left: ValueId,
        /// Second summand.
        right: ValueId,
        /// Follows the sum.
        activation: Activation,
    },
}

/// The encoders that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Residual, widths 8-16-32, one block a stage; feature of 32.
    Pico,
    /// Residual, widths 16-32-64, one block a stage; feature of 64. The body of MLPerf Tiny's ResNet-8.
    Nano,
    /// Residual, widths 32-64-128, two blocks a stage; feature of 128.
    Micro,
    /// Inverted residuals, widths 16-24-32-64; feature of 128.
    Mobile,
}

/// A spec that describes no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The input has an unsupported number of channels.
    #[error("input of {channels} channels: an encoder takes 1 (grey) or 3 (colour)")]
    Channels {
        /// What was asked for.
        channels: usize,
    },
    /// The input is too small or too large for the encoder.
    #[error("input of {height}×{width} pixels: each side must be {min} to {max}")]
    Size {
        /// Rows asked for.
        height: usize,
        /// Columns asked for.
        width: usize,
        /// Smallest side.
        min: usize,
        /// Largest side.
        max: usize,
    },
    /// A node does not fit what it reads.
    #[error("node {node}: {message}")]
    Node {
        /// Index of the node.
        node: usize,
        /// What is wrong with it.
        message: String,
    },
    /// No preset has this name.
    #[error("no encoder is called '{name}': there are pico, nano, micro, mobile")]
    UnknownPreset {
        /// What was asked for.
        name: String,
    },
}

/// An encoder: what it reads, and the nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncoderSpec {
    /// Name of the preset, or one the user gave.
    pub name: String,
    /// What it reads.
    pub input: InputShape,
    /// The graph, in order of computation.
    pub nodes: Vec<Node>,
}

/// What one image costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Multiply-accumulates of the convolutions.
    pub macs: u64,
    /// Trained parameters: weights, and scale and shift of the batch norms.
    pub parameters: u64,
    /// Most bytes of f32 activations alive at once in inference, input included, freeing each
    /// value after its last reader.
    pub activation_bytes: u64,
    /// Length of the feature.
    pub feature_dim: u64,
}

/// Sides an encoder accepts. Below 8 the last stage would have no pixel to spare for its border.
const SIDE: std::ops::RangeInclusive<usize> = 8..=1024;

impl std::str::FromStr for Preset {
    type Err = SpecError;

    fn from_str(name: &str) -> Result<Self, SpecError> {
        Preset::ALL
            .into_iter()
            .find(|preset| preset.name() == name)
            .ok_or_else(|| SpecError::UnknownPreset { name: name.to_owned() })
    }
}

impl Preset {
    /// All of them, smallest first.
    pub const ALL: [Preset; 4] = [Preset::Pico, Preset::Nano, Preset::Micro, Preset::Mobile];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Pico => "pico",
            Preset::Nano => "nano",
            Preset::Micro => "micro",
            Preset::Mobile => "mobile",
        }
    }
}

/// Appends nodes and hands out the values they make.
struct Builder {
    nodes: Vec<Node>,
}

impl Builder {
    fn push(&mut self, node: Node) -> ValueId {
        self.nodes.push(node);
        self.nodes.len()
    }

    fn conv(&mut self, input: ValueId, conv: Conv) -> ValueId {
        self.push(Node::Conv { input, conv })
    }

    /// Two 3×3 convolutions beside a shortcut (He et al. 2016, arXiv:1512.03385).
    fn basic_block(
        &mut self,
        input: ValueId,
        block: usize,
        channels_in: usize,
        channels_out: usize,
        stride: usize,
    ) -> ValueId {
        let name = |part: &str| format!("blocks.{block}.{part}");
        let conv = |n: u8, channels_in, stride, activation| Conv {
            name: name(&format!("conv{n}")),
            norm: name(&format!("norm{n}")),
            kind: ConvKind::Full3x3,
            channels_in,
            channels_out,
            stride,
            activation,
        };
        let y = self.conv(input, conv(1, channels_in, stride, Activation::Relu));
        let left = self.conv(y, conv(2, channels_out, 1, Activation::Identity));
        let right = if stride == 1 && channels_in == channels_out {
            input
        } else {
            self.conv(
                input,
                Conv {
                    name: name("shortcut.0"),
                    norm: name("shortcut.1"),
                    kind: ConvKind::Pointwise,
                    channels_in,
                    channels_out,
                    stride,
                    activation: Activation::Identity,
                },
            )
        };
        self.push(Node::Add { left, right, activation: Activation::Relu })
    }

    /// Expand, depthwise, project (Sandler et al. 2018, arXiv:1801.04381).
    fn inverted_residual(
        &mut self,
        input: ValueId,
        block: usize,
        channels_in: usize,
        channels_out: usize,
        stride: usize,
        expand: usize,
    ) -> ValueId {
        let hidden = channels_in * expand;
        let mut layer = 0;
        // PyTorch numbers convolution, norm and activation of a Sequential one after another.
        let mut names = |step| {
            let names = (format!("blocks.{block}.layers.{layer}"), format!("blocks.{block}.layers.{}", layer + 1));
            layer += step;
            names
        };
        let mut y = input;
        if expand != 1 {
            let (name, norm) = names(3);
            y = self.conv(
                y,
                Conv {
                    name,
                    norm,
                    kind: ConvKind::Pointwise,
                    channels_in,
                    channels_out: hidden,
                    stride: 1,
                    activation: Activation::Relu6,
                },
            );
        }
        let (name, norm) = names(3);
        y = self.conv(
            y,
            Conv {
                name,
                norm,
                kind: ConvKind::Depthwise3x3,
                channels_in: hidden,
                channels_out: hidden,
                stride,
                activation: Activation::Relu6,
            },
        );
        let (name, norm) = names(2);
        y = self.conv(
            y,
            Conv {
                name,
                norm,
                kind: ConvKind::Pointwise,
                channels_in: hidden,
                channels_out,
                stride: 1,
                activation: Activation::Identity,
            },
        );
        if stride == 1 && channels_in == channels_out {
            y = self.push(Node::Add { left: input, right: y, activation: Activation::Identity });
        }
        y
    }
}

impl EncoderSpec {
    /// The preset for images of `input`.
    ///
    /// The stem of a residual preset has stride 1 up to 32 pixels (the longer side) and 2 above.
    ///
    /// # Errors
    /// Other than 1 or 3 channels, or a side outside 8 to 1024.
    pub fn preset(preset: Preset, input: InputShape) -> Result<Self, SpecError> {
        let mut builder = Builder { nodes: Vec::new() };
        match preset {
            Preset::Pico => residual(&mut builder, input, [8, 16, 32], 1),
            Preset::Nano => residual(&mut builder, input, [16, 32, 64], 1),
            Preset::Micro => residual(&mut builder, input, [32, 64, 128], 2),
            Preset::Mobile => mobile(&mut builder, input),
        }
        let spec = Self { name: preset.name().to_owned(), input, nodes: builder.nodes };
        spec.shapes()?;
        Ok(spec)
    }

    /// Shape `(height, width, channels)` of every value, the input first.
    ///
    /// # Errors
    /// What makes the spec no network: the input's shape, or the first node that does not fit.
    pub fn shapes(&self) -> Result<Vec<(usize, usize, usize)>, SpecError> {
        let InputShape { channels, height, width } = self.input;
        if channels != 1 && channels != 3 {
            return Err(SpecError::Channels { channels });
        }
        if !SIDE.contains(&height) || !SIDE.contains(&width) {
            return Err(SpecError::Size { height, width, min: *SIDE.start(), max: *SIDE.end() });
        }
        let mut shapes = vec![(height, width, channels)];
        for (index, node) in self.nodes.iter().enumerate() {
            let shape = node_shape(node, &shapes).map_err(|message| SpecError::Node { node: index, message })?;
            shapes.push(shape);
        }
        if self.nodes.is_empty() {
            return Err(SpecError::Node { node: 0, message: "an encoder needs at least one node".into() });
        }
        Ok(shapes)
    }

    /// Length of the feature: channels of the last value.
    pub fn feature_dim(&self) -> usize {
        self.nodes
            .iter()
            .rev()
            .find_map(|node| match node {
                Node::Conv { conv, .. } => Some(conv.channels_out),
                Node::Add { .. } => None,
            })
            .unwrap_or(0)
    }

    /// Multiply-accumulates, parameters and activation memory for one image.
    ///
    /// # Errors
    /// As [`Self::shapes`].
    pub fn cost(&self) -> Result<Cost, SpecError> {
        let shapes = self.shapes()?;
        let (mut macs, mut parameters) = (0, 0);
        for (node, &(height, width, _)) in self.nodes.iter().zip(&shapes[1..]) {
            if let Node::Conv { conv, .. } = node {
                let weights = conv.weight_len() as u64;
                macs += weights * (height * width) as u64;
                parameters += weights + 2 * conv.channels_out as u64;
            }
        }
        Ok(Cost {
            macs,
            parameters,
            activation_bytes: self.peak_activation_bytes(&shapes),
            feature_dim: self.feature_dim() as u64,
        })
    }

    fn peak_activation_bytes(&self, shapes: &[(usize, usize, usize)]) -> u64 {
        let bytes = |value: ValueId| 4 * (shapes[value].0 * shapes[value].1 * shapes[value].2) as u64;
        let last_reader = |value: ValueId| {
            (0..self.nodes.len())
                .rev()
                .find(|&node| self.nodes[node].inputs().contains(&value))
                .unwrap_or(self.nodes.len())
        };
        (0..self.nodes.len())
            .map(|node| {
                (0..=node).filter(|&value| last_reader(value) >= node).map(bytes).sum::<u64>() + bytes(node + 1)
            })
            .max()
            .unwrap_or(0)
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

fn node_shape(node: &Node, shapes: &[(usize, usize, usize)]) -> Result<(usize, usize, usize), String> {
    let shape_of = |value: ValueId| {
        shapes.get(value).copied().ok_or(format!("reads value {value}, but only {} exist", shapes.len()))
    };
    match node {
        Node::Conv { input, conv } => {
            let (height, width, channels) = shape_of(*input)?;
            if channels != conv.channels_in {
                return Err(format!(
                    "{} expects {} channels, value {input} has {channels}",
                    conv.name, conv.channels_in
                ));
            }
            if !(1..=2).contains(&conv.stride) {
                return Err(format!("{} has stride {}, only 1 and 2 exist", conv.name, conv.stride));
            }
            if conv.channels_out == 0 || conv.channels_out % 8 != 0 {
                return Err(format!(
                    "{} has {} output channels, which is no multiple of 8",
                    conv.name, conv.channels_out
                ));
            }
            if conv.kind == ConvKind::Depthwise3x3 && conv.channels_in != conv.channels_out {
                return Err(format!(
                    "{} is depthwise, but has {} channels in and {} out",
                    conv.name, conv.channels_in, conv.channels_out
                ));
            }
            Ok((height.div_ceil(conv.stride), width.div_ceil(conv.stride), conv.channels_out))
        }
        Node::Add { left, right, .. } => {
            let (a, b) = (shape_of(*left)?, shape_of(*right)?);
            if a == b { Ok(a) } else { Err(format!("adds {a:?} and {b:?}")) }
        }
    }
}

fn residual(builder: &mut Builder, input: InputShape, widths: [usize; 3], blocks: usize) {
    let stride = if input.height.max(input.width) <= 32 { 1 } else { 2 };
    let mut value = builder.conv(
        0,
        Conv {
            name: "stem".into(),
            norm: "norm".into(),
            kind: ConvKind::Full3x3,
            channels_in: input.channels,
            channels_out: widths[0],
            stride,
            activation: Activation::Relu,
        },
    );
    let (mut width, mut index) = (widths[0], 0);
    for (stage, &out) in widths.iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            value = builder.basic_block(value, index, width, out, stride);
            width = out;
            index += 1;
        }
    }
}

fn mobile(builder: &mut Builder, input: InputShape) {
    let full = |name: &str, norm: &str, kind, channels_in, channels_out, stride| Conv {
        name: name.into(),
        norm: norm.into(),
        kind,
        channels_in,
        channels_out,
        stride,
        activation: Activation::Relu6,
    };
    let mut value = builder.conv(0, full("stem.0", "stem.1", ConvKind::Full3x3, input.channels, 16, 2));
    // (channels out, stride, expansion) of each block.
    let blocks = [(16, 1, 1), (24, 2, 6), (24, 1, 6), (32, 2, 6), (32, 1, 6), (32, 1, 6), (64, 2, 6), (64, 1, 6)];
    let mut width = 16;
    for (index, (out, stride, expand)) in blocks.into_iter().enumerate() {
        value = builder.inverted_residual(value, index, width, out, stride, expand);
        width = out;
    }
    builder.conv(value, full("tail.0", "tail.1", ConvKind::Pointwise, 64, 128, 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(preset: Preset, channels: usize, side: usize) -> Cost {
        EncoderSpec::preset(preset, InputShape { channels, height: side, width: side }).unwrap().cost().unwrap()
    }

    /// The figures that the same networks give in PyTorch, counted with forward hooks.
    #[test]
    fn costs_are_those_of_the_reference() {
        for (preset, channels, side, macs, parameters, feature_dim) in [
            (Preset::Pico, 1, 28, 2_364_544, 19_480, 32),
            (Preset::Nano, 3, 32, 12_500_992, 77_392, 64),
            (Preset::Nano, 1, 64, 12_206_080, 77_104, 64),
            (Preset::Micro, 3, 32, 105_742_336, 695_328, 128),
            (Preset::Mobile, 3, 64, 9_984_000, 138_368, 128),
        ] {
            let found = cost(preset, channels, side);
            let expected = (macs, parameters, feature_dim);
            assert_eq!(
                (found.macs, found.parameters, found.feature_dim),
                expected,
                "{preset:?} {channels}×{side}×{side}"
            );
        }
    }

    #[test]
    fn a_bad_spec_is_refused_with_its_reason() {
        let shape = |channels, side| InputShape { channels, height: side, width: side };
        assert!(EncoderSpec::preset(Preset::Nano, shape(1, 28)).is_ok());
        assert_eq!(EncoderSpec::preset(Preset::Nano, shape(4, 28)), Err(SpecError::Channels { channels: 4 }));
        assert!(matches!(EncoderSpec::preset(Preset::Nano, shape(1, 7)), Err(SpecError::Size { height: 7, .. })));
        let mut spec = EncoderSpec::preset(Preset::Nano, shape(1, 28)).unwrap();
        if let Node::Conv { conv, .. } = &mut spec.nodes[1] {
            conv.channels_in = 24;
        }
        assert!(spec.shapes().unwrap_err().to_string().contains("blocks.0.conv1 expects 24 channels"));
        assert!("nanoo".parse::<Preset>().unwrap_err().to_string().contains("pico, nano, micro, mobile"));
    }
}
