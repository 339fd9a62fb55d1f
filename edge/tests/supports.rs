//! Heads and verdicts made from supports, beside slow versions that refit for every sample left out or added.

mod common;

use common::Xorshift;
use macula_edge::decide::{CorpusStats, Judge};
use macula_edge::feature::UNIT;
use macula_edge::head::HeadKind;
use macula_edge::taught::{Record, Supports};

/// Supports with memory of their own.
#[derive(Clone)]
struct Task {
    dim: usize,
    records: Vec<Record>,
    features: Vec<i16>,
}

impl Task {
    fn new(dim: usize, counts: &[usize], generator: &mut Xorshift) -> Self {
        let mut task = Self { dim, records: Vec::new(), features: Vec::new() };
        for shot in 0..counts.iter().copied().max().unwrap_or(0) {
            for (class, _) in counts.iter().enumerate().filter(|(_, count)| shot < **count) {
                task.push(class as u8, &generator.feature(dim, class));
            }
        }
        task
    }

    fn push(&mut self, class: u8, feature: &[i16]) {
        let source = (self.records.len() as u128).to_be_bytes();
        self.records.push(Record { source, class, operator: 0, time_s: 0 });
        self.features.extend(feature);
    }

    fn supports(&self) -> Supports<'_> {
        Supports { dim: self.dim, records: &self.records, features: &self.features }
    }

    fn len(&self) -> usize {
        self.records.len()
    }

    fn row(&self, index: usize) -> Vec<f64> {
        unit(&self.features[index * self.dim..][..self.dim])
    }
}

fn unit(feature: &[i16]) -> Vec<f64> {
    feature.iter().map(|&x| f64::from(x) / f64::from(UNIT)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
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
fn distances(members: &[(usize, Vec<f64>)], classes: usize, kappa: f64, x: &[f64]) -> Vec<f64> {
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

fn members(task: &Task) -> Vec<(usize, Vec<f64>)> {
    (0..task.len()).map(|i| (usize::from(task.records[i].class), task.row(i))).collect()
}

fn strangeness(distances: &[f64], class: usize) -> f64 {
    let others = distances.iter().enumerate().filter(|(k, _)| *k != class).map(|(_, d)| *d);
    distances[class] - others.fold(f64::INFINITY, f64::min)
}

/// The p-value of `class` for `x` as its definition has it: `x` is added, each member left out and the rest refitted.
fn p_value_by_refitting(task: &Task, classes: usize, kappa: f64, x: &[f64], class: usize) -> f64 {
    let mut all = members(task);
    all.push((class, x.to_vec()));
    let left_out = |index: usize| {
        let mut rest = all.clone();
        let (_, row) = rest.remove(index);
        strangeness(&distances(&rest, classes, kappa, &row), class)
    };
    let own: Vec<usize> = (0..all.len()).filter(|&i| all[i].0 == class).collect();
    let of_x = left_out(all.len() - 1);
    own.iter().filter(|&&i| left_out(i) >= of_x).count() as f64 / own.len() as f64
}

fn scratch(task: &Task, classes: usize) -> Vec<f64> {
    // Rubbish, so that a head which reads before it writes is found out.
    vec![f64::NAN; Judge::scratch_len(task.dim, classes, task.len())]
}

#[test]
fn sets_are_those_of_refitting_for_every_sample() {
    let mut generator = Xorshift(21);
    let (mut held, mut excluded) = (0, 0);
    for (dim, counts) in
        [(24, vec![5, 4, 6]), (5, vec![6, 5, 9]), (9, vec![4, 0, 5]), (12, vec![1, 3, 5]), (6, vec![6])]
    {
        let classes = counts.len();
        let task = Task::new(dim, &counts, &mut generator);
        let mut memory = scratch(&task, classes);
        let kappa = Judge::fit(HeadKind::Auto, task.supports(), classes, CorpusStats::default(), 100, &mut memory)
            .unwrap()
            .kappa();
        for query in 0..8 {
            let feature = generator.feature(dim, query % classes);
            let p: Vec<f64> =
                (0..classes).map(|c| p_value_by_refitting(&task, classes, kappa, &unit(&feature), c)).collect();
            for permille in [150, 210, 350, 550, 800] {
                let mut judge =
                    Judge::fit(HeadKind::Auto, task.supports(), classes, CorpusStats::default(), permille, &mut memory)
                        .unwrap();
                let verdict = judge.verdict(task.supports(), &feature, None, &mut vec![0.0; classes]).unwrap();
                for class in (0..classes).filter(|&class| counts[class] > 0) {
                    let expected = p[class] > f64::from(permille) / 1000.0;
                    assert_eq!(
                        verdict.set.contains(class as u8),
                        expected,
                        "D={dim} {counts:?} {class} {permille}: {p:?}"
                    );
                    if expected { held += 1 } else { excluded += 1 }
                }
            }
        }
    }
    assert!(held > 100 && excluded > 100, "both come up: {held} {excluded}");
}
