//! The named encoders: `pico`, `nano`, `micro` (residual) and `mobile` (inverted residuals).

use serde::{Deserialize, Serialize};

use super::readout::Readout;
use super::spec::{Conv, ConvKind, EncoderSpec, InputShape, Node, SpecError, ValueId};
use crate::kernel::Activation;

/// A named encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Residual, widths 8-16-32, one block per stage; feature of 32.
    Pico,
    /// Residual, widths 16-32-64, one block per stage; feature of 64. The body of MLPerf Tiny's ResNet-8.
    Nano,
    /// Residual, widths 32-64-128, two blocks per stage; feature of 128.
    Micro,
    /// Inverted residuals, widths 16-24-32-64; feature of 128.
    Mobile,
}

impl std::str::FromStr for Preset {
    type Err = SpecError;

    fn from_str(name: &str) -> Result<Self, SpecError> {
        let found = Preset::ALL.into_iter().find(|preset| preset.name() == name);
        found.ok_or_else(|| SpecError::UnknownPreset { name: name.to_owned() })
    }
}

impl Preset {
    /// All presets, smallest first.
    pub const ALL: [Preset; 4] = [Preset::Pico, Preset::Nano, Preset::Micro, Preset::Mobile];

    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Pico => "pico",
            Preset::Nano => "nano",
            Preset::Micro => "micro",
            Preset::Mobile => "mobile",
        }
    }

    /// The input it is measured at: the smallest real data that it is meant for.
    pub fn usual_input(self) -> InputShape {
        let (channels, side) = match self {
            Preset::Pico => (1, 28),
            Preset::Nano | Preset::Micro => (3, 32),
            Preset::Mobile => (3, 64),
        };
        InputShape { channels, height: side, width: side }
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
            Preset::Pico => builder.residual(input, [8, 16, 32], 1),
            Preset::Nano => builder.residual(input, [16, 32, 64], 1),
            Preset::Micro => builder.residual(input, [32, 64, 128], 2),
            Preset::Mobile => builder.mobile(input),
        }
        let spec = Self { name: preset.name().to_owned(), input, readout: Readout::default(), nodes: builder.nodes };
        spec.shapes()?;
        Ok(spec)
    }
}

/// Appends nodes; each method returns the value that its last node computes.
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

    /// Stem and three stages of basic blocks; each stage after the first halves the sides.
    fn residual(&mut self, input: InputShape, widths: [usize; 3], blocks: usize) {
        let stride = if input.height.max(input.width) <= 32 { 1 } else { 2 };
        let stem = Conv {
            name: "stem".into(),
            norm: "norm".into(),
            kind: ConvKind::Full3x3,
            channels_in: input.channels,
            channels_out: widths[0],
            stride,
            activation: Activation::Relu,
        };
        let mut value = self.conv(0, stem);
        let (mut width, mut index) = (widths[0], 0);
        for (stage, &out) in widths.iter().enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                value = self.basic_block(value, index, width, out, stride);
                width = out;
                index += 1;
            }
        }
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
        let conv = |part: [&str; 2], kind, channels_in, stride, activation| {
            let [name, norm] = part.map(|part| format!("blocks.{block}.{part}"));
            Conv { name, norm, kind, channels_in, channels_out, stride, activation }
        };
        let first = conv(["conv1", "norm1"], ConvKind::Full3x3, channels_in, stride, Activation::Relu);
        let second = conv(["conv2", "norm2"], ConvKind::Full3x3, channels_out, 1, Activation::Identity);
        let y = self.conv(input, first);
        let left = self.conv(y, second);
        let right = if stride == 1 && channels_in == channels_out {
            input
        } else {
            let names = ["shortcut.0", "shortcut.1"];
            self.conv(input, conv(names, ConvKind::Pointwise, channels_in, stride, Activation::Identity))
        };
        self.push(Node::Add { left, right, activation: Activation::Relu })
    }

    /// Stem, eight inverted residuals and a pointwise convolution to 128 channels.
    fn mobile(&mut self, input: InputShape) {
        let conv = |name: &str, kind, channels_in, channels_out, stride| Conv {
            name: format!("{name}.0"),
            norm: format!("{name}.1"),
            kind,
            channels_in,
            channels_out,
            stride,
            activation: Activation::Relu6,
        };
        let mut value = self.conv(0, conv("stem", ConvKind::Full3x3, input.channels, 16, 2));
        // (channels out, stride, expansion) of each block.
        let blocks = [(16, 1, 1), (24, 2, 6), (24, 1, 6), (32, 2, 6), (32, 1, 6), (32, 1, 6), (64, 2, 6), (64, 1, 6)];
        let mut width = 16;
        for (index, (out, stride, expansion)) in blocks.into_iter().enumerate() {
            value = self.inverted_residual(value, index, width, out, stride, expansion);
            width = out;
        }
        self.conv(value, conv("tail", ConvKind::Pointwise, 64, 128, 1));
    }

    /// Expand, depthwise, project (Sandler et al. 2018, arXiv:1801.04381).
    fn inverted_residual(
        &mut self,
        input: ValueId,
        block: usize,
        channels_in: usize,
        channels_out: usize,
        stride: usize,
        expansion: usize,
    ) -> ValueId {
        let hidden = channels_in * expansion;
        let mut layer = 0;
        let mut conv = |kind, channels_in, channels_out, stride, activation| {
            let [name, norm] = [layer, layer + 1].map(|layer| format!("blocks.{block}.layers.{layer}"));
            // PyTorch numbers the convolution, norm and activation of a Sequential consecutively.
            layer += 3;
            Conv { name, norm, kind, channels_in, channels_out, stride, activation }
        };
        let mut y = input;
        if expansion != 1 {
            y = self.conv(y, conv(ConvKind::Pointwise, channels_in, hidden, 1, Activation::Relu6));
        }
        y = self.conv(y, conv(ConvKind::Depthwise3x3, hidden, hidden, stride, Activation::Relu6));
        y = self.conv(y, conv(ConvKind::Pointwise, hidden, channels_out, 1, Activation::Identity));
        if stride == 1 && channels_in == channels_out {
            y = self.push(Node::Add { left: input, right: y, activation: Activation::Identity });
        }
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_spec_is_refused_with_its_reason() {
        let shape = |channels, side| InputShape { channels, height: side, width: side };
        assert!(EncoderSpec::preset(Preset::Nano, shape(1, 28)).is_ok());
        assert_eq!(EncoderSpec::preset(Preset::Nano, shape(4, 28)), Err(SpecError::Channels { channels: 4 }));
        assert!(matches!(EncoderSpec::preset(Preset::Nano, shape(1, 7)), Err(SpecError::Size { height: 7, .. })));
        let mut spec = EncoderSpec::preset(Preset::Nano, shape(1, 28)).unwrap();
        if let Node::Conv { conv, .. } = &mut spec.nodes[1] {
            conv.channels_in = 24;
        }
        assert!(matches!(spec.shapes(), Err(SpecError::Node { node: 1, message }) if message.contains("24")));
        let unknown = "nanoo".parse::<Preset>().unwrap_err().to_string();
        assert!(Preset::ALL.iter().all(|preset| unknown.contains(preset.name())), "{unknown}");
    }
}
