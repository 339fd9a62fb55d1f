//! The transform of an input tile, `Bᵀ d B`, of sixteen channels at a time.

use core::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_add_epi16, _mm256_cvtepu8_epi16, _mm256_setzero_si256, _mm256_slli_epi16,
    _mm256_storeu_si256, _mm256_sub_epi16,
};

use super::super::requantise::CHANNELS;
use super::product::TILES;
use crate::int8::plane::Plane;

/// `Bᵀ d` of a column or row.
#[target_feature(enable = "avx2")]
#[inline]
fn transformed(d: [__m256i; 6]) -> [__m256i; 6] {
    let (add, sub) = (_mm256_add_epi16, _mm256_sub_epi16);
    let four = |x: __m256i| _mm256_slli_epi16::<2>(x);
    let (c, f) = (sub(d[4], d[2]), sub(d[3], d[1]));
    let (a, b) = (sub(d[4], four(d[2])), sub(d[3], four(d[1])));
    let e = add(f, f);
    [add(c, four(sub(d[0], d[2]))), add(a, b), sub(a, b), add(c, e), sub(c, e), sub(sub(d[5], d[3]), four(f))]
}

/// Transforms all channels of a tile.
///
/// * `tile`: its upper left corner, in a value at `plane`
/// * `to`: its place in `[36, TILES, C]`
///
/// # Safety
/// The processor has AVX2. Six pixels of six rows from `tile` can be read, and all places written.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn transform(tile: *const u8, plane: &Plane, to: *mut i16) {
    let (pitch, channels) = (plane.pitch(), plane.channels);
    for first in (0..channels).step_by(CHANNELS) {
        // SAFETY: the caller's.
        unsafe {
            let mut half = [[_mm256_setzero_si256(); 6]; 6];
            for (column, half) in half.iter_mut().enumerate() {
                let mut values = *half;
                for (row, value) in values.iter_mut().enumerate() {
                    let bytes = _mm_loadu_si128(tile.add(row * pitch + column * channels + first).cast());
                    *value = _mm256_cvtepu8_epi16(bytes);
                }
                *half = transformed(values);
            }
            for row in 0..6 {
                let whole = transformed(half.map(|column| column[row]));
                for (column, value) in whole.into_iter().enumerate() {
                    let place = 6 * row + column;
                    _mm256_storeu_si256(to.add(place * TILES * channels + first).cast(), value);
                }
            }
        }
    }
}
