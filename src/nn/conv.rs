//! Dense convolution, 3×3 or 1×1, stride 1 or 2, zero padding `K / 2`, no bias.
//!
//! C input channels, O output channels, H × W input pixels, K kernel side, s stride. One image at a time:
//! input `[H + 2p, W + 2p, C]` with its border of zeros (`p = K / 2`), output `[H/s, W/s, O]`,
//! gradient of the output again with the border. Weights are `[K, K, C, O]`, so that in NHWC the K
//! taps of a kernel row read one run of K C adjacent inputs.

use crate::kernel::tile::{Forward, Repeat, Tap, WeightGradient};
use crate::kernel::{Grid, Isa};

/// Shape of one convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// K, 1 or 3.
    pub kernel: usize,
    /// s, 1 or 2.
    pub stride: usize,
    /// C; a multiple of 8 where the gradient of the input is computed.
    pub channels_in: usize,
    /// O, a multiple of 8.
    pub channels_out: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
}

impl ConvShape {
    /// Width of the border of zeros on each side.
    pub fn padding(self) -> usize {
        self.kernel / 2
    }

    /// Rows of the output.
    pub fn out_height(self) -> usize {
        self.height.div_ceil(self.stride)
    }

    /// Columns of the output.
    pub fn out_width(self) -> usize {
        self.width.div_ceil(self.stride)
    }

    /// Number of floats of a padded input.
    pub fn input_len(self) -> usize {
        let border = 2 * self.padding();
        (self.height + border) * (self.width + border) * self.channels_in
    }

    /// Number of floats of the output gradient with its border.
    pub fn padded_output_len(self) -> usize {
        let border = 2 * self.padding();
        (self.out_height() + border) * (self.out_width() + border) * self.channels_out
    }

    /// Number of weights.
    pub fn weight_len(self) -> usize {
        self.kernel * self.kernel * self.channels_in * self.channels_out
    }

    pub(super) fn input_row(self) -> usize {
        (self.width + 2 * self.padding()) * self.channels_in
    }

    pub(super) fn padded_output_row(self) -> usize {
        (self.out_width() + 2 * self.padding()) * self.channels_out
    }

    /// Rows and columns of the output; one long row for a pointwise convolution of stride 1, so that no tile ends early.
    pub(super) fn output_grid(self) -> (usize, usize) {
        match (self.kernel, self.stride) {
            (1, 1) => (1, self.height * self.width),
            _ => (self.out_height(), self.out_width()),
        }
    }
}

/// `y = conv(x)`: `x` padded, `y` `[H/s, W/s, O]`.
pub fn conv_forward(isa: Isa, shape: ConvShape, x: &[f32], weight: &[f32], y: &mut [f32]) {
    let run = shape.kernel * shape.channels_in;
    let taps: [Tap; 3] =
        std::array::from_fn(|ky| Tap { x: ky * shape.input_row(), weight: ky * run * shape.channels_out });
    let (rows, columns) = shape.output_grid();
    Forward {
        x,
        x_row: shape.stride * shape.input_row(),
        x_pixel: shape.stride * shape.channels_in,
        taps: &taps[..shape.kernel],
        run,
        weight,
        weight_row: 0,
        channels: shape.channels_out,
        y,
        y_row: columns * shape.channels_out,
        y_pixel: shape.channels_out,
        rows,
        columns,
    }
    .run(isa);
}

/// `dweight += xᵀ dy`: `x` and `dy` padded, `dweight` `[K, K, C, O]`.
pub fn conv_weight_gradient(isa: Isa, shape: ConvShape, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
    let run = shape.kernel * shape.channels_in;
    let (rows, columns) = shape.output_grid();
    let padding = shape.padding();
    let first = padding * (shape.padded_output_row() + shape.channels_out);
    for (ky, dweight) in dweight[..shape.weight_len()].chunks_mut(run * shape.channels_out).enumerate() {
        WeightGradient {
            x: &x[ky * shape.input_row()..],
            x_row: shape.stride * shape.input_row(),
            x_pixel: shape.stride * shape.channels_in,
            run,
            dy: &dy[first..],
            dy_row: shape.padded_output_row(),
            dy_pixel: shape.channels_out,
            channels: shape.channels_out,
            dweight,
            rows,
            columns,
            repeat: Repeat::ONCE,
            accumulate: true,
        }
        .run(isa);
    }
}

/// Kernel rows (or columns) that read the input pixels of one parity, as `(kernel index, offset into the padded gradient)`
/// in the order of the gradient's offsets.
///
/// Output `o` reads input `i` through kernel index `k` if `i + 1 = s o + k`.
pub(super) fn taps_of_parity(stride: usize, parity: usize) -> &'static [(usize, usize)] {
    match (stride, parity) {
        (1, _) => &[(2, 0), (1, 1), (0, 2)],
        (_, 0) => &[(1, 1)],
        _ => &[(2, 1), (0, 2)],
    }
}

/// Reorders the weights for [`conv_data_gradient`]: `[O, C]` matrices, flipped and grouped by the parity of the input pixel.
pub fn transpose_weight(shape: ConvShape, weight: &[f32], transposed: &mut [f32]) {
    let (c, o) = (shape.channels_in, shape.channels_out);
    let mut matrices = transposed[..shape.weight_len()].chunks_mut(c * o);
    let mut put = |index: usize| {
        let target = matrices.next().expect("one matrix per kernel element");
        let source = &weight[index * c * o..][..c * o];
        for (j, row) in target.chunks_mut(c).enumerate() {
            for (i, value) in row.iter_mut().enumerate() {
                *value = source[i * o + j];
            }
        }
    };
    if shape.kernel == 1 {
        return put(0);
    }
    for row_parity in 0..shape.stride {
        for column_parity in 0..shape.stride {
            for (ky, _) in taps_of_parity(shape.stride, row_parity) {
                for (kx, _) in taps_of_parity(shape.stride, column_parity) {
                    put(ky * 3 + kx);
                }
            }
        }
    }
}

/// [`transpose_weight`] into memory of its own.
pub fn transposed(shape: ConvShape, weight: &[f32]) -> Vec<f32> {
    let mut transposed = vec![0.0; shape.weight_len()];
    transpose_weight(shape, weight, &mut transposed);
    transposed
}

/// `dx = convᵀ(dy)`: `dy` padded, `transposed` from [`transpose_weight`], `dx` `[H, W, C]` without border.
pub fn conv_data_gradient(isa: Isa, shape: ConvShape, dy: &[f32], transposed: &[f32], dx: &mut [f32]) {
    if shape.kernel == 1 {
        return pointwise_data_gradient(isa, shape, dy, transposed, dx);
    }
    let (c, o, s) = (shape.channels_in, shape.channels_out, shape.stride);
    let dy_row = shape.padded_output_row();
    let mut weight = 0;
    for row_parity in 0..s {
        for column_parity in 0..s {
            let (kernel_rows, kernel_columns) = (taps_of_parity(s, row_parity), taps_of_parity(s, column_parity));
            let run = kernel_columns.len() * o;
            let mut taps = [Tap { x: 0, weight: 0 }; 3];
            for (tap, (_, offset)) in taps.iter_mut().zip(kernel_rows) {
                *tap = Tap { x: offset * dy_row + kernel_columns[0].1 * o, weight };
                weight += run * c;
            }
            let rows = shape.height.saturating_sub(row_parity).div_ceil(s);
            let columns = shape.width.saturating_sub(column_parity).div_ceil(s);
            if rows == 0 || columns == 0 {
                // An input of one row or column has no second parity.
                continue;
            }
            let start = (row_parity * shape.width + column_parity) * c;
            Forward {
                x: dy,
                x_row: dy_row,
                x_pixel: o,
                taps: &taps[..kernel_rows.len()],
                run,
                weight: transposed,
                weight_row: 0,
                channels: c,
                y: &mut dx[start..],
                y_row: s * shape.width * c,
                y_pixel: s * c,
                rows,
                columns,
            }
            .run(isa);
        }
    }
}

fn pointwise_data_gradient(isa: Isa, shape: ConvShape, dy: &[f32], transposed: &[f32], dx: &mut [f32]) {
    let (c, o, s) = (shape.channels_in, shape.channels_out, shape.stride);
    let (rows, columns) = shape.output_grid();
    if s > 1 {
        dx[..shape.height * shape.width * c].fill(0.0);
    }
    Forward {
        x: dy,
        x_row: columns * o,
        x_pixel: o,
        taps: &[Tap { x: 0, weight: 0 }],
        run: o,
        weight: transposed,
        weight_row: 0,
        channels: c,
        y: dx,
        y_row: s * shape.width * c,
        y_pixel: s * c,
        rows,
        columns,
    }
    .run(isa);
}

/// Slow reference: plain loops over arrays without borders.
pub mod reference {
    use super::ConvShape;

    /// Calls `visit(input index, output index, weight index)` for every multiply-accumulate.
    fn each(shape: ConvShape, mut visit: impl FnMut(usize, usize, usize)) {
        let ConvShape { kernel, stride, channels_in, channels_out, height, width } = shape;
        for (row, column) in (0..shape.out_height()).flat_map(|r| (0..shape.out_width()).map(move |c| (r, c))) {
            for (ky, kx) in (0..kernel).flat_map(|y| (0..kernel).map(move |x| (y, x))) {
                let (y, x) = (row * stride + ky, column * stride + kx);
                let inside = |at: usize, side: usize| at >= shape.padding() && at - shape.padding() < side;
                if !inside(y, height) || !inside(x, width) {
                    continue;
                }
                let pixel = (y - shape.padding()) * width + x - shape.padding();
                for (i, o) in (0..channels_in).flat_map(|i| (0..channels_out).map(move |o| (i, o))) {
                    visit(
                        pixel * channels_in + i,
                        (row * shape.out_width() + column) * channels_out + o,
                        ((ky * kernel + kx) * channels_in + i) * channels_out + o,
                    );
                }
            }
        }
    }

    /// `y` of `x` `[H, W, C]`.
    pub fn forward(shape: ConvShape, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let mut y = vec![0.0; shape.out_height() * shape.out_width() * shape.channels_out];
        each(shape, |i, o, w| y[o] += x[i] * weight[w]);
        y
    }

    /// `dx` and `dweight` of `dy` `[H/s, W/s, O]`.
    pub fn backward(shape: ConvShape, x: &[f32], weight: &[f32], dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (mut dx, mut dweight) = (vec![0.0; x.len()], vec![0.0; weight.len()]);
        each(shape, |i, o, w| {
            dx[i] += dy[o] * weight[w];
            dweight[w] += dy[o] * x[i];
        });
        (dx, dweight)
    }
}

/// Copies `x` `[H, W, C]` into an array with a border of zeros.
pub fn pad(x: &[f32], grid: Grid, padding: usize, padded: &mut [f32]) {
    clear_border(grid, padding, padded);
    let row = (grid.columns + 2 * padding) * grid.channels;
    for (y, source) in x[..grid.len()].chunks(grid.columns * grid.channels).enumerate() {
        padded[(y + padding) * row + padding * grid.channels..][..source.len()].copy_from_slice(source);
    }
}

/// Zeros the border of a padded array and leaves the inside unchanged.
pub fn clear_border<T: Copy + Default>(grid: Grid, padding: usize, padded: &mut [T]) {
    if padding == 0 {
        return;
    }
    let (row, left) = ((grid.columns + 2 * padding) * grid.channels, padding * grid.channels);
    let padded = &mut padded[..(grid.rows + 2 * padding) * row];
    let (first, last) = (padding * row + left, (grid.rows + padding) * row - left);
    padded[..first].fill(T::default());
    padded[last..].fill(T::default());
    // The end of a row and the start of the next are adjacent.
    for between in padded[first..last].chunks_mut(row) {
        let end = between.len().min(row - 2 * left);
        between[end..].fill(T::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn random(rng: &mut Rng, len: usize) -> Vec<f32> {
        (0..len).map(|_| rng.uniform_in(-1.0, 1.0)).collect()
    }

    fn assert_close(found: &[f32], expected: &[f32], what: &str) {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (i, (a, b)) in found.iter().zip(expected).enumerate() {
            assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{what}: [{i}] found {a}, expected {b}");
        }
    }

    fn shapes() -> Vec<ConvShape> {
        let mut shapes = Vec::new();
        for (kernel, stride) in [(3, 1), (3, 2), (1, 1), (1, 2)] {
            for (channels_in, channels_out) in [(1, 8), (3, 16), (8, 24), (16, 48), (24, 64), (32, 80)] {
                for (height, width) in [(8, 8), (7, 13), (5, 17), (14, 9), (1, 1), (1, 6)] {
                    shapes.push(ConvShape { kernel, stride, channels_in, channels_out, height, width });
                }
            }
        }
        shapes
    }

    #[test]
    fn every_kernel_agrees_with_the_reference() {
        let mut rng = Rng::for_purpose(1, "conv");
        for shape in shapes() {
            let ConvShape { channels_in: c, channels_out: o, height, width, .. } = shape;
            let (p, out_h, out_w) = (shape.padding(), shape.out_height(), shape.out_width());
            let (x, weight) = (random(&mut rng, height * width * c), random(&mut rng, shape.weight_len()));
            let dy = random(&mut rng, out_h * out_w * o);
            // Earlier contents of the scratch must not matter.
            let (mut x_padded, mut dy_padded) =
                (vec![f32::NAN; shape.input_len()], vec![f32::NAN; shape.padded_output_len()]);
            pad(&x, Grid { rows: height, columns: width, channels: c }, p, &mut x_padded);
            pad(&dy, Grid { rows: out_h, columns: out_w, channels: o }, p, &mut dy_padded);
            let (dx_expected, dweight_expected) = reference::backward(shape, &x, &weight, &dy);
            for isa in Isa::available() {
                let what = format!("{} {shape:?}", isa.name());
                let mut y = vec![f32::NAN; out_h * out_w * o];
                conv_forward(isa, shape, &x_padded, &weight, &mut y);
                assert_close(&y, &reference::forward(shape, &x, &weight), &what);
                let mut dweight = vec![0.0; weight.len()];
                conv_weight_gradient(isa, shape, &x_padded, &dy_padded, &mut dweight);
                assert_close(&dweight, &dweight_expected, &what);
                if c % 8 == 0 {
                    let (mut transposed, mut dx) = (vec![f32::NAN; weight.len()], vec![f32::NAN; x.len()]);
                    transpose_weight(shape, &weight, &mut transposed);
                    conv_data_gradient(isa, shape, &dy_padded, &transposed, &mut dx);
                    assert_close(&dx, &dx_expected, &what);
                }
            }
        }
    }

    /// The order of fused multiply-adds does not depend on the vector width.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn avx2_and_avx512_give_the_same_bytes() {
        if Isa::available()[0] != Isa::Avx512 {
            return;
        }
        let shape = ConvShape { kernel: 3, stride: 1, channels_in: 16, channels_out: 32, height: 9, width: 11 };
        let mut rng = Rng::for_purpose(2, "conv");
        let (x, weight) = (random(&mut rng, shape.input_len()), random(&mut rng, shape.weight_len()));
        let [mut wide, mut narrow] = [(); 2].map(|()| vec![0.0; 9 * 11 * 32]);
        conv_forward(Isa::Avx512, shape, &x, &weight, &mut wide);
        conv_forward(Isa::Avx2, shape, &x, &weight, &mut narrow);
        assert_eq!(wide, narrow);
    }
}
