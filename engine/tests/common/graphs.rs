//! Encoders with random weights as graphs, for benches and examples.

use macula_engine::float::{Activation, Graph, Kernel, Node, Pooled, Shape};

/// The encoder `name` over 3×64×64 with the mean as readout.
pub fn encoder(name: &str) -> Option<Graph> {
    let mut builder = Builder::default();
    match name {
        "nano" => builder.residual([16, 32, 64], 1),
        "micro" => builder.residual([32, 64, 128], 2),
        "mobile" => builder.mobile(),
        _ => return None,
    }
    Some(builder.graph(64, 3))
}

/// Noise as pixels of an image.
pub fn pixels(len: usize) -> Vec<u8> {
    (0..len as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Layers one after another.
pub struct Builder {
    pub nodes: Vec<Node>,
    state: u32,
}

impl Default for Builder {
    fn default() -> Self {
        Self { nodes: Vec::new(), state: 1 }
    }
}

impl Builder {
    /// Appends a convolution of value `input`, from `inputs` to `channels` channels, and returns the index of its value.
    pub fn conv(
        &mut self,
        input: usize,
        kernel: Kernel,
        stride: usize,
        [inputs, channels]: [usize; 2],
        activation: Activation,
    ) -> usize {
        let taps = if kernel == Kernel::Pointwise { 1 } else { 9 };
        let each = taps * if kernel == Kernel::Depthwise3x3 { 1 } else { inputs };
        let size = (6.0 / each as f32).sqrt();
        let weight = (0..channels * each)
            .map(|_| {
                self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                size * ((self.state >> 8) as f32 / (1 << 23) as f32 - 1.0)
            })
            .collect();
        self.nodes.push(Node::Conv { input, kernel, stride, channels, weight, bias: vec![0.1; channels], activation });
        self.nodes.len()
    }

    fn add(&mut self, left: usize, right: usize, activation: Activation) -> usize {
        self.nodes.push(Node::Add { left, right, activation });
        self.nodes.len()
    }

    fn residual(&mut self, widths: [usize; 3], blocks: usize) {
        use Activation::{Identity, Relu};
        let mut value = self.conv(0, Kernel::Full3x3, 2, [3, widths[0]], Relu);
        let mut width = widths[0];
        for (stage, out) in widths.into_iter().enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let first = self.conv(value, Kernel::Full3x3, stride, [width, out], Relu);
                let left = self.conv(first, Kernel::Full3x3, 1, [out, out], Identity);
                let right = match stride {
                    1 => value,
                    _ => self.conv(value, Kernel::Pointwise, stride, [width, out], Identity),
                };
                value = self.add(left, right, Relu);
                width = out;
            }
        }
    }

    fn mobile(&mut self) {
        use Activation::{Identity, Relu6};
        let mut value = self.conv(0, Kernel::Full3x3, 2, [3, 16], Relu6);
        let mut width = 16;
        for (out, stride, expansion) in
            [(16, 1, 1), (24, 2, 6), (24, 1, 6), (32, 2, 6), (32, 1, 6), (32, 1, 6), (64, 2, 6), (64, 1, 6)]
        {
            let (hidden, mut y) = (width * expansion, value);
            if expansion > 1 {
                y = self.conv(y, Kernel::Pointwise, 1, [width, hidden], Relu6);
            }
            y = self.conv(y, Kernel::Depthwise3x3, stride, [hidden, hidden], Relu6);
            y = self.conv(y, Kernel::Pointwise, 1, [hidden, out], Identity);
            value = if stride == 1 && width == out { self.add(value, y, Identity) } else { y };
            width = out;
        }
        self.conv(value, Kernel::Pointwise, 1, [64, 128], Relu6);
    }

    /// The layers over a square input, with the mean of the last value as readout.
    pub fn graph(self, side: usize, channels: usize) -> Graph {
        Graph {
            input: Shape { height: side, width: side, channels },
            pixel_values: vec![std::array::from_fn(|pixel| pixel as f32 / 64.0 - 2.0); channels],
            pooled: vec![Pooled { value: self.nodes.len(), has_std: false, has_cells: false }],
            nodes: self.nodes,
            std_epsilon: 1e-5,
            map: None,
        }
    }
}
