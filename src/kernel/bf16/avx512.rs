//! AVX512-BF16: one instruction adds the products of 16 pairs to 16 sums. And the conversions of both x86 kinds.
//!
//! Up to 16 rows by one block of columns stay in registers; a loaded vector of the right matrix serves all rows.
#![allow(unsafe_code)] // Raw pointers and intrinsics: bounds are checked once per product.

use std::arch::x86_64::*;

use super::layout::{COLUMNS, PAIRS, PlaneShape, Product, Tile};

/// Whether the CPU multiplies bf16.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512bf16") && converts()
}

/// Whether the CPU has the instructions of the conversions.
pub(super) fn converts() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl")
}

pub(super) fn run(product: Product<'_>) {
    macro_rules! for_rows {
        ($($rows:literal)*) => {
            match product.rows {
                // SAFETY: `available` found the instructions, and `Product::check` checks the largest offsets.
                $($rows => unsafe { multiply::<$rows>(&product) },)*
                rows => unreachable!("a tile of {rows} rows"),
            }
        };
    }
    for_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
}

/// SAFETY: the CPU has the instructions, and all offsets lie inside the slices.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn multiply<const ROWS: usize>(product: &Product<'_>) {
    for block in 0..product.blocks() {
        let mask = (u32::MAX >> (32 - product.width(block))) as __mmask16;
        for tile in product.tiles {
            // SAFETY: as for this function; the mask holds the columns of the block.
            unsafe { multiply_tile::<ROWS>(product, *tile, block, mask) };
        }
    }
}

/// SAFETY: as for [`multiply`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn multiply_tile<const ROWS: usize>(product: &Product<'_>, tile: Tile, block: usize, mask: __mmask16) {
    // SAFETY: as for this function.
    unsafe {
        let left = product.left.as_ptr().add(tile.left);
        let right = product.right.as_ptr().add(block * product.right_block);
        let out = product.out.as_ptr().cast_mut().add(tile.out + block * COLUMNS);
        let mut sum = [_mm512_setzero_ps(); ROWS];
        if product.accumulate {
            for (row, sum) in sum.iter_mut().enumerate() {
                *sum = _mm512_maskz_loadu_ps(mask, out.add(row * product.out_row));
            }
        }
        for step in product.steps {
            let (left, right) = (left.add(step.left as usize), right.add(step.right as usize));
            for pair in 0..PAIRS {
                let b: __m512bh = std::mem::transmute(_mm512_loadu_si512(right.add(pair * 2 * COLUMNS).cast()));
                for (row, sum) in sum.iter_mut().enumerate() {
                    let pair = left.add(row * product.left_row + 2 * pair).cast::<i32>().read_unaligned();
                    *sum = _mm512_dpbf16_ps(*sum, std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(pair)), b);
                }
            }
        }
        for (row, sum) in sum.iter().enumerate() {
            _mm512_mask_storeu_ps(out.add(row * product.out_row), mask, *sum);
        }
    }
}

/// Rounds 16 values to the nearest bf16, ties to even, in the upper halves; NaN stays NaN.
///
/// `VCVTNEPS2BF16` would take subnormal numbers as 0.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn rounded(x: __m512i) -> __m512i {
    let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(x), _mm512_set1_epi32(1));
    let nearest = _mm512_add_epi32(x, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    let magnitude = _mm512_and_si512(x, _mm512_set1_epi32(0x7fff_ffff));
    let nan = _mm512_cmpgt_epi32_mask(magnitude, _mm512_set1_epi32(0x7f80_0000));
    let quiet = _mm512_or_si512(x, _mm512_set1_epi32(0x0040_0000));
    _mm512_mask_mov_epi32(nearest, nan, quiet)
}

/// `low` and `high` rounded, as pairs.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn paired(low: __m512i, high: __m512i) -> __m512i {
    let upper = _mm512_and_si512(rounded(high), _mm512_set1_epi32(0xffff_0000_u32 as i32));
    _mm512_or_si512(_mm512_srli_epi32::<16>(rounded(low)), upper)
}

/// A vector of the first `count` values from `x` on, and zeros.
///
/// SAFETY: `count` values can be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn load_first(x: *const f32, count: usize) -> __m512i {
    // SAFETY: masked lanes are not read.
    unsafe { _mm512_maskz_loadu_epi32(first(count), x.cast()) }
}

/// A mask of the first `count` of 16 lanes.
fn first(count: usize) -> __mmask16 {
    if count >= 16 { !0 } else { (1 << count) - 1 }
}

/// [`super::Bf16Kernel::round`], whose lengths the caller checks.
///
/// SAFETY: the CPU has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn round(x: &[f32], out: &mut [u16]) {
    for (x, out) in x.chunks(16).zip(out.chunks_mut(16)) {
        // SAFETY: masked lanes are neither read nor written.
        unsafe {
            let halves = _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rounded(load_first(x.as_ptr(), x.len()))));
            _mm256_mask_storeu_epi16(out.as_mut_ptr().cast(), first(x.len()), halves);
        }
    }
}

/// [`super::Bf16Kernel::pack_pairs`], whose lengths the caller checks.
///
/// SAFETY: the CPU has the instructions; `x` has `inner` rows of `columns` values, and `out` all tiles.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn pack_pairs(x: &[f32], inner: usize, columns: usize, out: &mut [u16], block_len: usize) {
    for block in 0..columns.div_ceil(COLUMNS) {
        let (start, width) = (block * COLUMNS, COLUMNS.min(columns - block * COLUMNS));
        for pair in 0..inner.next_multiple_of(2 * PAIRS) / 2 {
            // SAFETY: as for this function; rows from `inner` on are not read.
            unsafe {
                let row = |row: usize| match row < inner {
                    true => load_first(x.as_ptr().add(row * columns + start), width),
                    false => _mm512_setzero_si512(),
                };
                let out = out.as_mut_ptr().add(block * block_len + pair * 2 * COLUMNS);
                _mm512_storeu_si512(out.cast(), paired(row(2 * pair), row(2 * pair + 1)));
            }
        }
    }
}

/// [`super::Bf16Kernel::planes`], whose lengths the caller checks.
///
/// SAFETY: the CPU has the instructions; `x` and `out` have the lengths of `shape`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn planes(x: &[f32], shape: PlaneShape, out: &mut [u16]) {
    let PlaneShape { rows, columns, channels, stride, plane_row, plane } = shape;
    for (row, parity_row, image_row) in (0..rows).map(|row| (row / stride, row % stride, row)) {
        for parity in 0..stride {
            let source = image_row * columns + parity;
            let count = columns.saturating_sub(parity).div_ceil(stride);
            for at in 0..count.div_ceil(32) * channels.div_ceil(16) {
                let (start, c) = (at / channels.div_ceil(16) * 32, at % channels.div_ceil(16) * 16);
                let (width, pixels) = (16.min(channels - c), 32.min(count - start));
                let mut block = [_mm512_setzero_si512(); 16];
                // SAFETY: as for this function: pixels from `count` on are not read, and a store ends with them.
                unsafe {
                    let pixel = |p: usize| match p < pixels {
                        true => load_first(x.as_ptr().add((source + (start + p) * stride) * channels + c), width),
                        false => _mm512_setzero_si512(),
                    };
                    for (pair, block) in block.iter_mut().enumerate().take(pixels.div_ceil(2)) {
                        *block = paired(pixel(2 * pair), pixel(2 * pair + 1));
                    }
                    let first_plane = (parity_row * stride + parity) * channels + c;
                    let target = out.as_mut_ptr().add(first_plane * plane + row * plane_row + start);
                    let mask = if pixels == 32 { !0 } else { (1u32 << pixels) - 1 };
                    for (channel, values) in transposed(block).into_iter().enumerate().take(width) {
                        _mm512_mask_storeu_epi16(target.add(channel * plane).cast(), mask, values);
                    }
                }
            }
        }
    }
}

/// The transpose of a 16 × 16 matrix of 32-bit values.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn transposed(m: [__m512i; 16]) -> [__m512i; 16] {
    // Within each of four lanes of 128 bits: transpose 4 × 4. Then transpose the lanes.
    let mut inner = m;
    for four in 0..4 {
        let [a, b, c, d] = [m[4 * four], m[4 * four + 1], m[4 * four + 2], m[4 * four + 3]];
        let [ab_low, ab_high] = [_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b)];
        let [cd_low, cd_high] = [_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d)];
        inner[4 * four] = _mm512_unpacklo_epi64(ab_low, cd_low);
        inner[4 * four + 1] = _mm512_unpackhi_epi64(ab_low, cd_low);
        inner[4 * four + 2] = _mm512_unpacklo_epi64(ab_high, cd_high);
        inner[4 * four + 3] = _mm512_unpackhi_epi64(ab_high, cd_high);
    }
    let mut out = m;
    for column in 0..4 {
        let [a, b, c, d] = [inner[column], inner[4 + column], inner[8 + column], inner[12 + column]];
        let [ab_even, ab_odd] = [_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b)];
        let [cd_even, cd_odd] = [_mm512_shuffle_i32x4::<0x88>(c, d), _mm512_shuffle_i32x4::<0xdd>(c, d)];
        // Lane l of `inner[4 f + column]` holds rows 4 f to 4 f + 3 of column 4 l + `column`.
        out[column] = _mm512_shuffle_i32x4::<0x88>(ab_even, cd_even);
        out[8 + column] = _mm512_shuffle_i32x4::<0xdd>(ab_even, cd_even);
        out[4 + column] = _mm512_shuffle_i32x4::<0x88>(ab_odd, cd_odd);
        out[12 + column] = _mm512_shuffle_i32x4::<0xdd>(ab_odd, cd_odd);
    }
    out
}
