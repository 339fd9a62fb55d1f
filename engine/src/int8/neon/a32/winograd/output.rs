//! The transform of the products to outputs, `Aᵀ m A`, and their requantisation, of four channels at a time.

use core::mem::MaybeUninit;

use crate::all_registers::asm_of_all_registers;
use crate::int8::neon::requantise::Four;
use crate::int8::plane::Plane;
use crate::int8::winograd::{INVERSE_OF_9, PLACES};

/// Bytes of four sums.
const FOUR: usize = 16;
/// Bytes of a row of four times four sums.
const ROW: usize = 4 * FOUR;

/// The factors of the transform.
static FACTORS: [i32; 4] = [4, 4, INVERSE_OF_9, INVERSE_OF_9];

/// Transforms and stores all channels of a tile.
///
/// * `products`: `[O / 4, 36, 4]`
/// * `output`: its upper left pixel, in a value at `plane`
/// * `inside`: rows and columns of the tile that lie in the image
///
/// # Safety
/// The processor has NEON. The pixels inside can be written.
#[target_feature(enable = "neon")]
pub(in crate::int8::neon) unsafe fn transform(
    products: &[i32],
    requantise: &[Four],
    output: *mut i8,
    plane: &Plane,
    [rows, columns]: [usize; 2],
) {
    let steps = [plane.pitch(), plane.channels];
    assert!(!requantise.is_empty() && products.len() >= 4 * PLACES * requantise.len());
    // SAFETY: the caller's; a tile that is not whole goes to `all` first, one block after another.
    unsafe {
        if rows == 4 && columns == 4 {
            whole_tile(products, requantise, output, steps);
            return;
        }
        for (block, products) in products.chunks_exact(4 * PLACES).take(requantise.len()).enumerate() {
            let mut all = [[[0i8; 4]; 4]; 4];
            whole_tile(products, &requantise[block..=block], all.as_mut_ptr().cast(), [16, 4]);
            for (row, pixels) in all[..rows].iter().enumerate() {
                for (column, pixel) in pixels[..columns].iter().enumerate() {
                    let output = output.add(row * steps[0] + column * steps[1] + 4 * block);
                    output.cast::<[i8; 4]>().write(*pixel);
                }
            }
        }
    }
}

/// [`transform`] of a tile that lies in the image, of some blocks.
///
/// * `products`: `[O / 4, 36, 4]`
/// * `steps`: bytes from a row of the output to the next, and of a pixel
///
/// # Safety
/// As [`transform`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn whole_tile(products: &[i32], requantise: &[Four], output: *mut i8, [pitch, pixel]: [usize; 2]) {
    let mut rows = MaybeUninit::<[u8; 6 * ROW]>::uninit();
    // `Aᵀ` of q0 to q5, to q8 to q11.
    macro_rules! transform {
        () => {
            concat!(
                "vsub.i32 q12, q3, q4\n",
                "vadd.i32 q10, q1, q2\n",
                "vsub.i32 q11, q1, q2\n",
                "vadd.i32 q7, q3, q4\n",
                "vshl.i32 q12, q12, #1\n",
                "vadd.i32 q8, q0, q10\n",
                "vadd.i32 q5, q5, q12\n",
                "vadd.i32 q9, q11, q12\n",
                "vadd.i32 q8, q8, q7\n",
                "vmla.i32 q10, q7, d12[0]\n",
                "vmla.i32 q11, q5, d12[0]\n",
            )
        };
    }
    macro_rules! row {
        () => {
            concat!("vldmia {products}!, {{q0-q5}}\n", transform!(), "vstmia {rows}!, {{q8-q11}}\n")
        };
    }
    macro_rules! each {
        ($op:literal, $with:literal) => {
            concat!(
                concat!($op, " q8, q8, ", $with, "\n"),
                concat!($op, " q9, q9, ", $with, "\n"),
                concat!($op, " q10, q10, ", $with, "\n"),
                concat!($op, " q11, q11, ", $with, "\n"),
            )
        };
    }
    macro_rules! column {
        () => {
            concat!(
                "vld1.32 {{d0-d1}}, [{rows}], {row}\n",
                "vld1.32 {{d2-d3}}, [{rows}], {row}\n",
                "vld1.32 {{d4-d5}}, [{rows}], {row}\n",
                "vld1.32 {{d6-d7}}, [{rows}], {row}\n",
                "vld1.32 {{d8-d9}}, [{rows}], {row}\n",
                "vld1.32 {{d10-d11}}, [{rows}], {next_column}\n",
                transform!(),
                each!("vmul.i32", "d13[0]"),
                each!("vshr.s32", "#6"),
                each!("vqdmulh.s32", "q13"),
                each!("vqadd.s32", "q14"),
                each!("vshl.s32", "q15"),
                "vqmovn.s32 d16, q8\n",
                "vqmovn.s32 d17, q9\n",
                "vqmovn.s32 d18, q10\n",
                "vqmovn.s32 d19, q11\n",
                "vqmovn.s16 d16, q8\n",
                "vqmovn.s16 d18, q9\n",
                "vst1.32 {{d16[0]}}, [{output}], {pitch}\n",
                "vst1.32 {{d16[1]}}, [{output}], {pitch}\n",
                "vst1.32 {{d18[0]}}, [{output}], {pitch}\n",
                "vst1.32 {{d18[1]}}, [{output}], {next_pixel}\n",
            )
        };
    }
    // SAFETY: it reads and writes what the caller promised and `rows`, and registers that are named.
    unsafe {
        asm_of_all_registers!(
            "vldmia {row}, {{q6}}",
            "mov {row}, #{row_len}",
            "2:",
            "vldmia {requantise}!, {{q12-q15}}",
            row!(),
            row!(),
            row!(),
            row!(),
            row!(),
            row!(),
            "sub {rows}, {rows}, #{all_rows}",
            column!(),
            column!(),
            column!(),
            column!(),
            // The products of the next block are behind these.
            "subs {blocks}, {blocks}, #1",
            "sub {rows}, {rows}, #{row_len}",
            "add {output}, {output}, {next_block}",
            "bne 2b",
            products = inout(reg) products.as_ptr() => _,
            requantise = inout(reg) requantise.as_ptr() => _,
            blocks = inout(reg) requantise.len() => _,
            next_block = in(reg) 4usize.wrapping_sub(4 * pixel),
            rows = inout(reg) rows.as_mut_ptr() => _,
            row_len = const ROW,
            all_rows = const 6 * ROW,
            row = inout(reg) FACTORS.as_ptr() => _,
            next_column = in(reg) FOUR.wrapping_sub(5 * ROW),
            output = inout(reg) output => _,
            pitch = in(reg) pitch,
            next_pixel = in(reg) pixel.wrapping_sub(3 * pitch),
            options(nostack),
        )
    }
}
