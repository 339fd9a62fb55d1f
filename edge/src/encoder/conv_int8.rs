//! Convolutions and sums in int8: weights i8, values u8, sums of products in 32 bits.
//!
//! C input channels, O output channels, K' weights per output channel. A word holds four values, lowest byte first.

use bytemuck::cast_slice;

use super::kernel::direct::{dot_4x2, widen};
use super::kernel::finish::requantise;
use super::node::{Requantise, Value};

/// Most channels of a value whose channels do not fill whole words: an image.
const IMAGE_CHANNELS: usize = 3;

/// Values of the largest patch of an image, in whole words.
const PATCH_MAX: usize = (9 * IMAGE_CHANNELS).next_multiple_of(4);

/// A convolution over all channels.
pub(super) struct Convolution<'a> {
    /// Input.
    pub from: Value,
    /// Output.
    pub to: Value,
    /// 1 or 3.
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Value outside the image, by channel modulo its length.
    pub padding: &'a [u8],
    /// `[O / 2, K' / 4, 2, 4]`.
    pub weights: &'a [u8],
    /// [`Requantise`] of each output channel, four words.
    pub parameters: &'a [u32],
}

impl Convolution<'_> {
    /// Runs the convolution: gathers the patches of two output pixels, then computes all their channels.
    ///
    /// * `input`: `[H, W, C]`
    /// * `scratch`: at least K' words
    /// * `output`: `[H', W', O]`
    ///
    /// Not inlined: among the variables of its caller, its own would lie in memory.
    #[inline(never)]
    pub fn run(&self, input: &[u32], scratch: &mut [u32], output: &mut [u32]) {
        let pixel_words = usize::from(self.to.channels) / 4;
        let channel_weights = self.weights.len() / usize::from(self.to.channels);
        let patch = &mut scratch[..channel_weights];
        let width = usize::from(self.to.width);
        let (groups, _) = patch.as_chunks_mut::<4>();
        let next = |(row, column)| if column + 1 < width { (row, column + 1) } else { (row + 1, 0) };
        let mut at = (0, 0);
        for pair in output.chunks_mut(2 * pixel_words) {
            let (first, second) = pair.split_at_mut(pixel_words);
            self.fill::<0>(input, at.0, at.1, groups);
            at = next(at);
            // The last of an odd number of pixels is computed beside a stale patch, whose result is dropped.
            if !second.is_empty() {
                self.fill::<1>(input, at.0, at.1, groups);
                at = next(at);
            }
            self.channels(groups.as_flattened(), channel_weights, first, second);
        }
    }

    /// Computes all channels of two pixels.
    fn channels(&self, patch: &[u32], channel_weights: usize, first: &mut [u32], second: &mut [u32]) {
        let (parameters, _) = self.parameters.as_chunks::<4>().0.as_chunks::<4>();
        let quads = self.weights.chunks_exact(4 * channel_weights).zip(parameters);
        let mut second = second.iter_mut();
        for (first, (weights, parameters)) in first.iter_mut().zip(quads) {
            let words = four_channels(weights, patch, parameters);
            *first = words[0];
            if let Some(second) = second.next() {
                *second = words[1];
            }
        }
    }

    /// Fills pixel `LANE` (0 or 1) of `patch` with the input under the kernel of the output at `row`, `column`.
    fn fill<const LANE: usize>(&self, input: &[u32], row: usize, column: usize, patch: &mut [[u32; 4]]) {
        if self.from.channels.is_multiple_of(4) {
            self.fill_words::<LANE>(input, row, column, patch);
        } else {
            self.fill_bytes::<LANE>(input, row, column, patch);
        }
    }

    /// [`Self::fill`] if the channels fill whole words.
    fn fill_words<const LANE: usize>(&self, input: &[u32], row: usize, column: usize, patch: &mut [[u32; 4]]) {
        let pixel_words = usize::from(self.from.channels) / 4;
        let (height, width) = (usize::from(self.from.height), usize::from(self.from.width));
        let (kernel, padding) = (self.kernel, self.kernel / 2);
        if self.kernel == 1 {
            let first = (row * width + column) * self.stride * pixel_words;
            patch.iter_mut().zip(&input[first..]).for_each(|(group, &word)| place::<LANE>(group, word));
            return;
        }
        let outside = u32::from_ne_bytes([self.padding[0]; 4]);
        let (left, right) = taps(column * self.stride, kernel, padding, width);
        for ky in 0..kernel {
            let groups = &mut patch[ky * kernel * pixel_words..][..kernel * pixel_words];
            let y = row * self.stride + ky;
            let is_inside = (padding..height + padding).contains(&y);
            if !is_inside || right - left < kernel {
                groups.iter_mut().for_each(|group| place::<LANE>(group, outside));
            }
            if is_inside {
                let first = ((y - padding) * width + column * self.stride + left - padding) * pixel_words;
                let groups = &mut groups[left * pixel_words..right * pixel_words];
                groups.iter_mut().zip(&input[first..]).for_each(|(group, &word)| place::<LANE>(group, word));
            }
        }
    }

    /// [`Self::fill`] for the channels of an image, at most [`IMAGE_CHANNELS`]: collects the values of the patch, then widens
    /// them.
    fn fill_bytes<const LANE: usize>(&self, input: &[u32], row: usize, column: usize, patch: &mut [[u32; 4]]) {
        let channels = usize::from(self.from.channels);
        let (height, width) = (usize::from(self.from.height), usize::from(self.from.width));
        let input: &[u8] = cast_slice(input);
        // The last group may be partial. Its other weights are 0, so any value will do.
        let mut values = [0; PATCH_MAX];
        let (row, column) = (row * self.stride, column * self.stride);
        let is_inside = (1..height.saturating_sub(1)).contains(&row) && (1..width.saturating_sub(1)).contains(&column);
        if self.kernel == 3 && is_inside {
            let first = ((row - 1) * width + column - 1) * channels;
            match channels {
                1 => copy_rows::<3>(input, first, width, &mut values),
                _ => copy_rows::<9>(input, first, width * IMAGE_CHANNELS, &mut values),
            }
        } else {
            let padding = self.kernel / 2;
            for (tap, values) in values.chunks_exact_mut(channels).take(self.kernel * self.kernel).enumerate() {
                let (y, x) = (row + tap / self.kernel, column + tap % self.kernel);
                if (padding..height + padding).contains(&y) && (padding..width + padding).contains(&x) {
                    values.copy_from_slice(&input[((y - padding) * width + x - padding) * channels..][..channels]);
                } else {
                    values.copy_from_slice(self.padding);
                }
            }
        }
        let (words, _) = values.as_chunks::<4>();
        patch.iter_mut().zip(words).for_each(|(group, &word)| place::<LANE>(group, u32::from_le_bytes(word)));
    }
}

/// Computes four channels of two pixels. Not inlined, for the reason of [`Convolution::run`].
#[inline(never)]
fn four_channels(weights: &[u8], patch: &[u32], parameters: &[[u32; 4]; 4]) -> [u32; 2] {
    let mut sums = [[0; 2]; 4];
    dot_4x2(weights, patch, &mut sums);
    requantise(&sums, parameters)
}

/// Puts four values of pixel `LANE` into a group of a patch.
#[inline]
fn place<const LANE: usize>(group: &mut [u32; 4], word: u32) {
    [group[2 * LANE], group[2 * LANE + 1]] = widen(word);
}

/// Copies three rows of `LEN` values, `step` apart, to the begin of `values`.
fn copy_rows<const LEN: usize>(input: &[u8], first: usize, step: usize, values: &mut [u8; PATCH_MAX]) {
    for row in 0..3 {
        values[row * LEN..][..LEN].copy_from_slice(&input[first + row * step..][..LEN]);
    }
}

/// The range of kernel columns that lie inside the image.
///
/// * `start`: column of the input under the first kernel column, plus `padding`
fn taps(start: usize, kernel: usize, padding: usize, width: usize) -> (usize, usize) {
    (padding.saturating_sub(start), kernel.min(width + padding - start))
}

/// A 3×3 convolution of each channel alone.
pub(super) struct Depthwise<'a> {
    /// Input.
    pub from: Value,
    /// Output.
    pub to: Value,
    /// 1 or 2.
    pub stride: usize,
    /// `[9, C]`.
    pub weights: &'a [u8],
    /// [`Requantise`] of each output channel, four words.
    pub parameters: &'a [u32],
}

impl Depthwise<'_> {
    /// Runs the convolution, four channels of a pixel at a time.
    ///
    /// * `input`: `[H, W, C]`
    /// * `output`: `[H', W', C]`
    pub fn run(&self, input: &[u32], output: &mut [u32]) {
        let pixel_words = usize::from(self.from.channels) / 4;
        let (height, width) = (usize::from(self.from.height), usize::from(self.from.width));
        let outside = u32::from_ne_bytes([self.from.zero; 4]);
        let (parameters, _) = self.parameters.as_chunks::<16>();
        let (weights, _) = self.weights.as_chunks::<4>();
        for (pixel, output) in output.chunks_exact_mut(pixel_words).enumerate() {
            let (row, column) = (pixel / usize::from(self.to.width), pixel % usize::from(self.to.width));
            // First word of the input under each tap, if inside.
            let first: [Option<usize>; 9] = core::array::from_fn(|tap| {
                let (y, x) = (row * self.stride + tap / 3, column * self.stride + tap % 3);
                let inside = (1..=height).contains(&y) && (1..=width).contains(&x);
                inside.then(|| ((y - 1) * width + x - 1) * pixel_words)
            });
            for (quad, (output, parameters)) in output.iter_mut().zip(parameters).enumerate() {
                let mut sums = [0; 4];
                for (tap, first) in first.iter().enumerate() {
                    let values = first.map_or(outside, |first| input[first + quad]).to_le_bytes();
                    let weights = &weights[tap * pixel_words + quad];
                    for ((sum, value), &weight) in sums.iter_mut().zip(values).zip(weights) {
                        *sum += i32::from(value) * i32::from(weight as i8);
                    }
                }
                let (parameters, _) = parameters.as_chunks::<4>();
                let four = core::array::from_fn(|i| Requantise::from_words(parameters[i]).apply(sums[i]));
                *output = u32::from_le_bytes(four);
            }
        }
    }
}

/// `clamp((left * ml + right * mr + offset) >> shift, 0, 255)` of four packed values.
pub(super) fn add(left: u32, right: u32, multipliers: [i32; 2], offset: i32, shift: i32) -> u32 {
    let (left, right) = (left.to_le_bytes(), right.to_le_bytes());
    u32::from_le_bytes(core::array::from_fn(|i| {
        let sum = i32::from(left[i]) * multipliers[0] + i32::from(right[i]) * multipliers[1] + offset;
        (sum >> shift).clamp(0, 255) as u8
    }))
}
