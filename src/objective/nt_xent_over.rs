//! NT-Xent over the embeddings of several ranks: each has the rows of its own views, and all views are candidates.
//!
//! Notation as in `nt_xent.rs`: M views of all ranks, m of this one. The similarity is symmetric, so the rows `s_kj` of own
//! views `k` are also the columns `s_jk`, and the softmax of another rank's row is `q_jk = exp(s_kj - l_j)` with
//! `l_j = ln Σ_{i≠j} exp(s_ji)`. After the embeddings the ranks therefore gather M numbers, and
//!
//! ```text
//! dz_k = Σ_j (G_kj + G_jk) z_j / τ,    G_kj = (exp(s_kj - l_k) - [j = p(k)]) / M,    G_jk = (exp(s_kj - l_j) - [j = p(k)]) / M
//! ```
//!
//! is the exact gradient of the loss of all ranks from `m M` similarities. It is returned times `M / m`, as
//! [`Objective`](super::Objective) has it.

use super::contrastive::EmbeddingLoss;
use super::nt_xent::{SOLVED, nt_xent};
use crate::nn::cross_entropy::argmax_rows;
use crate::nn::matrix::{matmul, matmul_bt};
use crate::ranks::Ranks;

/// As [`nt_xent`], where `ranks` have other views of the batch: the loss is the mean over this rank's views, and so are the
/// metrics. `uniformity` is `ln` of the mean over pairs of one of these views with any other.
///
/// * `z`: this rank's views, `[m, P]`, those of an image adjacent
///
/// # Panics
/// When there is no pair.
pub fn nt_xent_over(ranks: Ranks, z: &[f32], dim: usize, temperature: f32) -> EmbeddingLoss {
    if ranks.is_one() {
        return nt_xent(z, dim, temperature);
    }
    let by_rank = ranks.gather_by_rank(z);
    let first = by_rank[..ranks.rank()].iter().map(Vec::len).sum::<usize>() / dim;
    let candidates = by_rank.concat();
    let (own, all) = (z.len() / dim, candidates.len() / dim);
    assert!(own >= 2 && own.is_multiple_of(2), "pairs of views of {dim} dimensions");
    let positive = |view: usize| (first + view) ^ 1;
    let mut similarity = vec![0.0; own * all];
    matmul_bt(z, &candidates, dim, &mut similarity);
    let [alignment, uniformity, distance] = spread(&similarity, all, first);
    similarity.iter_mut().for_each(|s| *s /= temperature);
    // A view is no candidate for itself.
    (0..own).for_each(|view| similarity[view * all + first + view] = f32::NEG_INFINITY);
    let log_sums: Vec<f64> = similarity.chunks_exact(all).map(log_sum).collect();
    let of_positive = |view: usize| f64::from(similarity[view * all + positive(view)]) - log_sums[view];
    let loss = -(0..own).map(of_positive).sum::<f64>() / own as f64;
    let solved = (0..own).filter(|&view| of_positive(view).exp() > SOLVED).count() as f64 / own as f64;
    let correct = argmax_rows(&similarity, all).iter().enumerate().map(|(view, &a)| a == positive(view)).collect();
    let all_log_sums = ranks.gather(&log_sums);
    // G + Gᵀ replaces the similarities.
    for (view, row) in similarity.chunks_exact_mut(all).enumerate() {
        for (s, other) in row.iter_mut().zip(&all_log_sums) {
            let s_wide = f64::from(*s);
            *s = (((s_wide - log_sums[view]).exp() + (s_wide - other).exp()) / own as f64) as f32;
        }
        row[positive(view)] -= 2.0 / own as f32;
    }
    let mut dz = vec![0.0; z.len()];
    matmul(&similarity, &candidates, all, dim, &mut dz);
    dz.iter_mut().for_each(|d| *d /= temperature);
    let measures =
        [("zero_gradient", solved), ("alignment", alignment), ("uniformity", uniformity), ("distance", distance)];
    EmbeddingLoss { loss, dz, correct, measures: measures.to_vec() }
}

/// Alignment, uniformity and mean squared distance of own rows of cosines `[m, M]`; row 0 is view `first`.
fn spread(cosines: &[f32], all: usize, first: usize) -> [f64; 3] {
    let (mut positives, mut uniform, mut distances) = (0.0, 0.0, 0.0);
    for (view, row) in cosines.chunks_exact(all).enumerate() {
        positives += 2.0 - 2.0 * f64::from(row[(first + view) ^ 1]);
        let others = || row.iter().enumerate().filter(|(other, _)| *other != first + view).map(|(_, c)| f64::from(*c));
        uniform += others().map(|cosine| (4.0 * (cosine - 1.0)).exp()).sum::<f64>();
        distances += others().map(|cosine| 2.0 - 2.0 * cosine).sum::<f64>();
    }
    let own = (cosines.len() / all) as f64;
    let pairs = own * (all - 1) as f64;
    [positives / own, (uniform / pairs).ln(), distances / pairs]
}

/// `ln Σ exp(s)`. Subtracting the largest value first keeps `exp` finite.
fn log_sum(row: &[f32]) -> f64 {
    let max = row.iter().fold(f32::NEG_INFINITY, |max, &s| max.max(s));
    f64::from(max) + row.iter().map(|&s| f64::from(s - max).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::l2_normalize::l2_normalize;
    use crate::ranks::threads::run;
    use crate::rng::Rng;

    /// Two and three ranks, the latter with parts of different lengths, against one process with all views.
    #[test]
    fn loss_and_gradient_are_those_of_one_process() {
        let (images, dim) = (10, 6);
        let mut rng = Rng::for_purpose(4, "test");
        let u: Vec<f32> = (0..2 * images * dim).map(|_| rng.normal()).collect();
        let mut z = vec![0.0; u.len()];
        l2_normalize(&mut z, &u, dim);
        for (size, temperature) in [(2, 0.1f32), (3, 0.5)] {
            let expected = nt_xent(&z, dim, temperature);
            let found = run(size, |ranks| {
                let part = ranks.part(images);
                let own = &z[2 * part.first * dim..2 * part.range().end * dim];
                (part.images as f32 / images as f32, nt_xent_over(ranks, own, dim, temperature))
            });
            let loss: f64 = found.iter().map(|(weight, own)| f64::from(*weight) * own.loss).sum();
            assert!((loss - expected.loss).abs() < 1e-6 * expected.loss, "{loss} {}", expected.loss);
            let dz: Vec<f32> = found.iter().flat_map(|(weight, own)| own.dz.iter().map(move |d| weight * d)).collect();
            let largest = expected.dz.iter().fold(0.0f32, |max, d| max.max(d.abs()));
            for (found, expected) in dz.iter().zip(&expected.dz) {
                assert!((found - expected).abs() < 1e-5 * largest, "{found} {expected}");
            }
            let correct: Vec<bool> = found.iter().flat_map(|(_, own)| own.correct.clone()).collect();
            assert_eq!(correct, expected.correct);
            for name in ["alignment", "distance", "zero_gradient"] {
                let mean: f64 = found.iter().map(|(weight, own)| f64::from(*weight) * own.measure(name).unwrap()).sum();
                assert!((mean - expected.measure(name).unwrap()).abs() < 1e-6, "{name}");
            }
        }
    }
}
