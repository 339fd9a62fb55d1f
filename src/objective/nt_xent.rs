//! NT-Xent, the normalised temperature-scaled cross-entropy: which of all other views in the batch is of my image?
//!
//! Chen et al. 2020, arXiv:2002.05709, equation 1. N images in two views each, P dimensions.

use crate::nn::cross_entropy::{argmax_rows, cross_entropy};
use crate::nn::l2_normalize::{l2_normalize, l2_normalize_backward};
use crate::nn::matrix::{matmul, matmul_bt};

/// What [`nt_xent`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Contrast {
    /// Mean over the 2N views.
    pub loss: f64,
    /// For each view, whether its partner is the nearest of all others.
    pub found: Vec<bool>,
    /// Share of views whose gradient is nearly nothing: the partner has a probability above 0.999 already.
    pub solved: f64,
    /// Mean squared distance of partners, 0 to 4 (Wang and Isola 2020, arXiv:2005.10242, "alignment").
    pub alignment: f64,
    /// `ln` of the mean of `exp(-2 |z_i - z_j|²)` over different views; 0 when all fell together (the same, "uniformity").
    pub uniformity: f64,
    /// Mean squared distance of different views, 0 to 4; near 0 when all fell together.
    pub distance: f64,
}

/// A view with at least this probability for its partner teaches next to nothing any more.
const SOLVED: f64 = 0.999;

/// Loss of the projections `u` with its gradient.
///
/// With `z = u / |u|` and `s_ij = z_i · z_j / τ`, the loss of view `i` with partner `p` is
/// `-s_ip + ln Σ_{j ≠ i} exp(s_ij)`. Its gradient with respect to `s` is softmax minus one-hot; `s` is symmetric, so
/// `dz = (G + Gᵀ) z / τ`.
///
/// * `du`: `[2N, P]`, overwritten
/// * `u`: `[2N, P]`, the two views of an image one after the other
/// * `temperature`: `τ`, above 0
///
/// # Panics
/// When there is no pair or the lengths do not fit.
pub fn nt_xent(du: &mut [f32], u: &[f32], dim: usize, temperature: f32) -> Contrast {
    let views = u.len() / dim;
    assert!(views >= 2 && views.is_multiple_of(2) && du.len() == u.len(), "pairs of views of {dim} dimensions");
    let mut z = vec![0.0; u.len()];
    let inverse_lengths = l2_normalize(&mut z, u, dim);
    let mut similarity = vec![0.0; views * views];
    matmul_bt(&z, &z, dim, &mut similarity);
    let partner = |view: usize| view ^ 1;
    let (alignment, uniformity, distance) = spread(&similarity, views);
    similarity.iter_mut().for_each(|s| *s /= temperature);
    // A view is no candidate for itself.
    (0..views).for_each(|view| similarity[view * views + view] = f32::NEG_INFINITY);
    let targets: Vec<usize> = (0..views).map(partner).collect();
    let mut gradient = vec![0.0; similarity.len()];
    let loss = cross_entropy(&mut gradient, &similarity, &targets, 0.0);
    let found = argmax_rows(&similarity, views).iter().zip(&targets).map(|(a, b)| a == b).collect();
    // Before the division by the number of views, the partner's gradient is its probability less 1.
    let missing = |view: usize| -f64::from(gradient[view * views + partner(view)]) * views as f64;
    let solved = (0..views).filter(|&view| missing(view) < 1.0 - SOLVED).count() as f64 / views as f64;
    add_transposed(&mut gradient, views);
    matmul(&gradient, &z, views, dim, du);
    du.iter_mut().for_each(|d| *d /= temperature);
    l2_normalize_backward(du, &z, &inverse_lengths, dim);
    Contrast { loss, found, solved, alignment, uniformity, distance }
}

/// Alignment, uniformity and mean squared distance from cosines `[M, M]`: `|z_i - z_j|² = 2 - 2 cos`.
fn spread(cosines: &[f32], views: usize) -> (f64, f64, f64) {
    let (mut partners, mut all, mut distances) = (0.0, 0.0, 0.0);
    for (view, row) in cosines.chunks_exact(views).enumerate() {
        partners += 2.0 - 2.0 * f64::from(row[view ^ 1]);
        // Each pair once.
        all += row[..view].iter().map(|&cosine| (4.0 * (f64::from(cosine) - 1.0)).exp()).sum::<f64>();
        distances += row[..view].iter().map(|&cosine| 2.0 - 2.0 * f64::from(cosine)).sum::<f64>();
    }
    let pairs = (views * (views - 1) / 2) as f64;
    (partners / views as f64, (all / pairs).ln(), distances / pairs)
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
    use crate::rng::Rng;

    fn random(seed: u64, len: usize) -> Vec<f32> {
        let mut rng = Rng::for_purpose(seed, "test");
        (0..len).map(|_| rng.normal()).collect()
    }

    /// Every other view is as near as the partner: 2N - 1 equal candidates.
    #[test]
    fn identical_views_cost_the_logarithm_of_the_candidates() {
        for (images, temperature) in [(1, 0.1), (2, 1.0), (4, 0.5), (33, 0.2), (100, 0.07)] {
            let u: Vec<f32> = (0..2 * images).flat_map(|_| [3.0, -1.0, 0.5]).collect();
            let mut du = vec![9.0; u.len()];
            let contrast = nt_xent(&mut du, &u, 3, temperature);
            let expected = ((2 * images - 1) as f64).ln();
            assert!((contrast.loss - expected).abs() < 1e-5, "{} {expected}", contrast.loss);
            assert!(contrast.alignment.abs() < 1e-5 && contrast.uniformity.abs() < 1e-5);
            assert!(contrast.distance.abs() < 1e-5);
            assert!(du.iter().all(|d| d.abs() < 1e-4), "no direction is better than another");
        }
    }

    /// Two images whose views are one and opposite: the partner at 1/τ, both others at -1/τ.
    #[test]
    fn opposite_images_in_closed_form() {
        let u = [2.0, 0.0, 5.0, 0.0, -1.0, 0.0, -3.0, 0.0];
        let contrast = nt_xent(&mut [0.0; 8], &u, 2, 0.5);
        let expected = (1.0 + 2.0 * (-4.0f64).exp()).ln();
        assert!((contrast.loss - expected).abs() < 1e-6, "{} {expected}", contrast.loss);
        assert_eq!(contrast.found, [true; 4]);
        assert!((contrast.distance - 4.0 * 4.0 / 6.0).abs() < 1e-6, "{}", contrast.distance);
        let uniform = ((2.0 + 4.0 * (-8.0f64).exp()) / 6.0).ln();
        assert!((contrast.uniformity - uniform).abs() < 1e-6, "{} {uniform}", contrast.uniformity);
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
            let mut du = vec![9.0; u.len()];
            let contrast = nt_xent(&mut du, &u, dim, temperature);
            let expected = slow(&u, dim, f64::from(temperature));
            assert!((contrast.loss - expected).abs() < 1e-5 * expected, "{} {expected}", contrast.loss);
            for i in 0..u.len() {
                let at = |by: f32| {
                    let mut nudged = u.clone();
                    nudged[i] += by;
                    slow(&nudged, dim, f64::from(temperature))
                };
                let numeric = (at(1.0 / 1024.0) - at(-1.0 / 1024.0)) * 512.0;
                assert!((numeric - f64::from(du[i])).abs() < 1e-4, "τ {temperature}, {i}: {numeric} {}", du[i]);
            }
        }
    }
}
