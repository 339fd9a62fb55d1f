//! Pooling of a network's values, forward and backward, image by image.

use super::pooled::{Pooled, cell};
use super::reader::Reader;
use super::readout::STD_EPSILON;
use super::spec::ValueId;
use crate::kernel::Grid;
use crate::nn::pool::{
    cell_mean_backward, cell_mean_forward, global_average_pool_backward, global_average_pool_forward, std_backward,
    std_forward,
};

/// The cells of `grid`, row by row: their rows and columns.
fn cells(grid: Grid) -> [[std::ops::Range<usize>; 2]; 4] {
    [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(row, column)| [cell(grid.rows, row), cell(grid.columns, column)])
}

/// Writes what `pooled` takes of one image to `out`, in the order of `pooled`.
///
/// * `stored`: the stored values of the image
pub(super) fn pool<'s>(
    reader: Reader<'_>,
    pooled: &Pooled,
    stored: impl Fn(ValueId) -> &'s [f32],
    scratch: &mut Vec<f32>,
    out: &mut [f32],
) {
    let mut rest = out;
    for (index, &(value, channels)) in pooled.values.iter().enumerate() {
        let x = reader.activated(value, stored(value), scratch);
        let (mean, mut after) = rest.split_at_mut(channels);
        global_average_pool_forward(x, mean);
        if pooled.has_std {
            let std;
            (std, after) = after.split_at_mut(channels);
            std_forward(x, mean, STD_EPSILON, std);
        }
        if pooled.has_cells && index + 1 == pooled.values.len() {
            let grid = reader.plan.grids[value];
            for ([rows, columns], mean) in cells(grid).into_iter().zip(after.chunks_exact_mut(channels)) {
                cell_mean_forward(x, grid, rows, columns, mean);
            }
            return;
        }
        rest = after;
    }
}

/// The gradient of the loss with respect to pooled values, P for each image.
#[derive(Clone, Copy)]
pub(super) struct PooledGradient<'a> {
    pub pooled: &'a Pooled,
    /// The pooled values `[N, P]` of the forward pass.
    pub features: &'a [f32],
    /// `[N, P]`.
    pub dfeatures: &'a [f32],
}

impl PooledGradient<'_> {
    /// Whether `value` is pooled.
    pub fn reads(&self, value: ValueId) -> bool {
        self.pooled.values.iter().any(|&(read, _)| read == value)
    }

    /// The contribution of `image` to the gradient of the pooled `value`, with respect to its activated values `x`. Overwrites
    /// `dx` for the last value, whose first contribution it is, and adds to that of others.
    pub fn backward(
        &self,
        reader: Reader<'_>,
        value: ValueId,
        image: usize,
        stored: &[f32],
        x: &mut Vec<f32>,
        dx: &mut [f32],
    ) {
        let Some((start, channels)) = self.pooled.place(value) else { return };
        let len = self.pooled.len();
        let of_image = |all| <[f32]>::split_at(all, image * len + start).1;
        let (features, dfeatures): (&[f32], &[f32]) = (of_image(self.features), of_image(self.dfeatures));
        let (grid, is_last) = (reader.plan.grids[value], value == reader.plan.nodes.len());
        let (dmean, dfeatures) = dfeatures.split_at(channels);
        match is_last {
            true => global_average_pool_backward(dmean, dx),
            false => cell_mean_backward(dmean, grid, 0..grid.rows, 0..grid.columns, dx),
        }
        if !self.pooled.has_std {
            return;
        }
        let (dstd, dcells) = dfeatures.split_at(channels);
        let (mean, std) = features[..2 * channels].split_at(channels);
        std_backward(dstd, reader.activated(value, stored, x), mean, std, dx);
        if self.pooled.has_cells && is_last {
            for ([rows, columns], dmean) in cells(grid).into_iter().zip(dcells.chunks_exact(channels)) {
                cell_mean_backward(dmean, grid, rows, columns, dx);
            }
        }
    }
}
