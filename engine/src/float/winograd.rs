//! 3×3 convolutions of stride 1 by Winograd's minimal filtering F(4×4, 3×3) (Lavin and Gray 2016, arXiv:1509.09308).
//!
//! A tile of 4×4 outputs reads a patch `d` of 6×6 inputs. With the weights `g` of one pair of channels,
//!
//! ```text
//! Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A
//! ```
//!
//! has 36 products instead of 144. `Bᵀ d B` serves all output channels, the sum over input channels is taken before `Aᵀ … A`, and
//! `G g Gᵀ` is computed when the encoder is opened; so for each of the 36 positions there remains a product of matrices,
//! tiles × C times C × O. The price is rounding: `Bᵀ` and `Aᵀ` add numbers of up to 10 and 8 times the size of the result.
//!
//! The bias is added to position (1, 1) alone: column 1 of `Aᵀ` is all ones, so it reaches every output once.

#![allow(unsafe_code)] // Vectors, and pointers to them.

use super::conv::{Finish, padded_bias};
use super::graph::Activation;
use super::pieces::{Outputs, PATCH, Patch, Runs, Target};
use super::plane::{Plane, TILE};
use super::tile::{Sink, Weights, multiply};
use super::vector::{Vector, Work, activate_all};
use super::winograd_weights::{POSITIONS, transform};

/// The position that gets the bias.
const BIASED: usize = PATCH + 1;
/// Tiles that are transformed together, at least: enough rows for every kernel of `tile.rs`, and few enough for the cache.
const TILES: usize = 16;

/// A packed convolution.
#[derive(Clone, Debug)]
pub(super) struct Winograd<E> {
    /// `G g Gᵀ` by position.
    weights: Vec<Weights<E>>,
    /// `[O]`, padded.
    bias: Vec<E>,
    inputs: usize,
    outputs: usize,
}

impl<E: bytemuck::Pod> Winograd<E> {
    /// Packs a convolution.
    ///
    /// * `weight`: `[O, C, 3, 3]`
    /// * `inputs`: C, and as stored
    /// * `outputs`: as stored
    pub fn pack<V: Vector<Element = E>>(
        weight: &[f32],
        bias: &[f32],
        [inputs, stored_inputs]: [usize; 2],
        outputs: usize,
    ) -> Self {
        Self {
            weights: transform::<V>(weight, [inputs, bias.len()], [stored_inputs, outputs]),
            bias: padded_bias::<V>(bias, outputs),
            inputs: stored_inputs,
            outputs,
        }
    }

    /// Elements of scratch for an output of this shape.
    pub fn scratch_len(&self, to: Plane) -> usize {
        tile_rows(to) * to.width.div_ceil(TILE) * POSITIONS * (self.inputs + self.outputs)
    }
}

/// Rows of tiles that are transformed together.
fn tile_rows(to: Plane) -> usize {
    TILES.div_ceil(to.width.div_ceil(TILE)).min(to.height.div_ceil(TILE))
}

/// A convolution of one image.
pub(super) struct RunWinograd<'a, V: Vector> {
    pub conv: &'a Winograd<V::Element>,
    pub from: Plane,
    pub to: Plane,
    pub finish: Finish,
    pub arena: *mut V::Element,
    /// As many elements as [`Winograd::scratch_len`].
    pub scratch: *mut V::Element,
}

impl<V: Vector> Work for RunWinograd<'_, V> {
    #[inline(always)]
    unsafe fn run(self) {
        let Self { conv, from, to, finish, arena, scratch } = self;
        let (across, down, rows) = (to.width.div_ceil(TILE), to.height.div_ceil(TILE), tile_rows(to));
        for first in (0..down).step_by(rows) {
            let tiles = across * rows.min(down - first);
            let (patches, sums) = (scratch, scratch.wrapping_add(POSITIONS * tiles * conv.inputs));
            // SAFETY: patches of tiles lie in the plane with its border, and the scratch has room for both transforms.
            unsafe {
                for tile in 0..tiles {
                    let (y, x) = (first + tile / across, tile % across);
                    let corner = arena.add(from.corner(y * TILE, x * TILE)).cast_const();
                    transform_input::<V>(corner, from, patches.add(tile * conv.inputs), tiles * conv.inputs);
                }
                for (position, weights) in conv.weights.iter().enumerate() {
                    let patches = patches.add(position * tiles * conv.inputs).cast_const();
                    let runs = Runs { count: 1, len: conv.inputs, stride: 0, row_stride: conv.inputs };
                    let (to, channels) = (sums.add(position * tiles * conv.outputs), conv.outputs);
                    for block in 0..weights.blocks {
                        if position == BIASED {
                            let sink = Sums::<V, false> { bias: conv.bias.as_ptr(), to, channels };
                            multiply(patches, tiles, runs, weights, block, &sink);
                        } else {
                            let sink = Sums::<V, true> { bias: conv.bias.as_ptr(), to, channels };
                            multiply(patches, tiles, runs, weights, block, &sink);
                        }
                    }
                }
                for tile in 0..tiles {
                    let at = [first + tile / across, tile % across].map(|at| at * TILE);
                    let sums = sums.add(tile * conv.outputs).cast_const();
                    transform_output::<V>(sums, tiles * conv.outputs, to, at, finish, arena);
                }
            }
        }
    }
}

/// Writes the sums of one position.
struct Sums<V: Vector, const FROM_ZERO: bool> {
    /// Where sums start otherwise.
    bias: *const V::Element,
    to: *mut V::Element,
    channels: usize,
}

impl<V: Vector, const FROM_ZERO: bool> Sink<V> for Sums<V, FROM_ZERO> {
    const FROM_ZERO: bool = FROM_ZERO;
    const HAS_REST: bool = false;

    #[inline(always)]
    unsafe fn start<const B: usize>(&self, channel: usize) -> [V; B] {
        // SAFETY: promised by the caller.
        std::array::from_fn(|block| unsafe { V::load(self.bias.add(channel + block * V::LANES)) })
    }

    #[inline(always)]
    unsafe fn put<const P: usize, const B: usize>(&self, row: usize, channel: usize, sums: [[V; B]; P]) {
        for (pixel, sums) in sums.into_iter().enumerate() {
            for (block, sum) in sums.into_iter().enumerate() {
                // SAFETY: promised by the caller.
                unsafe {
                    sum.store(self.to.add(row * self.channels + channel + pixel * self.channels + block * V::LANES))
                };
            }
        }
    }

    #[inline(always)]
    fn target(&self, channel: usize) -> Target<V::Element> {
        Target {
            bias: if FROM_ZERO { None } else { Some(self.bias.wrapping_add(channel)) },
            residual: None,
            activation: Activation::Identity,
            to: self.to.wrapping_add(channel),
            stride: self.channels,
        }
    }
}

/// `Bᵀ d B` of a patch, for all channels.
///
/// # Safety
/// As for [`Vector`]; the patch at `corner` of `from` is readable, and `to` has [`POSITIONS`] pixels, `stride` apart.
#[inline(always)]
unsafe fn transform_input<V: Vector>(corner: *const V::Element, from: Plane, to: *mut V::Element, stride: usize) {
    for channel in (0..from.channels).step_by(V::LANES) {
        // SAFETY: promised by the caller.
        unsafe {
            let strides = [from.row_stride(), from.channels];
            let patch = Patch { from: corner.add(channel), strides, to: to.add(channel), to_stride: stride };
            if !V::winograd_input(patch) {
                patch.transform::<V>();
            }
        }
    }
}

impl<E> Patch<E> {
    /// `Bᵀ d B`.
    ///
    /// # Safety
    /// As for [`Vector`]; the patch is readable, and the positions are writable.
    #[inline(always)]
    pub unsafe fn transform<V: Vector<Element = E>>(self) {
        let Self { from, strides: [row, pixel], to, to_stride } = self;
        // SAFETY: promised by the caller.
        unsafe {
            let mut columns = [[V::splat(0.0); PATCH]; PATCH];
            for (x, column) in columns.iter_mut().enumerate() {
                let first = from.add(x * pixel);
                *column = input_1d(std::array::from_fn(|y| V::load(first.add(y * row))));
            }
            #[allow(clippy::needless_range_loop)] // The matrix is read by column.
            for y in 0..PATCH {
                let row = input_1d(std::array::from_fn(|x| columns[x][y]));
                for (x, value) in row.into_iter().enumerate() {
                    value.store(to.add((y * PATCH + x) * to_stride));
                }
            }
        }
    }
}

/// `Bᵀ d`, with rows 4, 0, -5, 0, 1, 0 / 0, -4, -4, 1, 1, 0 / 0, 4, -4, -1, 1, 0 / 0, -2, -1, 2, 1, 0 / 0, 2, -1, -2, 1, 0 /
/// 0, 4, 0, -5, 0, 1.
///
/// # Safety
/// As for [`Vector`].
#[inline(always)]
unsafe fn input_1d<V: Vector>(d: [V; PATCH]) -> [V; PATCH] {
    // SAFETY: promised by the caller.
    unsafe {
        let [two, four, five] = [V::splat(2.0), V::splat(4.0), V::splat(5.0)];
        let (even, odd) = (d[4].mul_sub(d[2], four), d[3].mul_sub(d[1], four));
        let (second, first) = (d[4].sub(d[2]), d[3].sub(d[1]));
        [
            d[4].mul_sub(d[2], five).mul_add(d[0], four),
            even.add(odd),
            even.sub(odd),
            second.mul_add(first, two),
            second.mul_sub(first, two),
            d[5].mul_sub(d[3], five).mul_add(d[1], four),
        ]
    }
}

/// `Aᵀ m A` of a tile, residual, activation; writes the pixels that exist.
///
/// # Safety
/// As for [`Vector`]; `sums` has [`POSITIONS`] pixels, `stride` apart, and `to` and the residual lie in the arena.
#[inline(always)]
unsafe fn transform_output<V: Vector>(
    sums: *const V::Element,
    stride: usize,
    to: Plane,
    [y, x]: [usize; 2],
    finish: Finish,
    arena: *mut V::Element,
) {
    let size = [TILE.min(to.height - y), TILE.min(to.width - x)];
    for channel in (0..to.channels).step_by(V::LANES) {
        // SAFETY: promised by the caller.
        unsafe {
            let outputs = Outputs {
                sums: sums.add(channel),
                sums_stride: stride,
                to: arena.add(to.pixel(y, x) + channel),
                residual: finish.residual.map(|plane| arena.add(plane.pixel(y, x) + channel).cast_const()),
                strides: [to.row_stride(), to.channels],
                size,
                activation: finish.activation,
            };
            if !V::winograd_output(outputs) {
                outputs.transform::<V>();
            }
        }
    }
}

impl<E> Outputs<E> {
    /// `Aᵀ m A`, residual, activation; writes the pixels that exist.
    ///
    /// # Safety
    /// As for [`Vector`]; the positions and a whole tile of the residual are readable, and the pixels are writable.
    #[inline(always)]
    pub unsafe fn transform<V: Vector<Element = E>>(self) {
        let Self { sums, sums_stride, to, residual, strides: [row_stride, pixel], size: [height, width], .. } = self;
        // SAFETY: promised by the caller.
        unsafe {
            let mut columns = [[V::splat(0.0); TILE]; PATCH];
            for (at, column) in columns.iter_mut().enumerate() {
                let first = sums.add(at * sums_stride);
                *column = output_1d(std::array::from_fn(|row| V::load(first.add(row * PATCH * sums_stride))));
            }
            #[allow(clippy::needless_range_loop)] // The matrix is read by column.
            for row in 0..height {
                let mut values = output_1d::<V>(std::array::from_fn(|at| columns[at][row]));
                let at = |column: usize| row * row_stride + column * pixel;
                if let Some(residual) = residual {
                    for (column, value) in values.iter_mut().enumerate() {
                        // Past the image it is the border of the plane.
                        *value = value.add(V::load(residual.add(at(column))));
                    }
                }
                activate_all(&mut values, self.activation);
                if width == TILE {
                    for (column, value) in values.into_iter().enumerate() {
                        value.store(to.add(at(column)));
                    }
                } else {
                    for (column, value) in values.into_iter().enumerate().take(width) {
                        value.store(to.add(at(column)));
                    }
                }
            }
        }
    }
}

/// `Aᵀ m`, with rows 1, 1, 1, 1, 1, 0 / 0, 1, -1, 2, -2, 0 / 0, 1, 1, 4, 4, 0 / 0, 1, -1, 8, -8, 1.
///
/// # Safety
/// As for [`Vector`].
#[inline(always)]
unsafe fn output_1d<V: Vector>(m: [V; PATCH]) -> [V; TILE] {
    // SAFETY: promised by the caller.
    unsafe {
        let (sum, difference) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (far_sum, far_difference) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            m[0].add(sum).add(far_sum),
            difference.mul_add(far_difference, V::splat(2.0)),
            sum.mul_add(far_sum, V::splat(4.0)),
            m[5].add(difference).mul_add(far_difference, V::splat(8.0)),
        ]
    }
}
