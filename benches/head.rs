//! Heads of 5 classes with 10 samples each: learn and forget, fit, predict.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use macula::rng::Rng;
use macula_edge::feature::quantise;
use macula_edge::head::{Head, HeadKind};
use macula_edge::support_set::{ClassName, SupportRecord, SupportSet};

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
        let (mut names, mut records) = ([ClassName::FREE; CLASSES], [SupportRecord::EMPTY; CLASSES * SHOTS]);
        let mut memory = vec![0; CLASSES * SHOTS * dim];
        let mut support_set =
            SupportSet::new(dim, &mut names, &mut records, &mut memory).expect("the memory has this size");
        for class in 0..CLASSES {
            let name = ClassName::new(&format!("class {class}")).expect("a short name");
            support_set.put_class(class as u8, name).expect("a free slot");
        }
        let record = |index: usize| SupportRecord {
            source: (index as u128).to_be_bytes(),
            class: (index % CLASSES) as u8,
            ..SupportRecord::EMPTY
        };
        for (index, feature) in features.iter().enumerate() {
            support_set.learn(record(index), feature).expect("there is room");
        }
        let middle = record(CLASSES * SHOTS / 2);
        let (query, mut probabilities) = (&features[0], [0.0; CLASSES]);
        group.bench_function(BenchmarkId::new("forget and learn", dim), |b| {
            b.iter(|| support_set.forget(&middle.source).and_then(|_| support_set.learn(middle, black_box(query))));
        });
        let mut scratch = vec![0.0; Head::scratch_len(dim, CLASSES, CLASSES * SHOTS)];
        let supports = support_set.supports();
        for kind in [HeadKind::Auto, HeadKind::Prototype, HeadKind::Gaussian, HeadKind::Logistic] {
            group.bench_function(BenchmarkId::new(format!("{} fit", kind.name()), dim), |b| {
                b.iter(|| Head::fit(kind, black_box(supports), CLASSES, &mut scratch).map(drop));
            });
        }
        // Every kind decides by the same weights and biases.
        let head = Head::fit(HeadKind::Auto, supports, CLASSES, &mut scratch).expect("every class has samples");
        group.bench_function(BenchmarkId::new("predict", dim), |b| {
            b.iter(|| head.predict(black_box(query), &mut probabilities));
        });
    }
    group.finish();
}

criterion_group!(benches, heads);
criterion_main!(benches);
