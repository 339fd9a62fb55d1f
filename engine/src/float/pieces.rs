//! The pieces of work of the innermost loops, as plain data: what a kernel that is written for one instruction set gets.

use super::graph::Activation;
use super::plane::TILE;

/// Output pixels that are computed together: with stride 1 they read 6 columns instead of 12.
pub(super) const PIXELS: usize = 4;

/// Side of a patch of the input.
pub(super) const PATCH: usize = TILE + 2;

/// What rows consist of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Runs {
    /// Runs per row.
    pub count: usize,
    /// Elements per run.
    pub len: usize,
    /// Elements from a run to the next.
    pub stride: usize,
    /// Elements from a row to the next.
    pub row_stride: usize,
}

/// A product of rows and one block of weights.
#[derive(Clone, Copy)]
#[cfg_attr(not(neon_a32), allow(dead_code))] // Read where `Vector::rows_times_two` is implemented.
pub(super) struct Product<E> {
    pub input: *const E,
    pub runs: Runs,
    /// `[K, B * LANES]`.
    pub weights: *const E,
    pub target: Target<E>,
}

/// What a [`Sink`](super::tile::Sink) does with the sums of a block.
#[derive(Clone, Copy)]
#[cfg_attr(not(neon_a32), allow(dead_code))] // Read where `Vector::rows_times_two` is implemented.
pub(super) struct Target<E> {
    /// What rows start from, if not from zero.
    pub bias: Option<*const E>,
    /// What is added to the first row; the others follow as those of the output do.
    pub residual: Option<*const E>,
    pub activation: Activation,
    /// The first row.
    pub to: *mut E,
    /// Elements from a row to the next.
    pub stride: usize,
}

/// Pixels of the output, one vector of channels.
#[derive(Clone, Copy)]
pub(super) struct Part<'a, V, E> {
    /// The first of the three columns and rows that the first pixel reads.
    pub input: *const E,
    /// Elements from a row of the input to the next.
    pub row_stride: usize,
    /// Elements from a pixel of the input to the next.
    pub from_stride: usize,
    /// By row and column.
    pub weights: &'a [V; 9],
    pub bias: V,
    /// The least and the greatest value that the activation leaves.
    pub ends: [V; 2],
    pub out: *mut E,
    /// Elements from a row of the output to the next.
    pub out_row_stride: usize,
    /// Elements from a pixel of the output to the next.
    pub to_stride: usize,
}

impl<V, E> Part<'_, V, E> {
    /// The part that begins at pixel `y`, `x` of this one, with stride S.
    #[inline(always)]
    pub fn at<const S: usize>(self, y: usize, x: usize) -> Self {
        let input = self.input.wrapping_add(y * S * self.row_stride + x * S * self.from_stride);
        Self { input, out: self.out.wrapping_add(y * self.out_row_stride + x * self.to_stride), ..self }
    }
}

/// One vector of channels of a patch.
#[derive(Clone, Copy)]
pub(super) struct Patch<E> {
    pub from: *const E,
    /// Elements from a row to the next, and from a pixel.
    pub strides: [usize; 2],
    /// Where the first position goes.
    pub to: *mut E,
    /// Elements from a position to the next.
    pub to_stride: usize,
}

/// One vector of channels of a tile of outputs.
#[derive(Clone, Copy)]
pub(super) struct Outputs<E> {
    /// The first position.
    pub sums: *const E,
    /// Elements from a position to the next.
    pub sums_stride: usize,
    pub to: *mut E,
    /// What is added, in a plane of the shape of the output.
    pub residual: Option<*const E>,
    /// Elements of the output from a row to the next, and from a pixel.
    pub strides: [usize; 2],
    /// Height and width, at most [`TILE`].
    pub size: [usize; 2],
    pub activation: Activation,
}
