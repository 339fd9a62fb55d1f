//! What the kernels of all processors use.

#![allow(unsafe_code)] // Vector instructions.

use std::arch::arm::*;
use std::sync::atomic::{Ordering, compiler_fence};

use super::super::pieces::{Outputs, PIXELS, Part, Patch, Product};
use super::super::plane::TILE;
use super::super::vector::{Vector, Work};
use super::filter::filter_blocks;
use super::register::NeonA32;
use super::tiles::{ROWS, tiles};
use super::winograd::{input_patch, output_tile};

impl Vector for NeonA32 {
    type Element = f32;
    const LANES: usize = 4;
    // A lane of a vector is an operand of the multiplication: one load serves 4 steps.
    const GROUP: usize = 4;
    const ACCUMULATORS: usize = 8;

    fn element(value: f32) -> f32 {
        value
    }

    fn value(element: f32) -> f32 {
        element
    }

    #[inline(always)]
    unsafe fn vectorise<W: Work>(work: W) {
        #[target_feature(enable = "neon")]
        unsafe fn run<W: Work>(work: W) {
            // SAFETY: promised by the caller.
            unsafe { work.run() }
        }
        // SAFETY: promised by the caller.
        unsafe { run(work) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vdupq_n_f32(value) })
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn repeat(from: *const f32) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vld1q_dup_f32(from) })
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vld1q_f32(from) })
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: promised by the caller.
        unsafe { vst1q_f32(to, self.0) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vaddq_f32(self.0, other.0) })
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vsubq_f32(self.0, other.0) })
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vmulq_f32(self.0, other.0) })
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn max(self, other: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vmaxq_f32(self.0, other.0) })
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn min(self, other: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vminq_f32(self.0, other.0) })
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn mul_add(self, a: Self, b: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vmlaq_f32(self.0, a.0, b.0) })
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn mul_sub(self, a: Self, b: Self) -> Self {
        // SAFETY: promised by the caller.
        Self(unsafe { vmlsq_f32(self.0, a.0, b.0) })
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn rows_times_block<const P: usize, const B: usize, const FIRST: bool>(
        sums: &mut [[Self; B]; P],
        rows: [*const f32; P],
        weights: *const f32,
    ) {
        // SAFETY: promised by the caller.
        unsafe {
            let rows = rows.map(|row| {
                let row = Self::load(row).0;
                [vget_low_f32(row), vget_high_f32(row)]
            });
            macro_rules! lane {
                ($half:literal, $lane:literal) => {
                    let step = 2 * $half + $lane;
                    // Weights that the compiler loads earlier do not fit the registers.
                    compiler_fence(Ordering::SeqCst);
                    let block: [float32x4_t; B] =
                        std::array::from_fn(|block| Self::load(weights.add((step * B + block) * Self::LANES)).0);
                    for (sums, row) in sums.iter_mut().zip(rows) {
                        for (sum, weights) in sums.iter_mut().zip(block) {
                            sum.0 = match FIRST && step == 0 {
                                true => vmulq_lane_f32::<$lane>(weights, row[$half]),
                                false => vmlaq_lane_f32::<$lane>(sum.0, weights, row[$half]),
                            };
                        }
                    }
                };
            }
            lane!(0, 0);
            lane!(0, 1);
            lane!(1, 0);
            lane!(1, 1);
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn rows_times_two<const HAS_REST: bool>(product: Product<f32>, rows: usize) -> usize {
        if rows >= ROWS {
            // SAFETY: promised by the caller.
            unsafe { tiles::<HAS_REST>(product, rows / ROWS) };
        }
        rows / ROWS * ROWS
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn filter<const S: usize>(part: Part<'_, Self, f32>, [height, width]: [usize; 2]) -> bool {
        // SAFETY: promised by the caller.
        unsafe {
            if width < PIXELS {
                return false;
            }
            filter_blocks::<S>(part, height, width / PIXELS);
            if !width.is_multiple_of(PIXELS) {
                // The last pixels overlap those before.
                filter_blocks::<S>(part.at::<S>(0, width - PIXELS), height, 1);
            }
        }
        true
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn winograd_input(patch: Patch<f32>) -> bool {
        // SAFETY: promised by the caller.
        unsafe { input_patch(patch) };
        true
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn winograd_output(outputs: Outputs<f32>) -> bool {
        if outputs.size != [TILE, TILE] {
            return false;
        }
        // SAFETY: promised by the caller.
        unsafe { output_tile(outputs) };
        true
    }
}
