//! The two inner loops of every dense convolution, on NHWC arrays.
//!
//! Both keep a tile of `P` × `B` vectors in registers: `P` adjacent pixels (or weights) by `B` vectors of output channels.
//! Each loaded vector serves `P` multiply-adds and each broadcast value `B`, so arithmetic, not loads, is the bottleneck.
#![allow(unsafe_code)] // Raw pointers: bounds are checked once per image, not once per multiply-add.

use pulp::{Simd, WithSimd};

#[cfg(target_arch = "aarch64")]
use super::channel::load;
#[cfg(target_arch = "aarch64")]
use super::isa::is_neon;
use super::isa::{Isa, multiply_add};
#[cfg(target_arch = "aarch64")]
use super::neon::multiply_add_element;
use super::tile_size;

/// A run of inputs: `run` adjacent values from `x` on are multiplied by as many rows of weights from `weight` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    /// Offset into the input, relative to the pixel.
    pub x: usize,
    /// Offset of the first weight row.
    pub weight: usize,
}

/// `y[r][p][o] = Σ_tap Σ_k x[r, p][tap.x + k] * weight[tap.weight + k * O + o]` over a grid of pixels.
#[derive(Debug)]
pub(crate) struct Forward<'a> {
    pub x: &'a [f32],
    /// Floats between the inputs of adjacent output rows.
    pub x_row: usize,
    /// Floats between the inputs of adjacent output pixels.
    pub x_pixel: usize,
    pub taps: &'a [Tap],
    /// Adjacent inputs per tap.
    pub run: usize,
    pub weight: &'a [f32],
    /// Floats between the weights of adjacent output rows: 0 in a convolution, whose rows have the same.
    pub weight_row: usize,
    /// O, a multiple of 8.
    pub channels: usize,
    pub y: &'a mut [f32],
    pub y_row: usize,
    pub y_pixel: usize,
    pub rows: usize,
    pub columns: usize,
}

/// `dweight[k][o] (+)= Σ_{r, p} x[r, p][k] * dy[r, p][o]` for `k` in `0..run`.
#[derive(Debug)]
pub(crate) struct WeightGradient<'a> {
    pub x: &'a [f32],
    pub x_row: usize,
    pub x_pixel: usize,
    pub run: usize,
    pub dy: &'a [f32],
    pub dy_row: usize,
    pub dy_pixel: usize,
    /// O, a multiple of 8.
    pub channels: usize,
    pub dweight: &'a mut [f32],
    pub rows: usize,
    pub columns: usize,
    /// Several gradients, each of arrays of its own.
    pub repeat: Repeat,
    /// Adds to `dweight` instead of overwriting it.
    pub accumulate: bool,
}

/// Gradients of equal shape, and the floats from the arrays of one to those of the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repeat {
    pub count: usize,
    pub x: usize,
    pub dy: usize,
    pub dweight: usize,
}

impl Repeat {
    /// A single gradient.
    pub const ONCE: Self = Self { count: 1, x: 0, dy: 0, dweight: 0 };
}

/// Runs `$run!(P, B)` for the tile of `$p` pixels and `$b` vectors.
macro_rules! for_tile {
    ($p:expr, $b:expr, $run:ident) => {
        match $b {
            1 => for_tile!($p, $run, 1, 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16),
            2 => for_tile!($p, $run, 2, 1 2 3 4 5 6 7 8 9 10 11 12),
            3 => for_tile!($p, $run, 3, 1 2 3 4 5 6 7 8),
            4 => for_tile!($p, $run, 4, 1 2 3 4 5 6),
            b => unreachable!("no tile of {b} vectors"),
        }
    };
    ($p:expr, $run:ident, $b:literal, $($pixels:literal)*) => {
        match $p {
            $($pixels => $run!($pixels, $b),)*
            p => unreachable!("no tile of {p} pixels by {} vectors", $b),
        }
    };
}

impl Forward<'_> {
    /// Runs it with the instructions of `isa`.
    pub fn run(mut self, isa: Isa) {
        if self.rows == 0 || self.columns == 0 {
            return;
        }
        let isa = isa.for_channels(self.channels);
        self.check();
        // The last tile of a row may overlap its neighbour and write the same values again.
        let (pixels, blocks) = tile_size::of_forward(isa, self.channels / isa.geometry().0, self.columns);
        macro_rules! run {
            ($p:literal, $b:literal) => {
                isa.run(ForwardTiles::<'_, '_, $p, $b>(&mut self))
            };
        }
        for_tile!(pixels, blocks, run);
    }

    /// Checks that every offset of the tiles lies inside the slices.
    fn check(&self) {
        let last = |row: usize, pixel: usize| (self.rows - 1) * row + (self.columns - 1) * pixel;
        let x_last = self.taps.iter().map(|tap| tap.x).max().unwrap_or(0) + last(self.x_row, self.x_pixel);
        assert!(x_last + self.run <= self.x.len(), "input of {} floats, {} needed", self.x.len(), x_last + self.run);
        let weight_last = self.taps.iter().map(|tap| tap.weight).max().unwrap_or(0) + (self.rows - 1) * self.weight_row;
        let weights = weight_last + self.run * self.channels;
        assert!(weights <= self.weight.len(), "{} weights, {weights} needed", self.weight.len());
        let y_last = last(self.y_row, self.y_pixel) + self.channels;
        assert!(y_last <= self.y.len(), "output of {} floats, {y_last} needed", self.y.len());
    }
}

struct ForwardTiles<'a, 'b, const P: usize, const B: usize>(&'a mut Forward<'b>);

impl<const P: usize, const B: usize> WithSimd for ForwardTiles<'_, '_, P, B> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let f = self.0;
        let lanes = S::F32_LANES;
        for block in (0..f.channels).step_by(B * lanes) {
            for row in 0..f.rows {
                let mut column = 0;
                while column < f.columns {
                    // The last tile moves left to end with the row.
                    column = column.min(f.columns - P);
                    // SAFETY: `Forward::check` checks the largest offsets against the slices' lengths; here
                    // row < rows, column + P <= columns, block + B * lanes <= channels.
                    unsafe {
                        let x = f.x.as_ptr().add(row * f.x_row + column * f.x_pixel);
                        let weight = f.weight.as_ptr().add(row * f.weight_row + block);
                        let y = f.y.as_mut_ptr().add(row * f.y_row + column * f.y_pixel + block);
                        forward_tile::<S, P, B>(simd, f, x, weight, y);
                    }
                    column += P;
                }
            }
        }
    }
}

/// SAFETY: the pixel at `x` and the `P - 1` after it, the weights and the outputs lie inside their slices.
#[inline(always)]
unsafe fn forward_tile<S: Simd, const P: usize, const B: usize>(
    simd: S,
    f: &Forward<'_>,
    x: *const f32,
    weight: *const f32,
    y: *mut f32,
) {
    let lanes = S::F32_LANES;
    // SAFETY: the caller guarantees the ranges; all loads and stores are unaligned.
    unsafe {
        let mut sum = [[simd.splat_f32s(0.0); B]; P];
        for tap in f.taps {
            let (x, weight) = (x.add(tap.x), weight.add(tap.weight));
            #[allow(unused_mut, reason = "not on all processors")]
            let mut start = 0;
            #[cfg(target_arch = "aarch64")]
            if is_neon::<S>() {
                start = f.run / 4 * 4;
                forward_by_element::<S, P, B>(f, x, weight, &mut sum);
            }
            for k in start..f.run {
                let mut w = [simd.splat_f32s(0.0); B];
                for (b, w) in w.iter_mut().enumerate() {
                    *w = weight.add(k * f.channels + b * lanes).cast::<S::f32s>().read_unaligned();
                }
                for (p, sum) in sum.iter_mut().enumerate() {
                    let value = simd.splat_f32s(*x.add(p * f.x_pixel + k));
                    for (sum, w) in sum.iter_mut().zip(w) {
                        *sum = multiply_add(simd, value, w, *sum);
                    }
                }
            }
        }
        for (p, sum) in sum.iter().enumerate() {
            for (b, sum) in sum.iter().enumerate() {
                y.add(p * f.y_pixel + b * lanes).cast::<S::f32s>().write_unaligned(*sum);
            }
        }
    }
}

/// Adds the products of all inputs of a run but for the last `run % 4`: one load of four inputs serves as many rows of weights.
///
/// SAFETY: as for [`forward_tile`].
#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn forward_by_element<S: Simd, const P: usize, const B: usize>(
    f: &Forward<'_>,
    x: *const f32,
    weight: *const f32,
    sum: &mut [[S::f32s; B]; P],
) {
    // SAFETY: as for this function.
    unsafe {
        for k in (0..f.run / 4 * 4).step_by(4) {
            let values: [S::f32s; P] = std::array::from_fn(|p| load::<S>(x.add(p * f.x_pixel + k)));
            macro_rules! element {
                ($lane:literal) => {
                    let weight = weight.add((k + $lane) * f.channels);
                    let w: [S::f32s; B] = std::array::from_fn(|b| load::<S>(weight.add(b * S::F32_LANES)));
                    for (sum, value) in sum.iter_mut().zip(values) {
                        for (sum, w) in sum.iter_mut().zip(w) {
                            *sum = multiply_add_element::<S, $lane>(value, w, *sum);
                        }
                    }
                };
            }
            element!(0);
            element!(1);
            element!(2);
            element!(3);
        }
    }
}

impl WeightGradient<'_> {
    /// Runs it with the instructions of `isa`.
    pub fn run(mut self, isa: Isa) {
        let isa = isa.for_channels(self.channels);
        self.check();
        let (width, blocks) = tile_size::of_gradient(isa, self.channels / isa.geometry().0, self.run);
        let mut start = 0;
        while start < self.run {
            let rows = width.min(self.run - start);
            macro_rules! run {
                ($p:literal, $b:literal) => {
                    isa.run(WeightTiles::<'_, '_, $p, $b> { gradient: &mut self, start })
                };
            }
            for_tile!(rows, blocks, run);
            start += rows;
        }
    }

    fn check(&self) {
        let is_empty = self.rows == 0 || self.columns == 0 || self.run == 0 || self.repeat.count == 0;
        assert!(!is_empty, "an empty convolution has no gradient");
        let repeat = |distance: usize| (self.repeat.count - 1) * distance;
        let last = |row: usize, pixel: usize| (self.rows - 1) * row + (self.columns - 1) * pixel;
        assert!(
            repeat(self.repeat.x) + last(self.x_row, self.x_pixel) + self.run <= self.x.len(),
            "input of {} floats is too short",
            self.x.len()
        );
        assert!(
            repeat(self.repeat.dy) + last(self.dy_row, self.dy_pixel) + self.channels <= self.dy.len(),
            "gradient of {} floats is too short",
            self.dy.len()
        );
        let weights = repeat(self.repeat.dweight) + self.run * self.channels;
        assert!(weights <= self.dweight.len(), "{} weights are too few", self.dweight.len());
    }
}

/// `P` rows of weights from `start` on.
struct WeightTiles<'a, 'b, const P: usize, const B: usize> {
    gradient: &'a mut WeightGradient<'b>,
    start: usize,
}

impl<const P: usize, const B: usize> WithSimd for WeightTiles<'_, '_, P, B> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { gradient: g, start } = self;
        let lanes = S::F32_LANES;
        let blocks = (0..g.channels).step_by(B * lanes);
        for (number, block) in (0..g.repeat.count).flat_map(|number| blocks.clone().map(move |block| (number, block))) {
            // SAFETY: `WeightGradient::check` checks the largest offsets against the slices' lengths; here
            // number < count, start + P <= run and block + B * lanes <= channels.
            unsafe {
                let target = g.dweight.as_mut_ptr().add(number * g.repeat.dweight + start * g.channels + block);
                let mut sum = [[simd.splat_f32s(0.0); B]; P];
                if g.accumulate {
                    for (p, sum) in sum.iter_mut().enumerate() {
                        for (b, sum) in sum.iter_mut().enumerate() {
                            *sum = target.add(p * g.channels + b * lanes).cast::<S::f32s>().read_unaligned();
                        }
                    }
                }
                for row in 0..g.rows {
                    let x = g.x.as_ptr().add(number * g.repeat.x + row * g.x_row + start);
                    let dy = g.dy.as_ptr().add(number * g.repeat.dy + row * g.dy_row + block);
                    for column in 0..g.columns {
                        let mut d = [simd.splat_f32s(0.0); B];
                        for (b, d) in d.iter_mut().enumerate() {
                            *d = dy.add(column * g.dy_pixel + b * lanes).cast::<S::f32s>().read_unaligned();
                        }
                        let x = x.add(column * g.x_pixel);
                        #[allow(unused_mut, reason = "not on all processors")]
                        let mut first = 0;
                        #[cfg(target_arch = "aarch64")]
                        if is_neon::<S>() {
                            first = P / 4 * 4;
                            gradient_by_element::<S, P, B>(x, d, &mut sum);
                        }
                        for (p, sum) in sum.iter_mut().enumerate().skip(first) {
                            let value = simd.splat_f32s(*x.add(p));
                            for (sum, d) in sum.iter_mut().zip(d) {
                                *sum = multiply_add(simd, value, d, *sum);
                            }
                        }
                    }
                }
                for (p, sum) in sum.iter().enumerate() {
                    for (b, sum) in sum.iter().enumerate() {
                        target.add(p * g.channels + b * lanes).cast::<S::f32s>().write_unaligned(*sum);
                    }
                }
            }
        }
    }
}

/// Adds the products of one pixel to all rows of weights but for the last `P % 4`: one load of four inputs serves as many rows.
///
/// SAFETY: P inputs can be read from `x` on.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn gradient_by_element<S: Simd, const P: usize, const B: usize>(
    x: *const f32,
    d: [S::f32s; B],
    sum: &mut [[S::f32s; B]; P],
) {
    for (four, sum) in sum.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        // SAFETY: as for this function.
        let values = unsafe { load::<S>(x.add(4 * four)) };
        for b in 0..B {
            sum[0][b] = multiply_add_element::<S, 0>(values, d[b], sum[0][b]);
            sum[1][b] = multiply_add_element::<S, 1>(values, d[b], sum[1][b]);
            sum[2][b] = multiply_add_element::<S, 2>(values, d[b], sum[2][b]);
            sum[3][b] = multiply_add_element::<S, 3>(values, d[b], sum[3][b]);
        }
    }
}
