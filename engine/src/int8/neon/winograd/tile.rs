//! Products of four tiles times sixteen output channels, sixteen registers of sums. SMLAL by element multiplies one input
//! channel of a tile with four output channels.

use core::arch::aarch64::{
    int16x8_t, int32x4_t, vdupq_n_s32, vget_low_s16, vld1q_s16, vld1q_s32, vmlal_high_laneq_s16, vmlal_laneq_s16,
    vst1q_s32,
};

use crate::int8::winograd::PLACES;

/// Tiles whose products are computed together.
pub(super) const QUAD: usize = 4;
/// Output channels whose products are computed together.
pub(super) const CHANNELS: usize = 16;

/// Quads of tiles times `channels` output channels, 8 or 16, at one place.
///
/// * `shape`: blocks of eight input channels, `channels`, O, quads
///
/// # Safety
/// Weights, inputs and products are there in the layouts of [`super::product::products`], and `channels` biases.
#[inline(always)]
pub(super) unsafe fn products(
    weights: *const i16,
    bias: *const i32,
    inputs: *const i16,
    products: *mut i32,
    [steps, channels, outputs, quads]: [usize; 4],
) {
    for quad in 0..quads {
        // SAFETY: the caller's.
        unsafe {
            let inputs = inputs.add(quad * QUAD * PLACES * 8 * steps);
            let products = products.add(quad * QUAD * PLACES * outputs);
            match channels {
                CHANNELS => sixteen_or_eight::<4>(weights, bias, inputs, products, steps, outputs),
                _ => sixteen_or_eight::<2>(weights, bias, inputs, products, steps, outputs),
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

/// [`products`] of `4 N` output channels.
///
/// # Safety
/// As [`products`].
#[inline(always)]
unsafe fn sixteen_or_eight<const N: usize>(
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
