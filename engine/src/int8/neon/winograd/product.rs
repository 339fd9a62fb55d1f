//! Sums of products over the input channels, at each place of transformed tiles: four tiles times sixteen output channels at
//! a time, sixteen registers of sums. SMLAL by element multiplies one input channel of a tile with four output channels.

use core::arch::aarch64::{
    int16x8_t, int32x4_t, vdupq_n_s32, vget_low_s16, vld1q_s16, vld1q_s32, vmlal_high_laneq_s16, vmlal_laneq_s16,
    vst1q_s32,
};

use crate::int8::winograd::{CENTRE, PLACES};

/// Tiles whose products are computed together.
pub(super) const QUAD: usize = 4;

/// What is added at the other places.
static NO_BIAS: [i32; 16] = [0; 16];

/// Computes all places of some quads of tiles.
///
/// * `weights`: `[36, O / 16, C / 8, 8, 16]`
/// * `bias`: `[O]`, added at the centre
/// * `inputs`: `[quads, C / 8, 36, 4, 8]`
/// * `products`: `[4 quads, O / 4, 36, 4]`
/// * `shape`: C, O, quads
pub(super) fn products(
    weights: &[i16],
    bias: &[i32],
    inputs: &[i16],
    products: &mut [i32],
    [inputs_len, outputs, quads]: [usize; 3],
) {
    // Every access below is inside these.
    assert!(weights.len() >= PLACES * inputs_len * outputs && bias.len() >= outputs);
    assert!(inputs.len() >= quads * QUAD * PLACES * inputs_len && products.len() >= quads * QUAD * PLACES * outputs);
    for place in 0..PLACES {
        for first in (0..outputs).step_by(16) {
            for quad in 0..quads {
                // SAFETY: see the assertions.
                unsafe {
                    let weights = weights.as_ptr().add((place * outputs + first) * inputs_len);
                    let inputs = inputs.as_ptr().add((quad * inputs_len * PLACES + 8 * place) * QUAD);
                    let products =
                        products.as_mut_ptr().add(quad * QUAD * PLACES * outputs + first * PLACES + 4 * place);
                    let bias = if place == CENTRE { bias.as_ptr().add(first) } else { NO_BIAS.as_ptr() };
                    if outputs - first >= 16 {
                        tile::<4>(weights, bias, inputs, products, inputs_len / 8, outputs);
                    } else {
                        tile::<2>(weights, bias, inputs, products, inputs_len / 8, outputs);
                    }
                }
            }
        }
    }
}

/// Adds the products of one of eight input channels.
///
/// # Safety
/// `4 N` weights can be read.
#[inline(always)]
unsafe fn step<const LANE: i32, const N: usize>(
    sums: &mut [[int32x4_t; N]; QUAD],
    x: &[int16x8_t; QUAD],
    weights: *const i16,
) {
    for two in 0..N / 2 {
        // SAFETY: the caller's.
        let w = unsafe { vld1q_s16(weights.add(8 * two)) };
        for (sums, &x) in sums.iter_mut().zip(x) {
            // SAFETY: every AArch64 processor has these instructions.
            unsafe {
                sums[2 * two] = vmlal_laneq_s16::<LANE>(sums[2 * two], vget_low_s16(w), x);
                sums[2 * two + 1] = vmlal_high_laneq_s16::<LANE>(sums[2 * two + 1], w, x);
            }
        }
    }
}

/// Four tiles times `4 N` output channels, at one place.
///
/// # Safety
/// Weights, inputs and products are there in the layouts of [`products`], and `4 N` biases.
#[inline(always)]
unsafe fn tile<const N: usize>(
    mut weights: *const i16,
    bias: *const i32,
    mut inputs: *const i16,
    products: *mut i32,
    steps: usize,
    outputs: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [[vdupq_n_s32(0); N]; QUAD];
        for sums in &mut sums {
            for (four, sum) in sums.iter_mut().enumerate() {
                *sum = vld1q_s32(bias.add(4 * four));
            }
        }
        for _ in 0..steps {
            let x: [int16x8_t; QUAD] = core::array::from_fn(|lane| vld1q_s16(inputs.add(8 * lane)));
            step::<0, N>(&mut sums, &x, weights);
            step::<1, N>(&mut sums, &x, weights.add(4 * N));
            step::<2, N>(&mut sums, &x, weights.add(8 * N));
            step::<3, N>(&mut sums, &x, weights.add(12 * N));
            step::<4, N>(&mut sums, &x, weights.add(16 * N));
            step::<5, N>(&mut sums, &x, weights.add(20 * N));
            step::<6, N>(&mut sums, &x, weights.add(24 * N));
            step::<7, N>(&mut sums, &x, weights.add(28 * N));
            weights = weights.add(32 * N);
            inputs = inputs.add(8 * QUAD * PLACES);
        }
        for (tile, sums) in sums.into_iter().enumerate() {
            for (four, sum) in sums.into_iter().enumerate() {
                vst1q_s32(products.add(tile * PLACES * outputs + four * PLACES * 4), sum);
            }
        }
    }
}
