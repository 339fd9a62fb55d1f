//! The transform of an input tile, `Bᵀ d B`, of eight channels at a time.

use core::mem::MaybeUninit;

use super::tile::QUAD;
use crate::all_registers::asm_of_all_registers;
use crate::int8::plane::Plane;
use crate::int8::winograd::PLACES;

/// Bytes of eight transformed values.
const EIGHT: usize = 16;
/// Bytes of a column of six times eight transformed values.
const COLUMN: usize = 6 * EIGHT;

/// Transforms all channels of a tile.
///
/// * `tile`: its upper left corner, in a value at `plane`
/// * `lane`: place of the tile in its quad
/// * `blocks`: `[C / 8, 36, 4, 8]`, of which lane `lane` is written
///
/// # Safety
/// The processor has NEON. Six pixels of six rows from `tile` can be read.
#[target_feature(enable = "neon")]
pub(in crate::int8::neon) unsafe fn transform(tile: *const i8, plane: &Plane, lane: usize, blocks: &mut [i16]) {
    let (pitch, channels) = (plane.pitch(), plane.channels);
    assert!(channels >= 8 && blocks.len() >= PLACES * QUAD * channels && lane < QUAD);
    let mut columns = MaybeUninit::<[u8; 6 * COLUMN]>::uninit();
    // `Bᵀ` of the bytes d0 to d5, to q8 to q13. d6 and d7 are 4, in 16 and 8 bits.
    macro_rules! column {
        () => {
            concat!(
                "vld1.8 {{d0}}, [{tile}], {pitch}\n",
                "vld1.8 {{d1}}, [{tile}], {pitch}\n",
                "vld1.8 {{d2}}, [{tile}], {pitch}\n",
                "vld1.8 {{d3}}, [{tile}], {pitch}\n",
                "vld1.8 {{d4}}, [{tile}], {pitch}\n",
                "vld1.8 {{d5}}, [{tile}], {next_column}\n",
                "vsubl.s8 q14, d3, d1\n",
                "vmovl.s8 q4, d4\n",
                "vmovl.s8 q5, d3\n",
                "vsubl.s8 q8, d4, d2\n",
                "vsubl.s8 q15, d0, d2\n",
                "vshl.i16 q6, q14, #1\n",
                "vmlsl.s8 q4, d2, d7\n",
                "vmlsl.s8 q5, d1, d7\n",
                "vsubl.s8 q13, d5, d3\n",
                "vadd.i16 q11, q8, q6\n",
                "vsub.i16 q12, q8, q6\n",
                "vmla.i16 q8, q15, d6[0]\n",
                "vadd.i16 q9, q4, q5\n",
                "vsub.i16 q10, q4, q5\n",
                "vmls.i16 q13, q14, d6[0]\n",
                "vstmia {columns}!, {{q8-q13}}\n",
            )
        };
    }
    // `Bᵀ` of a row, q0 to q2 and q4 to q6.
    macro_rules! row {
        () => {
            concat!(
                "vld1.16 {{d0-d1}}, [{columns}], {column}\n",
                "vld1.16 {{d2-d3}}, [{columns}], {column}\n",
                "vld1.16 {{d4-d5}}, [{columns}], {column}\n",
                "vld1.16 {{d8-d9}}, [{columns}], {column}\n",
                "vld1.16 {{d10-d11}}, [{columns}], {column}\n",
                "vld1.16 {{d12-d13}}, [{columns}], {next_row}\n",
                "vsub.i16 q9, q4, q1\n",
                "vsub.i16 q8, q5, q2\n",
                "vsub.i16 q0, q0, q2\n",
                "vsub.i16 q6, q6, q4\n",
                "vmls.i16 q5, q2, d6[0]\n",
                "vmls.i16 q4, q1, d6[0]\n",
                "vshl.i16 q10, q9, #1\n",
                "vmls.i16 q6, q9, d6[0]\n",
                "vadd.i16 q13, q8, q10\n",
                "vsub.i16 q14, q8, q10\n",
                "vmla.i16 q8, q0, d6[0]\n",
                "vadd.i16 q11, q5, q4\n",
                "vsub.i16 q12, q5, q4\n",
                "vst1.16 {{d16-d17}}, [{places}], {place}\n",
                "vst1.16 {{d22-d23}}, [{places}], {place}\n",
                "vst1.16 {{d24-d25}}, [{places}], {place}\n",
                "vst1.16 {{d26-d27}}, [{places}], {place}\n",
                "vst1.16 {{d28-d29}}, [{places}], {place}\n",
                "vst1.16 {{d12-d13}}, [{places}], {place}\n",
            )
        };
    }
    // SAFETY: it reads what the caller promised, writes lanes of `blocks` and `columns`, and registers that are named.
    unsafe {
        asm_of_all_registers!(
            "vmov.i16 d6, #4",
            "vmov.i8 d7, #4",
            "2:",
            column!(),
            column!(),
            column!(),
            column!(),
            column!(),
            column!(),
            "sub {columns}, {columns}, #{all_columns}",
            row!(),
            row!(),
            row!(),
            row!(),
            row!(),
            row!(),
            // The places of the next block are behind these.
            "subs {blocks}, {blocks}, #1",
            "sub {columns}, {columns}, #{column_len}",
            "add {tile}, {tile}, {next_block}",
            "bne 2b",
            tile = inout(reg) tile => _,
            pitch = in(reg) pitch,
            next_column = in(reg) channels.wrapping_sub(5 * pitch),
            columns = inout(reg) columns.as_mut_ptr() => _,
            next_block = in(reg) 8usize.wrapping_sub(6 * channels),
            column_len = const COLUMN,
            all_columns = const 6 * COLUMN,
            column = in(reg) COLUMN,
            next_row = in(reg) EIGHT.wrapping_sub(5 * COLUMN),
            places = inout(reg) blocks.as_mut_ptr().wrapping_add(8 * lane) => _,
            blocks = inout(reg) channels / 8 => _,
            place = in(reg) 2 * 8 * QUAD,
            options(nostack),
        )
    }
}
