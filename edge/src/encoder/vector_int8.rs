//! Convolutions over all channels in int8 by vectors of 16 bytes, on Cortex-M with Helium (MVE): the direct form, because an
//! instruction multiplies twice as many bytes as the numbers of 16 bits that Winograd's form needs.
//!
//! C input channels, O output channels, K' weights per output channel, K'' = K' rounded up to a multiple of 16.

use bytemuck::{cast_slice, cast_slice_mut};

use super::conv_int8::Convolution;
use super::kernel::vector::{Filters, PATCHES, SIGNS, Windows, convolve, copy_windows, shift_biases};

/// A convolution with its filters and memory.
pub(super) struct Vectors<'a, 's> {
    conv: &'a Convolution<'a>,
    filters: Filters<'a>,
    /// `[O]`.
    biases: &'s mut [u32],
    /// `[PATCHES, K'' / 4]`, values minus 128. What lies behind K' is multiplied by 0.
    patches: &'s mut [u32],
    /// Of outputs that read no value outside the image.
    windows: Windows,
}

impl<'a, 's> Vectors<'a, 's> {
    /// `None` if the outputs are fewer than [`PATCHES`] or `scratch` has less than O + `PATCHES` K'' / 4 words.
    pub fn new(conv: &'a Convolution<'a>, scratch: &'s mut [u32]) -> Option<Self> {
        let channels = usize::from(conv.to.channels);
        let filters = Filters::new(conv.weights, conv.parameters);
        let patch_words = filters.patch_words();
        let has_outputs = usize::from(conv.to.width) * usize::from(conv.to.height) >= PATCHES;
        let scratch = scratch.get_mut(..channels + PATCHES * patch_words).filter(|_| has_outputs)?;
        let (biases, patches) = scratch.split_at_mut(channels);
        let pixel = usize::from(conv.from.channels);
        let row_len = conv.kernel * pixel;
        let row_steps = [usize::from(conv.from.width) * pixel, row_len];
        let windows = Windows { rows: conv.kernel, row_len, row_steps, steps: [conv.stride * pixel, 4 * patch_words] };
        Some(Self { conv, filters, biases, patches, windows })
    }

    /// Runs the convolution, all channels of [`PATCHES`] outputs at a time.
    ///
    /// * `input`: `[H, W, C]`
    /// * `output`: `[H', W', O]`
    ///
    /// Not inlined: among the variables of its caller, its own would lie in memory.
    #[inline(never)]
    pub fn run(self, input: &[u32], output: &mut [u32]) {
        let Self { conv, filters, biases, patches, windows } = self;
        let (stride, padding) = (conv.stride, conv.kernel / 2);
        let (height, width) = (usize::from(conv.from.height), usize::from(conv.from.width));
        let (pixel_words, columns) = (usize::from(conv.to.channels) / 4, usize::from(conv.to.width));
        let input: &[u8] = cast_slice(input);
        shift_biases(&filters, biases);
        // Outputs whose windows are within the image, from the first to before the last.
        let inner = |side: usize| (padding, (side - padding).div_ceil(stride));
        let (inner_rows, inner_columns) = (inner(height), inner(width));
        let pixels = output.len() / pixel_words;
        for first in (0..pixels).step_by(PATCHES) {
            // The last outputs are computed together with some before them, a second time.
            let first = first.min(pixels - PATCHES);
            let (row, column) = (first / columns, first % columns);
            let is_inner = row >= inner_rows.0
                && row < inner_rows.1
                && column >= inner_columns.0
                && column + PATCHES <= inner_columns.1;
            if is_inner {
                let at =
                    ((row * stride - padding) * width + column * stride - padding) * usize::from(conv.from.channels);
                copy_windows(&windows, PATCHES, &input[at..], cast_slice_mut(patches));
            } else {
                for (pixel, patch) in (first..).zip(patches.chunks_exact_mut(windows.steps[1] / 4)) {
                    fill(conv, &windows, input, pixel, patch);
                }
            }
            convolve(&filters, biases, patches, &mut output[first * pixel_words..][..PATCHES * pixel_words]);
        }
    }
}

/// Fills the patch of output `pixel`, of whose window a part may lie outside the image.
#[inline(never)]
fn fill(conv: &Convolution<'_>, windows: &Windows, input: &[u8], pixel: usize, patch: &mut [u32]) {
    let (columns, channels) = (usize::from(conv.to.width), usize::from(conv.from.channels));
    let (height, width) = (usize::from(conv.from.height), usize::from(conv.from.width));
    // The row and column of the window's first value, plus `padding`.
    let (row, column) = (pixel / columns * conv.stride, pixel % columns * conv.stride);
    let padding = conv.kernel / 2;
    // Rows and columns of the kernel that lie within the image.
    let inside = |at: usize, side: usize| (padding.saturating_sub(at), conv.kernel.min(side + padding - at));
    let ((top, bottom), (left, right)) = (inside(row, height), inside(column, width));
    if bottom - top < conv.kernel || right - left < conv.kernel {
        if channels.is_multiple_of(4) {
            patch.fill(u32::from_ne_bytes([conv.padding[0]; 4]) ^ SIGNS);
        } else {
            let bytes: &mut [u8] = cast_slice_mut(patch);
            bytes.iter_mut().zip(conv.padding.iter().cycle()).for_each(|(to, value)| *to = value ^ SIGNS as u8);
        }
    }
    let from = ((row + top - padding) * width + column + left - padding) * channels;
    let to = (top * conv.kernel + left) * channels;
    let part = Windows { rows: bottom - top, row_len: (right - left) * channels, ..*windows };
    copy_windows(&part, 1, &input[from..], &mut cast_slice_mut(patch)[to..]);
}

#[cfg(test)]
mod tests {
    use super::super::kernel::random::numbers;
    use super::super::node::Value;
    use super::*;

    /// Compares with [`Convolution::run`], for both kernels, strides, images and every number of bytes behind whole vectors.
    #[test]
    fn outputs_are_those_of_the_other_form() {
        let mut numbers = numbers();
        let mut next = || numbers() >> 8;
        for (kernel, stride, [height, width, channels], out) in [
            (3, 1, [5, 4, 3], 8),
            (3, 2, [6, 5, 1], 8),
            (3, 1, [3, 1, 8], 8),
            (3, 2, [5, 7, 8], 16),
            (3, 1, [4, 4, 16], 24),
            (1, 1, [2, 2, 8], 8),
            (1, 2, [5, 5, 24], 8),
            (1, 1, [1, 3, 32], 16),
        ] {
            let value = |height: usize, width: usize, channels: usize| Value {
                height: height as u16,
                width: width as u16,
                channels: channels as u16,
                zero: 0,
                offset_words: 0,
            };
            let (from, to) =
                (value(height, width, channels), value(height.div_ceil(stride), width.div_ceil(stride), out));
            let products = kernel * kernel * channels;
            let words = products.div_ceil(4);
            let mut weights: [u8; 24 * 9 * 16] = core::array::from_fn(|_| next() as u8);
            let weights = &mut weights[..4 * words * out];
            // Behind the weights of an image lie zeros.
            for pair in weights.chunks_exact_mut(8 * words) {
                (products..4 * words)
                    .for_each(|k| [0, 4].iter().for_each(|filter| pair[k / 4 * 8 + k % 4 + filter] = 0));
            }
            let parameters: [u32; 4 * 24] = core::array::from_fn(|at| match at % 4 {
                0 => next() % 20_000,
                1 => (1 << 28) + next() * 16,
                2 => (1 << 12) + (100 << 13),
                _ => 13,
            });
            let (padding, parameters) = (&[7, 90, 200][..channels.min(3)], &parameters[..4 * out]);
            let conv = Convolution { from, to, kernel, stride, padding, weights, parameters };
            let input: [u32; 256] = core::array::from_fn(|_| next() << 16 ^ next());
            let (mut expected, mut found) = ([0; 256], [0; 256]);
            let (expected, found) = (&mut expected[..to.values() / 4], &mut found[..to.values() / 4]);
            conv.run(&input, &mut [0; 2048], expected);
            let mut scratch = [!0; 2048];
            Vectors::new(&conv, &mut scratch).unwrap().run(&input, found);
            assert!(expected.iter().any(|word| ![0, !0].contains(word)), "outputs are saturated");
            assert_eq!(found, expected, "{kernel}×{kernel} of stride {stride}, {height}×{width}×{channels} to {out}");
            assert!(Vectors::new(&conv, &mut scratch[..out]).is_none(), "too little memory");
        }
    }
}
