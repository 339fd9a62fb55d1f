//! Encodes one image N times with random weights, for profiles and counts of instructions:
//! `encode_n nano|micro|mobile f32|f16 ISA N`. It asks for its parent's id before each image and after the last, which a
//! counter of instructions can take as a mark.

#![allow(clippy::print_stdout)] // A program for the terminal.

use macula_engine::Isa;
use macula_engine::float::{Activation, FloatNetwork, Graph, Kernel, Node, Pooled, Precision, Shape};

struct Builder {
    nodes: Vec<Node>,
    state: u32,
}

impl Builder {
    fn conv(
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
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [network, precision, isa, runs] = &arguments[..] else {
        return Err("usage: encode_n nano|micro|mobile f32|f16 ISA N".into());
    };
    let mut builder = Builder { nodes: Vec::new(), state: 1 };
    match network.as_str() {
        "nano" => builder.residual([16, 32, 64], 1),
        "micro" => builder.residual([32, 64, 128], 2),
        _ => builder.mobile(),
    }
    let graph = Graph {
        input: Shape { height: 64, width: 64, channels: 3 },
        pixel_values: vec![std::array::from_fn(|pixel| pixel as f32 / 64.0 - 2.0); 3],
        pooled: vec![Pooled { value: builder.nodes.len(), has_std: false, has_cells: false }],
        nodes: builder.nodes,
        std_epsilon: 1e-5,
        map: None,
    };
    let isa = Isa::available().into_iter().find(|each| each.name() == isa).ok_or("this processor lacks the set")?;
    let precision = if precision == "f16" { Precision::F16 } else { Precision::F32 };
    let start = std::time::Instant::now();
    let network = FloatNetwork::new(&graph, isa, precision)?.ok_or("no kernels of this precision")?;
    let planned = start.elapsed();
    let (mut arena, mut feature) = (network.arena(), vec![0.0; network.dim()]);
    let pixels: Vec<u8> = (0..64 * 64 * 3u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let runs: usize = runs.parse()?;
    let start = std::time::Instant::now();
    for _ in 0..runs {
        let _mark = std::os::unix::process::parent_id();
        network.encode(&pixels, &mut arena, &mut feature)?;
    }
    let _mark = std::os::unix::process::parent_id();
    let each = start.elapsed().as_secs_f64() * 1e3 / runs as f64;
    let sum: f32 = feature.iter().sum();
    println!("{each:.3} ms an image, planned in {planned:.1?}, arena {} bytes, sum {sum}", network.arena_bytes());
    Ok(())
}
