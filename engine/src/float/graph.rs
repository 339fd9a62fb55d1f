//! An encoder as plain data: what a [`super::FloatNetwork`] is planned from.

/// Shape of a value: height, width, channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels.
    pub channels: usize,
}

/// Activation after a convolution or a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

/// Kernel of a convolution. All pad with zeros by half their side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// 3×3 over all channels.
    Full3x3,
    /// 1×1 over all channels.
    Pointwise,
    /// 3×3 of each channel alone.
    Depthwise3x3,
}

/// One step: node `i` of a graph computes value `i + 1`; value 0 is the input.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A convolution with bias.
    Conv {
        /// Value it reads.
        input: usize,
        /// Kernel.
        kernel: Kernel,
        /// 1 or 2.
        stride: usize,
        /// O, output channels.
        channels: usize,
        /// `[O, C, K, K]` as in ONNX and PyTorch; `[O, 1, 3, 3]` where depthwise.
        weight: Vec<f32>,
        /// `[O]`.
        bias: Vec<f32>,
        /// Follows.
        activation: Activation,
    },
    /// Sum of two values of the same shape.
    Add {
        /// First summand.
        left: usize,
        /// Second summand.
        right: usize,
        /// Follows.
        activation: Activation,
    },
}

/// A value that contributes to the feature: the means of its channels over the pixels, and more where stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooled {
    /// Its index, at least 1.
    pub value: usize,
    /// Whether the standard deviations of the channels follow the means.
    pub has_std: bool,
    /// Whether the means of the four cells of a 2×2 grid follow, row by row.
    pub has_cells: bool,
}

/// `feature[d] = sum(weight[d, p] * pooled[p]) + bias[d]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearMap {
    /// `[D, P]`.
    pub weight: Vec<f32>,
    /// `[D]`.
    pub bias: Vec<f32>,
}

/// An encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// Shape of the input.
    pub input: Shape,
    /// For each channel of the input, the value of each pixel: normalisation is in this table.
    pub pixel_values: Vec<[f32; 256]>,
    /// In order of computation.
    pub nodes: Vec<Node>,
    /// In increasing order of their values.
    pub pooled: Vec<Pooled>,
    /// Added to a variance before its root.
    pub std_epsilon: f32,
    /// Without it the pooled numbers are the feature.
    pub map: Option<LinearMap>,
}

/// A graph that cannot be planned, or an input of a wrong length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// A node does not fit what it reads.
    #[error("node {node}: {what} is {found}, expected {expected}")]
    Node {
        /// Index of the node.
        node: usize,
        /// What does not fit.
        what: &'static str,
        /// What was found.
        found: usize,
        /// What fits.
        expected: usize,
    },
    /// A part of the graph or of a call has a wrong length.
    #[error("{what}: {found}, expected {expected}")]
    Length {
        /// What has it.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that fits.
        expected: usize,
    },
}

impl Kernel {
    /// Side of the kernel.
    pub fn side(self) -> usize {
        if self == Self::Pointwise { 1 } else { 3 }
    }
}

impl Shape {
    /// Number of pixels.
    pub fn pixels(self) -> usize {
        self.height * self.width
    }
}

impl Graph {
    /// Shape of every value, the input first.
    ///
    /// # Errors
    /// The first part that does not fit.
    pub fn shapes(&self) -> Result<Vec<Shape>, GraphError> {
        let length = |what, found, expected| match found == expected {
            true => Ok(()),
            false => Err(GraphError::Length { what, found, expected }),
        };
        length("tables of pixel values", self.pixel_values.len(), self.input.channels)?;
        if self.input.pixels() * self.input.channels == 0 {
            return Err(GraphError::Length { what: "values of the input", found: 0, expected: 1 });
        }
        let mut shapes = vec![self.input];
        for (node, each) in self.nodes.iter().enumerate() {
            shapes.push(each.shape(node, &shapes)?);
        }
        let mut least = 1;
        for pooled in &self.pooled {
            if !(least..shapes.len()).contains(&pooled.value) {
                return Err(GraphError::Length {
                    what: "index of a pooled value",
                    found: pooled.value,
                    expected: least,
                });
            }
            least = pooled.value + 1;
        }
        let numbers: usize = self.pooled.iter().map(|pooled| pooled.numbers(shapes[pooled.value].channels)).sum();
        length("pooled values", usize::from(self.pooled.is_empty()), 0)?;
        if let Some(map) = &self.map {
            length("weights of the linear map", map.weight.len(), map.bias.len() * numbers)?;
        }
        Ok(shapes)
    }
}

impl Pooled {
    /// Pooled numbers of this value, which has `channels`.
    pub fn numbers(self, channels: usize) -> usize {
        channels * (1 + usize::from(self.has_std) + 4 * usize::from(self.has_cells))
    }
}

impl Node {
    /// The values it reads.
    pub fn inputs(&self) -> Vec<usize> {
        match *self {
            Self::Conv { input, .. } => vec![input],
            Self::Add { left, right, .. } => vec![left, right],
        }
    }

    fn shape(&self, node: usize, shapes: &[Shape]) -> Result<Shape, GraphError> {
        let fits = |what, found, expected| match found == expected {
            true => Ok(()),
            false => Err(GraphError::Node { node, what, found, expected }),
        };
        for value in self.inputs() {
            if value >= shapes.len() {
                return Err(GraphError::Node { node, what: "value read", found: value, expected: shapes.len() - 1 });
            }
        }
        match self {
            Self::Conv { input, kernel, stride, channels, weight, bias, .. } => {
                let from = shapes[*input];
                let (is_depthwise, taps) = (*kernel == Kernel::Depthwise3x3, kernel.side() * kernel.side());
                fits("stride", *stride, (*stride).clamp(1, 2))?;
                fits(
                    "number of output channels",
                    *channels,
                    if is_depthwise { from.channels } else { (*channels).max(1) },
                )?;
                fits(
                    "number of weights",
                    weight.len(),
                    channels * taps * if is_depthwise { 1 } else { from.channels },
                )?;
                fits("number of biases", bias.len(), *channels)?;
                let (height, width) = (from.height.div_ceil(*stride), from.width.div_ceil(*stride));
                Ok(Shape { height, width, channels: *channels })
            }
            Self::Add { left, right, .. } => {
                let (left, right) = (shapes[*left], shapes[*right]);
                fits("rows of the second summand", right.height, left.height)?;
                fits("columns of the second summand", right.width, left.width)?;
                fits("channels of the second summand", right.channels, left.channels)?;
                Ok(left)
            }
        }
    }
}
