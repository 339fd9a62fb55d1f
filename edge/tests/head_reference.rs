//! Heads beside slow references: features of many shapes, few samples, equal samples, and ill-conditioned features.

mod common;

use common::{Task, Xorshift, distances, dot, members, shrinkage_by_refitting, unit};
use macula_edge::decide::Predictor;
use macula_edge::feature::{UNIT, quantise};
use macula_edge::head::{Head, HeadKind};

/// Samples per class and dimensions: fewer samples than dimensions and more, classes of one sample, without samples, and
/// more than a block of the kernels holds.
const SHAPES: [(usize, &[usize]); 7] = [
    (20, &[4, 1, 5]),
    (6, &[9, 1, 12, 7]),
    (24, &[2; 11]),
    (5, &[3, 2, 4, 3, 2, 3, 5, 2, 3]),
    (17, &[9, 0, 8]),
    (16, &[8, 7]),
    (1, &[3, 4]),
];

#[derive(Clone, Copy, Debug)]
enum Features {
    /// A class-dependent mean and correlated dimensions.
    Plain,
    /// Standard deviations from 1 down to 1e-4.
    Decaying,
    /// A mean 30 times the standard deviation.
    Uncentred,
    /// The first sample of each class, repeated with noise in the last bit.
    NearlyEqual,
}

fn feature(kind: Features, dim: usize, class: usize, generator: &mut Xorshift) -> Vec<i16> {
    let plain = generator.feature(dim, class);
    let values: Vec<f32> = match kind {
        Features::Plain => return plain,
        Features::Decaying => (0..dim).map(|i| f32::from(plain[i]) * 1e-4f32.powf(i as f32 / dim as f32)).collect(),
        Features::Uncentred => plain.iter().map(|&x| f32::from(x) + 30.0 * 32767.0 / (dim as f32).sqrt()).collect(),
        Features::NearlyEqual => {
            let mut fixed = Xorshift(1000 + class as u64);
            return fixed.feature(dim, class).iter().map(|&x| x - (generator.bits() & 1) as i16).collect();
        }
    };
    let mut quantised = vec![0; dim];
    quantise(&values, None, &mut quantised).unwrap();
    quantised
}

fn tasks() -> impl Iterator<Item = (String, usize, Task)> {
    let mut generator = Xorshift(99);
    let kinds = [Features::Plain, Features::Decaying, Features::Uncentred, Features::NearlyEqual];
    SHAPES.into_iter().flat_map(move |(dim, counts)| kinds.map(|kind| (dim, counts, kind))).map(
        move |(dim, counts, kind)| {
            let mut task = Task { dim, records: Vec::new(), features: Vec::new() };
            for (class, &count) in counts.iter().enumerate() {
                (0..count).for_each(|_| task.push(class as u8, &feature(kind, dim, class, &mut generator)));
            }
            (format!("D={dim} {counts:?} {kind:?}"), counts.len(), task)
        },
    )
}

fn fitted(kind: HeadKind, task: &Task, classes: usize) -> (Vec<f64>, Vec<f64>) {
    // NaN exposes a head that reads before it writes.
    let mut scratch = vec![f64::NAN; Head::scratch_len(task.dim, classes, task.len())];
    let head = Head::fit(kind, task.supports(), classes, &mut scratch).unwrap();
    (head.weights().to_vec(), head.biases().to_vec())
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.iter().map(|e| e / sum).collect()
}

/// The objective is convex with curvature of at least the penalty, so a small gradient is a small distance to its minimum.
#[test]
fn softmax_regression_has_no_gradient() {
    for (name, classes, task) in tasks() {
        let (weights, biases) = fitted(HeadKind::Logistic, &task, classes);
        let root = (task.dim as f64).sqrt();
        let weights: Vec<f64> = weights.iter().map(|w| w * f64::from(UNIT) / root).collect();
        let present = biases.iter().filter(|bias| bias.is_finite()).count();
        let penalty = if present == 2 { 20.0 } else { 10.0 };
        let mut gradient: Vec<f64> = weights.iter().map(|w| penalty * w).collect();
        let mut of_biases = vec![0.0; classes];
        for (class, row) in members(&task) {
            let z: Vec<f64> = row.iter().map(|x| x * root).collect();
            let scores: Vec<f64> = weights.chunks(task.dim).zip(&biases).map(|(w, b)| dot(w, &z) + b).collect();
            for (k, p) in softmax(&scores).into_iter().enumerate() {
                let excess = p - f64::from(u8::from(k == class));
                gradient[k * task.dim..][..task.dim].iter_mut().zip(&z).for_each(|(g, z)| *g += excess * z);
                of_biases[k] += excess;
            }
        }
        let length = (dot(&gradient, &gradient) + dot(&of_biases, &of_biases)).sqrt();
        assert!(length < 1.1e-7 * task.len() as f64, "{name}: {length}");
    }
}

/// Weights by definition: shrinkage and temperature by refitting, distances by Gauss and Jordan.
#[test]
fn gaussian_head_equals_refitting() {
    let mut generator = Xorshift(4);
    for (name, classes, task) in tasks() {
        let (weights, biases) = fitted(HeadKind::Gaussian, &task, classes);
        let all = members(&task);
        let mut scratch = vec![f64::NAN; Predictor::scratch_len(task.dim, classes, task.len())];
        let predictor = Predictor::fit(HeadKind::Gaussian, task.supports(), classes, None, 100, &mut scratch).unwrap();
        let (kappa, temperature) = shrinkage_by_refitting(&task, classes);
        assert_eq!(predictor.kappa(), kappa, "{name}");
        let counts: Vec<f64> = (0..classes).map(|class| all.iter().filter(|m| m.0 == class).count() as f64).collect();
        let present = counts.iter().filter(|&&count| count > 0.0).count() as f64;
        let squares = distances(&all, classes, kappa, &vec![0.0; task.dim]);
        let mean = squares.iter().filter(|square| square.is_finite()).sum::<f64>() / present;
        let sharpness = temperature * (all.len() as f64 - present + kappa);
        for query in 0..4 {
            let query = generator.feature(task.dim, query % classes);
            let x = unit(&query);
            let twice: Vec<f64> = x.iter().map(|x| 2.0 * x).collect();
            let (once, twice) = (distances(&all, classes, kappa, &x), distances(&all, classes, kappa, &twice));
            let score = |class: usize| {
                let square = squares[class];
                if counts[class] == 0.0 {
                    return f64::NEG_INFINITY;
                }
                let own = (twice[class] - 2.0 * once[class] + square) / 2.0;
                let to_mean = (own + square - once[class]) / 2.0;
                let share = if counts[class] > 2.0 { 2.0 / counts[class] } else { 1.0 };
                let factor = if square > 0.0 { (mean / square).powf(0.5 * share) } else { 1.0 };
                sharpness * factor * (to_mean - 0.5 * factor * square)
            };
            let expected = softmax(&(0..classes).map(score).collect::<Vec<f64>>());
            let x: Vec<f64> = query.iter().map(|&x| f64::from(x)).collect();
            let scores: Vec<f64> = weights.chunks(task.dim).zip(&biases).map(|(w, b)| dot(w, &x) + b).collect();
            for (found, expected) in softmax(&scores).iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-6, "{name}: {found} {expected}");
            }
        }
    }
}

#[test]
fn the_default_is_the_mean_of_two_heads() {
    for (name, classes, task) in tasks() {
        let [auto, gaussian, logistic] =
            [HeadKind::Auto, HeadKind::Gaussian, HeadKind::Logistic].map(|kind| fitted(kind, &task, classes));
        let size = dot(&auto.0, &auto.0).sqrt();
        for ((found, g), l) in auto.0.iter().zip(&gaussian.0).zip(&logistic.0) {
            assert!((found - (0.4 * g + 0.6 * l)).abs() <= 1e-9 * size, "{name}");
        }
        for ((found, g), l) in auto.1.iter().zip(&gaussian.1).zip(&logistic.1) {
            assert!(found == l || (found - (0.4 * g + 0.6 * l)).abs() < 1e-9 * (1.0 + found.abs()), "{name}");
        }
    }
}

/// Nothing tells classes apart: the probabilities are equal, whatever the shrinkage.
#[test]
fn equal_samples_of_all_classes() {
    let mut generator = Xorshift(8);
    for (dim, shots) in [(30, 3), (4, 9), (9, 3)] {
        let feature = generator.feature(dim, 0);
        let mut task = Task { dim, records: Vec::new(), features: Vec::new() };
        (0..3 * shots).for_each(|index| task.push((index % 3) as u8, &feature));
        let mut scratch = vec![f64::NAN; Head::scratch_len(dim, 3, task.len())];
        for kind in [HeadKind::Auto, HeadKind::Prototype, HeadKind::Gaussian, HeadKind::Logistic] {
            let head = Head::fit(kind, task.supports(), 3, &mut scratch).unwrap();
            let mut probabilities = [0.0; 3];
            head.predict(&generator.feature(dim, 1), &mut probabilities).unwrap();
            assert!(probabilities.iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-9), "{kind:?}: {probabilities:?}");
        }
    }
}

/// A device lends scratch for its capacity, and a fit uses what its supports need.
#[test]
fn scratch_grows_with_the_supports() {
    for (dim, classes) in [(1, 1), (5, 3), (16, 40), (33, 2)] {
        let lengths: Vec<usize> = (0..200).map(|supports| Head::scratch_len(dim, classes, supports)).collect();
        assert!(lengths.is_sorted(), "D={dim} C={classes}");
        let lengths: Vec<usize> = (0..200).map(|supports| Predictor::scratch_len(dim, classes, supports)).collect();
        assert!(lengths.is_sorted(), "D={dim} C={classes}");
    }
}
