//! Measures the time to learn and solve a head of 5 classes, 10 shots and 128 dimensions: `head_time [REPEATS]`.
//!
//! Prints a line per kind of head: its name and the median in microseconds. `benches/head_sklearn.sh` compares it with
//! scikit-learn's logistic regression.

use std::hint::black_box;
use std::time::Instant;

use macula_edge::feature::quantise;
use macula_edge::head::{Head, HeadKind};
use macula_edge::support_set::{ClassName, SupportRecord, SupportSet};

const CLASSES: usize = 5;
const SHOTS: usize = 10;
const DIM: usize = 128;

/// Random features with a class-dependent mean (Marsaglia 2003, xorshift64).
fn features() -> Vec<Vec<f32>> {
    let mut state = 88_172_645_463_325_252u64;
    let mut value = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let row = |sample: usize, value: &mut dyn FnMut() -> f32| {
        (0..DIM).map(|d| 2.0 * value() + if d % CLASSES == sample % CLASSES { 0.4 } else { 0.0 }).collect()
    };
    (0..CLASSES * SHOTS).map(|sample| row(sample, &mut value)).collect()
}

/// Quantises and learns every sample, then solves the head.
fn learn_and_solve(kind: HeadKind, features: &[Vec<f32>], scratch: &mut [f64]) -> u8 {
    let (mut names, mut records) = ([ClassName::FREE; CLASSES], [SupportRecord::EMPTY; CLASSES * SHOTS]);
    let mut memory = vec![0; CLASSES * SHOTS * DIM];
    let mut support_set =
        SupportSet::new(DIM, &mut names, &mut records, &mut memory).expect("the memory has this size");
    for class in 0..CLASSES as u8 {
        support_set
            .put_class(class, ClassName::new(&format!("class {class}")).expect("a short name"))
            .expect("a free slot");
    }
    let mut quantised = [0; DIM];
    for (sample, feature) in features.iter().enumerate() {
        quantise(feature, None, &mut quantised).expect("a feature with a direction");
        let source = (sample as u128).to_be_bytes();
        let record = SupportRecord { source, class: (sample % CLASSES) as u8, ..SupportRecord::EMPTY };
        support_set.learn(record, &quantised).expect("there is room");
    }
    let head = Head::fit(kind, support_set.supports(), CLASSES, scratch).expect("every class has samples");
    head.predict(&quantised, &mut [0.0; CLASSES]).expect("the feature fits").class
}

#[allow(clippy::print_stdout)]
fn main() {
    let repeats: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(101).max(1);
    let features = features();
    let mut scratch = vec![0.0; Head::scratch_len(DIM, CLASSES, CLASSES * SHOTS)];
    for kind in [HeadKind::Auto, HeadKind::Prototype, HeadKind::Gaussian, HeadKind::Logistic] {
        let mut times: Vec<f64> = (0..repeats)
            .map(|_| {
                let start = Instant::now();
                black_box(learn_and_solve(kind, black_box(&features), &mut scratch));
                start.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{} {:.1}", kind.name(), times[repeats / 2]);
    }
}
