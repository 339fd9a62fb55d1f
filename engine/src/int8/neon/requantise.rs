//! Requantisation of four sums at once, exactly as [`Requantise::apply`].
//!
//! A sum `s` becomes `y = clamp(((s * m >> 32) + offset) >> shift, 0, 255)`, of which `y - 128` is stored. SQDMULH gives
//! `p = floor(2 * s * m / 2^32)`, and `s * m >> 32` is `floor(p / 2)`. Nested floors are one:
//! `(floor(p / 2) + offset) >> shift = (p + 2 * offset) >> (shift + 1)`. Subtracting 128 there adds
//! `-128 * 2^(shift + 1)` to the offset. With an offset below 2^30 and a shift of at most 21 the new one fits 32 bits. Where
//! the sum of both saturates, the shifted result is at least 511 or at most -512, so it is clamped either way. Saturating
//! to a signed byte is the clamp.

use core::arch::aarch64::{
    int8x8_t, int16x4_t, int32x4_t, vcombine_s16, vld1q_s32, vqaddq_s32, vqdmulhq_s32, vqmovn_high_s32, vqmovn_s16,
    vqmovn_s32, vshlq_s32,
};

use macula_edge::encoder::Requantise;

/// The requantisation of four channels side by side.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(super) struct Four {
    pub bias: [i32; 4],
    multiplier: [i32; 4],
    offset: [i32; 4],
    /// Negative: SSHL shifts right by it.
    shift: [i32; 4],
}

impl Four {
    /// Four channels at a time of a multiple of four.
    pub fn pack(channels: &[Requantise]) -> Vec<Self> {
        let four = |of: &[Requantise; 4]| Self {
            bias: of.map(|of| of.bias),
            multiplier: of.map(|of| of.multiplier),
            offset: of.map(|of| 2 * of.offset.wrapping_sub(128 << of.shift)),
            shift: of.map(|of| -(of.shift + 1)),
        };
        channels.as_chunks().0.iter().map(four).collect()
    }
}

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
