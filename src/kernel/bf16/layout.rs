//! Matrices and planes of bf16 as the kernels read them.
#![allow(unsafe_code)] // A plain type for `bytemuck`.

use bytemuck::{Pod, Zeroable};

/// Pairs of values per tile of the right matrix: 32 values of its inner dimension.
pub(crate) const PAIRS: usize = 16;
/// Columns per tile of the right matrix.
pub(crate) const COLUMNS: usize = 16;
/// Values of a tile of the right matrix.
pub(crate) const TILE: usize = 2 * PAIRS * COLUMNS;
/// Most rows of a tile of the left matrix and of the result.
pub(crate) const ROWS_MAX: usize = 16;
/// Values that a kernel may read after the last one of the left matrix; their weights are zero, so they have to be finite.
pub(crate) const SLACK: usize = 2 * PAIRS;

/// Values in bf16 from a boundary of cache lines on: a row of a tile is one line.
#[derive(Clone, Debug, Default)]
pub struct Aligned(Vec<Line>);

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u16; 32]);

// SAFETY: any bytes are a valid line, and it has no padding.
unsafe impl Zeroable for Line {}
// SAFETY: as above.
unsafe impl Pod for Line {}

impl Aligned {
    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        let mut values = Self::default();
        values.at_least(len);
        values
    }

    /// Makes it at least `len` long. Earlier contents stay.
    pub(crate) fn at_least(&mut self, len: usize) -> &mut [u16] {
        let lines = len.div_ceil(32);
        if self.0.len() < lines {
            self.0.resize(lines, Line::zeroed());
        }
        bytemuck::cast_slice_mut(&mut self.0)
    }

    /// All values.
    pub(crate) fn values(&self) -> &[u16] {
        bytemuck::cast_slice(&self.0)
    }
}

/// A step along the inner dimension: 32 values of each row of the left matrix and one tile of the right one.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Step {
    /// Offset into the left matrix, relative to the tile of the result.
    pub left: u32,
    /// Offset into the right matrix, relative to the block of columns.
    pub right: u32,
}

/// A tile of the result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    /// Offset of its first row in the left matrix.
    pub left: usize,
    /// Offset of its first value in the result.
    pub out: usize,
}

/// `out[tile.out + r * out_row + n] (+)= Σ_step Σ_k left[tile.left + step.left + r * left_row + k] * right[n][step.right, k]` for `k` in
/// `0..32`, each tile and each row `r` of it.
#[derive(Debug)]
pub(crate) struct Product<'a> {
    pub left: &'a [u16],
    pub left_row: usize,
    pub steps: &'a [Step],
    pub tiles: &'a [Tile],
    /// Rows of each tile, at most [`ROWS_MAX`].
    pub rows: usize,
    /// Blocks of [`COLUMNS`] columns, each `right_block` values after the last.
    pub right: &'a [u16],
    pub right_block: usize,
    /// Columns of the result, a multiple of 8.
    pub columns: usize,
    pub out: &'a mut [f32],
    pub out_row: usize,
    /// Adds to the result instead of overwriting it.
    pub accumulate: bool,
}

impl Product<'_> {
    /// Checks that every offset lies inside the slices.
    pub fn check(&self) {
        assert!((1..=ROWS_MAX).contains(&self.rows) && self.columns.is_multiple_of(8) && self.columns > 0);
        let last = self.rows - 1;
        let step = self.steps.iter().map(|step| step.left).max().unwrap_or(0) as usize;
        let left = self.tiles.iter().map(|tile| tile.left).max().unwrap_or(0) + step + last * self.left_row + 2 * PAIRS;
        assert!(left <= self.left.len(), "left matrix of {} values, {left} needed", self.left.len());
        let step = self.steps.iter().map(|step| step.right).max().unwrap_or(0) as usize;
        let right = (self.blocks() - 1) * self.right_block + step + TILE;
        assert!(right <= self.right.len(), "right matrix of {} values, {right} needed", self.right.len());
        let out = self.tiles.iter().map(|tile| tile.out).max().unwrap_or(0) + last * self.out_row + self.columns;
        assert!(out <= self.out.len(), "result of {} values, {out} needed", self.out.len());
    }

    /// Blocks of columns; the last may be half full.
    pub fn blocks(&self) -> usize {
        self.columns.div_ceil(COLUMNS)
    }

    /// Columns of `block`.
    pub fn width(&self, block: usize) -> usize {
        COLUMNS.min(self.columns - block * COLUMNS)
    }
}

/// Pixels to planes: what [`super::Bf16Kernel::planes`] reads and writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlaneShape {
    pub rows: usize,
    pub columns: usize,
    pub channels: usize,
    /// s, 1 or 2.
    pub stride: usize,
    /// Values between the rows of a plane.
    pub plane_row: usize,
    /// Values of a plane.
    pub plane: usize,
}
