//! Heads of 5 classes with 10 samples each: learn, fit, predict.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use macula::rng::Rng;
use macula_edge::feature::quantise;
use macula_edge::head::{ClassSums, Gaussian, Prototype};

const CLASSES: usize = 5;
const SHOTS: usize = 10;

fn features(dim: usize) -> Vec<Vec<i16>> {
    let mut rng = Rng::for_purpose(1, "bench");
    let mut feature = || {
        let values: Vec<f32> = (0..dim).map(|_| rng.normal()).collect();
        let mut quantised = vec![0; dim];
        quantise(&values, None, &mut quantised).expect("normal values have a direction");
        quantised
    };
    (0..CLASSES * SHOTS).map(|_| feature()).collect()
}

fn heads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("head");
    for dim in [32, 64, 128] {
        let features = features(dim);
        let (mut counts, mut values) = ([0; CLASSES], vec![0; ClassSums::sums_len(dim, CLASSES)]);
        let mut products = vec![0; ClassSums::products_len(dim)];
        let mut sums =
            ClassSums::empty(dim, &mut counts, &mut values, &mut products).expect("the memory has this size");
        for (index, feature) in features.iter().enumerate() {
            sums.learn((index % CLASSES) as u8, feature).expect("class and dimension fit");
        }
        let (query, mut probabilities) = (&features[0], [0.0; CLASSES]);
        group.bench_function(BenchmarkId::new("prototype predict", dim), |b| {
            b.iter(|| Prototype::new(&sums).predict(black_box(query), &mut probabilities));
        });
        let mut scratch = vec![0.0; Gaussian::scratch_len(dim, CLASSES)];
        group.bench_function(BenchmarkId::new("gaussian fit", dim), |b| {
            b.iter(|| Gaussian::fit(black_box(&sums), &mut scratch).map(|_| ()));
        });
        let fitted = Gaussian::fit(&sums, &mut scratch).expect("every class has samples");
        group.bench_function(BenchmarkId::new("gaussian predict", dim), |b| {
            b.iter(|| fitted.predict(black_box(query), &mut probabilities));
        });
        // Last, because the head grows with every repeat.
        group.bench_function(BenchmarkId::new("learn with products", dim), |b| {
            b.iter(|| sums.learn(0, black_box(query)));
        });
    }
    group.finish();
}

criterion_group!(benches, heads);
criterion_main!(benches);
