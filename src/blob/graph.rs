//! An f16 blob as the native engine takes it: in f32, with weights `[O, C, K, K]`.

use half::f16;
use macula_edge::encoder::format::{MAP_LANES, PART_CELLS, PART_STD};
use macula_edge::encoder::{Activation, Arithmetic, Blob, Map, Node, Op, Value};
use macula_engine::float::{self, Graph, Kernel, LinearMap, Pooled, Shape};

/// The graph of `blob`; `None` if it computes in int8, or scales the values that it pools, which [`super::make`] does for
/// int8 only.
pub(super) fn graph(blob: &Blob<'_>) -> Option<Graph> {
    let readout = blob.readout();
    if blob.arithmetic() != Arithmetic::F16 || readout.values().iter().any(|pooled| pooled.unit != 1.0) {
        return None;
    }
    let Value { height, width, channels, .. } = blob.input();
    let pixel_values = blob.input_channels().iter().map(|channel| {
        let mut values = [0.0; 256];
        values
            .iter_mut()
            .zip(0..=u8::MAX)
            .for_each(|(value, pixel)| *value = channel.scale * f32::from(pixel) + channel.offset);
        values
    });
    let pooled = readout.values().iter().map(|pooled| Pooled {
        value: pooled.value,
        has_std: pooled.parts & PART_STD != 0,
        has_cells: pooled.parts & PART_CELLS != 0,
    });
    Some(Graph {
        input: Shape { height: height.into(), width: width.into(), channels: channels.into() },
        pixel_values: pixel_values.collect(),
        nodes: (0..blob.node_count()).map(|index| node(blob, index)).collect(),
        pooled: pooled.collect(),
        std_epsilon: readout.eps(),
        map: readout.map().map(|map| linear_map(map, readout.pooled())),
    })
}

fn node(blob: &Blob<'_>, index: usize) -> float::Node {
    let Node { input, op, activation } = blob.node(index);
    let channels = usize::from(blob.value(index + 1).channels);
    let activation = match activation {
        Activation::Identity => float::Activation::Identity,
        Activation::Relu => float::Activation::Relu,
        Activation::Relu6 => float::Activation::Relu6,
    };
    let biases = |parameters: &[u32]| parameters.iter().map(|&bits| f32::from_bits(bits)).collect();
    match op {
        Op::Add { right, .. } => float::Node::Add { left: input, right, activation },
        Op::Conv { kernel, stride, weights, parameters } => float::Node::Conv {
            input,
            kernel: if kernel == 1 { Kernel::Pointwise } else { Kernel::Full3x3 },
            stride,
            channels,
            weight: by_filter(halves(weights), channels, 8, kernel * kernel),
            bias: biases(parameters),
            activation,
        },
        Op::Depthwise { stride, weights, parameters } => float::Node::Conv {
            input,
            kernel: Kernel::Depthwise3x3,
            stride,
            channels,
            weight: by_filter(halves(weights), channels, channels, 9),
            bias: biases(parameters),
            activation,
        },
    }
}

/// Weights `[O, C, taps]` of a blob's, `[O / lanes, taps * C, lanes]`.
fn by_filter(weights: impl Iterator<Item = f32>, filters: usize, lanes: usize, taps: usize) -> Vec<f32> {
    let weights: Vec<f32> = weights.collect();
    let row = weights.len() / filters;
    let channels = row / taps;
    let mut ordered = vec![0.0; weights.len()];
    for (block, weights) in weights.chunks_exact(lanes * row).enumerate() {
        for (k, weights) in weights.chunks_exact(lanes).enumerate() {
            let (tap, channel) = (k / channels, k % channels);
            for (lane, &weight) in weights.iter().enumerate() {
                ordered[((block * lanes + lane) * channels + channel) * taps + tap] = weight;
            }
        }
    }
    ordered
}

/// The map, whose rows have a scale in the blob. `pooled`: P.
fn linear_map(map: &Map<'_>, pooled: usize) -> LinearMap {
    let rows = map.rows();
    let weights = map.weights().iter().map(|&bits| f16::from_bits(bits).to_f32());
    let mut weight = by_filter(weights, rows.len().next_multiple_of(MAP_LANES), MAP_LANES, 1);
    weight.truncate(rows.len() * pooled);
    for (weights, [scale, _]) in weight.chunks_exact_mut(pooled).zip(rows) {
        weights.iter_mut().for_each(|weight| *weight *= scale);
    }
    LinearMap { weight, bias: rows.iter().map(|[_, bias]| *bias).collect() }
}

/// The f16 numbers of `bytes`, which need not lie at a multiple of 2.
fn halves(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks::<2>().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32())
}
