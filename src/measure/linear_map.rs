//! Fits the linear map of a readout to pooled values of unlabelled images.
//!
//! N images, P pooled values, D outputs.
//!
//! 1. *Standardise*: each pooled value is centred and divided by its deviation, as heads would do. A deviation far below the
//!    typical pooled value is noise in f16 and int8, so a small share of that value is added to it ([`FLOOR_SHARE`]); a value
//!    that never varies is left out.
//! 2. *Project* onto the D leading eigenvectors of the covariance of these values (PCA). They keep most of the variance.
//! 3. *Whiten*, if asked for: divide each component by `√(λ + r)`, its eigenvalue `λ` and [`WHITEN_REGULARISATION`] `r`.
//! 4. *Balance*: rotate the components among themselves until all have the same variance. Distances do not change. But heads
//!    divide every dimension of a feature by its deviation over the corpus, which would amplify the last components, mostly
//!    noise, to the size of the first: the rotation makes that division the same for all.
//!
//! All four are linear and become one weight and one bias. They are computed in f64 in a fixed order.

use rayon::prelude::*;

use super::eigen::eigen;
use crate::encoder::{LinearMap, Readout};

/// Most images that a map is fitted to: five for each of the largest number of pooled values.
pub const FIT_IMAGES_MAX: usize = 5_000;

/// Added to the variance of a pooled value, as a share of the mean square of all pooled values: below a three-hundredth of their
/// root mean square a deviation is damped.
const FLOOR_SHARE: f64 = 1e-5;

/// Added to an eigenvalue in whitening. Standardised values have a mean eigenvalue of 1, so components with less than a tenth
/// of the mean variance are not amplified to that of the others.
const WHITEN_REGULARISATION: f64 = 0.1;

/// A variance below this share of the mean square is rounding, as in [`crate::encoder::CorpusStatistics`].
const VARIANCE_MIN: f64 = 1e-12;

/// Rows of the covariance per task. Each entry is one sum over the images, so tasks do not change it.
const ROWS: usize = 16;

/// A linear map could not be fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    /// A map needs images.
    #[error("the linear map of the readout is fitted to at least 2 images, found {found}")]
    TooFew {
        /// Images found.
        found: usize,
    },
    /// A map has 1 to P outputs.
    #[error("the linear map has {dim} outputs, it can have 1 to {pooled}")]
    Outputs {
        /// Outputs requested.
        dim: usize,
        /// P.
        pooled: usize,
    },
    /// A pooled value is not finite.
    #[error("pooled value {position} of image {image} is not finite")]
    NotFinite {
        /// Index of the image.
        image: usize,
        /// Index of the value.
        position: usize,
    },
}

/// The linear map of `readout` to `dim` outputs, fitted to `pooled` `[N, P]`.
///
/// # Errors
/// Fewer than two images, a value that is not finite, or more outputs than pooled values.
pub fn fit_linear_map(pooled: &[f32], pooled_len: usize, readout: Readout, dim: usize) -> Result<LinearMap, FitError> {
    let images = pooled.len() / pooled_len;
    if images < 2 {
        return Err(FitError::TooFew { found: images });
    }
    if !(1..=pooled_len).contains(&dim) {
        return Err(FitError::Outputs { dim, pooled: pooled_len });
    }
    if let Some(at) = pooled.iter().position(|value| !value.is_finite()) {
        return Err(FitError::NotFinite { image: at / pooled_len, position: at % pooled_len });
    }
    let Scaling { mean, scale } = Scaling::of(pooled, pooled_len);
    let covariance = covariance(pooled, &mean, &scale);
    let components = eigen(covariance, pooled_len);
    let kept = components.values[..dim].iter().map(|value| value.max(0.0));
    let gains: Vec<f64> = kept
        .clone()
        .map(|value| if readout.whiten { 1.0 / (value + WHITEN_REGULARISATION).sqrt() } else { 1.0 })
        .collect();
    let variances: Vec<f64> = kept.zip(&gains).map(|(value, gain)| value * gain * gain).collect();
    let rotation = balancing_rotation(&variances);

    let projections: Vec<f64> = (components.vectors.chunks_exact(pooled_len).zip(&gains))
        .flat_map(|(vector, gain)| vector.iter().zip(&scale).map(move |(value, scale)| gain * value * scale))
        .collect();
    let mut map = LinearMap { weight: Vec::with_capacity(dim * pooled_len), bias: Vec::with_capacity(dim) };
    for turns in rotation.chunks_exact(dim) {
        let mut row = vec![0.0; pooled_len];
        for (turn, projection) in turns.iter().zip(projections.chunks_exact(pooled_len)) {
            row.iter_mut().zip(projection).for_each(|(sum, value)| *sum += turn * value);
        }
        map.bias.push(-row.iter().zip(&mean).map(|(weight, mean)| weight * mean).sum::<f64>() as f32);
        map.weight.extend(row.iter().map(|&weight| weight as f32));
    }
    Ok(map)
}

/// Mean of each pooled value and the factor that standardises it, `[P]` each.
struct Scaling {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl Scaling {
    fn of(pooled: &[f32], len: usize) -> Self {
        let count = (pooled.len() / len) as f64;
        let (mut mean, mut variance) = (vec![0.0; len], vec![0.0; len]);
        for row in pooled.chunks_exact(len) {
            mean.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        mean.iter_mut().for_each(|sum| *sum /= count);
        for row in pooled.chunks_exact(len) {
            let deviations = row.iter().zip(&mean).map(|(&value, mean)| f64::from(value) - mean);
            variance.iter_mut().zip(deviations).for_each(|(sum, deviation)| *sum += deviation * deviation);
        }
        variance.iter_mut().for_each(|sum| *sum /= count);
        let squares: Vec<f64> = mean.iter().zip(&variance).map(|(mean, variance)| mean * mean + variance).collect();
        let floor = FLOOR_SHARE * squares.iter().sum::<f64>() / len as f64;
        let scale = variance.iter().zip(&squares).map(|(&variance, square)| {
            if variance > VARIANCE_MIN * square { 1.0 / (variance + floor).sqrt() } else { 0.0 }
        });
        Self { scale: scale.collect(), mean }
    }
}

/// `[P, P]`, of the standardised values.
fn covariance(pooled: &[f32], mean: &[f64], scale: &[f64]) -> Vec<f64> {
    let len = mean.len();
    let standardised: Vec<f64> = (pooled.par_iter().enumerate())
        .map(|(at, &value)| (f64::from(value) - mean[at % len]) * scale[at % len])
        .collect();
    let count = (pooled.len() / len) as f64;
    let mut sums = vec![0.0; len * len];
    sums.par_chunks_mut(ROWS * len).enumerate().for_each(|(task, rows)| {
        for image in standardised.chunks_exact(len) {
            for (row, &left) in rows.chunks_exact_mut(len).zip(&image[task * ROWS..]) {
                row.iter_mut().zip(image).for_each(|(sum, right)| *sum += left * right);
            }
        }
        rows.iter_mut().for_each(|sum| *sum /= count);
    });
    sums
}

/// A rotation `[D, D]` after which independent components of these `variances` all have their mean variance.
///
/// Each plane rotation gives one component the mean: of two components, one below and one above it, some angle does. D - 1
/// rotations suffice (Bendel and Mickey 1978, "Population correlation matrices for sampling experiments").
fn balancing_rotation(variances: &[f64]) -> Vec<f64> {
    let side = variances.len();
    let mean = variances.iter().sum::<f64>() / side as f64;
    let mut rotation = vec![0.0; side * side];
    rotation.iter_mut().step_by(side + 1).for_each(|value| *value = 1.0);
    let mut covariance = vec![0.0; side * side];
    covariance.iter_mut().step_by(side + 1).zip(variances).for_each(|(value, variance)| *value = *variance);
    for _ in 1..side {
        let excess = |at: usize| covariance[at * side + at] - mean;
        let by_excess = |a: &usize, b: &usize| excess(*a).total_cmp(&excess(*b));
        let (Some(low), Some(high)) = ((0..side).min_by(by_excess), (0..side).max_by(by_excess)) else { break };
        let (below, above, beside) = (excess(low), excess(high), covariance[low * side + high]);
        // What is left is rounding.
        if below >= -1e-12 * mean || above <= 1e-12 * mean {
            break;
        }
        // (below) c² + 2 (beside) c s + (above) s² = 0 for t = s / c, the root of smaller size.
        let root = (beside * beside - below * above).sqrt();
        let t = if beside >= 0.0 { -below / (beside + root) } else { -below / (beside - root) };
        let c = 1.0 / (1.0 + t * t).sqrt();
        turn(&mut rotation, side, low, high, c, t * c);
        turn(&mut covariance, side, low, high, c, t * c);
        for row in covariance.chunks_exact_mut(side) {
            (row[low], row[high]) = (c * row[low] + t * c * row[high], c * row[high] - t * c * row[low]);
        }
    }
    rotation
}

/// Replaces rows `low` and `high` by `c low + s high` and `c high - s low`.
fn turn(matrix: &mut [f64], side: usize, low: usize, high: usize, c: f64, s: f64) {
    for column in 0..side {
        let (x, y) = (matrix[low * side + column], matrix[high * side + column]);
        (matrix[low * side + column], matrix[high * side + column]) = (c * x + s * y, c * y - s * x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{CorpusStatistics, Pooling};
    use crate::rng::Rng;

    const READOUT: Readout = Readout { pooling: Pooling::Stages, dim: None, whiten: false };

    /// N rows of P values that mix three sources of deviation 3, 2 and 0.5.
    fn mixed(images: usize, len: usize) -> Vec<f32> {
        let mut rng = Rng::for_purpose(1, "test");
        let mixing: Vec<f32> = (0..3 * len).map(|_| rng.normal()).collect();
        (0..images)
            .flat_map(|_| {
                let sources = [3.0, 2.0, 0.5].map(|spread| spread * rng.normal());
                let row: Vec<f32> = (0..len)
                    .map(|at| 5.0 + sources.iter().zip(&mixing[3 * at..]).map(|(s, m)| s * m).sum::<f32>())
                    .collect();
                row
            })
            .collect()
    }

    fn apply(map: &LinearMap, rows: &[f32], len: usize) -> Vec<f32> {
        let dim = map.bias.len();
        let mut out = vec![0.0; rows.len() / len * dim];
        out.chunks_mut(dim).zip(rows.chunks(len)).for_each(|(out, row)| map.apply(row, out));
        out
    }

    fn distance(rows: &[f32], dim: usize, a: usize, b: usize) -> f64 {
        let pair = rows[a * dim..][..dim].iter().zip(&rows[b * dim..][..dim]);
        pair.map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>().sqrt()
    }

    /// The values have rank 3, so three outputs keep all distances between standardised values.
    #[test]
    fn as_many_outputs_as_the_rank_keep_all_distances() {
        let (images, len) = (200, 12);
        let rows = mixed(images, len);
        let mut standardised = crate::measure::Features { dim: len, rows: rows.clone() };
        standardised.standardise(&CorpusStatistics::of(&rows, len));
        let outputs = apply(&fit_linear_map(&rows, len, READOUT, 3).unwrap(), &rows, len);
        let fewer = apply(&fit_linear_map(&rows, len, READOUT, 1).unwrap(), &rows, len);
        let mut lost = 0.0;
        for (a, b) in (0..images - 1).map(|at| (at, at + 1)) {
            let (expected, found) = (distance(&standardised.rows, len, a, b), distance(&outputs, 3, a, b));
            assert!((found - expected).abs() < 2e-3 * expected, "{found}, expected {expected}");
            lost += expected - distance(&fewer, 1, a, b);
        }
        assert!(lost > 1.0, "one output keeps less");
    }

    #[test]
    fn outputs_are_centred_and_vary_alike() {
        let (images, len) = (300, 12);
        let rows = mixed(images, len);
        for (whiten, dim) in [(false, 2), (false, 3), (true, 3)] {
            let map = fit_linear_map(&rows, len, Readout { whiten, ..READOUT }, dim).unwrap();
            let found = CorpusStatistics::of(&apply(&map, &rows, len), dim);
            assert!(found.mean.iter().all(|mean| mean.abs() < 1e-4), "{found:?}");
            assert!(found.std.iter().all(|std| (std / found.std[0] - 1.0).abs() < 1e-3), "{found:?}");
            // The largest of three eigenvalues of trace 12 exceeds 4; whitened it is below 1.
            assert_eq!(found.std[0] < 1.0, whiten, "{found:?}");
        }
    }

    #[test]
    fn values_that_never_vary_are_left_out_and_nearly_constant_ones_are_damped() {
        let mut rows = mixed(100, 4);
        for (image, row) in rows.chunks_mut(4).enumerate() {
            (row[1], row[2]) = (0.1, 0.1 + 1e-6 * image as f32);
        }
        let map = fit_linear_map(&rows, 4, READOUT, 3).unwrap();
        assert!(map.weight.chunks(4).all(|row| row[1] == 0.0));
        assert!(map.weight.iter().all(|weight| weight.abs() < 500.0), "{map:?}");
        let constant = fit_linear_map(&[0.5; 40], 4, READOUT, 2).unwrap();
        assert_eq!(constant, LinearMap { weight: vec![0.0; 8], bias: vec![0.0; 2] });
    }

    #[test]
    fn balancing_keeps_distances_and_equalises_variances() {
        for variances in [vec![5.0], vec![9.0, 1.0], vec![60.0, 30.0, 5.0, 1.0, 0.5, 0.0, 0.0], vec![0.0; 4]] {
            let side = variances.len();
            let rotation = balancing_rotation(&variances);
            let mean = variances.iter().sum::<f64>() / side as f64;
            for (i, a) in rotation.chunks_exact(side).enumerate() {
                let variance: f64 = a.iter().zip(&variances).map(|(turn, variance)| turn * turn * variance).sum();
                assert!((variance - mean).abs() < 1e-9, "{variances:?}: {variance}");
                for (j, b) in rotation.chunks_exact(side).enumerate() {
                    let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                    assert!((product - if i == j { 1.0 } else { 0.0 }).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn a_map_needs_images_and_finite_values() {
        assert!(fit_linear_map(&mixed(2, 4), 4, READOUT, 4).is_ok());
        assert_eq!(fit_linear_map(&mixed(1, 4), 4, READOUT, 4), Err(FitError::TooFew { found: 1 }));
        for dim in [0, 5] {
            assert_eq!(fit_linear_map(&mixed(2, 4), 4, READOUT, dim), Err(FitError::Outputs { dim, pooled: 4 }));
        }
        let found = fit_linear_map(&[1.0, 2.0, 3.0, f32::NAN], 2, READOUT, 1);
        assert_eq!(found, Err(FitError::NotFinite { image: 1, position: 1 }));
    }
}
