//! Conversions to bf16 of both x86 kinds, and from pixels in bf16 to what the products read.
//!
//! `VCVTNEPS2BF16` rounds to nearest, ties to even, and takes subnormal numbers as 0, as the products do.
#![allow(unsafe_code)] // Raw pointers and intrinsics: bounds are checked once per image.

use std::arch::x86_64::*;

use super::layout::{COLUMNS, PAIRS, PlaneShape};
use crate::kernel::activation::Activation;
use crate::kernel::channel::{Affine, Grid};

/// Whether the CPU has the instructions.
pub(super) fn is_available() -> bool {
    let found = [
        is_x86_feature_detected!("avx512f"),
        is_x86_feature_detected!("avx512bw"),
        is_x86_feature_detected!("avx512vl"),
        is_x86_feature_detected!("avx512bf16"),
    ];
    found.into_iter().all(|found| found)
}

/// A mask of the first `count` of 16 lanes.
fn first(count: usize) -> __mmask16 {
    if count >= 16 { !0 } else { (1 << count) - 1 }
}

/// Rounds the lanes of `mask` and stores them.
///
/// SAFETY: the lanes of `mask` can be written from `out` on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn store_rounded(out: *mut u16, mask: __mmask16, x: __m512) {
    // SAFETY: as for this function; both types are 16 values in bf16.
    unsafe {
        _mm256_mask_storeu_epi16(out.cast(), mask, std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(x)))
    };
}

/// [`super::Bf16Kernel::round`], whose lengths the caller checks.
///
/// SAFETY: the CPU has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn round(x: &[f32], out: &mut [u16]) {
    for (x, out) in x.chunks(16).zip(out.chunks_mut(16)) {
        let mask = first(x.len());
        // SAFETY: masked lanes are neither read nor written.
        unsafe { store_rounded(out.as_mut_ptr(), mask, _mm512_maskz_loadu_ps(mask, x.as_ptr())) };
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn activated(activation: Activation, x: __m512) -> __m512 {
    // The value is the second operand, which the instruction returns if it is NaN: NaN stays visible.
    match activation {
        Activation::Identity => x,
        Activation::Relu => _mm512_max_ps(_mm512_setzero_ps(), x),
        Activation::Relu6 => _mm512_min_ps(_mm512_set1_ps(6.0), _mm512_max_ps(_mm512_setzero_ps(), x)),
    }
}

/// [`super::Bf16Kernel::affine_activation`], whose lengths the caller checks.
///
/// SAFETY: the CPU has the instructions; the arrays have the lengths of `grid`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn affine_activation(
    grid: Grid,
    z: &[f32],
    affine: Affine<'_>,
    activation: Activation,
    out: &mut [u16],
    out_row: usize,
) {
    let c = grid.channels;
    for block in (0..c).step_by(16) {
        let mask = first(c - block);
        // SAFETY: as for this function; masked lanes are neither read nor written.
        unsafe {
            let [scale, shift] =
                [affine.scale, affine.shift].map(|of| _mm512_maskz_loadu_ps(mask, of.as_ptr().add(block)));
            for row in 0..grid.rows {
                let z = z.as_ptr().add(row * grid.columns * c + block);
                let out = out.as_mut_ptr().add(row * out_row + block);
                for column in 0..grid.columns {
                    let value = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, z.add(column * c)), scale, shift);
                    store_rounded(out.add(column * c), mask, activated(activation, value));
                }
            }
        }
    }
}

/// [`super::Bf16Kernel::norm_backward`], whose lengths the caller checks.
///
/// SAFETY: the CPU has the instructions; the arrays have the lengths of `grid`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn norm_backward(
    grid: Grid,
    g: &[f32],
    z: &[f32],
    by_gradient: &[f32],
    by_value: Affine<'_>,
    out: &mut [u16],
    out_row: usize,
) {
    let c = grid.channels;
    for block in (0..c).step_by(16) {
        let mask = first(c - block);
        // SAFETY: as for this function; masked lanes are neither read nor written.
        unsafe {
            let [a, b, constant] = [by_gradient, by_value.scale, by_value.shift]
                .map(|of| _mm512_maskz_loadu_ps(mask, of.as_ptr().add(block)));
            for row in 0..grid.rows {
                let start = row * grid.columns * c + block;
                let out = out.as_mut_ptr().add(row * out_row + block);
                for column in 0..grid.columns {
                    let g = _mm512_maskz_loadu_ps(mask, g.as_ptr().add(start + column * c));
                    let z = _mm512_maskz_loadu_ps(mask, z.as_ptr().add(start + column * c));
                    store_rounded(out.add(column * c), mask, _mm512_fmadd_ps(g, a, _mm512_fmadd_ps(z, b, constant)));
                }
            }
        }
    }
}

/// Pairs of the first `width` of 16 values: those at `low` in the lower halves, those at `high`, or 0, in the upper ones.
///
/// SAFETY: `width` values can be read from both.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn paired(low: *const u16, high: Option<*const u16>, mask: __mmask16) -> __m512i {
    // SAFETY: as for this function.
    unsafe {
        let wide = |from: *const u16| _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from.cast()));
        match high {
            Some(high) => _mm512_or_si512(wide(low), _mm512_slli_epi32::<16>(wide(high))),
            None => wide(low),
        }
    }
}

/// [`super::Bf16Kernel::pack_pairs`], whose lengths the caller checks.
///
/// SAFETY: the CPU has the instructions; `x` has `inner` rows of `columns` values, and `out` all tiles.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn pack_pairs(x: &[u16], inner: usize, columns: usize, out: &mut [u16], block_len: usize) {
    for block in 0..columns.div_ceil(COLUMNS) {
        let (start, mask) = (block * COLUMNS, first(columns - block * COLUMNS));
        // SAFETY: as for this function; rows from `inner` on are not read.
        unsafe {
            let row = |row: usize| x.as_ptr().add(row * columns + start);
            let out =
                |pair: usize| out.as_ptr().cast_mut().add(block * block_len + pair * 2 * COLUMNS).cast::<__m512i>();
            for pair in 0..inner / 2 {
                _mm512_storeu_si512(out(pair), paired(row(2 * pair), Some(row(2 * pair + 1)), mask));
            }
            let whole = inner.next_multiple_of(2 * PAIRS) / 2;
            for pair in inner / 2..whole {
                let last = if 2 * pair < inner { paired(row(2 * pair), None, mask) } else { _mm512_setzero_si512() };
                _mm512_storeu_si512(out(pair), last);
            }
        }
    }
}

/// [`super::Bf16Kernel::planes`], whose lengths the caller checks.
///
/// SAFETY: the CPU has the instructions; `x` and `out` have the lengths of `shape`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn planes(x: &[u16], shape: PlaneShape, out: &mut [u16]) {
    let PlaneShape { rows, columns, channels, stride, plane_row, plane } = shape;
    for (row, parity_row, image_row) in (0..rows).map(|row| (row / stride, row % stride, row)) {
        for parity in 0..stride {
            let source = image_row * columns + parity;
            let count = columns.saturating_sub(parity).div_ceil(stride);
            for at in 0..count.div_ceil(32) * channels.div_ceil(16) {
                let (start, c) = (at / channels.div_ceil(16) * 32, at % channels.div_ceil(16) * 16);
                let (mask, pixels) = (first(channels - c), 32.min(count - start));
                let mut block = [_mm512_setzero_si512(); 16];
                // SAFETY: as for this function: pixels from `count` on are not read, and a store ends with them.
                unsafe {
                    let pixel = |p: usize| x.as_ptr().add((source + (start + p) * stride) * channels + c);
                    for (pair, block) in block.iter_mut().enumerate().take(pixels.div_ceil(2)) {
                        *block = paired(pixel(2 * pair), (2 * pair + 1 < pixels).then(|| pixel(2 * pair + 1)), mask);
                    }
                    let first_plane = (parity_row * stride + parity) * channels + c;
                    let target = out.as_mut_ptr().add(first_plane * plane + row * plane_row + start);
                    let stored = if pixels == 32 { !0 } else { (1u32 << pixels) - 1 };
                    for (channel, values) in transposed(block).into_iter().enumerate().take(16.min(channels - c)) {
                        _mm512_mask_storeu_epi16(target.add(channel * plane).cast(), stored, values);
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
