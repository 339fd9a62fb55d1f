//! Depthwise 3×3 convolution: each channel with its own kernel; stride 1 or 2, zero padding 1.
//!
//! C channels, H × W input pixels, s stride. One image at a time: input `[H + 2, W + 2, C]` with its
//! border of zeros, output `[H/s, W/s, C]`, gradient of the output with the border. Weights `[3, 3, C]`.

use super::conv::{ConvShape, taps_of_parity};
use crate::kernel::depthwise::{Forward, WeightGradient};
use crate::kernel::tile::Tap;
use crate::kernel::{Grid, Isa};

/// Shape of one depthwise convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseShape {
    /// s, 1 or 2.
    pub stride: usize,
    /// C, a multiple of 8.
    pub channels: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
}

impl DepthwiseShape {
    /// The dense convolution with the same geometry.
    pub fn dense(self) -> ConvShape {
        let Self { stride, channels, height, width } = self;
        ConvShape { kernel: 3, stride, channels_in: channels, channels_out: channels, height, width }
    }

    fn output(self) -> Grid {
        Grid {
            rows: self.height.div_ceil(self.stride),
            columns: self.width.div_ceil(self.stride),
            channels: self.channels,
        }
    }

    fn input_row(self) -> usize {
        (self.width + 2) * self.channels
    }

    fn padded_output_row(self) -> usize {
        (self.output().columns + 2) * self.channels
    }

    fn taps(self) -> [Tap; 9] {
        std::array::from_fn(|k| Tap { x: k / 3 * self.input_row() + k % 3 * self.channels, weight: k * self.channels })
    }
}

/// `y = conv(x)`: `x` padded, `y` `[H/s, W/s, C]`.
pub fn depthwise_forward(isa: Isa, shape: DepthwiseShape, x: &[f32], weight: &[f32], y: &mut [f32]) {
    let (s, c, grid) = (shape.stride, shape.channels, shape.output());
    let x_row = s * shape.input_row();
    Forward { grid, x, x_row, x_pixel: s * c, taps: &shape.taps(), weight, y, y_row: grid.columns * c, y_pixel: c }
        .run(isa);
}

/// `dweight += Σ x dy`: `x` and `dy` padded.
pub fn depthwise_weight_gradient(isa: Isa, shape: DepthwiseShape, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
    let (s, c, dy_row) = (shape.stride, shape.channels, shape.padded_output_row());
    let (x_row, dy) = (s * shape.input_row(), &dy[dy_row + c..]);
    WeightGradient { grid: shape.output(), x, x_row, x_pixel: s * c, taps: &shape.taps(), dy, dy_row, dweight }
        .run(isa);
}

/// `dx = convᵀ(dy)`: `dy` padded, `dx` `[H, W, C]` without border.
pub fn depthwise_data_gradient(isa: Isa, shape: DepthwiseShape, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
    let (s, c, dy_row) = (shape.stride, shape.channels, shape.padded_output_row());
    for (row_parity, column_parity) in (0..s).flat_map(|r| (0..s).map(move |c| (r, c))) {
        let mut taps = [Tap { x: 0, weight: 0 }; 9];
        let mut count = 0;
        for &(ky, y) in taps_of_parity(s, row_parity) {
            for &(kx, x) in taps_of_parity(s, column_parity) {
                taps[count] = Tap { x: y * dy_row + x * c, weight: (ky * 3 + kx) * c };
                count += 1;
            }
        }
        let grid = Grid {
            rows: shape.height.saturating_sub(row_parity).div_ceil(s),
            columns: shape.width.saturating_sub(column_parity).div_ceil(s),
            channels: c,
        };
        if grid.rows == 0 || grid.columns == 0 {
            // An input of one row or column has no second parity.
            continue;
        }
        let y = &mut dx[(row_parity * shape.width + column_parity) * c..];
        let y_row = s * shape.width * c;
        Forward { grid, x: dy, x_row: dy_row, x_pixel: c, taps: &taps[..count], weight, y, y_row, y_pixel: s * c }
            .run(isa);
    }
}

#[cfg(test)]
mod tests {
    use super::super::conv::{pad, reference};
    use super::*;
    use crate::rng::Rng;

    /// A depthwise convolution is a dense one whose weights between different channels are zero.
    fn dense_weight(weight: &[f32], c: usize) -> Vec<f32> {
        let mut dense = vec![0.0; 9 * c * c];
        for (k, i) in (0..9).flat_map(|k| (0..c).map(move |i| (k, i))) {
            dense[(k * c + i) * c + i] = weight[k * c + i];
        }
        dense
    }

    #[test]
    fn agrees_with_the_dense_reference() {
        let mut rng = Rng::for_purpose(1, "depthwise");
        let mut random = |len: usize| -> Vec<f32> { (0..len).map(|_| rng.uniform_in(-1.0, 1.0)).collect() };
        let close = |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
        for (stride, channels, height, width) in [
            (1, 8, 6, 9),
            (2, 8, 6, 9),
            (1, 16, 7, 4),
            (2, 24, 7, 5),
            (2, 32, 8, 8),
            (2, 8, 1, 1),
            (2, 8, 1, 4),
            (1, 8, 1, 1),
        ] {
            let shape = DepthwiseShape { stride, channels, height, width };
            let dense = shape.dense();
            let (x, weight) = (random(height * width * channels), random(9 * channels));
            let (out_h, out_w) = (dense.out_height(), dense.out_width());
            let dy = random(out_h * out_w * channels);
            let (mut x_padded, mut dy_padded) =
                (vec![f32::NAN; dense.input_len()], vec![f32::NAN; dense.padded_output_len()]);
            pad(&x, Grid { rows: height, columns: width, channels }, 1, &mut x_padded);
            pad(&dy, shape.output(), 1, &mut dy_padded);
            let (dx_expected, dense_dweight) = reference::backward(dense, &x, &dense_weight(&weight, channels), &dy);
            let diagonal = |k: usize, i: usize| dense_dweight[(k * channels + i) * channels + i];
            let dweight_expected: Vec<f32> = (0..9 * channels).map(|w| diagonal(w / channels, w % channels)).collect();
            for isa in Isa::available() {
                let (mut y, mut dx, mut dweight) =
                    (vec![f32::NAN; dy.len()], vec![f32::NAN; x.len()], vec![0.0; 9 * channels]);
                depthwise_forward(isa, shape, &x_padded, &weight, &mut y);
                depthwise_data_gradient(isa, shape, &dy_padded, &weight, &mut dx);
                depthwise_weight_gradient(isa, shape, &x_padded, &dy_padded, &mut dweight);
                assert!(
                    close(&y, &reference::forward(dense, &x, &dense_weight(&weight, channels))),
                    "{isa:?} {shape:?} y"
                );
                assert!(close(&dx, &dx_expected), "{isa:?} {shape:?} dx");
                assert!(close(&dweight, &dweight_expected), "{isa:?} {shape:?} dweight");
            }
        }
    }
}
