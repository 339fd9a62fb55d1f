//! Shared by the tests of heads: supports, a slow discriminant analysis, and a generator of features.
// Each test binary uses its own part of this file.
#![allow(dead_code)]

pub mod blob;

use macula_edge::feature::{UNIT, quantise};
use macula_edge::support_set::{SupportRecord, Supports};

/// Supports that own their memory.
#[derive(Clone)]
pub struct Task {
    pub dim: usize,
    pub records: Vec<SupportRecord>,
    pub features: Vec<i16>,
}

impl Task {
    pub fn new(dim: usize, counts: &[usize], generator: &mut Xorshift) -> Self {
        let mut task = Self { dim, records: Vec::new(), features: Vec::new() };
        for shot in 0..counts.iter().copied().max().unwrap_or(0) {
            for (class, _) in counts.iter().enumerate().filter(|(_, count)| shot < **count) {
                task.push(class as u8, &generator.feature(dim, class));
            }
        }
        task
    }

    pub fn push(&mut self, class: u8, feature: &[i16]) {
        let source = (self.records.len() as u128).to_be_bytes();
        self.records.push(SupportRecord { source, class, operator: 0, time_s: 0 });
        self.features.extend(feature);
    }

    pub fn supports(&self) -> Supports<'_> {
        Supports { dim: self.dim, records: &self.records, features: &self.features }
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn row(&self, index: usize) -> Vec<f64> {
        unit(&self.features[index * self.dim..][..self.dim])
    }
}

pub fn unit(feature: &[i16]) -> Vec<f64> {
    feature.iter().map(|&x| f64::from(x) / f64::from(UNIT)).collect()
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `M⁻¹ b` by Gauss and Jordan with pivoting.
fn solve(matrix: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let mut rows: Vec<Vec<f64>> = matrix.iter().zip(b).map(|(row, &b)| [row.clone(), vec![b]].concat()).collect();
    for i in 0..n {
        let pivot = (i..n).max_by(|&a, &b| rows[a][i].abs().total_cmp(&rows[b][i].abs())).unwrap();
        rows.swap(i, pivot);
        let divisor = rows[i][i];
        rows[i].iter_mut().for_each(|value| *value /= divisor);
        let row = rows[i].clone();
        for (_, other) in rows.iter_mut().enumerate().filter(|(j, _)| *j != i) {
            let factor = other[i];
            other.iter_mut().zip(&row).for_each(|(value, r)| *value -= factor * r);
        }
    }
    rows.iter().map(|row| row[n]).collect()
}

/// Squared distance of `x` to each class mean, in all D dimensions, with `M = D S + κ I` fitted to `members`.
pub fn distances(members: &[(usize, Vec<f64>)], classes: usize, kappa: f64, x: &[f64]) -> Vec<f64> {
    let dim = x.len();
    let mut matrix = vec![vec![0.0; dim]; dim];
    (0..dim).for_each(|i| matrix[i][i] = kappa / dim as f64);
    let means: Vec<Option<Vec<f64>>> = (0..classes)
        .map(|class| {
            let own: Vec<&Vec<f64>> = members.iter().filter(|m| m.0 == class).map(|m| &m.1).collect();
            let mean = |i: usize| own.iter().map(|row| row[i]).sum::<f64>() / own.len() as f64;
            (!own.is_empty()).then(|| (0..dim).map(mean).collect())
        })
        .collect();
    for (class, row) in members {
        let d: Vec<f64> = row.iter().zip(means[*class].as_ref().unwrap()).map(|(x, m)| x - m).collect();
        for i in 0..dim {
            (0..dim).for_each(|j| matrix[i][j] += d[i] * d[j]);
        }
    }
    let distance = |mean: &Vec<f64>| {
        let d: Vec<f64> = x.iter().zip(mean).map(|(x, m)| x - m).collect();
        dot(&d, &solve(&matrix, &d))
    };
    means.iter().map(|mean| mean.as_ref().map_or(f64::INFINITY, distance)).collect()
}

/// The shrinkage chosen by leave-one-out and its temperature, refitting for each candidate and each support.
pub fn shrinkage_by_refitting(task: &Task, classes: usize) -> (f64, f64) {
    let (all, dim) = (members(task), task.dim as f64);
    let present = (0..classes).filter(|&class| all.iter().any(|m| m.0 == class)).count() as f64;
    let certainty = all.len() as f64 / (all.len() as f64 + 2.0 * dim);
    // The smallest loss over temperatures, and its temperature.
    let loss = |kappa: f64| {
        let left_out = |index: usize| {
            let mut rest = all.clone();
            let (class, row) = rest.remove(index);
            rest.iter().any(|m| m.0 == class).then(|| {
                let sharpness = -0.5 * (rest.len() as f64 - present + kappa);
                (class, distances(&rest, classes, kappa, &row).iter().map(|d| sharpness * d).collect::<Vec<f64>>())
            })
        };
        let scores: Vec<(usize, Vec<f64>)> = (0..all.len()).filter_map(left_out).collect();
        let at = |step: i32| {
            let apart = f64::from(step) / 2.0;
            let t = certainty * apart.exp2();
            let log_loss = |(class, scores): &(usize, Vec<f64>)| {
                scores.iter().map(|score| (t * (score - scores[*class])).exp()).sum::<f64>().ln()
            };
            (scores.iter().map(log_loss).sum::<f64>() + apart * apart, t)
        };
        (-6..=6).map(at).min_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
    };
    let grid = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0].into_iter().enumerate();
    let penalised = grid.map(|(index, multiple)| {
        let (loss, temperature) = loss(multiple * dim);
        (loss + 0.5 * (index as f64 - 3.0).powi(2), multiple * dim, temperature)
    });
    let (_, kappa, temperature) = penalised.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    (kappa, temperature)
}

pub fn members(task: &Task) -> Vec<(usize, Vec<f64>)> {
    (0..task.len()).map(|i| (usize::from(task.records[i].class), task.row(i))).collect()
}

/// A small generator in integer arithmetic (Marsaglia 2003, xorshift64), the same on every CPU.
pub struct Xorshift(pub u64);

impl Xorshift {
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Approximately normal: half the sum of four uniform numbers in -1 to 1, mean 0, variance 1/3.
    pub fn value(&mut self) -> f32 {
        (0..4).map(|_| (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0).sum::<f32>() * 0.5
    }

    /// A quantised feature with a class-dependent mean and correlated dimensions.
    pub fn feature(&mut self, dim: usize, class: usize) -> Vec<i16> {
        let shared = self.value();
        let values: Vec<f32> =
            (0..dim).map(|i| self.value() + shared * (i % 3) as f32 + if i % 5 == class { 1.5 } else { 0.0 }).collect();
        let mut quantised = vec![0; dim];
        quantise(&values, None, &mut quantised).unwrap();
        quantised
    }
}
