//! The transform of an input tile, `Bᵀ d B`, of eight channels at a time.

use core::arch::aarch64::{int16x8_t, vaddq_s16, vld1_s8, vmlaq_s16, vmlsq_s16, vmovl_s8, vst1q_s16, vsubq_s16};
use core::arch::asm;

use super::product::QUAD;
use crate::int8::plane::Plane;
use crate::int8::winograd::PLACES;

/// Four, where the compiler does not see it: otherwise it makes two instructions of each multiply-add.
#[inline(always)]
fn four() -> int16x8_t {
    let four;
    // SAFETY: an instruction on a register.
    unsafe {
        asm!("movi {four:v}.8h, #4", four = lateout(vreg) four, options(pure, nomem, nostack, preserves_flags));
    }
    four
}

/// `Bᵀ d` of a column or row.
#[inline(always)]
fn transformed(d: [int16x8_t; 6], four: int16x8_t) -> [int16x8_t; 6] {
    // SAFETY: every AArch64 processor has these instructions.
    unsafe {
        let c = vsubq_s16(d[4], d[2]);
        let f = vsubq_s16(d[3], d[1]);
        let h = vsubq_s16(d[5], d[3]);
        let a = vmlsq_s16(d[4], d[2], four);
        let b = vmlsq_s16(d[3], d[1], four);
        let e = vaddq_s16(f, f);
        [
            vmlaq_s16(c, vsubq_s16(d[0], d[2]), four),
            vaddq_s16(a, b),
            vsubq_s16(a, b),
            vaddq_s16(c, e),
            vsubq_s16(c, e),
            vmlsq_s16(h, f, four),
        ]
    }
}

/// Transforms all channels of a tile.
///
/// * `tile`: its upper left corner, in a value at `plane`
/// * `lane`: place of the tile in its quad
/// * `blocks`: `[C / 8, 36, 4, 8]`, of which lane `lane` is written
///
/// # Safety
/// Six pixels of six rows from `tile` can be read.
pub(super) unsafe fn transform(tile: *const i8, plane: &Plane, lane: usize, blocks: &mut [i16]) {
    let (pitch, channels) = (plane.pitch(), plane.channels);
    let four = four();
    for (block, places) in blocks.chunks_exact_mut(8 * QUAD * PLACES).enumerate() {
        // SAFETY: the caller's, and each of 36 places has four lanes of eight.
        unsafe {
            let tile = tile.add(8 * block);
            let places = places.as_mut_ptr().add(8 * lane);
            let column = |column: usize| {
                let value = |row: usize| vmovl_s8(vld1_s8(tile.add(row * pitch + column * channels)));
                transformed(core::array::from_fn(value), four)
            };
            let half: [_; 6] = core::array::from_fn(column);
            let row = |row: usize| transformed(half.map(|column| column[row]), four);
            let whole: [_; 6] = core::array::from_fn(row);
            for (place, value) in whole.as_flattened().iter().enumerate() {
                vst1q_s16(places.add(place * 8 * QUAD), *value);
            }
        }
    }
}
