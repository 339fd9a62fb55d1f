//! Pooling over pixels: means and standard deviations of whole activations, means of their cells.
//!
//! P pixels, C channels; `x` is `[P, C]`. The backward functions of deviations and cells add to `dx`, because a value has several
//! statistics; that of the mean, the first, overwrites it.

use std::ops::Range;

use crate::kernel::Grid;

/// `feature[c] = mean over pixels of x[p][c]`; `x` is `[P, C]`, `feature` `[C]`.
pub fn global_average_pool_forward(x: &[f32], feature: &mut [f32]) {
    let channels = feature.len();
    let scale = 1.0 / (x.len() / channels) as f32;
    feature.fill(0.0);
    for pixel in x.chunks_exact(channels) {
        feature.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
    }
    feature.iter_mut().for_each(|sum| *sum *= scale);
}

/// `dx[p][c] = dfeature[c] / P`.
pub fn global_average_pool_backward(dfeature: &[f32], dx: &mut [f32]) {
    let channels = dfeature.len();
    let scale = 1.0 / (dx.len() / channels) as f32;
    for pixel in dx.chunks_exact_mut(channels) {
        pixel.iter_mut().zip(dfeature).for_each(|(d, value)| *d = value * scale);
    }
}

/// `std[c] = √(mean over pixels of (x[p][c] - mean[c])² + epsilon)`.
///
/// The mean is known before: a difference of mean squares would cancel where the deviation is far below the mean.
pub fn std_forward(x: &[f32], mean: &[f32], epsilon: f32, std: &mut [f32]) {
    let scale = 1.0 / (x.len() / mean.len()) as f32;
    std.fill(0.0);
    for pixel in x.chunks_exact(mean.len()) {
        for ((sum, value), mean) in std.iter_mut().zip(pixel).zip(mean) {
            let deviation = value - mean;
            *sum += deviation * deviation;
        }
    }
    std.iter_mut().for_each(|sum| *sum = (*sum * scale + epsilon).sqrt());
}

/// `dx[p][c] += dstd[c] (x[p][c] - mean[c]) / (P std[c])`, for `mean` and `std` of [`std_forward`].
///
/// The mean depends on `x` as well, but the deviations from it add up to 0, so its term vanishes.
pub fn std_backward(dstd: &[f32], x: &[f32], mean: &[f32], std: &[f32], dx: &mut [f32]) {
    let channels = mean.len();
    let pixels = (x.len() / channels) as f32;
    let scales: Vec<f32> = dstd.iter().zip(std).map(|(d, std)| d / (pixels * std)).collect();
    for (dx, x) in dx.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
        for (((d, value), mean), scale) in dx.iter_mut().zip(x).zip(mean).zip(&scales) {
            *d += scale * (value - mean);
        }
    }
}

/// `mean[c]` = mean of `x[p][c]` over the pixels of a cell of `grid`.
pub fn cell_mean_forward(x: &[f32], grid: Grid, rows: Range<usize>, columns: Range<usize>, mean: &mut [f32]) {
    let scale = 1.0 / (rows.len() * columns.len()) as f32;
    mean.fill(0.0);
    for row in rows {
        let start = (row * grid.columns + columns.start) * grid.channels;
        for pixel in x[start..][..columns.len() * grid.channels].chunks_exact(grid.channels) {
            mean.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
        }
    }
    mean.iter_mut().for_each(|sum| *sum *= scale);
}

/// `dx[p][c] += dmean[c] / (pixels of the cell)` for the pixels of the cell.
pub fn cell_mean_backward(dmean: &[f32], grid: Grid, rows: Range<usize>, columns: Range<usize>, dx: &mut [f32]) {
    let scale = 1.0 / (rows.len() * columns.len()) as f32;
    for row in rows {
        let start = (row * grid.columns + columns.start) * grid.channels;
        for pixel in dx[start..][..columns.len() * grid.channels].chunks_exact_mut(grid.channels) {
            pixel.iter_mut().zip(dmean).for_each(|(d, value)| *d += value * scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn global_average_pool_and_its_gradient_match_by_hand() {
        let mut feature = [0.0; 2];
        global_average_pool_forward(&[1.0, 10.0, 3.0, 30.0], &mut feature);
        assert_eq!(feature, [2.0, 20.0]);
        let mut dx = [0.0; 4];
        global_average_pool_backward(&[4.0, 8.0], &mut dx);
        assert_eq!(dx, [2.0, 4.0, 2.0, 4.0]);
    }

    #[test]
    fn the_deviation_of_nearly_equal_values_does_not_cancel() {
        // Deviations of 1 at 4096, where squares lose all bits below 2.
        let mut std = [0.0];
        std_forward(&[4095.0, 4097.0, 4095.0, 4097.0], &[4096.0], 0.0, &mut std);
        assert_eq!(std, [1.0]);
        std_forward(&[5.0; 4], &[5.0], 0.25, &mut std);
        assert_eq!(std, [0.5], "the root of epsilon where nothing varies");
    }

    #[test]
    fn cells_of_a_grid_match_by_hand() {
        let grid = Grid { rows: 2, columns: 3, channels: 1 };
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let (mut mean, mut dx) = ([0.0], [1.0; 6]);
        cell_mean_forward(&x, grid, 0..2, 1..3, &mut mean);
        assert_eq!(mean, [4.0]);
        cell_mean_backward(&[8.0], grid, 0..2, 1..3, &mut dx);
        assert_eq!(dx, [1.0, 3.0, 3.0, 1.0, 3.0, 3.0]);
    }

    /// Against central differences.
    #[test]
    fn the_gradient_of_the_deviation_includes_that_of_its_mean() {
        let x = [0.5f32, -1.0, 2.0, 0.25, 1.5, 3.0];
        let of = |x: &[f32]| {
            let (mut mean, mut std) = ([0.0; 2], [0.0; 2]);
            global_average_pool_forward(x, &mut mean);
            std_forward(x, &mean, 1e-5, &mut std);
            (mean, std)
        };
        let (mean, std) = of(&x);
        let dstd = [2.0, -3.0];
        let mut dx = [0.0; 6];
        std_backward(&dstd, &x, &mean, &std, &mut dx);
        for (at, d) in dx.iter().enumerate() {
            let loss = |step: f32| {
                let mut moved = x;
                moved[at] += step;
                of(&moved).1.iter().zip(dstd).map(|(std, d)| f64::from(std * d)).sum::<f64>()
            };
            let difference = (loss(1e-2) - loss(-1e-2)) / 2e-2;
            assert!((difference - f64::from(*d)).abs() < 1e-3, "{at}: {d}, difference {difference}");
        }
    }
}
