//! Forward and backward pass of a training step, and inference, for every preset on all threads.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use macula::encoder::{EncoderSpec, InputShape, Network, Preset, Workspace};
use macula::rng::Rng;

const BATCH: usize = 32;

/// Presets with channels and side of the input.
const INPUTS: [(Preset, usize, usize); 4] =
    [(Preset::Pico, 1, 28), (Preset::Nano, 3, 32), (Preset::Micro, 3, 32), (Preset::Mobile, 3, 64)];

fn network(preset: Preset, channels: usize, side: usize) -> Network {
    let input = InputShape { channels, height: side, width: side };
    let spec = EncoderSpec::preset(preset, input).expect("valid inputs of the preset");
    Network::new(spec, 1).expect("a preset is a valid spec")
}

fn normals(len: usize) -> Vec<f32> {
    let mut rng = Rng::for_purpose(1, "bench");
    (0..len).map(|_| rng.normal()).collect()
}

fn train(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("train");
    group.sample_size(10).throughput(Throughput::Elements(BATCH as u64));
    for (preset, channels, side) in INPUTS {
        let mut network = network(preset, channels, side);
        let images = normals(BATCH * side * side * channels);
        let dfeatures = normals(BATCH * network.spec().feature_dim());
        let (mut workspace, mut gradient) = (Workspace::default(), vec![0.0; network.parameters.len()]);
        group.bench_function(preset.name(), |b| {
            b.iter(|| {
                network.forward(&mut workspace, &images);
                network.backward(&mut workspace, &images, &dfeatures, &mut gradient);
            });
        });
    }
    group.finish();
}

fn embed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("embed");
    group.sample_size(10);
    for (preset, channels, side) in INPUTS {
        let network = network(preset, channels, side);
        for images in [1, BATCH] {
            let input = normals(images * side * side * channels);
            group.throughput(Throughput::Elements(images as u64));
            group.bench_function(format!("{}/{images}", preset.name()), |b| b.iter(|| network.embed(&input)));
        }
    }
    group.finish();
}

criterion_group!(benches, train, embed);
criterion_main!(benches);
