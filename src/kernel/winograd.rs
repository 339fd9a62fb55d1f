//! Winograd's minimal filtering F(m×m, 3×3), m = 4 or 2: 3×3 convolutions of stride 1 as products of matrices (Lavin and Gray 2016,
//! arXiv:1509.09308), for all three passes of training.
//!
//! An output tile of m×m reads a patch `d` of (m + 2)×(m + 2) inputs. For one pair of channels with weights `g`:
//!
//! ```text
//! y  = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A
//! ∂g = Gᵀ [(A ∂y Aᵀ) ⊙ (Bᵀ d B)] G
//! ```
//!
//! The second line is the transpose of the first as a map from `g` to `y`. The sum over input channels is taken before `Aᵀ … A`, that over
//! tiles before `Gᵀ … G`; so each of the (m + 2)² positions is a product of matrices, T tiles × C channels × O channels. F(4×4, 3×3) has
//! 36 products instead of 144, F(2×2, 3×3) 16 instead of 36. The gradient of the input is a convolution with transposed weights.
//!
//! Transformed arrays are `[position, tile, channel]`, positions [`Tiling::stride`] apart, weights `[position, C, O]`.
#![allow(unsafe_code)] // Raw pointers: bounds are checked once per image, not once per multiply-add.

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};

use super::channel::{load, store};
use super::isa::{Isa, multiply_add};

/// m, the side of an output tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TileSide {
    /// F(2×2, 3×3).
    Two,
    /// F(4×4, 3×3).
    Four,
}

impl TileSide {
    /// m.
    pub fn side(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// (m + 2)², the number of products per tile and pair of channels.
    pub fn positions(self) -> usize {
        (self.side() + 2) * (self.side() + 2)
    }
}

/// Tiles of an image's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiling {
    pub tile: TileSide,
    /// Of the output, multiples of m.
    pub rows: usize,
    pub columns: usize,
}

impl Tiling {
    /// T.
    pub fn tiles(self) -> usize {
        self.rows / self.tile.side() * (self.columns / self.tile.side())
    }

    /// Floats from a position to the next. A cache line more than the tiles take: at a distance of 4 KiB all positions of a tile would
    /// compete for the same lines of the cache.
    pub fn stride(self, channels: usize) -> usize {
        self.tiles() * channels + 16
    }

    /// Length of a transformed array of `channels`.
    pub fn len(self, channels: usize) -> usize {
        self.tile.positions() * self.stride(channels)
    }
}

/// Which of the transforms of an image's tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    /// `Bᵀ d B`: patches to positions.
    Patches,
    /// `A ∂y Aᵀ`: tiles to positions.
    Tiles,
    /// `Aᵀ … A`: positions to tiles.
    Outputs,
}

/// `Bᵀ d B` of every patch of `x`, an image `[rows + 2, columns + 2, C]` with its border.
pub(crate) fn transform_patches(isa: Isa, tiling: Tiling, channels: usize, x: &[f32], out: &mut [f32]) {
    let row = (tiling.columns + 2) * channels;
    assert!(x.len() >= (tiling.rows + 2) * row && out.len() >= tiling.len(channels));
    run(isa, Direction::Patches, tiling, channels, x.as_ptr().cast_mut(), row, out.as_mut_ptr());
}

/// `A ∂y Aᵀ` of every tile of `dy` `[rows, columns, O]`, rows `row` floats apart.
pub(crate) fn transform_tiles(isa: Isa, tiling: Tiling, channels: usize, dy: &[f32], row: usize, out: &mut [f32]) {
    assert!(dy.len() >= (tiling.rows - 1) * row + tiling.columns * channels && out.len() >= tiling.len(channels));
    run(isa, Direction::Tiles, tiling, channels, dy.as_ptr().cast_mut(), row, out.as_mut_ptr());
}

/// `y = Aᵀ … A` of every tile of `sums`; `y` is `[rows, columns, O]`.
pub(crate) fn transform_outputs(isa: Isa, tiling: Tiling, channels: usize, sums: &[f32], y: &mut [f32]) {
    let row = tiling.columns * channels;
    assert!(y.len() >= tiling.rows * row && sums.len() >= tiling.len(channels));
    run(isa, Direction::Outputs, tiling, channels, y.as_mut_ptr(), row, sums.as_ptr().cast_mut());
}

fn run(
    isa: Isa,
    direction: Direction,
    tiling: Tiling,
    channels: usize,
    image: *mut f32,
    row: usize,
    positions: *mut f32,
) {
    let op = Transform { tiling, channels, image, row, positions };
    let isa = isa.for_channels(channels);
    macro_rules! with {
        ($direction:expr) => {
            match tiling.tile {
                TileSide::Two => isa.run(Tiles::<{ $direction }, 2, 4>(op)),
                TileSide::Four => isa.run(Tiles::<{ $direction }, 4, 6>(op)),
            }
        };
    }
    match direction {
        Direction::Patches => with!(PATCHES),
        Direction::Tiles => with!(TILES),
        Direction::Outputs => with!(OUTPUTS),
    }
}

const PATCHES: u8 = 0;
const TILES: u8 = 1;
const OUTPUTS: u8 = 2;

/// The image is `[rows, columns, C]` with rows `row` floats apart, without its border for tiles.
struct Transform {
    tiling: Tiling,
    channels: usize,
    image: *mut f32,
    row: usize,
    positions: *mut f32,
}

/// M is m and P the side of a patch, m + 2.
struct Tiles<const DIRECTION: u8, const M: usize, const P: usize>(Transform);

impl<const DIRECTION: u8, const M: usize, const P: usize> WithSimd for Tiles<DIRECTION, M, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Transform { tiling, channels, image, row, positions } = self.0;
        let (across, down) = (tiling.columns / M, tiling.rows / M);
        let stride = tiling.stride(channels);
        for at in 0..down * across {
            let (y, x) = (at / across, at % across);
            for block in (0..channels).step_by(S::F32_LANES) {
                // SAFETY: the callers of `run` check the lengths of image and positions; y < down, x < across, block + lanes <= C.
                unsafe {
                    let image = image.add(y * M * row + x * M * channels + block);
                    let positions = positions.add((y * across + x) * channels + block);
                    let (of_image, of_positions) = ([row, channels], [P * stride, stride]);
                    match DIRECTION {
                        PATCHES => {
                            both_sides::<S, Patch, P, P, false>(simd, image, of_image, positions, of_positions);
                        }
                        TILES => both_sides::<S, Tile, M, P, false>(simd, image, of_image, positions, of_positions),
                        _ => both_sides::<S, Output, P, M, false>(simd, positions, of_positions, image, of_image),
                    }
                }
            }
        }
    }
}

/// A matrix that multiplies vectors of IN numbers: one of a transform's two sides.
trait OneSide<const IN: usize, const OUT: usize> {
    fn apply<S: Simd>(simd: S, values: [S::f32s; IN]) -> [S::f32s; OUT];
}

/// `M d Mᵀ` of the IN×IN vectors from `from` on, with M of `T`; with ADD it is added to what is there. `strides` are the floats between rows
/// and between columns.
///
/// Loops, not `from_fn`, `map` or closures: those are not always inlined, and a function that is not inlined is compiled without the vectors.
///
/// SAFETY: IN×IN vectors can be read from `from` on, and OUT×OUT be written from `to` on.
#[inline(always)]
unsafe fn both_sides<S: Simd, T: OneSide<IN, OUT>, const IN: usize, const OUT: usize, const ADD: bool>(
    simd: S,
    from: *const f32,
    from_strides: [usize; 2],
    to: *mut f32,
    to_strides: [usize; 2],
) {
    // SAFETY: as for this function.
    unsafe {
        let mut columns = [[simd.splat_f32s(0.0); OUT]; IN];
        for (x, column) in columns.iter_mut().enumerate() {
            let mut values = [simd.splat_f32s(0.0); IN];
            for (y, value) in values.iter_mut().enumerate() {
                *value = load::<S>(from.add(y * from_strides[0] + x * from_strides[1]));
            }
            *column = T::apply(simd, values);
        }
        for y in 0..OUT {
            let mut values = [simd.splat_f32s(0.0); IN];
            for (value, column) in values.iter_mut().zip(&columns) {
                *value = column[y];
            }
            for (x, mut value) in T::apply(simd, values).into_iter().enumerate() {
                let to = to.add(y * to_strides[0] + x * to_strides[1]);
                if ADD {
                    value = simd.add_f32s(load::<S>(to), value);
                }
                store::<S>(to, value);
            }
        }
    }
}

/// `a - b * factor`, as `a + b * -factor`.
#[inline(always)]
fn plus<S: Simd>(simd: S, a: S::f32s, b: S::f32s, factor: f32) -> S::f32s {
    multiply_add(simd, b, simd.splat_f32s(factor), a)
}

/// `Bᵀ d`. For m = 4 its rows are 4, 0, -5, 0, 1, 0 / 0, -4, -4, 1, 1, 0 / 0, 4, -4, -1, 1, 0 / 0, -2, -1, 2, 1, 0 / 0, 2, -1, -2, 1, 0 /
/// 0, 4, 0, -5, 0, 1; for m = 2: 1, 0, -1, 0 / 0, 1, 1, 0 / 0, -1, 1, 0 / 0, 1, 0, -1.
struct Patch;

impl<const P: usize> OneSide<P, P> for Patch {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, d: [S::f32s; P]) -> [S::f32s; P] {
        let mut out = d;
        if P == 4 {
            out[0] = simd.sub_f32s(d[0], d[2]);
            out[1] = simd.add_f32s(d[1], d[2]);
            out[2] = simd.sub_f32s(d[2], d[1]);
            out[3] = simd.sub_f32s(d[1], d[3]);
        } else {
            let (even, odd) = (plus(simd, d[4], d[2], -4.0), plus(simd, d[3], d[1], -4.0));
            let (second, first) = (simd.sub_f32s(d[4], d[2]), simd.sub_f32s(d[3], d[1]));
            out[0] = plus(simd, plus(simd, d[4], d[2], -5.0), d[0], 4.0);
            out[1] = simd.add_f32s(even, odd);
            out[2] = simd.sub_f32s(even, odd);
            out[3] = plus(simd, second, first, 2.0);
            out[4] = plus(simd, second, first, -2.0);
            out[5] = plus(simd, plus(simd, d[5], d[3], -5.0), d[1], 4.0);
        }
        out
    }
}

/// `A t`, the transpose of [`Output`].
struct Tile;

impl<const M: usize, const P: usize> OneSide<M, P> for Tile {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, t: [S::f32s; M]) -> [S::f32s; P] {
        let mut out = [t[0]; P];
        if M == 2 {
            out[1] = simd.add_f32s(t[0], t[1]);
            out[2] = simd.sub_f32s(t[0], t[1]);
            out[3] = simd.sub_f32s(simd.splat_f32s(0.0), t[1]);
        } else {
            let (even, odd) = (simd.add_f32s(t[0], t[2]), simd.add_f32s(t[1], t[3]));
            let (far_even, far_odd) = (plus(simd, t[0], t[2], 4.0), plus(simd, t[1], t[3], 4.0));
            out[1] = simd.add_f32s(even, odd);
            out[2] = simd.sub_f32s(even, odd);
            out[3] = plus(simd, far_even, far_odd, 2.0);
            out[4] = plus(simd, far_even, far_odd, -2.0);
            out[5] = t[3];
        }
        out
    }
}

/// `Aᵀ s`. For m = 4 its rows are 1, 1, 1, 1, 1, 0 / 0, 1, -1, 2, -2, 0 / 0, 1, 1, 4, 4, 0 / 0, 1, -1, 8, -8, 1; for m = 2: 1, 1, 1, 0 /
/// 0, 1, -1, -1.
struct Output;

impl<const M: usize, const P: usize> OneSide<P, M> for Output {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, s: [S::f32s; P]) -> [S::f32s; M] {
        let mut out = [s[0]; M];
        let (sum, difference) = (simd.add_f32s(s[1], s[2]), simd.sub_f32s(s[1], s[2]));
        if M == 2 {
            out[0] = simd.add_f32s(s[0], sum);
            out[1] = simd.sub_f32s(difference, s[3]);
        } else {
            let (far_sum, far_difference) = (simd.add_f32s(s[3], s[4]), simd.sub_f32s(s[3], s[4]));
            out[0] = simd.add_f32s(simd.add_f32s(s[0], sum), far_sum);
            out[1] = plus(simd, difference, far_difference, 2.0);
            out[2] = plus(simd, sum, far_sum, 4.0);
            out[3] = plus(simd, simd.add_f32s(s[5], difference), far_difference, 8.0);
        }
        out
    }
}

#[inline(always)]
fn scaled<S: Simd>(simd: S, x: S::f32s, factor: f32) -> S::f32s {
    simd.mul_f32s(x, simd.splat_f32s(factor))
}

/// `G g`. For m = 4 the rows of G are 1/4, 0, 0 / -1/6, -1/6, -1/6 / -1/6, 1/6, -1/6 / 1/24, 1/12, 1/6 / 1/24, -1/12, 1/6 / 0, 0, 1; for
/// m = 2: 1, 0, 0 / 1/2, 1/2, 1/2 / 1/2, -1/2, 1/2 / 0, 0, 1.
struct Weight;

impl<const P: usize> OneSide<3, P> for Weight {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, g: [S::f32s; 3]) -> [S::f32s; P] {
        let mut out = [g[2]; P];
        if P == 4 {
            let (even, odd) = (scaled(simd, simd.add_f32s(g[0], g[2]), 0.5), scaled(simd, g[1], 0.5));
            out[0] = g[0];
            out[1] = simd.add_f32s(even, odd);
            out[2] = simd.sub_f32s(even, odd);
        } else {
            let (even, odd) = (scaled(simd, simd.add_f32s(g[0], g[2]), -1.0 / 6.0), scaled(simd, g[1], -1.0 / 6.0));
            let far = plus(simd, scaled(simd, g[0], 1.0 / 24.0), g[2], 1.0 / 6.0);
            out[0] = scaled(simd, g[0], 0.25);
            out[1] = simd.add_f32s(even, odd);
            out[2] = simd.sub_f32s(even, odd);
            out[3] = plus(simd, far, g[1], 1.0 / 12.0);
            out[4] = plus(simd, far, g[1], -1.0 / 12.0);
        }
        out
    }
}

/// `Gᵀ u`, the transpose of [`Weight`].
struct WeightGradient;

impl<const P: usize> OneSide<P, 3> for WeightGradient {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, u: [S::f32s; P]) -> [S::f32s; 3] {
        let (sum, difference) = (simd.add_f32s(u[1], u[2]), simd.sub_f32s(u[1], u[2]));
        if P == 4 {
            let half = scaled(simd, sum, 0.5);
            [simd.add_f32s(u[0], half), scaled(simd, difference, 0.5), simd.add_f32s(u[3], half)]
        } else {
            let (far_sum, far_difference) = (simd.add_f32s(u[3], u[4]), simd.sub_f32s(u[3], u[4]));
            let sixth = scaled(simd, sum, -1.0 / 6.0);
            [
                plus(simd, plus(simd, sixth, far_sum, 1.0 / 24.0), u[0], 0.25),
                plus(simd, scaled(simd, difference, -1.0 / 6.0), far_difference, 1.0 / 12.0),
                simd.add_f32s(plus(simd, sixth, far_sum, 1.0 / 6.0), u[5]),
            ]
        }
    }
}

/// `G g Gᵀ` of weights `[3, 3, n]`, n pairs of channels, a multiple of 8; `out` is `[position, n]`.
pub(crate) fn transform_weights(isa: Isa, tile: TileSide, weight: &[f32], out: &mut [f32]) {
    let n = weight.len() / 9;
    assert!(weight.len() == 9 * n && out.len() == tile.positions() * n);
    let isa = isa.for_channels(n);
    match tile {
        TileSide::Two => isa.run(Weights::<Weight, 3, 4, false> { from: weight, to: out, n, side: PhantomData }),
        TileSide::Four => isa.run(Weights::<Weight, 3, 6, false> { from: weight, to: out, n, side: PhantomData }),
    }
}

/// Adds `Gᵀ u G` of `u` `[position, n]` to `dweight` `[3, 3, n]`, n a multiple of 8.
pub(crate) fn add_weight_gradient(isa: Isa, tile: TileSide, u: &[f32], dweight: &mut [f32]) {
    let n = dweight.len() / 9;
    assert!(dweight.len() == 9 * n && u.len() == tile.positions() * n);
    let isa = isa.for_channels(n);
    match tile {
        TileSide::Two => isa.run(Weights::<WeightGradient, 4, 3, true> { from: u, to: dweight, n, side: PhantomData }),
        TileSide::Four => isa.run(Weights::<WeightGradient, 6, 3, true> { from: u, to: dweight, n, side: PhantomData }),
    }
}

/// The transform T of `n` pairs of channels, `[IN, IN, n]` to `[OUT, OUT, n]`; with ADD it is added to what is there.
struct Weights<'a, T, const IN: usize, const OUT: usize, const ADD: bool> {
    from: &'a [f32],
    to: &'a mut [f32],
    n: usize,
    side: PhantomData<T>,
}

impl<T: OneSide<IN, OUT>, const IN: usize, const OUT: usize, const ADD: bool> WithSimd
    for Weights<'_, T, IN, OUT, ADD>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { from, to, n, .. } = self;
        for at in (0..n).step_by(S::F32_LANES) {
            // SAFETY: the functions that make it check the lengths; n is a multiple of the lanes.
            unsafe {
                let (from, to) = (from.as_ptr().add(at), to.as_mut_ptr().add(at));
                both_sides::<S, T, IN, OUT, ADD>(simd, from, [IN * n, n], to, [OUT * n, n]);
            }
        }
    }
}
