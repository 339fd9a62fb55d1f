//! Triplet loss: an anchor must be nearer to its positive than to a negative, by a margin.
//!
//! Schroff et al. 2015 (FaceNet), arXiv:1503.03832, equation 3: `max(0, |a - p|² - |a - n|² + c)` for embeddings of
//! unit length. M embeddings, P dimensions; embeddings of the same group are positives of each other.

use super::contrastive::EmbeddingLoss;
use super::nt_xent::add_transposed;
use super::settings::Miner;
use crate::nn::matrix::{matmul, matmul_bt};

/// Loss of embeddings of unit length, with its gradient.
///
/// The mean is over the triplets that the miner selects; with [`Miner::All`] over those with a loss above 0. The metric
/// `zero_gradient` is the share of selected triplets whose loss is 0. An embedding is correct if its nearest neighbour is of
/// its group.
///
/// * `z`: `[M, P]`
/// * `groups`: `[M]`
/// * `dim`: P
/// * `margin`: `c`, above 0
///
/// # Panics
/// When the lengths do not fit.
pub fn triplet_loss(z: &[f32], groups: &[usize], dim: usize, margin: f32, miner: Miner) -> EmbeddingLoss {
    let count = groups.len();
    assert!(z.len() == count * dim, "{count} embeddings of {dim} dimensions");
    let mut distances = vec![0.0; count * count];
    matmul_bt(z, z, dim, &mut distances);
    // |a - b|² = 2 - 2 a·b at unit length; rounding may leave it slightly below 0.
    distances.iter_mut().for_each(|cosine| *cosine = (2.0 - 2.0 * *cosine).max(0.0));
    let weights = vec![0.0; count * count];
    let mut mining = Mining { distances: &distances, groups, margin, weights, loss: 0.0, mined: 0, zero: 0 };
    (0..count).for_each(|anchor| mining.visit(anchor, miner));
    let active = mining.mined - mining.zero;
    let denominator = if miner == Miner::All { active } else { mining.mined }.max(1) as f64;
    let mut weights = mining.weights;
    weights.iter_mut().for_each(|w| *w = (f64::from(*w) / denominator) as f32);
    // Σ w_ij |z_i - z_j|² has the gradient 2 Σ_j (w_ij + w_ji) (z_i - z_j).
    add_transposed(&mut weights, count);
    let mut dz = vec![0.0; z.len()];
    matmul(&weights, z, count, dim, &mut dz);
    for ((dz, z), weights) in dz.chunks_exact_mut(dim).zip(z.chunks_exact(dim)).zip(weights.chunks_exact(count)) {
        let total: f32 = weights.iter().sum();
        dz.iter_mut().zip(z).for_each(|(d, z)| *d = 2.0 * (total * z - *d));
    }
    let pairs = (count * (count - 1)).max(1) as f64;
    EmbeddingLoss {
        loss: mining.loss / denominator,
        dz,
        correct: (0..count).map(|anchor| nearest_is_positive(&distances, groups, anchor)).collect(),
        measures: vec![
            ("zero_gradient", mining.zero as f64 / mining.mined.max(1) as f64),
            ("distance", distances.iter().map(|d| f64::from(*d)).sum::<f64>() / pairs),
        ],
    }
}

/// Sums over the selected triplets.
struct Mining<'a> {
    distances: &'a [f32],
    groups: &'a [usize],
    margin: f32,
    /// Weight of each squared distance in the sum of losses, `[M, M]`.
    weights: Vec<f32>,
    loss: f64,
    mined: usize,
    zero: usize,
}

impl Mining<'_> {
    fn visit(&mut self, anchor: usize, miner: Miner) {
        let count = self.groups.len();
        let row = &self.distances[anchor * count..][..count];
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        for other in (0..count).filter(|&other| other != anchor) {
            let list = if self.groups[other] == self.groups[anchor] { &mut positives } else { &mut negatives };
            list.push(other);
        }
        let nearest = |of: &[usize]| of.iter().copied().min_by(|&a, &b| row[a].total_cmp(&row[b]));
        let farthest = |of: &[usize]| of.iter().copied().min_by(|&a, &b| row[b].total_cmp(&row[a]));
        match miner {
            Miner::All => {
                for &positive in &positives {
                    negatives.iter().for_each(|&negative| self.add(anchor, positive, negative));
                }
            }
            Miner::BatchHard => {
                if let (Some(positive), Some(negative)) = (farthest(&positives), nearest(&negatives)) {
                    self.add(anchor, positive, negative);
                }
            }
            Miner::SemiHard => {
                for &positive in &positives {
                    let beyond: Vec<usize> =
                        negatives.iter().copied().filter(|&negative| row[negative] > row[positive]).collect();
                    if let Some(negative) = nearest(&beyond).or_else(|| farthest(&negatives)) {
                        self.add(anchor, positive, negative);
                    }
                }
            }
        }
    }

    fn add(&mut self, anchor: usize, positive: usize, negative: usize) {
        let count = self.groups.len();
        let [to_positive, to_negative] = [positive, negative].map(|other| anchor * count + other);
        let loss = self.distances[to_positive] - self.distances[to_negative] + self.margin;
        self.mined += 1;
        if loss > 0.0 {
            self.loss += f64::from(loss);
            self.weights[to_positive] += 1.0;
            self.weights[to_negative] -= 1.0;
        } else {
            self.zero += 1;
        }
    }
}

fn nearest_is_positive(distances: &[f32], groups: &[usize], anchor: usize) -> bool {
    let row = &distances[anchor * groups.len()..][..groups.len()];
    let others = (0..groups.len()).filter(|&other| other != anchor);
    others.min_by(|&a, &b| row[a].total_cmp(&row[b])).is_some_and(|nearest| groups[nearest] == groups[anchor])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::contrastive::normalized_loss;
    use crate::rng::Rng;

    const MINERS: [Miner; 3] = [Miner::All, Miner::BatchHard, Miner::SemiHard];

    fn random(seed: u64, len: usize) -> Vec<f32> {
        let mut rng = Rng::for_purpose(seed, "test");
        (0..len).map(|_| rng.normal()).collect()
    }

    /// Squared distance 0 to the positive and 2 to the negatives: no loss at a margin below 2, and above 2 exactly the
    /// difference.
    #[test]
    fn the_loss_is_exactly_zero_inside_the_margin() {
        let z = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
        for miner in MINERS {
            let inside = triplet_loss(&z, &[0, 0, 1, 1], 2, 1.99, miner);
            assert_eq!((inside.loss, inside.measure("zero_gradient")), (0.0, Some(1.0)), "{miner:?}");
            assert_eq!((inside.dz, inside.correct), (vec![0.0; 8], vec![true; 4]), "{miner:?}");
            let outside = triplet_loss(&z, &[0, 0, 1, 1], 2, 2.5, miner);
            assert_eq!((outside.loss, outside.measure("zero_gradient")), (0.5, Some(0.0)), "{miner:?}");
        }
    }

    /// All embeddings are equal: every triplet has the margin as its loss, which is where collapsed mining stays.
    #[test]
    fn the_loss_of_a_collapsed_batch_is_the_margin() {
        let z: Vec<f32> = (0..6).flat_map(|_| [0.6, -0.8]).collect();
        for miner in MINERS {
            let collapsed = triplet_loss(&z, &[0, 0, 1, 1, 2, 2], 2, 0.2, miner);
            let distance = collapsed.measure("distance").unwrap();
            assert!((collapsed.loss - 0.2).abs() < 1e-6 && distance < 1e-6, "{miner:?}: {collapsed:?}");
        }
    }

    /// The loss triplet by triplet from the definition, in f64.
    fn slow(u: &[f64], groups: &[usize], dim: usize, margin: f64, miner: Miner) -> f64 {
        let z: Vec<Vec<f64>> = (u.chunks(dim))
            .map(|row| {
                let length = row.iter().map(|u| u.powi(2)).sum::<f64>().sqrt();
                row.iter().map(|u| u / length).collect()
            })
            .collect();
        let d = |i: usize, j: usize| z[i].iter().zip(&z[j]).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let mut losses = Vec::new();
        let count = groups.len();
        for a in 0..count {
            let of = |same: bool| (0..count).filter(move |&o| o != a && (groups[o] == groups[a]) == same);
            let loss = |to_positive: f64, to_negative: f64| (to_positive - to_negative + margin).max(0.0);
            match miner {
                Miner::All => losses
                    .extend(of(true).flat_map(|p| of(false).map(move |n| (p, n))).map(|(p, n)| loss(d(a, p), d(a, n)))),
                Miner::BatchHard => {
                    let positive = of(true).map(|p| d(a, p)).fold(f64::NEG_INFINITY, f64::max);
                    let negative = of(false).map(|n| d(a, n)).fold(f64::INFINITY, f64::min);
                    losses.push(loss(positive, negative));
                }
                Miner::SemiHard => {
                    for p in of(true) {
                        let beyond = of(false).map(|n| d(a, n)).filter(|&n| n > d(a, p)).fold(f64::INFINITY, f64::min);
                        let farthest = of(false).map(|n| d(a, n)).fold(f64::NEG_INFINITY, f64::max);
                        losses.push(loss(d(a, p), if beyond.is_finite() { beyond } else { farthest }));
                    }
                }
            }
        }
        if miner == Miner::All {
            losses.retain(|&loss| loss > 0.0);
        }
        losses.iter().sum::<f64>() / losses.len() as f64
    }

    #[test]
    fn loss_and_gradient_agree_with_the_slow_version() {
        let (dim, groups) = (4, [0, 0, 1, 1, 1, 2, 2, 0]);
        let u = random(3, groups.len() * dim);
        let wide: Vec<f64> = u.iter().map(|u| f64::from(*u)).collect();
        for miner in MINERS {
            for margin in [0.2f32, 1.0] {
                let found = normalized_loss(&u, dim, |z| triplet_loss(z, &groups, dim, margin, miner));
                let at = |u: &[f64]| slow(u, &groups, dim, f64::from(margin), miner);
                assert!((found.loss - at(&wide)).abs() < 1e-5, "{miner:?} {margin}: {} {}", found.loss, at(&wide));
                for i in 0..u.len() {
                    // A tiny step: mining jumps where two distances are equal.
                    let nudged = |by: f64| {
                        let mut nudged = wide.clone();
                        nudged[i] += by;
                        at(&nudged)
                    };
                    let numeric = (nudged(1e-6) - nudged(-1e-6)) / 2e-6;
                    assert!(
                        (numeric - f64::from(found.dz[i])).abs() < 1e-4,
                        "{miner:?} {margin} {i}: {numeric} {}",
                        found.dz[i]
                    );
                }
            }
        }
    }
}
