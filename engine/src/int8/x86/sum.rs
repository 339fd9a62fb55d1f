//! The sum of two values.

use core::arch::x86_64::{
    _mm_cvtsi32_si128, _mm_loadl_epi64, _mm_loadu_si128, _mm_packs_epi32, _mm_packus_epi16, _mm256_add_epi32,
    _mm256_castsi256_si128, _mm256_cvtepu8_epi32, _mm256_extracti128_si256, _mm256_mullo_epi32, _mm256_set1_epi32,
    _mm256_sra_epi32, _mm512_add_epi32, _mm512_cvtepu8_epi32, _mm512_cvtusepi32_epi8, _mm512_max_epi32,
    _mm512_mullo_epi32, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_sra_epi32,
};

use super::pack::store;
use crate::int8::kernel::{Kernel, Sum};

/// [`Sum`] of sixteen bytes at a time with AVX-512 where `WIDE`, else of eight with AVX2.
///
/// The parser bounds 255 (|ml| + |mr|) + |offset|, so 32 bits do not overflow.
pub(super) struct VectorSum<const WIDE: bool>(pub Sum);

impl<const WIDE: bool> Kernel for VectorSum<WIDE> {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        // SAFETY: the kernel is made for processors with these instructions only, and the arena is that of the plan.
        unsafe {
            match WIDE {
                true => avx512(&self.0, arena.as_mut_ptr()),
                false => avx2(&self.0, arena.as_mut_ptr()),
            }
        }
    }
}

/// # Safety
/// The arena has the planes of the sum and the margin behind them.
#[target_feature(enable = "avx512f")]
unsafe fn avx512(sum: &Sum, arena: *mut u8) {
    let Sum { left, right, to, multipliers: [ml, mr], offset, shift, .. } = *sum;
    let row_len = to.width * to.channels;
    let [ml, mr, offset] = [ml, mr, offset].map(|number| _mm512_set1_epi32(number));
    let shift = _mm_cvtsi32_si128(shift);
    for row in 0..to.height {
        // SAFETY: rows of all three planes lie in the arena and have a multiple of eight bytes. Eight bytes behind a row
        // may lie in the margin; they are read only.
        unsafe {
            let [left, right, to] = [left, right, to].map(|plane| arena.add(plane.pixel(row, 0)));
            for at in (0..row_len).step_by(16) {
                let [left, right] = [left, right].map(|row| _mm512_cvtepu8_epi32(_mm_loadu_si128(row.add(at).cast())));
                let products = _mm512_add_epi32(_mm512_mullo_epi32(left, ml), _mm512_mullo_epi32(right, mr));
                let sums = _mm512_sra_epi32(_mm512_add_epi32(products, offset), shift);
                let bytes = _mm512_cvtusepi32_epi8(_mm512_max_epi32(sums, _mm512_setzero_si512()));
                store(to.add(at), bytes, row_len - at < 16);
            }
        }
    }
}

/// # Safety
/// The arena has the planes of the sum.
#[target_feature(enable = "avx2")]
unsafe fn avx2(sum: &Sum, arena: *mut u8) {
    let Sum { left, right, to, multipliers: [ml, mr], offset, shift, .. } = *sum;
    let row_len = to.width * to.channels;
    let [ml, mr, offset] = [ml, mr, offset].map(|number| _mm256_set1_epi32(number));
    let shift = _mm_cvtsi32_si128(shift);
    for row in 0..to.height {
        // SAFETY: rows of all three planes lie in the arena and have a multiple of eight bytes.
        unsafe {
            let [left, right, to] = [left, right, to].map(|plane| arena.add(plane.pixel(row, 0)));
            for at in (0..row_len).step_by(8) {
                let [left, right] = [left, right].map(|row| _mm256_cvtepu8_epi32(_mm_loadl_epi64(row.add(at).cast())));
                let products = _mm256_add_epi32(_mm256_mullo_epi32(left, ml), _mm256_mullo_epi32(right, mr));
                let sums = _mm256_sra_epi32(_mm256_add_epi32(products, offset), shift);
                let words = _mm_packs_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
                store(to.add(at), _mm_packus_epi16(words, words), true);
            }
        }
    }
}
