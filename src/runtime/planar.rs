//! Convolutions of planes `[C, H, W]`, the layout of ONNX files, that read few channels each: vectors run along columns.
//!
//! A channel is copied into planes with a border of zeros, one plane for each remainder of row and column divided by the
//! stride. There every tap of the kernel reads consecutive pixels for consecutive outputs, for any stride and dilation.

use pulp::{Simd, WithSimd};

use crate::kernel::isa::{Isa, multiply_add};

/// Vectors of outputs that are computed together, so that their sums do not wait for each other.
const VECTORS: usize = 4;

/// Size and placement of a kernel; all arrays are rows, columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Zeros above and to the left. What the kernel reads below and to the right is zero, too.
    pub padding: [usize; 2],
}

/// A convolution of one image with bias and limits. G groups; I input and O output channels per group.
#[derive(Debug)]
pub(crate) struct PlanarConv<'a> {
    pub window: Window,
    pub groups: usize,
    /// H, W of the input.
    pub input: [usize; 2],
    /// H, W of the output.
    pub output: [usize; 2],
    /// `[G * I, H, W]`.
    pub x: &'a [f32],
    /// `[G * O, I, kernel]`.
    pub weight: &'a [f32],
    /// `[G * O]`.
    pub bias: &'a [f32],
    /// Results are raised to the first and then lowered to the second.
    pub limits: [f32; 2],
    /// `[G * O, H, W]`.
    pub y: &'a mut [f32],
}

impl PlanarConv<'_> {
    /// Runs it with the instructions of `isa`.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn run(self, isa: Isa) {
        let area = |[height, width]: [usize; 2]| height * width;
        let outputs = self.bias.len();
        assert_eq!(self.y.len(), outputs * area(self.output), "values of the output");
        if self.y.is_empty() {
            return;
        }
        let inputs = self.x.len() / area(self.input);
        assert_eq!(self.x.len(), inputs * area(self.input), "values of the input");
        assert!(inputs.is_multiple_of(self.groups) && outputs.is_multiple_of(self.groups), "{} groups", self.groups);
        assert_eq!(self.weight.len(), outputs * (inputs / self.groups) * area(self.window.kernel), "weights");
        isa.run(self);
    }
}

impl WithSimd for PlanarConv<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { window, groups, input, output, x, weight, bias, limits, y } = self;
        let mut padded = Padded::new(&window, input, output, x.len() / (input[0] * input[1]) / groups, S::F32_LANES);
        let reach = padded.taps.iter().max().map_or(0, |last| last + S::F32_LANES);
        let vectors = vectors(output, padded.columns, S::F32_LANES);
        let (outputs, plane) = (bias.len(), output[0] * output[1]);
        // The last vectors of a channel may end behind it.
        let mut last = vec![0.0; plane + S::F32_LANES];
        for (group, x) in x.chunks_exact(x.len() / groups).enumerate() {
            padded.fill(x, input[0] * input[1], window.stride[1]);
            for channel in group * (outputs / groups)..(group + 1) * (outputs / groups) {
                let weight = &weight[channel * padded.taps.len()..][..padded.taps.len()];
                let filter = Filter { simd, taps: &padded.taps, reach, weight, bias: bias[channel], limits };
                let is_last = (outputs - channel) * plane < last.len();
                let to = if is_last { &mut last[..] } else { &mut y[channel * plane..] };
                filter.plane(&padded.values, &vectors, to);
                if is_last {
                    y[channel * plane..][..plane].copy_from_slice(&last[..plane]);
                }
            }
        }
    }
}

/// The padded planes of the channels of a group, by channel and the remainders of row and column.
struct Padded {
    values: Vec<f32>,
    /// Of a plane.
    columns: usize,
    /// Values of the planes of a channel.
    channel_len: usize,
    /// Where the value for output 0, 0 lies, for each channel and tap of the kernel.
    taps: Vec<usize>,
    /// What is copied from a channel.
    spans: Vec<Span>,
}

/// Values of one row whose columns have one remainder.
struct Span {
    /// The first in the channel.
    from: usize,
    /// The first in the planes.
    to: usize,
    len: usize,
}

impl Padded {
    fn new(window: &Window, [height, width]: [usize; 2], output: [usize; 2], channels: usize, lanes: usize) -> Self {
        let Window { kernel, stride, dilation, padding } = *window;
        let [rows, columns] = [0, 1].map(|axis| output[axis] + (kernel[axis] - 1) * dilation[axis] / stride[axis]);
        // A vector behind the last row is read but not used.
        let plane = rows * columns + lanes;
        let place = |y: usize, x: usize| {
            (y % stride[0] * stride[1] + x % stride[1]) * plane + y / stride[0] * columns + x / stride[1]
        };
        let channel_len = stride[0] * stride[1] * plane;
        let tap = |tap: usize| place(tap / kernel[1] * dilation[0], tap % kernel[1] * dilation[1]);
        let taps = (0..channels).flat_map(|channel| (0..kernel[0] * kernel[1]).map(move |at| (channel, at)));
        let taps = taps.map(|(channel, at)| channel * channel_len + tap(at)).collect();
        let starts = (0..height).flat_map(|y| (0..stride[1].min(width)).map(move |x| (y, x)));
        let is_read =
            |&(y, x): &(usize, usize)| (y + padding[0]) / stride[0] < rows && (x + padding[1]) / stride[1] < columns;
        let spans = starts.filter(is_read).map(|(y, x)| Span {
            from: y * width + x,
            to: place(y + padding[0], x + padding[1]),
            len: (width - x).div_ceil(stride[1]).min(columns - (x + padding[1]) / stride[1]),
        });
        let spans = spans.collect();
        Self { values: vec![0.0; channels * channel_len], columns, channel_len, taps, spans }
    }

    /// Copies channels of `plane` values, of which a span takes every `stride`th. What is not of the image stays zero.
    #[inline(always)]
    fn fill(&mut self, x: &[f32], plane: usize, stride: usize) {
        for (x, values) in x.chunks_exact(plane).zip(self.values.chunks_exact_mut(self.channel_len)) {
            for &Span { from, to, len } in &self.spans {
                let (from, to) = (&x[from..], &mut values[to..][..len]);
                match stride {
                    1 => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
                    2 => {
                        let pairs = from.as_chunks::<2>().0;
                        to.iter_mut().zip(pairs).for_each(|(to, pair)| *to = pair[0]);
                        // The last value of the channel may have no other beside it.
                        if let Some(to) = to.get_mut(pairs.len()) {
                            *to = from[2 * pairs.len()];
                        }
                    }
                    _ => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, from)| *to = *from),
                }
            }
        }
    }
}

/// Where each vector of outputs begins in a padded plane and in the output, at least [`VECTORS`] of them. A vector that is
/// longer than a row ends in the rows below, whose vectors come later.
fn vectors([height, width]: [usize; 2], columns: usize, lanes: usize) -> Vec<[usize; 2]> {
    let starts = || (0..width.div_ceil(lanes)).map(|vector| (vector * lanes).min(width.saturating_sub(lanes)));
    let row = |y: usize| starts().map(move |x| [y * columns + x, y * width + x]);
    let mut vectors: Vec<_> = (0..height).flat_map(row).collect();
    if let Some(&last) = vectors.last() {
        vectors.resize(vectors.len().max(VECTORS), last);
    }
    vectors
}

/// The filter of an output channel.
struct Filter<'a, S> {
    simd: S,
    taps: &'a [usize],
    /// Values from the first tap to the end of the last one's vector.
    reach: usize,
    weight: &'a [f32],
    bias: f32,
    limits: [f32; 2],
}

impl<S: Simd> Filter<'_, S> {
    #[inline(always)]
    fn plane(&self, padded: &[f32], vectors: &[[usize; 2]], to: &mut [f32]) {
        let (groups, rest) = vectors.as_chunks::<VECTORS>();
        groups.iter().for_each(|group| self.vectors(padded, group, to));
        // The last ones again: those computed before are written in their order.
        if let (false, Some(group)) = (rest.is_empty(), vectors.last_chunk()) {
            self.vectors(padded, group, to);
        }
    }

    #[inline(always)]
    fn vectors(&self, padded: &[f32], group: &[[usize; 2]; VECTORS], to: &mut [f32]) {
        let simd = self.simd;
        let mut sums = [simd.splat_f32s(self.bias); VECTORS];
        // Of one length, so that one comparison checks the bounds of all.
        let windows = group.map(|[from, _]| &padded[from..][..self.reach]);
        for (&weight, &tap) in self.weight.iter().zip(self.taps) {
            let weight = simd.splat_f32s(weight);
            for (sum, window) in sums.iter_mut().zip(windows) {
                let values = S::as_simd_f32s(&window[tap..][..S::F32_LANES]).0[0];
                *sum = multiply_add(simd, weight, values, *sum);
            }
        }
        let [least, most] = self.limits.map(|limit| simd.splat_f32s(limit));
        for (sum, [_, at]) in sums.into_iter().zip(group) {
            // Comparisons are false for NaN, which must not vanish; maxima and minima treat it in different ways.
            let raised = simd.select_f32s(simd.less_than_f32s(sum, least), least, sum);
            let limited = simd.select_f32s(simd.less_than_f32s(most, raised), most, raised);
            S::as_mut_simd_f32s(&mut to[*at..][..S::F32_LANES]).0[0] = limited;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Numbers from -1 to 1 without a pattern.
    pub fn numbers(len: usize, seed: u32) -> Vec<f32> {
        let number = |at: u32| ((at + seed).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0;
        (0..len as u32).map(number).collect()
    }

    /// Output pixel `y`, `x` of one channel, from the definition.
    fn reference(conv: &PlanarConv, channel: usize, [y, x]: [usize; 2]) -> f32 {
        let Window { kernel, stride, dilation, padding } = conv.window;
        let ([height, width], outputs) = (conv.input, conv.bias.len());
        let inputs = conv.x.len() / (height * width) / conv.groups;
        let first = channel / (outputs / conv.groups) * inputs;
        let mut sum = f64::from(conv.bias[channel]);
        for (at, &weight) in conv.weight[channel * inputs * kernel[0] * kernel[1]..].iter().enumerate() {
            let (input, tap) = (at / (kernel[0] * kernel[1]), at % (kernel[0] * kernel[1]));
            if input == inputs {
                break;
            }
            let y = (y * stride[0] + tap / kernel[1] * dilation[0]).checked_sub(padding[0]);
            let x = (x * stride[1] + tap % kernel[1] * dilation[1]).checked_sub(padding[1]);
            if let (Some(y), Some(x)) = (y, x)
                && (y < height && x < width)
            {
                sum += f64::from(weight * conv.x[((first + input) * height + y) * width + x]);
            }
        }
        (sum as f32).max(conv.limits[0]).min(conv.limits[1])
    }

    #[test]
    fn every_window_gives_what_the_definition_gives() {
        let windows = [
            ([3, 3], [1, 1], [1, 1], [1, 1], [0, 0]),
            ([3, 3], [2, 2], [1, 1], [1, 1], [0, 0]),
            ([3, 3], [2, 2], [1, 1], [0, 0], [1, 1]),
            ([5, 5], [2, 2], [1, 1], [1, 1], [2, 2]),
            ([5, 3], [1, 2], [1, 1], [2, 0], [2, 0]),
            ([3, 3], [1, 1], [2, 3], [2, 3], [2, 3]),
            ([2, 2], [3, 3], [1, 1], [0, 0], [0, 0]),
            ([1, 1], [1, 1], [1, 1], [0, 0], [0, 0]),
            ([3, 3], [1, 1], [1, 1], [3, 4], [5, 2]),
        ];
        for (kernel, stride, dilation, padding, after) in windows {
            let window = Window { kernel, stride, dilation, padding };
            for input in [[5, 5], [7, 13], [9, 40], [6, 70]] {
                let side = |axis: usize| {
                    let free = input[axis] + padding[axis] + after[axis];
                    free.checked_sub((kernel[axis] - 1) * dilation[axis] + 1).map(|free| free / stride[axis] + 1)
                };
                let (Some(height), Some(width)) = (side(0), side(1)) else { continue };
                for (groups, inputs, outputs) in [(5, 1, 1), (2, 1, 3), (1, 3, 4), (1, 1, 1)] {
                    let (x, bias) = (numbers(groups * inputs * input[0] * input[1], 1), numbers(groups * outputs, 2));
                    let weight = numbers(groups * outputs * inputs * kernel[0] * kernel[1], 3);
                    let (output, limits) = ([height, width], [-0.5, 1.0]);
                    let (x, weight, bias) = (&x[..], &weight[..], &bias[..]);
                    let conv = PlanarConv { window, groups, input, output, x, weight, bias, limits, y: &mut [] };
                    let pixels =
                        (0..bias.len() * height * width).map(|at| (at / (height * width), at % (height * width)));
                    let expected = pixels.map(|(channel, at)| reference(&conv, channel, [at / width, at % width]));
                    let expected: Vec<f32> = expected.collect();
                    for isa in Isa::available() {
                        let mut y = vec![f32::NAN; expected.len()];
                        PlanarConv { window, groups, input, output, x, weight, bias, limits, y: &mut y }.run(isa);
                        for (at, (found, expected)) in y.iter().zip(&expected).enumerate() {
                            assert!(
                                (found - expected).abs() < 1e-5,
                                "{window:?}, {input:?}, {groups} groups, {isa:?}, value {at}: {found} != {expected}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn fused_instruction_sets_give_the_same_bits() {
        let window = Window { kernel: [3, 3], stride: [2, 2], dilation: [1, 1], padding: [1, 1] };
        let (x, weight, bias) = (numbers(4 * 15 * 21, 1), numbers(4 * 9, 2), numbers(4, 3));
        let results = Isa::available().into_iter().filter(|&isa| isa != Isa::Portable).map(|isa| {
            let mut y = vec![0.0; 4 * 8 * 11];
            let limits = [f32::NEG_INFINITY, f32::INFINITY];
            let (input, output) = ([15, 21], [8, 11]);
            let (x, weight, bias) = (&x, &weight, &bias);
            PlanarConv { window, groups: 4, input, output, x, weight, bias, limits, y: &mut y }.run(isa);
            y.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        });
        let results: Vec<_> = results.collect();
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn limits_let_nan_through() {
        let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [0, 0] };
        for isa in Isa::available() {
            let mut y = [0.0; 4];
            let (x, weight, bias) = (&[f32::NAN, -2.0, 2.0, 9.0], &[1.0], &[0.0]);
            let (input, output, limits) = ([2, 2], [2, 2], [0.0, 6.0]);
            PlanarConv { window, groups: 1, input, output, x, weight, bias, limits, y: &mut y }.run(isa);
            assert!(y[0].is_nan(), "{isa:?}");
            assert_eq!(y[1..], [0.0, 2.0, 6.0], "{isa:?}");
        }
    }
}
