//! Every kernel of the float engine against sums written out from the definition, on every instruction set of this processor.

use macula_engine::Isa;
use macula_engine::float::{Activation, FloatNetwork, Graph, Kernel, LinearMap, Node, Pooled, Precision, Shape};

/// Uniform in -1 to 1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn values(&mut self, len: usize, size: f32) -> Vec<f32> {
        (0..len).map(|_| size * self.next()).collect()
    }
}

fn activate(value: f64, activation: Activation) -> f64 {
    match activation {
        Activation::Identity => value,
        Activation::Relu => value.max(0.0),
        Activation::Relu6 => value.clamp(0.0, 6.0),
    }
}

/// The pooled numbers, in f64.
fn reference(graph: &Graph, pixels: &[u8]) -> Vec<f64> {
    let shapes = graph.shapes().unwrap();
    let input = pixels
        .iter()
        .enumerate()
        .map(|(at, &pixel)| f64::from(graph.pixel_values[at % graph.input.channels][usize::from(pixel)]));
    let mut values: Vec<Vec<f64>> = vec![input.collect()];
    for (node, to) in graph.nodes.iter().zip(&shapes[1..]) {
        let mut value = vec![0.0; to.pixels() * to.channels];
        match node {
            Node::Add { left, right, activation } => {
                for (out, (a, b)) in value.iter_mut().zip(values[*left].iter().zip(&values[*right])) {
                    *out = activate(a + b, *activation);
                }
            }
            Node::Conv { input, kernel, stride, weight, bias, activation, .. } => {
                let (from, side) = (shapes[*input], if *kernel == Kernel::Pointwise { 1 } else { 3 });
                let is_depthwise = *kernel == Kernel::Depthwise3x3;
                let inputs = if is_depthwise { 1 } else { from.channels };
                for (at, out) in value.iter_mut().enumerate() {
                    let (y, x, o) = (at / to.channels / to.width, at / to.channels % to.width, at % to.channels);
                    let mut sum = f64::from(bias[o]);
                    for (ky, kx) in (0..side * side).map(|tap| (tap / side, tap % side)) {
                        let (sy, sx) =
                            ((y * stride + ky).wrapping_sub(side / 2), (x * stride + kx).wrapping_sub(side / 2));
                        if sy < from.height && sx < from.width {
                            for i in 0..inputs {
                                let channel = if is_depthwise { o } else { i };
                                let input = values[*input][(sy * from.width + sx) * from.channels + channel];
                                sum += input * f64::from(weight[((o * inputs + i) * side + ky) * side + kx]);
                            }
                        }
                    }
                    *out = activate(sum, *activation);
                }
            }
        }
        values.push(value);
    }
    let mut all = Vec::new();
    for pooled in &graph.pooled {
        let (shape, value) = (shapes[pooled.value], &values[pooled.value]);
        let mean_of =
            |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>, channel: usize, of: &dyn Fn(f64) -> f64| {
                let count = (rows.len() * columns.len()) as f64;
                let pixels = rows.flat_map(|y| columns.clone().map(move |x| (y, x)));
                pixels.map(|(y, x)| of(value[(y * shape.width + x) * shape.channels + channel])).sum::<f64>() / count
            };
        let whole = || (0..shape.height, 0..shape.width);
        let mean = |channel| mean_of(whole().0, whole().1, channel, &|value| value);
        all.extend((0..shape.channels).map(mean));
        if pooled.has_std {
            all.extend((0..shape.channels).map(|channel| {
                let mean = mean(channel);
                let variance = mean_of(whole().0, whole().1, channel, &|value| (value - mean) * (value - mean));
                (variance + f64::from(graph.std_epsilon)).sqrt()
            }));
        }
        if pooled.has_cells {
            let half = |side: usize, part: usize| part * side / 2..((part + 1) * side).div_ceil(2);
            for cell in 0..4 {
                let (rows, columns) = (half(shape.height, cell / 2), half(shape.width, cell % 2));
                all.extend((0..shape.channels).map(|at| mean_of(rows.clone(), columns.clone(), at, &|value| value)));
            }
        }
    }
    all
}

fn conv(
    random: &mut Random,
    input: usize,
    kernel: Kernel,
    stride: usize,
    [inputs, channels]: [usize; 2],
    activation: Activation,
) -> Node {
    let (side, each) = match kernel {
        Kernel::Full3x3 => (3, inputs),
        Kernel::Pointwise => (1, inputs),
        Kernel::Depthwise3x3 => (3, 1),
    };
    let size = (6.0 / (side * side * each) as f32).sqrt();
    let weight = random.values(channels * each * side * side, size);
    Node::Conv { input, kernel, stride, channels, weight, bias: random.values(channels, 0.2), activation }
}

/// Residual blocks with and without a convolution in the shortcut, an inverted residual, and a sum that no convolution can take.
fn graph(random: &mut Random, [height, width, channels]: [usize; 3], widths: [usize; 2]) -> Graph {
    use Activation::{Identity, Relu, Relu6};
    use Kernel::{Depthwise3x3, Full3x3, Pointwise};
    let [a, b] = widths;
    let nodes = vec![
        conv(random, 0, Full3x3, 2, [channels, a], Relu),
        conv(random, 1, Full3x3, 1, [a, a], Relu),
        conv(random, 2, Full3x3, 1, [a, a], Identity),
        Node::Add { left: 3, right: 1, activation: Relu },
        conv(random, 4, Full3x3, 2, [a, b], Relu),
        conv(random, 5, Full3x3, 1, [b, b], Identity),
        conv(random, 4, Pointwise, 2, [a, b], Identity),
        Node::Add { left: 6, right: 7, activation: Relu },
        conv(random, 8, Pointwise, 1, [b, 2 * b], Relu6),
        conv(random, 9, Depthwise3x3, 1, [2 * b, 2 * b], Relu6),
        conv(random, 10, Pointwise, 1, [2 * b, b], Identity),
        Node::Add { left: 8, right: 11, activation: Identity },
        conv(random, 12, Depthwise3x3, 2, [b, b], Relu),
        Node::Add { left: 13, right: 13, activation: Identity },
        conv(random, 14, Full3x3, 1, [b, a], Relu6),
    ];
    let grid = |value, has_cells| Pooled { value, has_std: true, has_cells };
    Graph {
        input: Shape { height, width, channels },
        pixel_values: (0..channels).map(|channel| pixel_values(0.02, -2.0 - channel as f32 * 0.3)).collect(),
        nodes,
        pooled: vec![
            grid(4, false),
            grid(8, true),
            Pooled { value: 12, has_std: false, has_cells: false },
            grid(15, true),
        ],
        std_epsilon: 1e-5,
        map: None,
    }
}

fn pixel_values(scale: f32, offset: f32) -> [f32; 256] {
    std::array::from_fn(|pixel| pixel as f32 * scale + offset)
}

fn pixels(random: &mut Random, len: usize) -> Vec<u8> {
    (0..len).map(|_| (128.0 + 127.0 * random.next()) as u8).collect()
}

/// The largest difference, relative to the length of the feature.
fn error(found: &[f32], expected: &[f64]) -> f64 {
    let length = expected.iter().map(|value| value * value).sum::<f64>().sqrt();
    let differences = found.iter().zip(expected).map(|(&found, expected)| (f64::from(found) - expected).powi(2));
    differences.sum::<f64>().sqrt() / length
}

fn encode(graph: &Graph, isa: Isa, precision: Precision, images: &[Vec<u8>]) -> Option<Vec<Vec<f32>>> {
    let network = FloatNetwork::new(graph, isa, precision).unwrap()?;
    let mut arena = network.arena();
    let encode = |pixels: &Vec<u8>| {
        let mut feature = vec![0.0; network.dim()];
        network.encode(pixels, &mut arena, &mut feature).unwrap();
        feature
    };
    Some(images.iter().map(encode).collect())
}

#[test]
fn features_are_those_of_the_definition_on_every_instruction_set() {
    let mut random = Random(1);
    let shapes = [
        ([32, 32, 3], [16, 32]),
        ([28, 28, 1], [8, 24]),
        ([13, 9, 3], [24, 16]),
        ([8, 8, 1], [8, 16]),
        ([10, 41, 3], [32, 64]),
    ];
    for (input, widths) in shapes {
        let graph = graph(&mut random, input, widths);
        // The second image shows whether anything of the first remains in the arena.
        let images: Vec<Vec<u8>> = (0..2).map(|_| pixels(&mut random, input.iter().product())).collect();
        let expected: Vec<Vec<f64>> = images.iter().map(|image| reference(&graph, image)).collect();
        for isa in Isa::available() {
            for (precision, most) in [(Precision::F32, 3e-6), (Precision::F16, 2e-2)] {
                let Some(found) = encode(&graph, isa, precision, &images) else { continue };
                for (found, expected) in found.iter().zip(&expected) {
                    let error = error(found, expected);
                    assert!(error < most, "{input:?} {widths:?} {isa:?} {precision:?}: {error}");
                }
            }
        }
    }
}

#[test]
fn the_linear_map_is_applied_to_the_pooled_numbers() {
    let mut random = Random(2);
    let mut graph = graph(&mut random, [16, 16, 1], [8, 16]);
    let image = pixels(&mut random, 256);
    let pooled = reference(&graph, &image);
    let map = LinearMap { weight: random.values(5 * pooled.len(), 1.0), bias: random.values(5, 1.0) };
    let row =
        |d: usize| map.weight[d * pooled.len()..][..pooled.len()].iter().zip(&pooled).map(|(w, p)| f64::from(*w) * p);
    let expected: Vec<f64> = (0..5).map(|d| row(d).sum::<f64>() + f64::from(map.bias[d])).collect();
    graph.map = Some(map.clone());
    let found = encode(&graph, Isa::best(), Precision::F32, &[image]).unwrap();
    assert!(error(&found[0], &expected) < 1e-5);
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut random = Random(3);
    let good = graph(&mut random, [16, 16, 1], [8, 16]);
    let changes: [fn(&mut Graph); 6] = [
        |graph| graph.pixel_values.clear(),
        |graph| graph.pooled[0].value = 99,
        |graph| graph.pooled.clear(),
        |graph| graph.nodes.push(Node::Add { left: 1, right: 15, activation: Activation::Relu }),
        |graph| graph.map = Some(LinearMap { weight: vec![0.0; 3], bias: vec![0.0] }),
        |graph| {
            if let Node::Conv { weight, .. } = &mut graph.nodes[0] {
                weight.pop();
            }
        },
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut graph = good.clone();
        change(&mut graph);
        assert!(FloatNetwork::new(&graph, Isa::Scalar, Precision::F32).is_err(), "change {at}");
    }
    let network = FloatNetwork::new(&good, Isa::Scalar, Precision::F32).unwrap().unwrap();
    let (mut arena, mut feature) = (network.arena(), vec![0.0; network.dim()]);
    assert!(network.encode(&[0; 255], &mut arena, &mut feature).is_err());
    assert!(network.encode(&[0; 256], &mut arena, &mut feature[1..]).is_err());
    assert!(network.encode(&[0; 256], &mut arena, &mut feature).is_ok());
}
