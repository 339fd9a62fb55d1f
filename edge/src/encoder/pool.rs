//! Statistics of a value over its pixels: means, standard deviations, and the means of the cells of a 2×2 grid.
//!
//! H rows, W columns, C channels. In int8, sums and sums of squares are exact integers; in f16, sums run in the order of
//! the pixels. What follows are a few f32 operations per channel in a fixed order: the bits are the same on every CPU.

use core::ops::Range;

use super::format::{PART_CELLS, PART_STD};
use super::node::Value;

/// Channels that a word of an int8 value holds.
const LANES: usize = 4;

/// A value and what is pooled of it.
///
/// An engine with its own sums takes [`Self::cells`], [`Self::mean_int8`] and [`Self::std_int8`], and has the same bits.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Shape and zero point.
    pub value: Value,
    /// [`super::PooledValue::parts`].
    pub parts: u16,
    /// Pooled number per unit of the stored value.
    pub unit: f32,
    /// Added to a variance before its root.
    pub eps: f32,
}

/// Rows and columns of an area.
pub type Area = [Range<usize>; 2];

/// Exact sums over an area, of four channels.
struct Sums {
    values: [u32; LANES],
    squares: [u64; LANES],
}

impl Pool {
    /// Pools an int8 value.
    ///
    /// * `words`: `[H, W, C / 4]`
    /// * `pooled`: means `[C]`, standard deviations `[C]`, means of cells `[4, C]`, where `parts` has them
    pub(super) fn int8(&self, words: &[u32], pooled: &mut [f32]) {
        let channels = usize::from(self.value.channels);
        let pixels = self.value.values() / channels;
        for quad in 0..channels / LANES {
            let of_quad = quad * LANES..(quad + 1) * LANES;
            let has_std = self.parts & PART_STD != 0;
            let whole = self.whole();
            let sums =
                if has_std { self.sums::<true>(words, quad, &whole) } else { self.sums::<false>(words, quad, &whole) };
            let (mean, mut rest) = pooled.split_at_mut(channels);
            self.write_means(&sums, pixels, &mut mean[of_quad.clone()]);
            if has_std {
                let std;
                (std, rest) = rest.split_at_mut(channels);
                for (lane, std) in std[of_quad.clone()].iter_mut().enumerate() {
                    *std = self.std_int8(sums.values[lane], sums.squares[lane], pixels);
                }
            }
            if self.parts & PART_CELLS != 0 {
                for (cell, means) in self.cells().iter().zip(rest.chunks_exact_mut(channels)) {
                    let sums = self.sums::<false>(words, quad, cell);
                    self.write_means(&sums, area_len(cell), &mut means[of_quad.clone()]);
                }
            }
        }
    }

    /// Sums over an area of channels `4 quad` to `4 quad + 3`, of squares only if `SQUARES`. At most 2^20 pixels of 255 fit
    /// 32 bits, and the squares of a row of at most 1024 do.
    fn sums<const SQUARES: bool>(&self, words: &[u32], quad: usize, [rows, columns]: &Area) -> Sums {
        let (width, quads) = (usize::from(self.value.width), usize::from(self.value.channels) / LANES);
        let mut sums = Sums { values: [0; LANES], squares: [0; LANES] };
        for row in rows.clone() {
            let row = &words[(row * width + columns.start) * quads..(row * width + columns.end) * quads];
            let mut squares = [0u32; LANES];
            for &word in row.iter().skip(quad).step_by(quads) {
                let values = word.to_le_bytes();
                for lane in 0..LANES {
                    let value = u32::from(values[lane]);
                    sums.values[lane] += value;
                    if SQUARES {
                        squares[lane] += value * value;
                    }
                }
            }
            sums.squares.iter_mut().zip(squares).for_each(|(sum, row)| *sum += u64::from(row));
        }
        sums
    }

    fn write_means(&self, sums: &Sums, pixels: usize, means: &mut [f32]) {
        for (mean, &sum) in means.iter_mut().zip(&sums.values) {
            *mean = self.mean_int8(sum, pixels);
        }
    }

    /// The mean of `pixels` values of a channel with the given sum: minus the zero points, as f32, divided and scaled.
    pub fn mean_int8(&self, sum: u32, pixels: usize) -> f32 {
        let exact = (i64::from(sum) - i64::from(self.value.zero) * pixels as i64) as i32;
        exact as f32 / pixels as f32 * self.unit
    }

    /// `sqrt(variance + eps)` of `pixels` values with the given sum and sum of squares.
    ///
    /// With n pixels, n² variances are the integer `n * squares - values²`, below 2^56.
    pub fn std_int8(&self, values: u32, squares: u64, pixels: usize) -> f32 {
        let (count, sum) = (pixels as u64, u64::from(values));
        let exact = (count * squares - sum * sum) as f32;
        let variance = exact / pixels as f32 / pixels as f32;
        libm::sqrtf(variance * self.unit * self.unit + self.eps)
    }

    /// Pools an f16 blob's value, which is f32.
    ///
    /// * `values`: `[H, W, C]`
    /// * `pooled`: as for [`Self::int8`]
    pub(super) fn f16(&self, values: &[f32], pooled: &mut [f32]) {
        let channels = usize::from(self.value.channels);
        let (mean, mut rest) = pooled.split_at_mut(channels);
        self.mean_f16(values, &self.whole(), mean);
        if self.parts & PART_STD != 0 {
            let std;
            (std, rest) = rest.split_at_mut(channels);
            self.std_f16(values, mean, std);
        }
        mean.iter_mut().for_each(|mean| *mean *= self.unit);
        if self.parts & PART_CELLS != 0 {
            for (cell, means) in self.cells().iter().zip(rest.chunks_exact_mut(channels)) {
                self.mean_f16(values, cell, means);
                means.iter_mut().for_each(|mean| *mean *= self.unit);
            }
        }
    }

    /// Means over an area.
    fn mean_f16(&self, values: &[f32], area: &Area, means: &mut [f32]) {
        let [rows, columns] = area;
        let (width, channels) = (usize::from(self.value.width), means.len());
        means.fill(0.0);
        for row in rows.clone() {
            let row = &values[(row * width + columns.start) * channels..(row * width + columns.end) * channels];
            for pixel in row.chunks_exact(channels) {
                means.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += value);
            }
        }
        means.iter_mut().for_each(|sum| *sum /= area_len(area) as f32);
    }

    /// Standard deviations from the squared distances to the mean: a difference of large squares would lose all digits.
    fn std_f16(&self, values: &[f32], mean: &[f32], std: &mut [f32]) {
        std.fill(0.0);
        for pixel in values.chunks_exact(mean.len()) {
            for ((sum, &value), &mean) in std.iter_mut().zip(pixel).zip(mean) {
                let distance = value - mean;
                *sum += distance * distance;
            }
        }
        let pixels = values.len() / mean.len();
        for sum in std.iter_mut() {
            *sum = libm::sqrtf(*sum / pixels as f32 * self.unit * self.unit + self.eps);
        }
    }

    fn whole(&self) -> Area {
        [0..self.value.height.into(), 0..self.value.width.into()]
    }

    /// The cells of a 2×2 grid, row by row. Those of an odd side share its middle, as in PyTorch's `AdaptiveAvgPool2d`.
    pub fn cells(&self) -> [Area; 4] {
        let half = |side: u16, part: usize| {
            let side = usize::from(side);
            part * side / 2..((part + 1) * side).div_ceil(2)
        };
        core::array::from_fn(|cell| [half(self.value.height, cell / 2), half(self.value.width, cell % 2)])
    }
}

/// Pixels of an area.
fn area_len([rows, columns]: &Area) -> usize {
    rows.len() * columns.len()
}
