//! Collapse metrics: how well features still distinguish images, measured without labels.
//!
//! N features of D dimensions, `[N, D]` row-major. An encoder *collapses* when all images get the same feature, or features
//! that differ along a few directions only. Wang and Isola 2020, arXiv:2005.10242, section 4.1.1 (alignment and
//! uniformity); Roy and Vetterli 2007, "The effective rank" (rank); Chen and He 2021, arXiv:2011.10566, figure 2
//! (deviation of unit-length features).

use crate::nn::matrix::matmul_bt;

use super::eigen::eigen;
use super::l2_normalize_rows;

/// Mean squared distance at unit length between two views of the same image: 0 for identical features, 2 for unrelated
/// ones, at most 4.
///
/// * `views`, `others`: `[N, D]`, N at least 1; row n of both shows one image
pub fn alignment(views: &[f32], others: &[f32], dim: usize) -> f64 {
    let (views, others) = (l2_normalize_rows(views, dim), l2_normalize_rows(others, dim));
    let squared_distance = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
    views.iter().zip(&others).map(squared_distance).sum::<f64>() / (views.len() / dim) as f64
}

/// `ln` of the mean of `exp(-2 |z_i - z_j|²)` over all pairs of rows at unit length: 0 if all rows are equal, about -4 if
/// they cover the sphere evenly.
///
/// * `features`: `[N, D]`; NaN if N is below 2, as there is no pair
pub fn uniformity(features: &[f32], dim: usize) -> f64 {
    let (rows, count) = (l2_normalize_rows(features, dim), features.len() / dim);
    if count < 2 {
        return f64::NAN;
    }
    let mut cosines = vec![0.0; count];
    let mut sum = 0.0;
    for (index, row) in rows.chunks_exact(dim).enumerate().skip(1) {
        matmul_bt(row, &rows[..index * dim], dim, &mut cosines[..index]);
        // -2 |a - b|² = -4 (1 - a·b) at unit length; each pair once.
        sum += cosines[..index].iter().map(|&cosine| (4.0 * (f64::from(cosine) - 1.0)).exp()).sum::<f64>();
    }
    (sum / (count * (count - 1) / 2) as f64).ln()
}

/// Mean over the dimensions of the standard deviation at unit length, times `√D`: 1 for evenly distributed directions, 0 if
/// all rows are equal.
pub fn deviation(features: &[f32], dim: usize) -> f64 {
    let rows = l2_normalize_rows(features, dim);
    let (means, count) = (means_of(&rows, dim), rows.len() / dim);
    let mut squares = vec![0.0f64; dim];
    for row in rows.chunks_exact(dim) {
        let deviations = row.iter().zip(&means).map(|(value, mean)| (f64::from(*value) - mean).powi(2));
        squares.iter_mut().zip(deviations).for_each(|(sum, square)| *sum += square);
    }
    squares.iter().map(|sum| (sum / count as f64).sqrt()).sum::<f64>() / (dim as f64).sqrt()
}

/// Effective number of directions in which the features differ: `exp` of the entropy of `σ_i / Σ σ`, with the singular
/// values `σ` of the centred features. 1 to D; 0 if all rows are equal.
///
/// * `features`: `[N, D]`, rows of any length
pub fn effective_rank(features: &[f32], dim: usize) -> f64 {
    let singular: Vec<f64> = (eigen(covariance(features, dim), dim).values.into_iter())
        // Rounding can make an eigenvalue slightly negative.
        .map(|value| value.max(0.0).sqrt())
        .collect();
    let sum: f64 = singular.iter().sum();
    if sum == 0.0 {
        return 0.0;
    }
    let shares = singular.iter().map(|value| value / sum).filter(|&share| share > 0.0);
    (-shares.map(|share| share * share.ln()).sum::<f64>()).exp()
}

fn means_of(rows: &[f32], dim: usize) -> Vec<f64> {
    let mut means = vec![0.0; dim];
    for row in rows.chunks_exact(dim) {
        means.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let count = (rows.len() / dim) as f64;
    means.iter_mut().for_each(|sum| *sum /= count);
    means
}

/// `[D, D]`.
fn covariance(features: &[f32], dim: usize) -> Vec<f64> {
    let means = means_of(features, dim);
    let mut sums = vec![0.0; dim * dim];
    for row in features.chunks_exact(dim) {
        let centred: Vec<f64> = row.iter().zip(&means).map(|(value, mean)| f64::from(*value) - mean).collect();
        for (sums, left) in sums.chunks_exact_mut(dim).zip(&centred) {
            sums.iter_mut().zip(&centred).for_each(|(sum, right)| *sum += left * right);
        }
    }
    let count = (features.len() / dim) as f64;
    sums.iter_mut().for_each(|sum| *sum /= count);
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn random(seed: u64, rows: usize, dim: usize) -> Vec<f32> {
        let mut rng = Rng::for_purpose(seed, "test");
        (0..rows * dim).map(|_| rng.normal()).collect()
    }

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() < tolerance, "found {found}, expected {expected}");
    }

    #[test]
    fn collapsed_features_have_no_deviation_and_no_rank() {
        let features = [0.3f32, -2.0, 1.0].repeat(50);
        close(uniformity(&features, 3), 0.0, 1e-6);
        close(deviation(&features, 3), 0.0, 1e-6);
        close(effective_rank(&features, 3), 0.0, 1e-12);
        assert_eq!(effective_rank(&[0.0; 30], 3), 0.0);
        assert_eq!(deviation(&[0.0; 30], 3), 0.0);
    }

    #[test]
    fn uniformity_of_a_single_feature_is_nan() {
        assert!(uniformity(&[1.0, 2.0], 2).is_nan() && uniformity(&[], 2).is_nan());
        assert_eq!((effective_rank(&[1.0, 2.0], 2), deviation(&[1.0, 2.0], 2)), (0.0, 0.0));
    }

    /// Two opposite points: |a - b|² = 4 for 4 of the 6 pairs.
    #[test]
    fn opposite_points_match_the_closed_form() {
        let features = [2.0, 0.0, 5.0, 0.0, -1.0, 0.0, -7.0, 0.0];
        close(uniformity(&features, 2), ((2.0 + 4.0 * (-8.0f64).exp()) / 6.0).ln(), 1e-6);
        // Deviations 1 and 0, times √2 over two dimensions.
        close(deviation(&features, 2), 1.0 / 2f64.sqrt(), 1e-6);
        close(effective_rank(&features, 2), 1.0, 1e-9);
        close(alignment(&features[..4], &features[4..], 2), 4.0, 1e-6);
        close(alignment(&[1.0, 0.0, 0.0, 3.0], &[4.0, 0.0, 1.0, 0.0], 2), 1.0, 1e-6);
    }

    /// A different spread along each axis of a rotated frame: singular values in the ratio 3 : 2 : 1.
    #[test]
    fn effective_rank_matches_the_closed_form_in_a_rotated_frame() {
        let (c, s) = (0.6f32, 0.8f32);
        let axes = [[c, s, 0.0], [-s * c, c * c, s], [s * s, -s * c, c]];
        let mut features = Vec::new();
        for (axis, spread) in axes.iter().zip([3.0f32, 2.0, 1.0]) {
            for sign in [1.0, -1.0] {
                features.extend(axis.iter().map(|x| 10.0 + sign * spread * x));
            }
        }
        let entropy: f64 = [3.0f64, 2.0, 1.0].iter().map(|x| -(x / 6.0) * (x / 6.0).ln()).sum();
        close(effective_rank(&features, 3), entropy.exp(), 1e-5);
    }

    #[test]
    fn evenly_distributed_features_have_deviation_1_and_full_rank() {
        let features = random(1, 4000, 8);
        close(deviation(&features, 8), 1.0, 0.02);
        close(effective_rank(&features, 8), 8.0, 0.05);
        assert!(uniformity(&features, 8) < -2.5);
    }
}
