//! Sums of products over the input channels, at each place of transformed tiles: two input channels of a tile, broadcast,
//! with sixteen output channels.

use core::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_storeu_si256,
};

use super::super::requantise::CHANNELS;
use crate::int8::winograd::{CENTRE, PLACES};

/// Tiles that are transformed at once: the weights are read once for so many.
pub(super) const TILES: usize = 8;

/// Transformed weights of two input channels and sixteen output channels.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Pair(pub [[i16; 2]; CHANNELS]);

/// Tiles that are computed together.
const FEW: usize = 4;

/// Computes all places of a batch of tiles.
///
/// * `weights`: `[36, O / 16, C / 2]`
/// * `bias`: `[O]`, added at the centre
/// * `inputs`: `[36, TILES, C]`
/// * `products`: `[TILES, O / 16, 36, 16]`
/// * `shape`: C, O, tiles
#[target_feature(enable = "avx2")]
pub(super) fn products(
    weights: &[Pair],
    bias: &[i32],
    inputs: &[i16],
    products: &mut [i32],
    [len, outputs, tiles]: [usize; 3],
) {
    // Every access below is inside these.
    assert!(weights.len() >= PLACES * outputs * len / (2 * CHANNELS) && bias.len() >= outputs && tiles <= TILES);
    assert!(inputs.len() >= PLACES * TILES * len && products.len() >= PLACES * TILES * outputs);
    assert!(len.is_multiple_of(CHANNELS) && outputs.is_multiple_of(CHANNELS));
    for place in 0..PLACES {
        for first in (0..outputs).step_by(CHANNELS) {
            for tile in (0..tiles).step_by(FEW) {
                // SAFETY: see the assertions; TILES is a multiple of FEW.
                unsafe {
                    let weights = weights.as_ptr().add((place * outputs + first) * len / (2 * CHANNELS));
                    let inputs = inputs.as_ptr().add((place * TILES + tile) * len);
                    let at = tile * PLACES * outputs + (first / CHANNELS * PLACES + place) * CHANNELS;
                    let bias = if place == CENTRE { Some(bias.as_ptr().add(first)) } else { None };
                    few(weights, bias, inputs, products.as_mut_ptr().add(at), [len, outputs]);
                }
            }
        }
    }
}

/// Four tiles times sixteen channels at one place.
///
/// # Safety
/// Weights, biases, inputs and products are there as in [`products`].
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn few(
    weights: *const Pair,
    bias: Option<*const i32>,
    inputs: *const i16,
    products: *mut i32,
    [len, outputs]: [usize; 2],
) {
    // SAFETY: the caller's.
    unsafe {
        let mut start = [_mm256_setzero_si256(); 2];
        if let Some(bias) = bias {
            start = [_mm256_loadu_si256(bias.cast()), _mm256_loadu_si256(bias.add(8).cast())];
        }
        let mut sums = [start; FEW];
        for pair in 0..len / 2 {
            let lane = weights.add(pair).cast::<__m256i>();
            let w = [_mm256_loadu_si256(lane), _mm256_loadu_si256(lane.add(1))];
            for (tile, sums) in sums.iter_mut().enumerate() {
                let x = _mm256_set1_epi32(inputs.add(tile * len + 2 * pair).cast::<i32>().read_unaligned());
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, w));
                }
            }
        }
        for (tile, [low, high]) in sums.into_iter().enumerate() {
            let to = products.add(tile * PLACES * outputs).cast::<__m256i>();
            _mm256_storeu_si256(to, low);
            _mm256_storeu_si256(to.add(1), high);
        }
    }
}
