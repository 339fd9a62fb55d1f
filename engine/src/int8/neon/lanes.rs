//! Requantisation of four sums at once, in registers.

use core::arch::aarch64::{
    int8x8_t, int16x4_t, int32x4_t, vcombine_s16, vld1q_s32, vqaddq_s32, vqdmulhq_s32, vqmovn_high_s32, vqmovn_s16,
    vqmovn_s32, vshlq_s32,
};

use super::requantise::Four;

/// [`Four`] in registers.
#[derive(Clone, Copy)]
pub(super) struct Lanes {
    multiplier: int32x4_t,
    offset: int32x4_t,
    shift: int32x4_t,
}

impl Lanes {
    #[inline(always)]
    pub fn load(of: &Four) -> Self {
        // SAFETY: each array has four lanes.
        unsafe {
            Self {
                multiplier: vld1q_s32(of.multiplier.as_ptr()),
                offset: vld1q_s32(of.offset.as_ptr()),
                shift: vld1q_s32(of.shift.as_ptr()),
            }
        }
    }

    /// `y - 128` before it is saturated.
    #[inline(always)]
    pub fn apply(&self, sum: int32x4_t) -> int32x4_t {
        // SAFETY: every AArch64 processor has these instructions.
        unsafe {
            let scaled = vqdmulhq_s32(sum, self.multiplier);
            vshlq_s32(vqaddq_s32(scaled, self.offset), self.shift)
        }
    }

    /// `y - 128` in 16 bits.
    #[inline(always)]
    pub fn narrow(&self, sum: int32x4_t) -> int16x4_t {
        // SAFETY: every AArch64 processor has these instructions.
        unsafe { vqmovn_s32(self.apply(sum)) }
    }
}

/// The bytes of eight channels from their sums.
#[inline(always)]
pub(super) fn eight(lanes: &[Lanes; 2], sums: [int32x4_t; 2]) -> int8x8_t {
    // SAFETY: every AArch64 processor has these instructions.
    unsafe { vqmovn_s16(vqmovn_high_s32(lanes[0].narrow(sums[0]), lanes[1].apply(sums[1]))) }
}

/// Two results of four channels side by side, as bytes.
#[inline(always)]
pub(super) fn pair(first: int16x4_t, second: int16x4_t) -> int8x8_t {
    // SAFETY: every AArch64 processor has these instructions.
    unsafe { vqmovn_s16(vcombine_s16(first, second)) }
}
