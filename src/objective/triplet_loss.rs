//! Triplet loss: an anchor must lie nearer to its positive than to a negative, by a margin.
//!
//! Schroff et al. 2015 (FaceNet), arXiv:1503.03832, equation 3: `max(0, |a - p|² - |a - n|² + c)` for embeddings of
//! unit length. M embeddings, P dimensions; embeddings of the same group are positives of each other.

use serde::{Deserialize, Serialize};

use super::nt_xent::add_transposed;
use crate::nn::l2_normalize::{l2_normalize, l2_normalize_backward};
use crate::nn::matrix::{matmul, matmul_bt};

/// Which triplets of a batch are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Miner {
    /// All of them; the mean is over those that cost anything (Hermans et al. 2017, arXiv:1703.07737, "batch all").
    All,
    /// For each anchor the farthest positive and the nearest negative (the same, "batch hard").
    BatchHard,
    /// For each pair the nearest negative that is farther than the positive, or the farthest of all
    /// where none is (Schroff et al., section 3.2).
    SemiHard,
}

/// What [`triplet_loss`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Triplets {
    /// Mean loss; of [`Miner::All`] over the triplets that cost anything.
    pub loss: f64,
    /// Triplets looked at.
    pub mined: usize,
    /// Share of them that cost nothing and so teach nothing.
    pub zero_loss: f64,
    /// For each embedding whether its nearest neighbour is of its group; none where its group has no other.
    pub found: Vec<Option<bool>>,
    /// Mean squared distance over all pairs; near 0 when all embeddings fell together.
    pub distance: f64,
}

/// Loss of the embeddings `u` (of any length; brought to unit length here) with its gradient.
///
/// * `du`: `[M, P]`, overwritten
/// * `u`: `[M, P]`
/// * `groups`: `[M]`
/// * `margin`: `c`, above 0
///
/// # Panics
/// When the lengths do not fit.
pub fn triplet_loss(du: &mut [f32], u: &[f32], groups: &[usize], dim: usize, margin: f32, miner: Miner) -> Triplets {
    let count = groups.len();
    assert!(u.len() == count * dim && du.len() == u.len(), "{count} embeddings of {dim} dimensions");
    let mut z = vec![0.0; u.len()];
    let inverse_lengths = l2_normalize(&mut z, u, dim);
    let mut distances = vec![0.0; count * count];
    matmul_bt(&z, &z, dim, &mut distances);
    // |a - b|² = 2 - 2 a·b at unit length; rounding may leave it slightly below 0.
    distances.iter_mut().for_each(|cosine| *cosine = (2.0 - 2.0 * *cosine).max(0.0));
    let mut mining = Mining { distances: &distances, groups, margin, pull: vec![0.0; count * count], ..Mining::EMPTY };
    (0..count).for_each(|anchor| mining.visit(anchor, miner));
    let costly = mining.mined - mining.zero;
    let denominator = if miner == Miner::All { costly } else { mining.mined }.max(1) as f64;
    let mut pull = mining.pull;
    pull.iter_mut().for_each(|w| *w = (f64::from(*w) / denominator) as f32);
    // Σ w_ij |z_i - z_j|² has the gradient 2 Σ_j (w_ij + w_ji) (z_i - z_j).
    add_transposed(&mut pull, count);
    matmul(&pull, &z, count, dim, du);
    for ((du, z), pulls) in du.chunks_exact_mut(dim).zip(z.chunks_exact(dim)).zip(pull.chunks_exact(count)) {
        let total: f32 = pulls.iter().sum();
        du.iter_mut().zip(z).for_each(|(d, z)| *d = 2.0 * (total * z - *d));
    }
    l2_normalize_backward(du, &z, &inverse_lengths, dim);
    Triplets {
        loss: mining.loss / denominator,
        mined: mining.mined,
        zero_loss: mining.zero as f64 / mining.mined.max(1) as f64,
        found: (0..count).map(|anchor| nearest_is_positive(&distances, groups, anchor)).collect(),
        distance: distances.iter().map(|d| f64::from(*d)).sum::<f64>() / (count * (count - 1)).max(1) as f64,
    }
}

/// Triplets as they are gathered.
struct Mining<'a> {
    distances: &'a [f32],
    groups: &'a [usize],
    margin: f32,
    /// How much each squared distance weighs in the sum of losses, `[M, M]`.
    pull: Vec<f32>,
    loss: f64,
    mined: usize,
    zero: usize,
}

impl Mining<'_> {
    const EMPTY: Self =
        Self { distances: &[], groups: &[], margin: 0.0, pull: Vec::new(), loss: 0.0, mined: 0, zero: 0 };

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
            self.pull[to_positive] += 1.0;
            self.pull[to_negative] -= 1.0;
        } else {
            self.zero += 1;
        }
    }
}

fn nearest_is_positive(distances: &[f32], groups: &[usize], anchor: usize) -> Option<bool> {
    let count = groups.len();
    let row = &distances[anchor * count..][..count];
    let others = || (0..count).filter(|&other| other != anchor);
    others().find(|&other| groups[other] == groups[anchor])?;
    let nearest = others().min_by(|&a, &b| row[a].total_cmp(&row[b]))?;
    Some(groups[nearest] == groups[anchor])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    const MINERS: [Miner; 3] = [Miner::All, Miner::BatchHard, Miner::SemiHard];

    fn random(seed: u64, len: usize) -> Vec<f32> {
        let mut rng = Rng::for_purpose(seed, "test");
        (0..len).map(|_| rng.normal()).collect()
    }

    /// Squared distance 0 to the positive and 2 to the negatives: exactly nothing below a margin of 2, and above it
    /// exactly what is missing.
    #[test]
    fn the_loss_is_exactly_zero_inside_the_margin() {
        let u = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
        for miner in MINERS {
            let mut du = [9.0; 8];
            let inside = triplet_loss(&mut du, &u, &[0, 0, 1, 1], 2, 1.99, miner);
            assert_eq!((inside.loss, inside.zero_loss, du), (0.0, 1.0, [0.0; 8]), "{miner:?}");
            assert_eq!(inside.found, [Some(true); 4]);
            let outside = triplet_loss(&mut du, &u, &[0, 0, 1, 1], 2, 2.5, miner);
            assert_eq!((outside.loss, outside.zero_loss), (0.5, 0.0), "{miner:?}");
        }
    }

    /// All embeddings fell together: every triplet costs the margin, which is where collapsed mining sits.
    #[test]
    fn a_collapsed_batch_costs_the_margin() {
        let u: Vec<f32> = (0..6).flat_map(|_| [0.3, -0.4]).collect();
        for miner in MINERS {
            let collapsed = triplet_loss(&mut [0.0; 12], &u, &[0, 0, 1, 1, 2, 2], 2, 0.2, miner);
            assert!((collapsed.loss - 0.2).abs() < 1e-6 && collapsed.distance < 1e-6, "{miner:?}: {collapsed:?}");
        }
    }

    /// Slow version: every triplet from the definition, in f64, with the miner's choice spelt out.
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
                let mut du = vec![9.0; u.len()];
                let found = triplet_loss(&mut du, &u, &groups, dim, margin, miner);
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
                    assert!((numeric - f64::from(du[i])).abs() < 1e-4, "{miner:?} {margin} {i}: {numeric} {}", du[i]);
                }
            }
        }
    }
}
