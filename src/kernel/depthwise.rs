//! Inner loops of the depthwise convolution: vectors along channels, no sums across them.
#![allow(unsafe_code)] // Raw pointers: bounds are checked once per image, not once per multiply-add.

use pulp::{Simd, WithSimd};

use super::channel::{Grid, load};
use super::isa::{Isa, is_neon, multiply_add};
use super::tile::Tap;

/// `y[r, p][c] = Σ_tap x[r, p][tap.x + c] * weight[tap.weight + c]`.
#[derive(Debug)]
pub(crate) struct Forward<'a> {
    pub grid: Grid,
    pub x: &'a [f32],
    pub x_row: usize,
    pub x_pixel: usize,
    /// 1, 2, 4 or 9 taps.
    pub taps: &'a [Tap],
    pub weight: &'a [f32],
    pub y: &'a mut [f32],
    pub y_row: usize,
    pub y_pixel: usize,
}

/// `dweight[tap.weight + c] += Σ_{r, p} x[r, p][tap.x + c] * dy[r, p][c]` for nine taps.
#[derive(Debug)]
pub(crate) struct WeightGradient<'a> {
    pub grid: Grid,
    pub x: &'a [f32],
    pub x_row: usize,
    pub x_pixel: usize,
    pub taps: &'a [Tap; 9],
    pub dy: &'a [f32],
    pub dy_row: usize,
    pub dweight: &'a mut [f32],
}

fn span(grid: Grid, row: usize, pixel: usize) -> usize {
    (grid.rows - 1) * row + (grid.columns - 1) * pixel + grid.channels
}

fn farthest(taps: &[Tap]) -> (usize, usize) {
    taps.iter().fold((0, 0), |(x, weight), tap| (x.max(tap.x), weight.max(tap.weight)))
}

impl Forward<'_> {
    /// Runs it with the instructions of `isa`.
    pub fn run(self, isa: Isa) {
        if self.grid.rows == 0 || self.grid.columns == 0 {
            return;
        }
        let (x, weight) = farthest(self.taps);
        assert!(
            span(self.grid, self.x_row, self.x_pixel) + x <= self.x.len(),
            "input of {} floats is too short",
            self.x.len()
        );
        assert!(
            span(self.grid, self.y_row, self.y_pixel) <= self.y.len(),
            "output of {} floats is too short",
            self.y.len()
        );
        assert!(weight + self.grid.channels <= self.weight.len(), "{} weights are too few", self.weight.len());
        let isa = isa.for_channels(self.grid.channels);
        match self.taps.len() {
            1 => isa.run(ForwardTaps::<1>(self)),
            2 => isa.run(ForwardTaps::<2>(self)),
            4 => isa.run(ForwardTaps::<4>(self)),
            9 => isa.run(ForwardTaps::<9>(self)),
            taps => unreachable!("a 3×3 kernel has no part of {taps} taps"),
        }
    }
}

/// Whether `S` computes pixels four at a time, so that an input is loaded once for the three pixels of a row that it belongs to.
#[inline(always)]
fn shares_inputs<S: Simd>(taps: &[Tap], x_pixel: usize) -> bool {
    is_neon::<S>()
        && taps.len() == 9
        && taps.chunks(3).all(|row| row.windows(2).all(|two| two[0].x + x_pixel == two[1].x))
}

/// The inputs of four adjacent pixels in one row of the kernel.
///
/// SAFETY: all six can be read from `x` on.
#[inline(always)]
unsafe fn inputs_of_four<S: Simd>(x: *const f32, x_pixel: usize) -> [S::f32s; 6] {
    // SAFETY: as for this function.
    std::array::from_fn(|column| unsafe { load::<S>(x.add(column * x_pixel)) })
}

struct ForwardTaps<'a, const T: usize>(Forward<'a>);

impl<const T: usize> WithSimd for ForwardTaps<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let f = self.0;
        let Grid { rows, columns, channels } = f.grid;
        let shared = T == 9 && shares_inputs::<S>(f.taps, f.x_pixel);
        for block in (0..channels).step_by(S::F32_LANES) {
            // SAFETY: `Forward::run` checks the largest offsets against the slices' lengths; block + lanes <= C.
            unsafe {
                let mut w = [simd.splat_f32s(0.0); T];
                for (w, tap) in w.iter_mut().zip(f.taps) {
                    *w = f.weight.as_ptr().add(tap.weight + block).cast::<S::f32s>().read_unaligned();
                }
                let offsets: [usize; T] = std::array::from_fn(|t| f.taps[t].x + block);
                for row in 0..rows {
                    let x = f.x.as_ptr().add(row * f.x_row);
                    let y = f.y.as_mut_ptr().add(row * f.y_row + block);
                    let mut start = 0;
                    while shared && start + 4 <= columns {
                        let mut sums = [simd.splat_f32s(0.0); 4];
                        for t in (0..T).step_by(3) {
                            let inputs = inputs_of_four::<S>(x.add(start * f.x_pixel + offsets[t]), f.x_pixel);
                            for (pixel, sum) in sums.iter_mut().enumerate() {
                                for (w, x) in w[t..].iter().zip(&inputs[pixel..pixel + 3]) {
                                    *sum = multiply_add(simd, *w, *x, *sum);
                                }
                            }
                        }
                        for (pixel, sum) in sums.into_iter().enumerate() {
                            y.add((start + pixel) * f.y_pixel).cast::<S::f32s>().write_unaligned(sum);
                        }
                        start += 4;
                    }
                    for column in start..columns {
                        let x = x.add(column * f.x_pixel);
                        let mut sum = simd.splat_f32s(0.0);
                        for (w, offset) in w.iter().zip(offsets) {
                            sum = multiply_add(simd, *w, x.add(offset).cast::<S::f32s>().read_unaligned(), sum);
                        }
                        y.add(column * f.y_pixel).cast::<S::f32s>().write_unaligned(sum);
                    }
                }
            }
        }
    }
}

impl WeightGradient<'_> {
    /// Runs it with the instructions of `isa`.
    pub fn run(self, isa: Isa) {
        let (x, weight) = farthest(self.taps);
        assert!(
            span(self.grid, self.x_row, self.x_pixel) + x <= self.x.len(),
            "input of {} floats is too short",
            self.x.len()
        );
        assert!(
            span(self.grid, self.dy_row, self.grid.channels) <= self.dy.len(),
            "gradient of {} floats is too short",
            self.dy.len()
        );
        assert!(weight + self.grid.channels <= self.dweight.len(), "{} weights are too few", self.dweight.len());
        isa.for_channels(self.grid.channels).run(WeightTaps(self));
    }
}

struct WeightTaps<'a>(WeightGradient<'a>);

impl WithSimd for WeightTaps<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let g = self.0;
        let Grid { rows, columns, channels } = g.grid;
        let shared = shares_inputs::<S>(g.taps, g.x_pixel);
        for block in (0..channels).step_by(S::F32_LANES) {
            // SAFETY: `WeightGradient::run` checks the largest offsets against the slices' lengths; block + lanes <= C.
            unsafe {
                let target = g.dweight.as_mut_ptr().add(block);
                let mut sum = [simd.splat_f32s(0.0); 9];
                for (sum, tap) in sum.iter_mut().zip(g.taps) {
                    *sum = target.add(tap.weight).cast::<S::f32s>().read_unaligned();
                }
                let offsets: [usize; 9] = std::array::from_fn(|t| g.taps[t].x + block);
                for row in 0..rows {
                    let x = g.x.as_ptr().add(row * g.x_row);
                    let dy = g.dy.as_ptr().add(row * g.dy_row + block);
                    let mut start = 0;
                    while shared && start + 4 <= columns {
                        let d: [S::f32s; 4] =
                            std::array::from_fn(|pixel| load::<S>(dy.add((start + pixel) * channels)));
                        for t in (0..9).step_by(3) {
                            let inputs = inputs_of_four::<S>(x.add(start * g.x_pixel + offsets[t]), g.x_pixel);
                            for (pixel, d) in d.iter().enumerate() {
                                for (sum, x) in sum[t..].iter_mut().zip(&inputs[pixel..pixel + 3]) {
                                    *sum = multiply_add(simd, *d, *x, *sum);
                                }
                            }
                        }
                        start += 4;
                    }
                    for column in start..columns {
                        let d = dy.add(column * channels).cast::<S::f32s>().read_unaligned();
                        let x = x.add(column * g.x_pixel);
                        for (sum, offset) in sum.iter_mut().zip(offsets) {
                            *sum = multiply_add(simd, d, x.add(offset).cast::<S::f32s>().read_unaligned(), *sum);
                        }
                    }
                }
                for (sum, tap) in sum.iter().zip(g.taps) {
                    target.add(tap.weight).cast::<S::f32s>().write_unaligned(*sum);
                }
            }
        }
    }
}
