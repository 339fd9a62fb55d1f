//! Dense convolution in bf16: factors rounded to bf16, sums in f32. Shapes and arrays are those of `conv.rs`, but x and dy with their borders
//! are in bf16.
//!
//! All three passes are products of matrices whose left matrix lies in memory as it is:
//!
//! ```text
//! y[pixel][o]       = Σ_(k, c)   x[pixel + k][c]    W[k, c][o]      left: pixels of x, 32 adjacent (k, c) per step
//! dx[pixel][c]      = Σ_(k, o)  dy[pixel - k][o]   Wᵀ[k, o][c]      left: pixels of dy
//! dW[k, c][o]       = Σ_pixel    x[pixel + k][c]    dy[pixel][o]    left: planes of x, 32 adjacent pixels per step
//! ```
//!
//! For the weight gradient the pixels of a plane lie at the distances of dy with its border, whose zeros cancel the pixels between rows.

use super::conv::{ConvShape, taps_of_parity};
use crate::kernel::bf16::{Aligned, Bf16Kernel, PAIRS, PlaneShape, Product, ROWS_MAX, SLACK, Step, TILE, Tile};

/// Images of one convolution whose weight gradient is taken in one product.
#[derive(Debug, Default)]
pub struct GradientBatch {
    images: usize,
    planes: Aligned,
    pairs: Aligned,
}

impl GradientBatch {
    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        size_of_val(self.planes.values()) + size_of_val(self.pairs.values())
    }
}

/// Fewest steps of a weight gradient, 32 pixels each: with fewer, loading and storing the sums takes as long as adding to them.
const STEPS_MIN: usize = 32;

/// A product without its matrices.
#[derive(Clone, Debug)]
struct Pass {
    left_row: usize,
    steps: Vec<Step>,
    tiles: Vec<Tile>,
    rows: usize,
    columns: usize,
    right_block: usize,
    out_row: usize,
    accumulate: bool,
}

impl Pass {
    /// Adds `steps`.
    fn run(&self, kernel: Bf16Kernel, steps: &[Step], left: &[u16], right: &[u16], out: &mut [f32]) {
        kernel.multiply(Product {
            left,
            left_row: self.left_row,
            steps,
            tiles: &self.tiles,
            rows: self.rows,
            right,
            right_block: self.right_block,
            columns: self.columns,
            out,
            out_row: self.out_row,
            accumulate: self.accumulate,
        });
    }
}

/// A pass over pixels: a tile is up to 16 adjacent pixels of a row.
struct Pixels<'a> {
    /// Offsets of the runs of the left matrix that a pixel reads.
    taps: &'a [usize],
    /// Values per tap.
    run: usize,
    left_row: usize,
    left_pixel: usize,
    /// Offset of the first pixel in the result.
    out: usize,
    out_row: usize,
    out_pixel: usize,
    rows: usize,
    pixels: usize,
    columns: usize,
}

impl Pixels<'_> {
    fn steps_per_tap(&self) -> usize {
        self.run.div_ceil(2 * PAIRS)
    }

    fn pass(&self) -> Pass {
        let per_tap = self.steps_per_tap();
        let step = |(tap, left): (usize, &usize)| {
            (0..per_tap)
                .map(|step| Step {
                    left: (left + 2 * PAIRS * step) as u32,
                    right: ((tap * per_tap + step) * TILE) as u32,
                })
                .collect::<Vec<_>>()
        };
        // Tiles of equal width; the last tile of a row may overlap its neighbour and write the same values again.
        let count = self.pixels.div_ceil(ROWS_MAX);
        let width = self.pixels.div_ceil(count);
        let tile = |(row, number): (usize, usize)| {
            let pixel = (number * width).min(self.pixels - width);
            Tile {
                left: row * self.left_row + pixel * self.left_pixel,
                out: self.out + row * self.out_row + pixel * self.out_pixel,
            }
        };
        Pass {
            left_row: self.left_pixel,
            steps: self.taps.iter().enumerate().flat_map(step).collect(),
            tiles: (0..self.rows).flat_map(|row| (0..count).map(move |number| (row, number))).map(tile).collect(),
            rows: width,
            columns: self.columns,
            right_block: self.taps.len() * per_tap * TILE,
            out_row: self.out_pixel,
            accumulate: false,
        }
    }

    /// The right matrix, of `weight`: rows of `columns` values, `run` for each tap.
    fn pack(&self, kernel: Bf16Kernel, weight: &[f32]) -> Aligned {
        let (tap_len, block) = (self.steps_per_tap() * TILE, self.taps.len() * self.steps_per_tap() * TILE);
        let mut aligned = Aligned::zeroed(self.columns.div_ceil(16) * block);
        let packed = aligned.at_least(0);
        let tap_weights = self.run * self.columns;
        let mut rounded = vec![0; self.taps.len() * tap_weights];
        kernel.round(&weight[..self.taps.len() * tap_weights], &mut rounded);
        for (tap, weight) in rounded.chunks_exact(tap_weights).enumerate() {
            kernel.pack_pairs(weight, self.run, self.columns, &mut packed[tap * tap_len..], block);
        }
        aligned
    }
}

/// A convolution with its weights in the order of the kernels.
#[derive(Clone, Debug)]
pub struct Bf16Conv {
    kernel: Bf16Kernel,
    shape: ConvShape,
    forward: (Pass, Aligned),
    /// Of each parity of input pixels.
    data_gradient: Vec<(Pass, Aligned)>,
    weight_gradient: Pass,
    planes: PlaneShape,
    /// Values from the planes of an image to those of the next.
    image_planes: usize,
    /// Images whose weight gradient is taken in one product.
    images_together: usize,
}

impl Bf16Conv {
    /// Packs `weight` `[K, K, C, O]`, and for [`Self::data_gradient`] `transposed` of [`super::conv::transpose_weight`], or nothing.
    pub fn new(kernel: Bf16Kernel, shape: ConvShape, weight: &[f32], transposed: &[f32]) -> Self {
        let taps: Vec<usize> = (0..shape.kernel).map(|ky| ky * shape.input_row()).collect();
        let forward = forward_pixels(shape, &taps);
        let planes = plane_shape(shape);
        let image_planes = (shape.stride * shape.stride * shape.channels_in * planes.plane).next_multiple_of(2 * PAIRS);
        let images_together = (STEPS_MIN / gradient_pixels(shape, planes).div_ceil(2 * PAIRS)).max(1);
        Self {
            kernel,
            shape,
            data_gradient: if transposed.is_empty() { Vec::new() } else { data_passes(kernel, shape, transposed) },
            weight_gradient: weight_pass(shape, planes, image_planes, images_together),
            forward: (forward.pass(), forward.pack(kernel, weight)),
            planes,
            image_planes,
            images_together,
        }
    }

    /// Bytes of the weights and of the order of work.
    pub fn bytes(&self) -> usize {
        let of_pass = |pass: &Pass| size_of_val(&pass.steps[..]) + size_of_val(&pass.tiles[..]);
        let passes = [&self.forward].into_iter().chain(&self.data_gradient);
        let bytes = passes.map(|(pass, weight)| of_pass(pass) + size_of_val(weight.values()));
        of_pass(&self.weight_gradient) + bytes.sum::<usize>()
    }

    /// What computes it.
    pub(crate) fn kernel(&self) -> Bf16Kernel {
        self.kernel
    }

    /// Length of `x` for [`Self::forward`] and [`Self::weight_gradient`]: [`ConvShape::input_len`], and what tiles may read after it.
    pub fn input_len(&self) -> usize {
        self.shape.input_len() + SLACK
    }

    /// Length of `dy` for [`Self::data_gradient`] and [`Self::weight_gradient`].
    pub fn gradient_len(&self) -> usize {
        self.shape.padded_output_len() + SLACK
    }

    /// As [`super::conv::conv_forward`].
    pub fn forward(&self, x: &[u16], y: &mut [f32]) {
        let (pass, right) = &self.forward;
        pass.run(self.kernel, &pass.steps, x, right.values(), y);
    }

    /// As [`super::conv::conv_weight_gradient`], but `dweight` is complete only after [`Self::finish_weight_gradient`].
    pub fn weight_gradient(&self, x: &[u16], dy: &[u16], batch: &mut GradientBatch, dweight: &mut [f32]) {
        let (o, right_block) = (self.shape.channels_out, self.weight_gradient.right_block);
        let left = batch.planes.at_least(self.images_together * self.image_planes + self.planes.plane_row + 2 * SLACK);
        self.kernel.planes(x, self.planes, &mut left[batch.images * self.image_planes..]);
        let right = batch.pairs.at_least(o.div_ceil(16) * right_block);
        let right = &mut right[batch.images * (right_block / self.images_together)..];
        let border = self.shape.padding() * (self.planes.plane_row + 1);
        let inner = gradient_pixels(self.shape, self.planes);
        self.kernel.pack_pairs(&dy[border * o..], inner, o, right, right_block);
        batch.images += 1;
        if batch.images == self.images_together {
            self.finish_weight_gradient(batch, dweight);
        }
    }

    /// Adds the images of `batch` to `dweight`.
    pub fn finish_weight_gradient(&self, batch: &mut GradientBatch, dweight: &mut [f32]) {
        let pass = &self.weight_gradient;
        let steps = &pass.steps[..pass.steps.len() / self.images_together * batch.images];
        if !steps.is_empty() {
            pass.run(self.kernel, steps, batch.planes.values(), batch.pairs.values(), dweight);
        }
        batch.images = 0;
    }

    /// As [`super::conv::conv_data_gradient`].
    pub fn data_gradient(&self, dy: &[u16], dx: &mut [f32]) {
        let shape = self.shape;
        if shape.kernel == 1 && shape.stride > 1 {
            dx[..shape.height * shape.width * shape.channels_in].fill(0.0);
        }
        for (pass, right) in &self.data_gradient {
            pass.run(self.kernel, &pass.steps, dy, right.values(), dx);
        }
    }
}

fn forward_pixels(shape: ConvShape, taps: &[usize]) -> Pixels<'_> {
    let (rows, pixels) = shape.output_grid();
    Pixels {
        taps,
        run: shape.kernel * shape.channels_in,
        left_row: shape.stride * shape.input_row(),
        left_pixel: shape.stride * shape.channels_in,
        out: 0,
        out_row: pixels * shape.channels_out,
        out_pixel: shape.channels_out,
        rows,
        pixels,
        columns: shape.channels_out,
    }
}

fn data_passes(kernel: Bf16Kernel, shape: ConvShape, transposed: &[f32]) -> Vec<(Pass, Aligned)> {
    let (c, o, s) = (shape.channels_in, shape.channels_out, shape.stride);
    if shape.kernel == 1 {
        let (rows, pixels) = shape.output_grid();
        let pass = Pixels {
            taps: &[0],
            run: o,
            left_row: pixels * o,
            left_pixel: o,
            out: 0,
            out_row: s * shape.width * c,
            out_pixel: s * c,
            rows,
            pixels,
            columns: c,
        };
        return vec![(pass.pass(), pass.pack(kernel, transposed))];
    }
    let (mut passes, mut weights) = (Vec::new(), transposed);
    for (row_parity, column_parity) in (0..s).flat_map(|row| (0..s).map(move |column| (row, column))) {
        let (kernel_rows, kernel_columns) = (taps_of_parity(s, row_parity), taps_of_parity(s, column_parity));
        let taps: Vec<usize> = kernel_rows
            .iter()
            .map(|(_, offset)| offset * shape.padded_output_row() + kernel_columns[0].1 * o)
            .collect();
        let run = kernel_columns.len() * o;
        let (of_parity, rest) = weights.split_at(taps.len() * run * c);
        weights = rest;
        let rows = shape.height.saturating_sub(row_parity).div_ceil(s);
        let pixels = shape.width.saturating_sub(column_parity).div_ceil(s);
        if rows == 0 || pixels == 0 {
            // An input of one row or column has no second parity.
            continue;
        }
        let pass = Pixels {
            taps: &taps,
            run,
            left_row: shape.padded_output_row(),
            left_pixel: o,
            out: (row_parity * shape.width + column_parity) * c,
            out_row: s * shape.width * c,
            out_pixel: s * c,
            rows,
            pixels,
            columns: c,
        };
        passes.push((pass.pass(), pass.pack(kernel, of_parity)));
    }
    passes
}

/// The planes of x that the weight gradient reads: rows as far apart as those of dy with its border.
fn plane_shape(shape: ConvShape) -> PlaneShape {
    let border = 2 * shape.padding();
    let (rows, columns) = (shape.height + border, shape.width + border);
    let plane_row = shape.out_width() + border;
    let plane = rows.div_ceil(shape.stride) * plane_row;
    PlaneShape { rows, columns, channels: shape.channels_in, stride: shape.stride, plane_row, plane }
}

/// Pixels of dy from the first to the last of the image, with the border between its rows.
fn gradient_pixels(shape: ConvShape, planes: PlaneShape) -> usize {
    shape.out_height() * planes.plane_row - 2 * shape.padding()
}

fn weight_pass(shape: ConvShape, planes: PlaneShape, image_planes: usize, images: usize) -> Pass {
    let (c, o, s) = (shape.channels_in, shape.channels_out, shape.stride);
    let rows = (1..=ROWS_MAX.min(c)).rev().find(|rows| c.is_multiple_of(*rows)).unwrap_or(1);
    let steps = gradient_pixels(shape, planes).div_ceil(2 * PAIRS);
    let mut tiles = Vec::new();
    for (ky, kx) in (0..shape.kernel).flat_map(|ky| (0..shape.kernel).map(move |kx| (ky, kx))) {
        let plane = (ky % s * s + kx % s) * c * planes.plane + ky / s * planes.plane_row + kx / s;
        tiles.extend((0..c).step_by(rows).map(|channel| Tile {
            left: plane + channel * planes.plane,
            out: ((ky * shape.kernel + kx) * c + channel) * o,
        }));
    }
    Pass {
        left_row: planes.plane,
        steps: (0..images * steps)
            .map(|step| Step {
                left: (step / steps * image_planes + 2 * PAIRS * (step % steps)) as u32,
                right: (step * TILE) as u32,
            })
            .collect(),
        tiles,
        rows,
        columns: o,
        right_block: images * steps * TILE,
        out_row: o,
        accumulate: true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::conv::{pad, reference, transpose_weight};
    use super::*;
    use crate::kernel::Grid;
    use crate::rng::Rng;

    /// Values that bf16 represents exactly, so that only the order of sums differs from the f32 reference.
    fn random(rng: &mut Rng, len: usize) -> Vec<f32> {
        (0..len).map(|_| f32::from_bits(rng.uniform_in(-1.0, 1.0).to_bits() & 0xffff_0000)).collect()
    }

    fn assert_close(found: &[f32], expected: &[f32], what: &str) {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (i, (a, b)) in found.iter().zip(expected).enumerate() {
            assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{what}: [{i}] found {a}, expected {b}");
        }
    }

    #[test]
    fn every_kernel_agrees_with_the_reference() {
        let mut rng = Rng::for_purpose(1, "conv bf16");
        let mut batch = GradientBatch::default();
        for (kernel, stride) in [(3, 1), (3, 2), (1, 1), (1, 2)] {
            for (c, o) in [(1, 8), (3, 16), (8, 24), (16, 48), (24, 64), (32, 80), (40, 16)] {
                for (height, width) in [(8, 8), (7, 13), (5, 17), (14, 9), (1, 1), (1, 6), (3, 33)] {
                    let shape = ConvShape { kernel, stride, channels_in: c, channels_out: o, height, width };
                    let (p, out_h, out_w) = (shape.padding(), shape.out_height(), shape.out_width());
                    let (x, weight) = (random(&mut rng, height * width * c), random(&mut rng, shape.weight_len()));
                    let dy = random(&mut rng, out_h * out_w * o);
                    let (mut x_padded, mut dy_padded) =
                        (vec![0.0; shape.input_len()], vec![0.0; shape.padded_output_len()]);
                    pad(&x, Grid { rows: height, columns: width, channels: c }, p, &mut x_padded);
                    pad(&dy, Grid { rows: out_h, columns: out_w, channels: o }, p, &mut dy_padded);
                    let mut transposed = vec![0.0; if c % 8 == 0 { weight.len() } else { 0 }];
                    if c % 8 == 0 {
                        transpose_weight(shape, &weight, &mut transposed);
                    }
                    let expected = reference::forward(shape, &x, &weight);
                    let (dx_expected, dweight_expected) = reference::backward(shape, &x, &weight, &dy);
                    for kernel in Bf16Kernel::available() {
                        let what = format!("{} {shape:?}", kernel.name());
                        let conv = Bf16Conv::new(kernel, shape, &weight, &transposed);
                        let (mut x_bf16, mut dy_bf16) = (vec![0; conv.input_len()], vec![0; conv.gradient_len()]);
                        kernel.round(&x_padded, &mut x_bf16);
                        kernel.round(&dy_padded, &mut dy_bf16);
                        let mut y = vec![f32::NAN; out_h * out_w * o];
                        conv.forward(&x_bf16, &mut y);
                        assert_close(&y, &expected, &format!("forward, {what}"));
                        let mut dweight = vec![0.0; weight.len()];
                        // One image more than are taken together.
                        let images = conv.images_together + 1;
                        for _ in 0..images {
                            conv.weight_gradient(&x_bf16, &dy_bf16, &mut batch, &mut dweight);
                        }
                        conv.finish_weight_gradient(&mut batch, &mut dweight);
                        dweight.iter_mut().for_each(|d| *d /= images as f32);
                        assert_close(&dweight, &dweight_expected, &format!("weight gradient, {what}"));
                        if c % 8 == 0 {
                            let mut dx = vec![f32::NAN; x.len()];
                            conv.data_gradient(&dy_bf16, &mut dx);
                            assert_close(&dx, &dx_expected, &format!("data gradient, {what}"));
                        }
                    }
                }
            }
        }
    }
}
