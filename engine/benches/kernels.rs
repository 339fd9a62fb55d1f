//! Encoders and single kernels of the engine, one image on one thread, on every instruction set of this processor.
//!
//! Kernels have no interface of their own: a stack of equal layers is measured, with a 1×1 layer before it that makes its
//! channels from one, and the means after it. The rate is in multiply-accumulates.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use macula_edge::encoder::Blob;
use macula_edge::encoder::format::{PART_CELLS, PART_MEAN, PART_STD};
use macula_engine::Isa;
use macula_engine::float::{Activation, FloatNetwork, Graph, Kernel, Node, Pooled, Precision, Shape};
use macula_engine::int8::Int8Network;

#[allow(dead_code, unreachable_pub)]
#[path = "../../edge/tests/common/blob.rs"]
mod blob;
#[allow(dead_code, unreachable_pub)]
#[path = "../tests/common/graphs.rs"]
mod graphs;
#[path = "../tests/common/int8_network.rs"]
mod int8_network;

/// The layers and pooled numbers of `graph` with random weights in int8.
fn int8_blob(graph: &Graph) -> Vec<u32> {
    let layer = |node: &Node| match *node {
        Node::Conv { input, kernel, stride, channels, .. } => {
            let op = match kernel {
                Kernel::Full3x3 => blob::Op::Conv3x3,
                Kernel::Pointwise => blob::Op::Conv1x1,
                Kernel::Depthwise3x3 => blob::Op::Depthwise3x3,
            };
            (op, stride, input, 0, channels)
        }
        Node::Add { left, right, .. } => (blob::Op::Add, 0, left, right, 0),
    };
    let mut layers: Vec<_> = graph.nodes.iter().map(layer).collect();
    for (layer, shape) in layers.iter_mut().zip(&graph.shapes().expect("a valid graph")[1..]) {
        layer.4 = shape.channels;
    }
    let Shape { height, width, channels } = graph.input;
    let mut net = int8_network::network(&layers, [height, width, channels], 1);
    let parts = |of: &Pooled| PART_MEAN + u16::from(of.has_std) * PART_STD + u16::from(of.has_cells) * PART_CELLS;
    let values = graph.pooled.iter().map(|of| (of.value, parts(of), 0.05)).collect();
    net.readout = Some(blob::Readout { values, eps: graph.std_epsilon, map: Vec::new() });
    net.arena_words += net.dim() as u32;
    blob::aligned(&net.blob())
}

fn multiply_accumulates(graph: &Graph) -> usize {
    let shapes = graph.shapes().expect("a valid graph");
    let of = |(node, shape): (&Node, &Shape)| match node {
        Node::Conv { weight, .. } => weight.len() * shape.pixels(),
        Node::Add { .. } => 0,
    };
    graph.nodes.iter().zip(&shapes[1..]).map(of).sum()
}

/// Measures `graph` in every arithmetic on every instruction set.
fn bench(criterion: &mut Criterion, name: &str, graph: &Graph) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(multiply_accumulates(graph) as u64));
    let pixels = graphs::pixels(graph.input.pixels() * graph.input.channels);
    let words = int8_blob(graph);
    let blob = Blob::parse(bytemuck::cast_slice(&words)).expect("a valid blob");
    for isa in Isa::available() {
        for (precision, arithmetic) in [(Precision::F32, "f32"), (Precision::F16, "f16")] {
            let Some(network) = FloatNetwork::new(graph, isa, precision).expect("a valid graph") else { continue };
            let (mut arena, mut feature) = (network.arena(), vec![0.0; network.dim()]);
            group.bench_function(BenchmarkId::new(arithmetic, isa.name()), |b| {
                b.iter(|| network.encode(&pixels, &mut arena, &mut feature));
            });
        }
        let mut network = Int8Network::new(&blob, isa).expect("a valid blob");
        let mut feature = vec![0.0; network.dim()];
        group.bench_function(BenchmarkId::new("int8", isa.name()), |b| {
            b.iter(|| network.encode(&pixels, &mut feature));
        });
    }
    group.finish();
}

fn encoders(criterion: &mut Criterion) {
    for name in ["nano", "micro", "mobile"] {
        bench(criterion, name, &graphs::encoder(name).expect("a preset"));
    }
}

/// Layers of `kernel` over `channels` channels, `side` pixels wide.
fn stack(kernel: Kernel, stride: usize, channels: usize, side: usize, depth: usize) -> Graph {
    let mut builder = graphs::Builder::default();
    builder.conv(0, Kernel::Pointwise, 1, [1, channels], Activation::Identity);
    for value in 1..=depth {
        builder.conv(value, kernel, stride, [channels, channels], Activation::Relu);
    }
    builder.graph(side, 1)
}

/// 3×3 convolutions of stride 1 use Winograd's algorithm where it pays, those of stride 2 never.
fn kernels(criterion: &mut Criterion) {
    for (name, kernel, stride, channels, side) in [
        ("3×3, 32 channels, 32²", Kernel::Full3x3, 1, 32, 32),
        ("3×3, 64 channels, 16²", Kernel::Full3x3, 1, 64, 16),
        ("3×3, 128 channels, 8²", Kernel::Full3x3, 1, 128, 8),
        ("3×3, 64 channels, 32², stride 2", Kernel::Full3x3, 2, 64, 32),
        ("1×1, 32 channels, 32²", Kernel::Pointwise, 1, 32, 32),
        ("1×1, 128 channels, 8²", Kernel::Pointwise, 1, 128, 8),
        ("depthwise, 96 channels, 32², stride 2", Kernel::Depthwise3x3, 2, 96, 32),
        ("depthwise, 144 channels, 16²", Kernel::Depthwise3x3, 1, 144, 16),
    ] {
        bench(criterion, name, &stack(kernel, stride, channels, side, if stride == 1 { 8 } else { 1 }));
    }
}

/// All pooled numbers of a value beside its means alone.
fn pooling(criterion: &mut Criterion) {
    for (name, has_more) in [("pooling, means", false), ("pooling, all", true)] {
        let mut graph = stack(Kernel::Pointwise, 1, 64, 32, 0);
        graph.pooled = vec![Pooled { value: 1, has_std: has_more, has_cells: has_more }];
        bench(criterion, name, &graph);
    }
}

criterion_group!(benches, encoders, kernels, pooling);
criterion_main!(benches);
