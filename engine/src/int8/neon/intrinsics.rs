//! The vector instructions of both Arm architectures, under the names of AArch64. 32-bit Arm has no instructions for the upper
//! half of a register: its halves are registers themselves.

#[cfg(target_arch = "aarch64")]
pub(super) use core::arch::aarch64::*;
#[cfg(neon_a32)]
pub(super) use core::arch::arm::*;

/// An instruction on the upper half of its last vectors, from that on the lower.
#[cfg(neon_a32)]
macro_rules! high {
    ($name:ident($($first:ident: $full:ty,)? [$($half:ident: $from:ty),+], $get:ident) -> $to:ty, $low:ident) => {
        /// # Safety
        /// The processor has NEON.
        #[inline]
        #[target_feature(enable = "neon")]
        pub(super) unsafe fn $name($($first: $full,)? $($half: $from),+) -> $to {
            // SAFETY: the caller's.
            unsafe { $low($($first,)? $($get($half)),+) }
        }
    };
}
#[cfg(neon_a32)]
high!(vaddw_high_s8(sum: int16x8_t, [x: int8x16_t], vget_high_s8) -> int16x8_t, vaddw_s8);
#[cfg(neon_a32)]
high!(vaddw_high_u16(sum: uint32x4_t, [x: uint16x8_t], vget_high_u16) -> uint32x4_t, vaddw_u16);
#[cfg(neon_a32)]
high!(vmull_high_s8([x: int8x16_t, y: int8x16_t], vget_high_s8) -> int16x8_t, vmull_s8);
#[cfg(neon_a32)]
high!(vmovl_high_s16([x: int16x8_t], vget_high_s16) -> int32x4_t, vmovl_s16);

/// Loads eight bytes. Rust's goes through general registers and the stack.
///
/// # Safety
/// The processor has NEON. The bytes can be read.
#[cfg(neon_a32)]
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn vld1_s8(from: *const i8) -> int8x8_t {
    let bytes;
    // SAFETY: the caller's.
    unsafe {
        core::arch::asm!("vld1.8 {{{bytes}}}, [{from}]", bytes = lateout(dreg) bytes, from = in(reg) from,
            options(pure, readonly, nostack, preserves_flags));
    }
    bytes
}
