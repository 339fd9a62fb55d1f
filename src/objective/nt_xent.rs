//! NT-Xent, the normalised temperature-scaled cross-entropy: find the other view of an image among all views of a batch.
//!
//! Chen et al. 2020, arXiv:2002.05709, equation 1. N images in two views each give M = 2N embeddings `z_i` of unit length
//! and P dimensions; the positive of view `i` is the other view `p(i)` of its image.
//!
//! **Loss.** With the similarities `s_ij = z_i · z_j / τ`, each view is a classification over the other M - 1 views:
//!
//! ```text
//! l_i = -s_ip(i) + ln Σ_{j≠i} exp(s_ij)        L = (1/M) Σ_i l_i
//! ```
//!
//! **Gradient.** Let `q_ij = exp(s_ij) / Σ_{k≠i} exp(s_ik)` be the softmax of row `i` without its diagonal. Then
//! `∂L/∂s_ij = G_ij = (q_ij - [j = p(i)]) / M`, and `G_ii = 0`. Each embedding occurs in its own row and in the columns of all
//! other rows, with `∂s_ij/∂z_i = z_j / τ` and `∂s_ij/∂z_j = z_i / τ`. So
//!
//! ```text
//! dz_k = Σ_j G_kj z_j / τ + Σ_i G_ik z_i / τ,   that is   dz = (G + Gᵀ) z / τ
//! ```
//!
//! Descent pulls `z_k` towards its positive with weight `1 - q_kp(k)` and pushes it away from every other view with weight
//! `q_kj`: the nearest negatives count most, and more so at a low temperature. The embeddings come from `z = u / |u|`, whose
//! Jacobian is `(I - z zᵀ) / |u|`; [`normalized_loss`](super::normalized_loss) applies it, which removes the part of `dz` along
//! `z`. If all embeddings are equal, `dz` is parallel to `z` and nothing remains: a collapse is a stationary point with loss
//! `ln(M - 1)`, so the loss alone does not show it.

use super::contrastive::EmbeddingLoss;
use crate::nn::cross_entropy::{argmax_rows, cross_entropy};
use crate::nn::matrix::{matmul, matmul_bt};

/// A view whose positive has at least this probability has next to no gradient.
pub(super) const SOLVED: f64 = 0.999;

/// Loss of embeddings of unit length, with its gradient.
///
/// Metrics: `alignment` is the mean squared distance of positives, 0 to 4, and `uniformity` is `ln` of the mean of
/// `exp(-2 |z_i - z_j|²)` over different views, 0 after a collapse (Wang and Isola 2020, arXiv:2005.10242).
///
/// * `z`: `[2N, P]`, the two views of an image adjacent
/// * `dim`: P
/// * `temperature`: `τ`, above 0
///
/// # Panics
/// When there is no pair.
pub fn nt_xent(z: &[f32], dim: usize, temperature: f32) -> EmbeddingLoss {
    let views = z.len() / dim;
    assert!(views >= 2 && views.is_multiple_of(2), "pairs of views of {dim} dimensions");
    let mut similarity = vec![0.0; views * views];
    matmul_bt(z, z, dim, &mut similarity);
    let positive = |view: usize| view ^ 1;
    let (alignment, uniformity, distance) = spread(&similarity, views);
    similarity.iter_mut().for_each(|s| *s /= temperature);
    // A view is no candidate for itself.
    (0..views).for_each(|view| similarity[view * views + view] = f32::NEG_INFINITY);
    let targets: Vec<usize> = (0..views).map(positive).collect();
    let mut gradient = vec![0.0; similarity.len()];
    let loss = cross_entropy(&mut gradient, &similarity, &targets, 0.0);
    let correct = argmax_rows(&similarity, views).iter().zip(&targets).map(|(a, b)| a == b).collect();
    // M times the positive's gradient is its probability less 1.
    let missing = |view: usize| -f64::from(gradient[view * views + positive(view)]) * views as f64;
    let solved = (0..views).filter(|&view| missing(view) < 1.0 - SOLVED).count() as f64 / views as f64;
    add_transposed(&mut gradient, views);
    let mut dz = vec![0.0; z.len()];
    matmul(&gradient, z, views, dim, &mut dz);
    dz.iter_mut().for_each(|d| *d /= temperature);
    let measures =
        [("zero_gradient", solved), ("alignment", alignment), ("uniformity", uniformity), ("distance", distance)];
    EmbeddingLoss { loss, dz, correct, measures: measures.to_vec() }
}

/// Alignment, uniformity and mean squared distance from cosines `[M, M]`: `|z_i - z_j|² = 2 - 2 cos`.
fn spread(cosines: &[f32], views: usize) -> (f64, f64, f64) {
    let (mut positives, mut all, mut distances) = (0.0, 0.0, 0.0);
    for (view, row) in cosines.chunks_exact(views).enumerate() {
        positives += 2.0 - 2.0 * f64::from(row[view ^ 1]);
        // Each pair once.
        all += row[..view].iter().map(|&cosine| (4.0 * (f64::from(cosine) - 1.0)).exp()).sum::<f64>();
        distances += row[..view].iter().map(|&cosine| 2.0 - 2.0 * f64::from(cosine)).sum::<f64>();
    }
    let pairs = (views * (views - 1) / 2) as f64;
    (positives / views as f64, (all / pairs).ln(), distances / pairs)
}

/// `a += aᵀ` for a square matrix.
pub(super) fn add_transposed(a: &mut [f32], side: usize) {
    for row in 0..side {
        for column in 0..=row {
            let sum = a[row * side + column] + a[column * side + row];
            (a[row * side + column], a[column * side + row]) = (sum, sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::contrastive::normalized_loss;
    use crate::objective::gradient_check::check_gradient;
    use crate::rng::Rng;

    fn random(seed: u64, len: usize) -> Vec<f32> {
        let mut rng = Rng::for_purpose(seed, "test");
        (0..len).map(|_| rng.normal()).collect()
    }

    /// Every other view is as near as the positive: 2N - 1 equal candidates.
    #[test]
    fn identical_views_cost_the_logarithm_of_the_candidates() {
        for (images, temperature) in [(1, 0.1), (2, 1.0), (4, 0.5), (33, 0.2), (100, 0.07)] {
            let u: Vec<f32> = (0..2 * images).flat_map(|_| [3.0, -1.0, 0.5]).collect();
            let found = normalized_loss(&u, 3, |z| nt_xent(z, 3, temperature));
            let expected = ((2 * images - 1) as f64).ln();
            assert!((found.loss - expected).abs() < 1e-5, "{} {expected}", found.loss);
            for name in ["alignment", "uniformity", "distance"] {
                assert!(found.measure(name).unwrap().abs() < 1e-5, "{name}");
            }
            assert!(found.dz.iter().all(|d| d.abs() < 1e-4), "no direction is better than another");
        }
    }

    /// Two images whose views are equal and opposite: the positive at 1/τ, both others at -1/τ.
    #[test]
    fn opposite_images_in_closed_form() {
        let z = [1.0, 0.0, 1.0, 0.0, -1.0, 0.0, -1.0, 0.0];
        let found = nt_xent(&z, 2, 0.5);
        let expected = (1.0 + 2.0 * (-4.0f64).exp()).ln();
        assert!((found.loss - expected).abs() < 1e-6, "{} {expected}", found.loss);
        assert_eq!(found.correct, [true; 4]);
        let uniform = ((2.0 + 4.0 * (-8.0f64).exp()) / 6.0).ln();
        for (name, expected) in [("distance", 4.0 * 4.0 / 6.0), ("uniformity", uniform)] {
            assert!((found.measure(name).unwrap() - expected).abs() < 1e-6, "{name}: {found:?}");
        }
    }

    /// The loss pair by pair, in f64, as equation 1 has it.
    fn slow(u: &[f32], dim: usize, temperature: f64) -> f64 {
        let rows: Vec<Vec<f64>> = (u.chunks(dim))
            .map(|row| {
                let length = row.iter().map(|u| f64::from(*u).powi(2)).sum::<f64>().sqrt();
                row.iter().map(|u| f64::from(*u) / length).collect()
            })
            .collect();
        let s = |i: usize, j: usize| rows[i].iter().zip(&rows[j]).map(|(a, b)| a * b).sum::<f64>() / temperature;
        let of = |i: usize| {
            let others: f64 = (0..rows.len()).filter(|&j| j != i).map(|j| s(i, j).exp()).sum();
            others.ln() - s(i, i ^ 1)
        };
        (0..rows.len()).map(of).sum::<f64>() / rows.len() as f64
    }

    #[test]
    fn loss_and_gradient_agree_with_the_slow_version() {
        for (seed, temperature) in [(1, 0.1f32), (2, 0.5), (3, 1.0)] {
            let (dim, u) = (6, random(seed, 8 * 6));
            let found = normalized_loss(&u, dim, |z| nt_xent(z, dim, temperature));
            let expected = slow(&u, dim, f64::from(temperature));
            assert!((found.loss - expected).abs() < 1e-5 * expected.abs(), "{} {expected}", found.loss);
            check_gradient(&found.dz, &u, 1.0 / 1024.0, 1e-4, |u| slow(u, dim, f64::from(temperature)));
        }
    }
}
