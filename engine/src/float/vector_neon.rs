//! Vectors of four f32 in NEON, which every AArch64 processor has.

#![allow(unsafe_code)] // Vector instructions.

use std::arch::aarch64::*;
use std::arch::asm;

use super::vector::{Vector, Work};

/// Four f32.
#[derive(Clone, Copy)]
pub(super) struct Neon(float32x4_t);

impl Vector for Neon {
    type Element = f32;
    const LANES: usize = 4;
    // A lane of a vector is an operand of the multiplication: one load serves 4 steps.
    const GROUP: usize = 4;
    const ACCUMULATORS: usize = 18;

    fn element(value: f32) -> f32 {
        value
    }

    fn value(element: f32) -> f32 {
        element
    }

    #[inline(always)]
    unsafe fn vectorise<W: Work>(work: W) {
        unsafe fn run<W: Work>(work: W) {
            // SAFETY: promised by the caller.
            unsafe { work.run() }
        }
        // SAFETY: promised by the caller.
        unsafe { run(work) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vdupq_n_f32(value) })
    }

    #[inline(always)]
    unsafe fn repeat(from: *const f32) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vld1q_dup_f32(from) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vld1q_f32(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: promised by the caller.
        unsafe { vst1q_f32(to, self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vaddq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vsubq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vmulq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vmaxq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vminq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, a: Self, b: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vfmaq_f32(self.0, a.0, b.0) })
    }

    #[inline(always)]
    unsafe fn mul_sub(self, a: Self, b: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vfmsq_f32(self.0, a.0, b.0) })
    }

    #[inline(always)]
    unsafe fn rows_times_block<const P: usize, const B: usize, const FIRST: bool>(
        sums: &mut [[Self; B]; P],
        rows: [*const f32; P],
        weights: *const f32,
    ) {
        // SAFETY: promised by the caller.
        unsafe {
            let rows = rows.map(|row| Self::load(row).0);
            macro_rules! lane {
                ($lane:literal) => {
                    let block: [float32x4_t; B] =
                        std::array::from_fn(|block| Self::load(weights.add(($lane * B + block) * Self::LANES)).0);
                    for (sums, row) in sums.iter_mut().zip(rows) {
                        for (sum, weights) in sums.iter_mut().zip(block) {
                            sum.0 = match FIRST && $lane == 0 {
                                true => vmulq_laneq_f32::<$lane>(weights, row),
                                false => vfmaq_laneq_f32::<$lane>(sum.0, weights, row),
                            };
                        }
                    }
                };
            }
            lane!(0);
            lane!(1);
            lane!(2);
            lane!(3);
        }
    }

    #[inline(always)]
    #[allow(clippy::pointers_in_nomem_asm_block)] // The pointer is not followed.
    fn opaque(mut pointer: *const f32) -> *const f32 {
        // SAFETY: it has no instruction.
        unsafe { asm!("/* {0} */", inout(reg) pointer, options(pure, nomem, nostack, preserves_flags)) };
        pointer
    }
}
