//! Convolutions and sums of f16 blobs: weights are widened to f32, values are f32 in words of the arena.
//!
//! C input channels, O output channels, K = 9 C or C. A sum starts with the bias and adds products in the order of k,
//! rounding after each operation: the bits are the same on every CPU with IEEE single precision.

use bytemuck::{cast_slice, cast_slice_mut};

use super::format::Activation;
use super::kernel::float::{LANES, accumulate, accumulate_two};
use super::node::Value;

/// A convolution over all channels, or of each channel alone.
pub(super) struct Convolution<'a> {
    /// Input.
    pub from: Value,
    /// Output.
    pub to: Value,
    /// 1 or 3; 3 if depthwise.
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
    /// f16, `[O / 8, K, 8]`; depthwise `[9, C]`.
    pub weights: &'a [u8],
    /// f32 bias of each output channel.
    pub parameters: &'a [u32],
    /// Applied to each sum.
    pub activation: Activation,
}

impl Convolution<'_> {
    /// Runs a convolution over all channels: eight output channels for the whole image, two rows at a time, then the next
    /// eight.
    ///
    /// * `input`: `[H, W, C]`
    /// * `scratch`: at least 8 K words
    /// * `output`: `[H', W', O]`
    pub fn run(&self, input: &[u32], scratch: &mut [u32], output: &mut [u32]) {
        let (channels, width) = (usize::from(self.to.channels), usize::from(self.to.width));
        let (input, output): (&[f32], &mut [f32]) = (cast_slice(input), cast_slice_mut(output));
        let weights: &[u16] = cast_slice(self.weights);
        let block_len = weights.len() / (channels / LANES);
        let scratch: &mut [f32] = cast_slice_mut(&mut scratch[..block_len]);
        let (biases, _) = cast_slice::<u32, f32>(self.parameters).as_chunks::<LANES>();
        for (block, (halves, bias)) in weights.chunks_exact(block_len).zip(biases).enumerate() {
            widen(halves, scratch);
            let (weights, _) = scratch.as_chunks::<LANES>();
            for (pair, rows) in output.chunks_mut(2 * width * channels).enumerate() {
                let (upper, lower) = rows.split_at_mut(width * channels);
                let mut lower = lower.chunks_exact_mut(channels);
                for (column, upper) in upper.chunks_exact_mut(channels).enumerate() {
                    let lower = lower.next();
                    let sums = self.two_pixels(input, weights, *bias, 2 * pair, column, lower.is_some());
                    for (sums, output) in sums.into_iter().zip([Some(upper), lower]) {
                        if let Some(output) = output {
                            let outputs = &mut output[block * LANES..][..LANES];
                            outputs.iter_mut().zip(sums).for_each(|(to, sum)| *to = activate(self.activation, sum));
                        }
                    }
                }
            }
        }
    }

    /// Eight output channels of the pixel at `row`, `column`, and of that below if `has_lower`.
    fn two_pixels(
        &self,
        input: &[f32],
        weights: &[[f32; LANES]],
        bias: [f32; LANES],
        row: usize,
        column: usize,
        has_lower: bool,
    ) -> [[f32; LANES]; 2] {
        let channels = usize::from(self.from.channels);
        let (height, width) = (usize::from(self.from.height), usize::from(self.from.width));
        let (kernel, padding) = (self.kernel, self.kernel / 2);
        let start = column * self.stride;
        let (left, right) = (padding.saturating_sub(start), kernel.min(width + padding - start));
        let len = (right - left) * channels;
        let mut sums = [bias; 2];
        for ky in 0..kernel {
            let weights = &weights[(ky * kernel + left) * channels..][..len];
            // The input under this row of the kernel, if inside.
            let values = |row: usize| {
                let y = row * self.stride + ky;
                let inside = (padding..height + padding).contains(&y);
                inside.then(|| &input[((y - padding) * width + start + left - padding) * channels..][..len])
            };
            match (values(row), values(row + 1).filter(|_| has_lower)) {
                (Some(upper), Some(lower)) => accumulate_two(&mut sums, weights, [upper, lower]),
                (Some(upper), None) => accumulate(&mut sums[0], weights, upper),
                (None, Some(lower)) => accumulate(&mut sums[1], weights, lower),
                (None, None) => {}
            }
        }
        sums
    }

    /// Runs a convolution of each channel alone.
    ///
    /// * `input`: `[H, W, C]`
    /// * `scratch`: at least 9 C words
    /// * `output`: `[H', W', C]`
    pub fn run_depthwise(&self, input: &[u32], scratch: &mut [u32], output: &mut [u32]) {
        let channels = usize::from(self.to.channels);
        let (input, output): (&[f32], &mut [f32]) = (cast_slice(input), cast_slice_mut(output));
        let scratch: &mut [f32] = cast_slice_mut(&mut scratch[..9 * channels]);
        widen(cast_slice(self.weights), scratch);
        for (pixel, output) in output.chunks_exact_mut(channels).enumerate() {
            output.copy_from_slice(cast_slice(self.parameters));
            for (at, tap, taps) in self.runs(pixel) {
                for step in 0..taps {
                    let values = &input[(at + step) * channels..][..channels];
                    let weights = &scratch[(tap + step) * channels..];
                    for ((sum, &value), &weight) in output.iter_mut().zip(values).zip(weights) {
                        *sum += value * weight;
                    }
                }
            }
            output.iter_mut().for_each(|sum| *sum = activate(self.activation, *sum));
        }
    }

    /// The part of the input under the kernel at output `pixel`, one kernel row at a time: first input pixel, first tap,
    /// number of taps.
    fn runs(&self, pixel: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        let (height, width) = (usize::from(self.from.height), usize::from(self.from.width));
        let (kernel, padding) = (self.kernel, self.kernel / 2);
        let to_width = usize::from(self.to.width);
        let (row, column) = (pixel / to_width * self.stride, pixel % to_width * self.stride);
        let left = padding.saturating_sub(column);
        let right = kernel.min(width + padding - column);
        (0..kernel).filter(move |ky| (padding..height + padding).contains(&(row + ky))).map(move |ky| {
            let at = (row + ky - padding) * width + column + left - padding;
            (at, ky * kernel + left, right - left)
        })
    }
}

/// Applies an activation to `x`. ReLU and ReLU6 turn NaN into 0.
pub(super) fn activate(activation: Activation, x: f32) -> f32 {
    let positive = if x > 0.0 { x } else { 0.0 };
    match activation {
        Activation::Identity => x,
        Activation::Relu => positive,
        Activation::Relu6 if positive > 6.0 => 6.0,
        Activation::Relu6 => positive,
    }
}

fn widen(halves: &[u16], singles: &mut [f32]) {
    for (single, &half) in singles.iter_mut().zip(halves) {
        *single = f16_to_f32(half);
    }
}

/// The f32 of the same value (IEEE 754 binary16).
pub(super) fn f16_to_f32(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let magnitude = u32::from(half & 0x7fff);
    if magnitude >= 0x7c00 {
        return f32::from_bits(sign | 0x7f80_0000 | (magnitude & 0x3ff) << 13);
    }
    // Shifted into an f32, exponent and significand stand for the value times 2^-112, subnormal or not. The product scales
    // it back exactly.
    let scaled = f32::from_bits(magnitude << 13) * f32::from_bits(0x7780_0000);
    f32::from_bits(sign | scaled.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compared with the definition `(-1)^s 2^(e - 15) (1 + f / 1024)`; for e = 0, `(-1)^s 2^-14 f / 1024`.
    #[test]
    fn every_half_is_widened_exactly() {
        for half in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(half >> 10 & 31), f64::from(half & 0x3ff) / 1024.0);
            let magnitude = match exponent {
                0 => fraction * libm::exp2(-14.0),
                31 if fraction == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => (1.0 + fraction) * libm::exp2(f64::from(exponent - 15)),
            };
            let expected = if half >> 15 == 1 { -magnitude } else { magnitude };
            let found = f64::from(f16_to_f32(half));
            let same = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
            assert!(same, "{half:04x}: {found}, {expected}");
        }
    }
}
