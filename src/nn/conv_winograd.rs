//! Dense 3×3 convolution of stride 1 by Winograd's minimal filtering (`src/kernel/winograd.rs`). Shapes and arrays are those of `conv.rs`.
//!
//! Rounding is that of the direct convolution times a few units for m = 4, because the transforms add numbers of up to ten times the size
//! of the result.

use super::conv::ConvShape;
use crate::kernel::Isa;
use crate::kernel::tile::{Forward, Repeat, Tap, WeightGradient};
use crate::kernel::winograd::{
    TileSide, Tiling, add_weight_gradient, transform_outputs, transform_patches, transform_tiles, transform_weights,
};

/// Fewest channels of input and output: with fewer, the transforms take longer than the products that they save.
const CHANNELS_MIN: usize = 16;

/// Fewest tiles per image: with fewer, a product reads its weights for too few rows.
const TILES_MIN: usize = 4;

/// As many transformed weights fit the second-level cache beside the tiles. More are read from memory for each image, so with fewer than
/// twice [`TILES_MIN`] tiles of 4×4 there must not be more, and 2×2 with its 16 products instead of 36 is faster.
const WEIGHTS_IN_CACHE: usize = 1 << 18;

/// Tiles that are transformed together, at least: enough rows for every kernel, and few enough for the cache.
const TILES_TOGETHER: usize = 16;

/// Transformed arrays of one image, reused by the images of a group one after another.
#[derive(Debug, Default)]
pub struct WinogradScratch {
    inputs: Vec<f32>,
    outputs: Vec<f32>,
}

impl WinogradScratch {
    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.inputs[..]) + size_of_val(&self.outputs[..])
    }
}

/// The gradient of the transformed weights of one convolution, `[position, C, O]`, over some images.
#[derive(Debug, Default)]
pub struct TransformedGradient {
    values: Vec<f32>,
    /// Whether it has the gradient of any image: without, the values are those of an earlier use.
    is_started: bool,
}

impl TransformedGradient {
    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.values[..])
    }
}

/// A convolution with transformed weights.
#[derive(Clone, Debug)]
pub struct WinogradConv {
    shape: ConvShape,
    tiling: Tiling,
    weight: Vec<f32>,
    /// For the data gradient; empty where not needed.
    transposed: Vec<f32>,
}

impl WinogradConv {
    /// Transforms `weight` `[3, 3, C, O]`, and for [`Self::data_gradient`] `transposed` of [`super::conv::transpose_weight`], or nothing.
    ///
    /// None for a shape that the direct convolution is for.
    pub fn new(isa: Isa, shape: ConvShape, weight: &[f32], transposed: &[f32]) -> Option<Self> {
        let is_wide = shape.channels_in.min(shape.channels_out) >= CHANNELS_MIN;
        is_wide.then(|| Self::of_any_width(isa, shape, weight, transposed)).flatten()
    }

    fn of_any_width(isa: Isa, shape: ConvShape, weight: &[f32], transposed: &[f32]) -> Option<Self> {
        let tiling = tiling(shape)?;
        let transform = |weight: &[f32]| {
            let mut out = vec![0.0; tiling.tile.positions() * weight.len() / 9];
            transform_weights(isa, tiling.tile, weight, &mut out);
            out
        };
        Some(Self { shape, tiling, weight: transform(weight), transposed: transform(transposed) })
    }

    /// Bytes of the weights.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.weight[..]) + size_of_val(&self.transposed[..])
    }

    /// As [`super::conv::conv_forward`].
    pub fn forward(&self, isa: Isa, x: &[f32], scratch: &mut WinogradScratch, y: &mut [f32]) {
        let ConvShape { channels_in, channels_out, .. } = self.shape;
        self.filter(isa, [channels_in, channels_out], &self.weight, x, scratch, y);
    }

    /// As [`super::conv::conv_data_gradient`]: a convolution with the flipped and transposed weights.
    pub fn data_gradient(&self, isa: Isa, dy: &[f32], scratch: &mut WinogradScratch, dx: &mut [f32]) {
        let ConvShape { channels_in, channels_out, .. } = self.shape;
        self.filter(isa, [channels_out, channels_in], &self.transposed, dy, scratch, dx);
    }

    fn filter(
        &self,
        isa: Isa,
        [inputs, outputs]: [usize; 2],
        weight: &[f32],
        x: &[f32],
        scratch: &mut WinogradScratch,
        y: &mut [f32],
    ) {
        for (row, tiling) in self.parts() {
            let from = at_least(&mut scratch.inputs, tiling.len(inputs));
            let sums = at_least(&mut scratch.outputs, tiling.len(outputs));
            transform_patches(isa, tiling, inputs, &x[row * (tiling.columns + 2) * inputs..], from);
            Forward {
                x: from,
                x_row: tiling.stride(inputs),
                x_pixel: inputs,
                taps: &[Tap { x: 0, weight: 0 }],
                run: inputs,
                weight,
                weight_row: inputs * outputs,
                channels: outputs,
                y: &mut *sums,
                y_row: tiling.stride(outputs),
                y_pixel: outputs,
                rows: tiling.tile.positions(),
                columns: tiling.tiles(),
            }
            .run(isa);
            transform_outputs(isa, tiling, outputs, sums, &mut y[row * tiling.columns * outputs..]);
        }
    }

    /// First row and tiling of parts of the image whose transformed arrays fit the cache.
    fn parts(&self) -> impl Iterator<Item = (usize, Tiling)> {
        let (whole, side) = (self.tiling, self.tiling.tile.side());
        let rows = TILES_TOGETHER.div_ceil(whole.columns / side) * side;
        (0..whole.rows).step_by(rows).map(move |row| (row, Tiling { rows: rows.min(whole.rows - row), ..whole }))
    }

    /// Adds the gradient of the transformed weights to `sum`; `x` and `dy` padded. [`Self::finish_weight_gradient`] follows the last image.
    pub fn weight_gradient(
        &self,
        isa: Isa,
        x: &[f32],
        dy: &[f32],
        scratch: &mut WinogradScratch,
        sum: &mut TransformedGradient,
    ) {
        let ConvShape { channels_in, channels_out, .. } = self.shape;
        let total = at_least(&mut sum.values, self.weight.len());
        let dy_row = self.shape.padded_output_row();
        for (row, tiling) in self.parts() {
            let from = at_least(&mut scratch.inputs, tiling.len(channels_in));
            let to = at_least(&mut scratch.outputs, tiling.len(channels_out));
            transform_patches(isa, tiling, channels_in, &x[row * self.shape.input_row()..], from);
            transform_tiles(isa, tiling, channels_out, &dy[(row + 1) * dy_row + channels_out..], dy_row, to);
            WeightGradient {
                x: from,
                x_row: 0,
                x_pixel: channels_in,
                run: channels_in,
                dy: to,
                dy_row: 0,
                dy_pixel: channels_out,
                channels: channels_out,
                dweight: &mut *total,
                rows: 1,
                columns: tiling.tiles(),
                repeat: Repeat {
                    count: tiling.tile.positions(),
                    x: tiling.stride(channels_in),
                    dy: tiling.stride(channels_out),
                    dweight: channels_in * channels_out,
                },
                accumulate: std::mem::replace(&mut sum.is_started, true),
            }
            .run(isa);
        }
    }

    /// Adds the gradient of the weights `[3, 3, C, O]` to `dweight`, and starts `sum` again.
    pub fn finish_weight_gradient(&self, isa: Isa, sum: &mut TransformedGradient, dweight: &mut [f32]) {
        if std::mem::take(&mut sum.is_started) {
            add_weight_gradient(isa, self.tiling.tile, &sum.values[..self.weight.len()], dweight);
        }
    }
}

fn tiling(shape: ConvShape) -> Option<Tiling> {
    let ConvShape { kernel, stride, channels_in, channels_out, height, width } = shape;
    if kernel != 3 || stride != 1 || !channels_in.is_multiple_of(8) {
        return None;
    }
    let fits = |tiling: &Tiling| {
        let (side, tiles) = (tiling.tile.side(), tiling.tiles());
        let weights = tiling.tile.positions() * channels_in * channels_out;
        let enough = tiles >= 2 * TILES_MIN || tiles >= TILES_MIN && weights <= WEIGHTS_IN_CACHE;
        height.is_multiple_of(side) && width.is_multiple_of(side) && enough
    };
    let tiling = |tile| Tiling { tile, rows: height, columns: width };
    [TileSide::Four, TileSide::Two].map(tiling).into_iter().find(fits)
}

/// The first `len` of `values`, made longer if need be. They are overwritten.
fn at_least(values: &mut Vec<f32>, len: usize) -> &mut [f32] {
    values.resize(values.len().max(len), 0.0);
    &mut values[..len]
}

#[cfg(test)]
mod tests {
    use super::super::conv::{pad, reference, transposed};
    use super::*;
    use crate::kernel::Grid;
    use crate::rng::Rng;

    fn random(rng: &mut Rng, len: usize) -> Vec<f32> {
        (0..len).map(|_| rng.uniform_in(-1.0, 1.0)).collect()
    }

    fn assert_close(found: &[f32], expected: &[f32], what: &str) {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (i, (a, b)) in found.iter().zip(expected).enumerate() {
            assert!((a - b).abs() < 2e-4 * (1.0 + b.abs()), "{what}: [{i}] found {a}, expected {b}");
        }
    }

    #[test]
    fn every_kernel_agrees_with_the_reference() {
        let mut rng = Rng::for_purpose(1, "conv winograd");
        let mut scratch = WinogradScratch::default();
        let mut sides = Vec::new();
        for (channels_in, channels_out) in [(8, 8), (16, 48), (24, 64), (32, 80)] {
            for (height, width) in [(8, 16), (12, 20), (14, 10), (8, 8), (6, 18)] {
                let shape = ConvShape { kernel: 3, stride: 1, channels_in, channels_out, height, width };
                let (x, weight) =
                    (random(&mut rng, height * width * channels_in), random(&mut rng, shape.weight_len()));
                let dy = random(&mut rng, height * width * channels_out);
                let (mut x_padded, mut dy_padded) =
                    (vec![0.0; shape.input_len()], vec![0.0; shape.padded_output_len()]);
                pad(&x, Grid { rows: height, columns: width, channels: channels_in }, 1, &mut x_padded);
                pad(&dy, Grid { rows: height, columns: width, channels: channels_out }, 1, &mut dy_padded);
                let expected = reference::forward(shape, &x, &weight);
                let (dx_expected, dweight_expected) = reference::backward(shape, &x, &weight, &dy);
                let mut bytes: Option<[Vec<u32>; 3]> = None;
                for isa in Isa::available() {
                    let what = format!("{} {shape:?}", isa.name());
                    let conv = WinogradConv::of_any_width(isa, shape, &weight, &transposed(shape, &weight)).unwrap();
                    sides.push(conv.tiling.tile);
                    let (mut y, mut dx) = (vec![f32::NAN; expected.len()], vec![f32::NAN; x.len()]);
                    conv.forward(isa, &x_padded, &mut scratch, &mut y);
                    assert_close(&y, &expected, &what);
                    conv.data_gradient(isa, &dy_padded, &mut scratch, &mut dx);
                    assert_close(&dx, &dx_expected, &what);
                    let (mut sum, mut dweight) = (TransformedGradient::default(), vec![0.0; weight.len()]);
                    conv.weight_gradient(isa, &x_padded, &dy_padded, &mut scratch, &mut sum);
                    conv.finish_weight_gradient(isa, &mut sum, &mut dweight);
                    assert_close(&dweight, &dweight_expected, &what);
                    if isa != Isa::Portable {
                        let found = [y, dx, dweight].map(|of| of.iter().map(|value| value.to_bits()).collect());
                        assert_eq!(
                            *bytes.get_or_insert_with(|| found.clone()),
                            found,
                            "{what}: other bytes than the widest vectors"
                        );
                    }
                }
            }
        }
        assert!(sides.contains(&TileSide::Two) && sides.contains(&TileSide::Four), "both sides of tiles are tested");
    }

    #[test]
    fn other_shapes_are_left_to_the_direct_convolution() {
        let shape = ConvShape { kernel: 3, stride: 1, channels_in: 64, channels_out: 64, height: 16, width: 16 };
        let of =
            |shape: ConvShape| WinogradConv::new(Isa::Portable, shape, &vec![0.0; shape.weight_len()], &[]).is_some();
        assert!(of(shape));
        for other in [
            ConvShape { stride: 2, ..shape },
            ConvShape { kernel: 1, ..shape },
            ConvShape { channels_in: 8, ..shape },
            ConvShape { width: 15, ..shape },
            ConvShape { height: 2, width: 4, ..shape },
        ] {
            assert!(!of(other), "{other:?}");
        }
    }
}
