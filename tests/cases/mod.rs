//! Small graphs for checking the gradients of every layer, with respect to parameters and inputs.
#![allow(dead_code, reason = "each test that shares this file uses its part of it")]

use macula::encoder::{Activation, Conv, ConvKind, EncoderSpec, InputShape, Network, Node, Readout, Role, ValueId};
use macula::rng::Rng;

use crate::reference;

use Activation::{Identity, Relu, Relu6};
use ConvKind::{Depthwise3x3, Full3x3, Pointwise};

/// A network with random scales and shifts, wide enough that ReLU6 clips at both ends.
pub fn network(spec: EncoderSpec, rng: &mut Rng) -> Network {
    let cut_at_six = |norm: &str| {
        spec.nodes
            .iter()
            .any(|node| matches!(node, Node::Conv { conv, .. } if conv.norm == norm && conv.activation == Relu6))
    };
    let mut network = Network::new(spec.clone(), rng.bits()).unwrap();
    let mut tensors = network.to_named(&network.parameters);
    for (tensor, info) in tensors.iter_mut().zip(network.layout()) {
        let wide = tensor.name.rsplit_once('.').is_some_and(|(norm, _)| cut_at_six(norm));
        let (scale, shift) = if wide { (3.0, 2.0) } else { (1.0, 0.0) };
        for x in &mut tensor.data {
            match info.role {
                Role::Weight => {}
                Role::Scale => *x = scale * rng.uniform_in(0.5, 1.5),
                Role::Shift => *x = shift + rng.uniform_in(-0.5, 0.5),
            }
        }
    }
    network.parameters = network.from_named(&tensors).unwrap();
    network.train_on(spec.readout.pooling);
    network
}

/// `count` random images `[N, H, W, C]` for which no unit of `network` is nearer than `margin` to the kink of its
/// activation. At a kink there is no gradient, and rounding decides the side.
pub fn images(network: &Network, count: usize, margin: f64, rng: &mut Rng) -> Vec<f32> {
    let InputShape { channels, height, width } = network.spec().input;
    let tensors = reference::widen(&network.to_named(&network.parameters));
    for _ in 0..100 {
        let images: Vec<f32> = (0..count * channels * height * width).map(|_| rng.normal()).collect();
        if reference::values(network.spec(), &tensors, &reference::to_f64(&images)).1 >= margin {
            return images;
        }
    }
    panic!("no images keep {margin:e} from every kink")
}

/// A graph under construction; each convolution is named by its position.
struct Graph {
    spec: EncoderSpec,
}

impl Graph {
    /// Odd sides, so that a stride of 2 ends on the last pixel and rows do not fill vectors.
    fn new(channels: usize) -> Self {
        let input = InputShape { channels, height: 9, width: 11 };
        Self { spec: EncoderSpec { name: "test".into(), input, readout: Readout::default(), nodes: Vec::new() } }
    }

    /// Adds a convolution to `channels_out` channels.
    fn conv(
        &mut self,
        input: ValueId,
        kind: ConvKind,
        channels_out: usize,
        stride: usize,
        activation: Activation,
    ) -> ValueId {
        let place = self.spec.nodes.len();
        let channels_in =
            if place == 0 { self.spec.input.channels } else { self.spec.shapes().unwrap()[input].channels };
        let (name, norm) = (format!("conv{place}"), format!("norm{place}"));
        let conv = Conv { name, norm, kind, channels_in, channels_out, stride, activation };
        self.spec.nodes.push(Node::Conv { input, conv });
        self.spec.nodes.len()
    }

    fn add(&mut self, left: ValueId, right: ValueId, activation: Activation) -> ValueId {
        self.spec.nodes.push(Node::Add { left, right, activation });
        self.spec.nodes.len()
    }
}

/// All cases with their names.
pub fn layers() -> Vec<(String, EncoderSpec)> {
    let mut cases = convolutions();
    cases.extend(stems());
    cases.extend(sums());
    cases.push(("maps of one pixel".into(), tiny_maps()));
    cases
}

/// Convolutions of each kind and stride over earlier channels, with batch norm and each activation. 24 and 40 channels are
/// not multiples of 16.
fn convolutions() -> Vec<(String, EncoderSpec)> {
    let mut cases = Vec::new();
    for (kind, out) in [(Full3x3, 40), (Pointwise, 40), (Depthwise3x3, 24)] {
        for stride in [1, 2] {
            for activation in [Identity, Relu, Relu6] {
                let mut graph = Graph::new(3);
                let stem = graph.conv(0, Full3x3, 24, 1, Relu);
                let middle = graph.conv(stem, kind, out, stride, activation);
                // A last norm without activation would make the mean over pixels constant.
                graph.conv(middle, Pointwise, 8, 1, Relu);
                cases.push((format!("{kind:?} stride {stride} {activation:?}"), graph.spec));
            }
        }
    }
    cases
}

/// The first layer reads the image, whose channels do not fill a vector.
fn stems() -> Vec<(String, EncoderSpec)> {
    let mut cases = Vec::new();
    for kind in [Full3x3, Pointwise] {
        for stride in [1, 2] {
            for channels in [1, 3] {
                let mut graph = Graph::new(channels);
                graph.conv(0, kind, 16, stride, Relu);
                cases.push((format!("stem {kind:?} stride {stride} on {channels} channels"), graph.spec));
            }
        }
    }
    cases
}

/// Sums of two branches, and of a value and its own result, in either order; an image that is read twice.
fn sums() -> Vec<(String, EncoderSpec)> {
    [Identity, Relu, Relu6]
        .map(|activation| {
            let mut graph = Graph::new(3);
            let (x, z) = (graph.conv(0, Full3x3, 16, 1, Relu6), graph.conv(0, Pointwise, 16, 1, Identity));
            let branch = graph.conv(x, Full3x3, 16, 1, Identity);
            let first = graph.add(branch, z, activation);
            let inner = graph.conv(first, Depthwise3x3, 16, 1, Relu);
            let inner = graph.conv(inner, Pointwise, 16, 1, Identity);
            let residual = graph.add(inner, first, activation);
            // Read three times: the gradients must add up in any order.
            let a = graph.conv(residual, Pointwise, 32, 2, Identity);
            let b = graph.conv(residual, Full3x3, 32, 2, Relu6);
            let c = graph.conv(residual, Depthwise3x3, 16, 2, Relu);
            let b = graph.conv(b, Full3x3, 32, 1, Identity);
            let sum = graph.add(a, b, activation);
            let c = graph.conv(c, Pointwise, 32, 1, Relu);
            let d = graph.conv(c, Pointwise, 32, 1, Identity);
            let residual = graph.add(c, d, activation);
            let e = graph.conv(residual, Full3x3, 32, 1, Identity);
            let joined = graph.conv(sum, Full3x3, 32, 1, Relu);
            let joined = graph.conv(joined, Full3x3, 32, 1, Identity);
            let joined = graph.add(e, joined, activation);
            graph.conv(joined, Pointwise, 8, 1, Relu);
            (format!("sums with {activation:?}"), graph.spec)
        })
        .into()
}

/// Down to one pixel: every pixel is at the border, and batch norm has few values.
fn tiny_maps() -> EncoderSpec {
    let mut graph = Graph::new(1);
    graph.spec.input = InputShape { channels: 1, height: 8, width: 8 };
    let mut x = graph.conv(0, Full3x3, 8, 2, Relu);
    x = graph.conv(x, Depthwise3x3, 8, 2, Relu6);
    x = graph.conv(x, Full3x3, 16, 2, Relu);
    graph.conv(x, Full3x3, 16, 1, Relu6);
    graph.spec
}
