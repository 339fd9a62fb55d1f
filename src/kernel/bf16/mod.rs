//! Products of matrices in bf16 with sums in f32, the inner loop of dense convolutions in `--precision bf16`.
//!
//! bf16 is the upper half of an f32: 8 bits of exponent, 7 of mantissa. Processors multiply pairs: one instruction adds
//! `a[2k] b[2k] + a[2k + 1] b[2k + 1]` to an f32. The right matrix is therefore stored in tiles of [`PAIRS`] × [`COLUMNS`] pairs, which
//! are a tile register of AMX and `PAIRS` vectors of AVX-512. The left matrix stays as it lies in memory: rows at equal distances, values of
//! a row adjacent.
//!
//! Products of two bf16 are exact in f32. The kinds of kernels differ in the order and rounding of sums, and in that both take subnormal
//! numbers as 0; each kind gives the same bytes on all its processors and for any number of threads. A processor that has neither computes in
//! f32 with rounded factors ([`round_to_f32`]).
#![allow(unsafe_code)] // Calls of functions with target features.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, unused_variables))] // No other kind of processor is supported yet.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod convert;
mod layout;

pub use layout::Aligned;
pub(crate) use layout::{COLUMNS, PAIRS, PlaneShape, Product, ROWS_MAX, SLACK, Step, TILE, Tile};

use super::activation::Activation;
use super::channel::{Affine, Grid};
use super::isa::Isa;

/// What multiplies bf16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bf16Kernel {
    /// Tiles of 16 × 32 values (AMX-BF16).
    #[cfg(target_arch = "x86_64")]
    Amx,
    /// Vectors of 32 values (AVX512-BF16).
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Bf16Kernel {
    /// All kinds of this CPU, the fastest first.
    pub fn available() -> Vec<Self> {
        Self::with(Isa::available()[0])
    }

    /// The fastest kind that goes with `isa`; none if the CPU does not multiply bf16.
    pub fn for_isa(isa: Isa) -> Option<Self> {
        Self::with(isa).first().copied()
    }

    #[cfg(target_arch = "x86_64")]
    fn with(isa: Isa) -> Vec<Self> {
        let kinds = [(Self::Amx, amx::is_available as fn() -> bool), (Self::Avx512, convert::is_available)];
        let available = kinds.into_iter().filter(|(_, is_available)| isa == Isa::Avx512 && is_available());
        available.map(|(kind, _)| kind).collect()
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn with(_: Isa) -> Vec<Self> {
        Vec::new()
    }

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx => "amx",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512-bf16",
        }
    }

    /// Computes `product`.
    pub(crate) fn multiply(self, product: Product<'_>) {
        product.check();
        if product.tiles.is_empty() {
            return;
        }
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx => amx::run(product),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::run(product),
        }
    }

    /// Rounds to the nearest bf16, ties to even; NaN stays NaN, and subnormal numbers may become 0, as which products take them.
    pub(crate) fn round(self, x: &[f32], out: &mut [u16]) {
        assert!(x.len() <= out.len(), "{} values do not fit {}", x.len(), out.len());
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a kind is selected only where available; lengths are checked above.
            Self::Amx | Self::Avx512 => unsafe { convert::round(x, out) },
        }
    }

    /// As [`super::channel::affine_activation`], rounded.
    pub(crate) fn affine_activation(
        self,
        grid: Grid,
        z: &[f32],
        affine: Affine<'_>,
        activation: Activation,
        out: &mut [u16],
        out_row: usize,
    ) {
        assert!(z.len() >= grid.len() && out.len() >= grid.span(out_row));
        assert!(affine.scale.len() >= grid.channels && affine.shift.len() >= grid.channels);
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a kind is selected only where available; lengths are checked above.
            Self::Amx | Self::Avx512 => unsafe {
                convert::affine_activation(grid, z, affine, activation, out, out_row)
            },
        }
    }

    /// As [`super::channel::norm_backward`], rounded.
    #[expect(
        clippy::too_many_arguments,
        reason = "all three arrays, their coefficients and shape belong to one formula"
    )]
    pub(crate) fn norm_backward(
        self,
        grid: Grid,
        g: &[f32],
        z: &[f32],
        by_gradient: &[f32],
        by_value: Affine<'_>,
        out: &mut [u16],
        out_row: usize,
    ) {
        assert!(g.len() >= grid.len() && z.len() >= grid.len() && out.len() >= grid.span(out_row));
        let coefficients = [by_gradient, by_value.scale, by_value.shift];
        assert!(coefficients.iter().all(|of| of.len() >= grid.channels));
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a kind is selected only where available; lengths are checked above.
            Self::Amx | Self::Avx512 => unsafe {
                convert::norm_backward(grid, g, z, by_gradient, by_value, out, out_row)
            },
        }
    }

    /// Makes tiles of a right matrix `x` `[inner, columns]`, columns rounded up to a multiple of 8: in `out` blocks of [`COLUMNS`] columns,
    /// `block_len` values apart, each of [`TILE`] values per 32 rows: pairs of rows one after another, the pair of each column adjacent.
    /// Missing rows and columns are 0.
    pub(crate) fn pack_pairs(self, x: &[u16], inner: usize, columns: usize, out: &mut [u16], block_len: usize) {
        let (tiles, blocks) = (inner.div_ceil(2 * PAIRS), columns.div_ceil(COLUMNS));
        assert!(inner > 0 && columns > 0 && x.len() >= inner * columns, "{} values of {inner} × {columns}", x.len());
        assert!(out.len() >= (blocks - 1) * block_len + tiles * TILE, "{} values are too few for all tiles", out.len());
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a kind is selected only where available; lengths are checked above.
            Self::Amx | Self::Avx512 => unsafe { convert::pack_pairs(x, inner, columns, out, block_len) },
        }
    }

    /// Makes planes of an image `x` `[rows, columns, C]`: `out[(row % s * s + column % s) * C + c][row / s][column / s]`, so that the pixels
    /// which one kernel element reads are adjacent. Other values of `out` stay as they are.
    pub(crate) fn planes(self, x: &[u16], shape: PlaneShape, out: &mut [u16]) {
        let PlaneShape { rows, columns, channels, stride, plane_row, plane } = shape;
        assert!(x.len() >= rows * columns * channels, "{} values of {rows} × {columns} × {channels}", x.len());
        assert!(plane_row >= columns.div_ceil(stride) && plane >= rows.div_ceil(stride) * plane_row);
        assert!(out.len() >= stride * stride * channels * plane, "{} values are too few for all planes", out.len());
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a kind is selected only where available; lengths are checked above.
            Self::Amx | Self::Avx512 => unsafe { convert::planes(x, shape, out) },
        }
    }
}

/// [`Bf16Kernel::round`], as f32, also of subnormal numbers.
pub(crate) fn round_to_f32(x: &[f32], out: &mut [f32]) {
    assert!(x.len() <= out.len(), "{} values do not fit {}", x.len(), out.len());
    for (out, &x) in out.iter_mut().zip(x) {
        let bits = x.to_bits();
        let nearest = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
        *out = f32::from_bits(if x.is_nan() { bits | 0x0040_0000 } else { nearest } & 0xffff_0000);
    }
}

#[cfg(test)]
mod tests {
    use super::super::channel::{affine_activation, norm_backward};
    use super::*;
    use crate::rng::Rng;

    fn rounded(x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len()];
        round_to_f32(x, &mut out);
        out
    }

    fn bits(x: &[f32]) -> Vec<u16> {
        rounded(x).iter().map(|x| (x.to_bits() >> 16) as u16).collect()
    }

    /// Every kind of kernel against sums in f64, for whole and partial tiles, and one column block of 8.
    #[test]
    fn products_agree_with_f64() {
        let mut rng = Rng::for_purpose(1, "bf16");
        for (rows, tiles, columns, steps) in
            [(16, 3, 48, 5), (7, 2, 24, 1), (1, 1, 8, 2), (16, 5, 16, 9), (12, 1, 40, 3)]
        {
            let (inner, left_row) = (steps * 32, steps * 32 + 6);
            let mut random = |len: usize| -> Vec<f32> { (0..len).map(|_| rng.uniform_in(-1.0, 1.0)).collect() };
            let (left, weight) = (random(tiles * rows * left_row + SLACK), random(inner * columns));
            let [exact_left, exact_weight] = [&left, &weight].map(|x| rounded(x));
            let left_bits = bits(&left);
            let list: Vec<Step> =
                (0..steps).map(|s| Step { left: (s * 32) as u32, right: (s * TILE) as u32 }).collect();
            let places: Vec<Tile> =
                (0..tiles).map(|t| Tile { left: t * rows * left_row, out: t * rows * columns }).collect();
            for kernel in Bf16Kernel::available() {
                let mut right = vec![0; columns.div_ceil(COLUMNS) * steps * TILE];
                kernel.pack_pairs(&bits(&weight), inner, columns, &mut right, steps * TILE);
                let mut out = vec![1.0f32; tiles * rows * columns];
                for accumulate in [false, true] {
                    kernel.multiply(Product {
                        left: &left_bits,
                        left_row,
                        steps: &list,
                        tiles: &places,
                        rows,
                        right: &right,
                        right_block: steps * TILE,
                        columns,
                        out: &mut out,
                        out_row: columns,
                        accumulate,
                    });
                }
                for (at, found) in out.iter().enumerate() {
                    let (row, column) = (at / columns, at % columns);
                    let sum: f64 = (0..inner)
                        .map(|k| {
                            let left = exact_left[row * left_row + k];
                            f64::from(left) * f64::from(exact_weight[k * columns + column])
                        })
                        .sum();
                    assert!((f64::from(*found) - 2.0 * sum).abs() < 1e-4, "{} {rows}×{columns} [{at}]", kernel.name());
                }
            }
        }
    }

    #[test]
    fn rounding_is_to_nearest_even_and_keeps_nan() {
        let values =
            [0.0, -0.0, 1.0, 1.003_906_3, 1.011_718_8, -3.25e-5, 6.5e30, f32::INFINITY, f32::NEG_INFINITY, 1e-40];
        for (x, found) in values.iter().zip(rounded(&values)) {
            assert_eq!(found.to_bits(), half::bf16::from_f32(*x).to_f32().to_bits(), "{x}");
        }
        let nan = [0x7fff_ffff, 0xffff_ffff, 0x7f80_0001].map(f32::from_bits);
        assert!(rounded(&nan).iter().all(|x| x.is_nan()));
        for kernel in Bf16Kernel::available() {
            let mut out = vec![0; nan.len() + values.len()];
            let all = [&values[..], &nan].concat();
            kernel.round(&all, &mut out);
            let expected = bits(&all);
            for ((x, found), expected) in all.iter().zip(out).zip(expected) {
                assert!(found == expected || x.is_subnormal() && found == 0, "{}: {x} to {found:#x}", kernel.name());
            }
        }
    }

    /// Every value is where the documentation says.
    #[test]
    fn conversions_place_every_value() {
        let mut rng = Rng::for_purpose(2, "bf16");
        let shapes: [[usize; 4]; 5] = [[5, 18, 16, 1], [4, 34, 24, 2], [3, 10, 3, 1], [6, 33, 40, 2], [2, 70, 32, 1]];
        for ([rows, columns, channels, stride], kernel) in
            shapes.into_iter().flat_map(|shape| Bf16Kernel::available().into_iter().map(move |kernel| (shape, kernel)))
        {
            let x: Vec<f32> = (0..rows * columns * channels).map(|_| rng.normal()).collect();
            let expected = bits(&x);
            let plane_row = columns.div_ceil(stride) + 1;
            let plane = rows.div_ceil(stride) * plane_row;
            let mut found = vec![0; stride * stride * channels * plane];
            kernel.planes(&expected, PlaneShape { rows, columns, channels, stride, plane_row, plane }, &mut found);
            let (inner, block) = (rows * columns, (rows * columns).div_ceil(32) * TILE);
            let mut pairs = vec![1; channels.div_ceil(COLUMNS) * block];
            kernel.pack_pairs(&expected, inner, channels, &mut pairs, block);
            for (at, value) in expected.iter().enumerate() {
                let (row, column, c) = (at / channels / columns, at / channels % columns, at % channels);
                let first = (row % stride * stride + column % stride) * channels;
                let place = (first + c) * plane + row / stride * plane_row + column / stride;
                assert_eq!(found[place], *value, "{} {rows}×{columns}×{channels} [{at}]", kernel.name());
                let pixel = at / channels;
                let place = c / COLUMNS * block + (pixel / 2 * COLUMNS + c % COLUMNS) * 2 + pixel % 2;
                assert_eq!(pairs[place], *value, "{} {rows}×{columns}×{channels} [{at}]", kernel.name());
            }
            let used = pairs.iter().filter(|&&value| value != 0).count();
            assert!(used <= expected.len(), "the rest is 0");
        }
    }

    /// The fused passes round what the passes in f32 compute.
    #[test]
    fn fused_passes_agree_with_those_in_f32() {
        let mut rng = Rng::for_purpose(3, "bf16");
        let isa = Isa::available()[0];
        for (channels, activation) in
            [(8, Activation::Relu), (16, Activation::Identity), (24, Activation::Relu6), (64, Activation::Relu)]
        {
            let grid = Grid { rows: 3, columns: 5, channels };
            let row = 7 * channels;
            let mut random = |len: usize| -> Vec<f32> { (0..len).map(|_| 4.0 * rng.normal()).collect() };
            let (z, g) = (random(grid.len()), random(grid.len()));
            let [a, b, c] = [0; 3].map(|_| random(channels));
            let (mut expected, by_value) = (vec![0.0; 3 * row], Affine { scale: &b, shift: &c });
            for kernel in Bf16Kernel::available() {
                let mut found = vec![0; 3 * row];
                affine_activation(isa, grid, &z, by_value, activation, &mut expected, row);
                kernel.affine_activation(grid, &z, by_value, activation, &mut found, row);
                assert_eq!(found, bits(&expected), "{} {activation:?}", kernel.name());
                norm_backward(isa, grid, &g, &z, &a, by_value, &mut expected, row);
                kernel.norm_backward(grid, &g, &z, &a, by_value, &mut found, row);
                assert_eq!(found, bits(&expected), "{}", kernel.name());
            }
        }
    }
}
