//! The transform of the products to outputs, `Aᵀ m A`, and their requantisation, of four channels at a time.

use core::arch::aarch64::{
    int16x4_t, int32x4_t, vaddq_s32, vdupq_n_s32, vld1q_s32, vmlaq_s32, vmulq_s32, vreinterpret_s32_s8, vshrq_n_s32,
    vst1_lane_s32, vsubq_s32,
};
use core::arch::asm;

use super::super::lanes::{Lanes, pair};
use super::super::requantise::Four;
use crate::int8::plane::Plane;
use crate::int8::winograd::{INVERSE_OF_9, PLACES};

/// Four, where the compiler does not see it: otherwise it makes two instructions of each multiply-add.
#[inline(always)]
fn four() -> int32x4_t {
    let four;
    // SAFETY: an instruction on a register.
    unsafe {
        asm!("movi {four:v}.4s, #4", four = lateout(vreg) four, options(pure, nomem, nostack, preserves_flags));
    }
    four
}

/// `Aᵀ m` of a column or row.
#[inline(always)]
fn transformed(m: [int32x4_t; 6], four: int32x4_t) -> [int32x4_t; 4] {
    // SAFETY: every AArch64 processor has these instructions.
    unsafe {
        let (s, d) = (vaddq_s32(m[1], m[2]), vsubq_s32(m[1], m[2]));
        let (t, e) = (vaddq_s32(m[3], m[4]), vsubq_s32(m[3], m[4]));
        let e = vaddq_s32(e, e);
        [
            vaddq_s32(vaddq_s32(m[0], s), t),
            vaddq_s32(d, e),
            vmlaq_s32(s, t, four),
            vmlaq_s32(d, vaddq_s32(e, m[5]), four),
        ]
    }
}

/// Transforms and stores all channels of a tile.
///
/// * `products`: `[O / 4, 36, 4]`
/// * `output`: its upper left pixel, in a value at `plane`
/// * `inside`: rows and columns of the tile that lie in the image
///
/// # Safety
/// The pixels inside can be written.
pub(super) unsafe fn transform(
    products: &[i32],
    requantise: &[Four],
    output: *mut i8,
    plane: &Plane,
    [rows, columns]: [usize; 2],
) {
    let steps = [plane.pitch(), plane.channels];
    for (block, (products, requantise)) in products.chunks_exact(4 * PLACES).zip(requantise).enumerate() {
        // SAFETY: the caller's.
        unsafe {
            let output = output.add(4 * block);
            if rows == 4 && columns == 4 {
                four_channels::<true>(products, requantise, output, steps, [4, 4]);
            } else {
                four_channels::<false>(products, requantise, output, steps, [rows, columns]);
            }
        }
    }
}

/// [`transform`] of four channels; `FULL` if all pixels lie in the image.
///
/// * `products`: `[36, 4]`
/// * `steps`: bytes from a row of the output to the next, and of a pixel
///
/// # Safety
/// As [`transform`].
#[inline(always)]
unsafe fn four_channels<const FULL: bool>(
    products: &[i32],
    requantise: &Four,
    output: *mut i8,
    [pitch, pixel]: [usize; 2],
    [rows, columns]: [usize; 2],
) {
    let four = four();
    // SAFETY: every AArch64 processor has the instructions; there are 36 products; the rest is the caller's.
    unsafe {
        let products = products.as_ptr();
        let column = |column: usize| {
            let product = |row: usize| vld1q_s32(products.add(4 * (6 * row + column)));
            transformed(core::array::from_fn(product), four)
        };
        let half: [_; 6] = core::array::from_fn(column);
        let (lanes, inverse) = (Lanes::load(requantise), vdupq_n_s32(INVERSE_OF_9));
        for row in 0..4 {
            if FULL || row < rows {
                let whole = transformed(half.map(|column| column[row]), four);
                let bytes = whole.map(|sum| lanes.narrow(vshrq_n_s32::<6>(vmulq_s32(sum, inverse))));
                store::<FULL>(bytes, output.add(row * pitch), pixel, columns);
            }
        }
    }
}

/// Stores four channels of the first `columns` pixels.
///
/// # Safety
/// They can be written.
#[inline(always)]
unsafe fn store<const FULL: bool>(bytes: [int16x4_t; 4], to: *mut i8, channels: usize, columns: usize) {
    // SAFETY: the caller's.
    unsafe {
        let [first, second] = [pair(bytes[0], bytes[1]), pair(bytes[2], bytes[3])].map(|two| vreinterpret_s32_s8(two));
        vst1_lane_s32::<0>(to.cast(), first);
        if FULL || columns == 4 {
            vst1_lane_s32::<1>(to.add(channels).cast(), first);
            vst1_lane_s32::<0>(to.add(2 * channels).cast(), second);
            vst1_lane_s32::<1>(to.add(3 * channels).cast(), second);
            return;
        }
        if columns > 1 {
            vst1_lane_s32::<1>(to.add(channels).cast(), first);
        }
        if columns > 2 {
            vst1_lane_s32::<0>(to.add(2 * channels).cast(), second);
        }
    }
}
