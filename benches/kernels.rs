//! Convolution kernels for one image on one thread; the rate is in multiply-accumulates.

use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use macula::kernel::{Grid, Isa};
use macula::nn::conv::{
    ConvShape, clear_border, conv_data_gradient, conv_forward, conv_weight_gradient, transpose_weight,
};
use macula::nn::depthwise::{DepthwiseShape, depthwise_data_gradient, depthwise_forward, depthwise_weight_gradient};
use macula::rng::Rng;

type Group<'c> = BenchmarkGroup<'c, WallTime>;

fn normals(len: usize, purpose: &str) -> Vec<f32> {
    let mut rng = Rng::for_purpose(1, purpose);
    (0..len).map(|_| rng.normal()).collect()
}

/// Normally distributed values inside a border of zeros.
fn padded(side: usize, channels: usize, padding: usize, purpose: &str) -> Vec<f32> {
    let mut values = normals((side + 2 * padding).pow(2) * channels, purpose);
    clear_border(Grid { rows: side, columns: side, channels }, padding, &mut values);
    values
}

fn bench_conv(group: &mut Group<'_>, kernel: usize, channels: usize, side: usize) {
    let (channels_in, channels_out) = (channels, channels);
    let shape = ConvShape { kernel, stride: 1, channels_in, channels_out, height: side, width: side };
    let (isa, name) = (Isa::selected(), format!("{channels}ch {side}²"));
    group.throughput(Throughput::Elements((shape.weight_len() * side * side) as u64));

    let x = padded(side, channels, shape.padding(), "x");
    let dy = padded(side, channels, shape.padding(), "dy");
    let weight = normals(shape.weight_len(), "weight");
    let mut y = vec![0.0; side * side * channels];
    group.bench_function(BenchmarkId::new("forward", &name), |b| {
        b.iter(|| conv_forward(isa, shape, &x, &weight, &mut y));
    });
    let mut transposed = vec![0.0; weight.len()];
    transpose_weight(shape, &weight, &mut transposed);
    group.bench_function(BenchmarkId::new("data gradient", &name), |b| {
        b.iter(|| conv_data_gradient(isa, shape, &dy, &transposed, &mut y));
    });
    let mut dweight = vec![0.0; weight.len()];
    group.bench_function(BenchmarkId::new("weight gradient", &name), |b| {
        b.iter(|| conv_weight_gradient(isa, shape, &x, &dy, &mut dweight));
    });
}

fn conv3x3(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("conv3x3");
    for (channels, side) in [(32, 32), (64, 16), (128, 8)] {
        bench_conv(&mut group, 3, channels, side);
    }
    group.finish();
}

fn pointwise(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pointwise");
    for (channels, side) in [(32, 32), (64, 16), (128, 8)] {
        bench_conv(&mut group, 1, channels, side);
    }
    group.finish();
}

fn depthwise3x3(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("depthwise3x3");
    let isa = Isa::selected();
    for (channels, side, stride) in [(96, 32, 2), (144, 16, 1), (192, 8, 1)] {
        let shape = DepthwiseShape { stride, channels, height: side, width: side };
        let (name, out) = (format!("{channels}ch {side}² stride {stride}"), side / stride);
        group.throughput(Throughput::Elements((9 * channels * out * out) as u64));
        let (x, dy) = (padded(side, channels, 1, "x"), padded(out, channels, 1, "dy"));
        let weight = normals(9 * channels, "weight");
        let mut y = vec![0.0; out * out * channels];
        group.bench_function(BenchmarkId::new("forward", &name), |b| {
            b.iter(|| depthwise_forward(isa, shape, &x, &weight, &mut y));
        });
        let mut dx = vec![0.0; side * side * channels];
        group.bench_function(BenchmarkId::new("data gradient", &name), |b| {
            b.iter(|| depthwise_data_gradient(isa, shape, &dy, &weight, &mut dx));
        });
        let mut dweight = vec![0.0; weight.len()];
        group.bench_function(BenchmarkId::new("weight gradient", &name), |b| {
            b.iter(|| depthwise_weight_gradient(isa, shape, &x, &dy, &mut dweight));
        });
    }
    group.finish();
}

criterion_group!(benches, conv3x3, pointwise, depthwise3x3);
criterion_main!(benches);
