//! Vectors of eight f16 in NEON, on processors that compute in f16 (ARMv8.2).

#![allow(unsafe_code)] // Vector instructions.

use std::arch::aarch64::*;
use std::arch::asm;

use super::vector::{Vector, Work};

/// Eight f16.
#[derive(Clone, Copy)]
pub(super) struct NeonF16(float16x8_t);

impl Vector for NeonF16 {
    type Element = u16;
    const LANES: usize = 8;
    // A lane of a vector is an operand of the multiplication: one load serves 8 steps.
    const GROUP: usize = 8;
    const ACCUMULATORS: usize = 18;

    fn element(value: f32) -> u16 {
        half::f16::from_f32(value).to_bits()
    }

    fn value(element: u16) -> f32 {
        half::f16::from_bits(element).to_f32()
    }

    #[inline(always)]
    unsafe fn vectorise<W: Work>(work: W) {
        #[target_feature(enable = "neon,fp16")]
        unsafe fn run<W: Work>(work: W) {
            // SAFETY: promised by the caller.
            unsafe { work.run() }
        }
        // SAFETY: promised by the caller.
        unsafe { run(work) }
    }

    #[inline]
    #[target_feature(enable = "neon,fp16")]
    unsafe fn splat(value: f32) -> Self {
        Self(vreinterpretq_f16_u16(vdupq_n_u16(half::f16::from_f32_const(value).to_bits())))
    }

    #[inline]
    #[target_feature(enable = "neon,fp16")]
    unsafe fn repeat(from: *const u16) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vreinterpretq_f16_u16(vld1q_dup_u16(from)) })
    }

    #[inline]
    #[target_feature(enable = "neon,fp16")]
    unsafe fn load(from: *const u16) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vreinterpretq_f16_u16(vld1q_u16(from)) })
    }

    #[inline]
    #[target_feature(enable = "neon,fp16")]
    unsafe fn store(self, to: *mut u16) {
        // SAFETY: promised by the caller.
        unsafe { vst1q_u16(to, vreinterpretq_u16_f16(self.0)) }
    }

    #[inline]
    #[target_feature(enable = "neon,fp16")]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(vaddq_f16(self.0, other.0))
    }

    #[inline]
    #[target_feature(enable = "neon,fp16")]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(vsubq_f16(self.0, other.0))
    }

    #[inline]
    #[target_feature(enable = "neon,fp16")]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(vmulq_f16(self.0, other.0))
    }

    #[inline]
    #[target_feature(enable = "neon,fp16")]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(vmaxq_f16(self.0, other.0))
    }

    #[inline]
    #[target_feature(enable = "neon,fp16")]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(vminq_f16(self.0, other.0))
    }

    #[inline]
    #[target_feature(enable = "neon,fp16")]
    unsafe fn mul_add(self, a: Self, b: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(vfmaq_f16(self.0, a.0, b.0))
    }

    #[inline]
    #[target_feature(enable = "neon,fp16")]
    unsafe fn mul_sub(self, a: Self, b: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(vfmsq_f16(self.0, a.0, b.0))
    }

    #[inline]
    #[target_feature(enable = "neon,fp16")]
    unsafe fn rows_times_block<const P: usize, const B: usize, const FIRST: bool>(
        sums: &mut [[Self; B]; P],
        rows: [*const u16; P],
        weights: *const u16,
    ) {
        // SAFETY: promised by the caller.
        unsafe {
            let rows = rows.map(|row| Self::load(row).0);
            macro_rules! lane {
                ($lane:literal) => {
                    let block: [float16x8_t; B] =
                        std::array::from_fn(|block| Self::load(weights.add(($lane * B + block) * Self::LANES)).0);
                    for (sums, row) in sums.iter_mut().zip(rows) {
                        for (sum, weights) in sums.iter_mut().zip(block) {
                            sum.0 = match FIRST && $lane == 0 {
                                true => vmulq_laneq_f16::<$lane>(weights, row),
                                false => vfmaq_laneq_f16::<$lane>(sum.0, weights, row),
                            };
                        }
                    }
                };
            }
            lane!(0);
            lane!(1);
            lane!(2);
            lane!(3);
            lane!(4);
            lane!(5);
            lane!(6);
            lane!(7);
        }
    }

    #[inline(always)]
    #[allow(clippy::pointers_in_nomem_asm_block)] // The pointer is not followed.
    fn opaque(mut pointer: *const u16) -> *const u16 {
        // SAFETY: it has no instruction.
        unsafe { asm!("/* {0} */", inout(reg) pointer, options(pure, nomem, nostack, preserves_flags)) };
        pointer
    }
}
