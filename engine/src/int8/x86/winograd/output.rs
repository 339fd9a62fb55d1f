//! The transform of the products to outputs, `Aᵀ m A`, and their requantisation, of sixteen channels at a time.

use core::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_mullo_epi32, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_slli_epi32, _mm256_srai_epi32, _mm256_sub_epi32,
};

use super::super::pack::store;
use super::super::requantise::{CHANNELS, Sixteen};
use crate::int8::plane::Plane;
use crate::int8::winograd::{INVERSE_OF_9, PLACES};

/// `Aᵀ m` of a column or row.
#[target_feature(enable = "avx2")]
#[inline]
fn transformed(m: [__m256i; 6]) -> [__m256i; 4] {
    let (add, sub) = (_mm256_add_epi32, _mm256_sub_epi32);
    let four = |x: __m256i| _mm256_slli_epi32::<2>(x);
    let (s, d) = (add(m[1], m[2]), sub(m[1], m[2]));
    let (t, e) = (add(m[3], m[4]), sub(m[3], m[4]));
    let e = add(e, e);
    [add(add(m[0], s), t), add(d, e), add(s, four(t)), add(d, four(add(e, m[5])))]
}

/// The outputs of eight channels of a tile.
///
/// # Safety
/// 36 vectors of products, sixteen numbers apart, can be read.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn outputs(products: *const i32) -> [[__m256i; 4]; 4] {
    let mut half = [[_mm256_setzero_si256(); 4]; 6];
    for (column, half) in half.iter_mut().enumerate() {
        let mut values = [_mm256_setzero_si256(); 6];
        for (row, value) in values.iter_mut().enumerate() {
            // SAFETY: the caller's.
            *value = unsafe { _mm256_loadu_si256(products.add(CHANNELS * (6 * row + column)).cast()) };
        }
        *half = transformed(values);
    }
    let inverse = _mm256_set1_epi32(INVERSE_OF_9);
    let mut outputs = [[_mm256_setzero_si256(); 4]; 4];
    for (row, outputs) in outputs.iter_mut().enumerate() {
        let whole = transformed(half.map(|column| column[row]));
        for (output, sum) in outputs.iter_mut().zip(whole) {
            *output = _mm256_srai_epi32::<6>(_mm256_mullo_epi32(sum, inverse));
        }
    }
    outputs
}

/// Transforms and stores all channels of a tile.
///
/// * `products`: `[O / 16, 36, 16]`
/// * `output`: its upper left pixel, in a value at `plane`
/// * `inside`: rows and columns of the tile that lie in the image
///
/// # Safety
/// The pixels inside can be written.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn transform(
    products: &[i32],
    requantise: &[Sixteen],
    output: *mut u8,
    plane: &Plane,
    [rows, columns]: [usize; 2],
) {
    for (block, (products, of)) in products.chunks_exact(CHANNELS * PLACES).zip(requantise).enumerate() {
        // SAFETY: 36 products of sixteen channels; the rest is the caller's.
        unsafe {
            let sums = [outputs(products.as_ptr()), outputs(products.as_ptr().add(8))];
            for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                let at = row * plane.pitch() + column * plane.channels + block * CHANNELS;
                store(output.add(at), of.avx2(sums.map(|half| half[row][column])), false);
            }
        }
    }
}
