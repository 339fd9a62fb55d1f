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
                    match DIRECTION {
                        PATCHES => patch::<S, P>(simd, image, row, channels, positions, stride),
                        TILES => tile::<S, M, P>(simd, image, row, channels, positions, stride),
                        _ => output::<S, M, P>(simd, positions, stride, image, row, channels),
                    }
                }
            }
        }
    }
}

// Loops, not `from_fn`, `map` or closures: those are not always inlined, and a function that is not inlined is compiled without the vectors.

/// SAFETY: N vectors can be read from `from` on, `stride` floats apart.
#[inline(always)]
unsafe fn load_strided<S: Simd, const N: usize>(simd: S, from: *const f32, stride: usize) -> [S::f32s; N] {
    let mut out = [simd.splat_f32s(0.0); N];
    for (i, out) in out.iter_mut().enumerate() {
        // SAFETY: as for this function.
        *out = unsafe { load::<S>(from.add(i * stride)) };
    }
    out
}

/// Row `y` of a matrix that is stored by columns.
#[inline(always)]
fn across<S: Simd, const ROWS: usize, const COLUMNS: usize>(
    simd: S,
    columns: &[[S::f32s; ROWS]; COLUMNS],
    y: usize,
) -> [S::f32s; COLUMNS] {
    let mut out = [simd.splat_f32s(0.0); COLUMNS];
    for (out, column) in out.iter_mut().zip(columns) {
        *out = column[y];
    }
    out
}

/// SAFETY: a patch can be read from `from` on, and all positions be written from `to` on.
#[inline(always)]
unsafe fn patch<S: Simd, const P: usize>(
    simd: S,
    from: *const f32,
    row: usize,
    pixel: usize,
    to: *mut f32,
    stride: usize,
) {
    // SAFETY: as for this function.
    unsafe {
        let mut columns = [[simd.splat_f32s(0.0); P]; P];
        for (x, column) in columns.iter_mut().enumerate() {
            *column = patch_1d::<S, P>(simd, load_strided::<S, P>(simd, from.add(x * pixel), row));
        }
        for y in 0..P {
            let values = patch_1d::<S, P>(simd, across::<S, P, P>(simd, &columns, y));
            for (x, value) in values.into_iter().enumerate() {
                store::<S>(to.add((y * P + x) * stride), value);
            }
        }
    }
}

/// SAFETY: a tile can be read from `from` on, and all positions be written from `to` on.
#[inline(always)]
unsafe fn tile<S: Simd, const M: usize, const P: usize>(
    simd: S,
    from: *const f32,
    row: usize,
    pixel: usize,
    to: *mut f32,
    stride: usize,
) {
    // SAFETY: as for this function.
    unsafe {
        let mut columns = [[simd.splat_f32s(0.0); P]; M];
        for (x, column) in columns.iter_mut().enumerate() {
            *column = tile_1d::<S, M, P>(simd, load_strided::<S, M>(simd, from.add(x * pixel), row));
        }
        for y in 0..P {
            let values = tile_1d::<S, M, P>(simd, across::<S, P, M>(simd, &columns, y));
            for (x, value) in values.into_iter().enumerate() {
                store::<S>(to.add((y * P + x) * stride), value);
            }
        }
    }
}

/// SAFETY: all positions can be read from `from` on, and a tile be written from `to` on.
#[inline(always)]
unsafe fn output<S: Simd, const M: usize, const P: usize>(
    simd: S,
    from: *const f32,
    stride: usize,
    to: *mut f32,
    row: usize,
    pixel: usize,
) {
    // SAFETY: as for this function.
    unsafe {
        let mut columns = [[simd.splat_f32s(0.0); M]; P];
        for (x, column) in columns.iter_mut().enumerate() {
            *column = output_1d::<S, M, P>(simd, load_strided::<S, P>(simd, from.add(x * stride), P * stride));
        }
        for y in 0..M {
            let values = output_1d::<S, M, P>(simd, across::<S, M, P>(simd, &columns, y));
            for (x, value) in values.into_iter().enumerate() {
                store::<S>(to.add(y * row + x * pixel), value);
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
#[inline(always)]
fn patch_1d<S: Simd, const P: usize>(simd: S, d: [S::f32s; P]) -> [S::f32s; P] {
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

/// `A t`, the transpose of [`output_1d`].
#[inline(always)]
fn tile_1d<S: Simd, const M: usize, const P: usize>(simd: S, t: [S::f32s; M]) -> [S::f32s; P] {
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

/// `Aᵀ s`. For m = 4 its rows are 1, 1, 1, 1, 1, 0 / 0, 1, -1, 2, -2, 0 / 0, 1, 1, 4, 4, 0 / 0, 1, -1, 8, -8, 1; for m = 2: 1, 1, 1, 0 /
/// 0, 1, -1, -1.
#[inline(always)]
fn output_1d<S: Simd, const M: usize, const P: usize>(simd: S, s: [S::f32s; P]) -> [S::f32s; M] {
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

#[inline(always)]
fn scaled<S: Simd>(simd: S, x: S::f32s, factor: f32) -> S::f32s {
    simd.mul_f32s(x, simd.splat_f32s(factor))
}

/// `G g`. For m = 4 the rows of G are 1/4, 0, 0 / -1/6, -1/6, -1/6 / -1/6, 1/6, -1/6 / 1/24, 1/12, 1/6 / 1/24, -1/12, 1/6 / 0, 0, 1; for
/// m = 2: 1, 0, 0 / 1/2, 1/2, 1/2 / 1/2, -1/2, 1/2 / 0, 0, 1.
#[inline(always)]
fn weight_1d<S: Simd, const P: usize>(simd: S, g: [S::f32s; 3]) -> [S::f32s; P] {
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

/// `Gᵀ u`, the transpose of [`weight_1d`].
#[inline(always)]
fn weight_gradient_1d<S: Simd, const P: usize>(simd: S, u: [S::f32s; P]) -> [S::f32s; 3] {
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

/// `G g Gᵀ` of weights `[3, 3, n]`, n pairs of channels, a multiple of 8; `out` is `[position, n]`.
pub(crate) fn transform_weights(isa: Isa, tile: TileSide, weight: &[f32], out: &mut [f32]) {
    let n = weight.len() / 9;
    assert!(weight.len() == 9 * n && out.len() == tile.positions() * n);
    let isa = isa.for_channels(n);
    match tile {
        TileSide::Two => isa.run(Weights::<4> { weight, out, n }),
        TileSide::Four => isa.run(Weights::<6> { weight, out, n }),
    }
}

/// Adds `Gᵀ u G` of `u` `[position, n]` to `dweight` `[3, 3, n]`, n a multiple of 8.
pub(crate) fn add_weight_gradient(isa: Isa, tile: TileSide, u: &[f32], dweight: &mut [f32]) {
    let n = dweight.len() / 9;
    assert!(dweight.len() == 9 * n && u.len() == tile.positions() * n);
    let isa = isa.for_channels(n);
    match tile {
        TileSide::Two => isa.run(WeightGradients::<4> { u, dweight, n }),
        TileSide::Four => isa.run(WeightGradients::<6> { u, dweight, n }),
    }
}

/// P is m + 2.
struct Weights<'a, const P: usize> {
    weight: &'a [f32],
    out: &'a mut [f32],
    n: usize,
}

impl<const P: usize> WithSimd for Weights<'_, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weight, out, n } = self;
        for at in (0..n).step_by(S::F32_LANES) {
            // SAFETY: `transform_weights` checks the lengths; n is a multiple of the lanes.
            unsafe {
                let (from, to) = (weight.as_ptr().add(at), out.as_mut_ptr().add(at));
                let mut columns = [[simd.splat_f32s(0.0); P]; 3];
                for (x, column) in columns.iter_mut().enumerate() {
                    *column = weight_1d::<S, P>(simd, load_strided::<S, 3>(simd, from.add(x * n), 3 * n));
                }
                for y in 0..P {
                    let values = weight_1d::<S, P>(simd, across::<S, P, 3>(simd, &columns, y));
                    for (x, value) in values.into_iter().enumerate() {
                        store::<S>(to.add((y * P + x) * n), value);
                    }
                }
            }
        }
    }
}

/// P is m + 2.
struct WeightGradients<'a, const P: usize> {
    u: &'a [f32],
    dweight: &'a mut [f32],
    n: usize,
}

impl<const P: usize> WithSimd for WeightGradients<'_, P> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { u, dweight, n } = self;
        for at in (0..n).step_by(S::F32_LANES) {
            // SAFETY: `add_weight_gradient` checks the lengths; n is a multiple of the lanes.
            unsafe {
                let (from, to) = (u.as_ptr().add(at), dweight.as_mut_ptr().add(at));
                let mut columns = [[simd.splat_f32s(0.0); 3]; P];
                for (x, column) in columns.iter_mut().enumerate() {
                    *column = weight_gradient_1d::<S, P>(simd, load_strided::<S, P>(simd, from.add(x * n), P * n));
                }
                for y in 0..3 {
                    let values = weight_gradient_1d::<S, P>(simd, across::<S, 3, P>(simd, &columns, y));
                    for (x, value) in values.into_iter().enumerate() {
                        let to = to.add((y * 3 + x) * n);
                        store::<S>(to, simd.add_f32s(load::<S>(to), value));
                    }
                }
            }
        }
    }
}
