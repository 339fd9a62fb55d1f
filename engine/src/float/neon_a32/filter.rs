//! 3×3 convolutions of each channel alone.

#![allow(unsafe_code)] // Vector instructions.

use std::arch::asm;

use super::super::pieces::{PIXELS, Part};
use super::register::NeonA32;

/// `blocks` times four pixels of each row of [`Vector::filter`], of which there are some. Written out because weights, sums and
/// three columns of the input are as many as there are registers.
///
/// # Safety
/// As for [`Vector::filter`].
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn filter_blocks<const S: usize>(part: Part<'_, NeonA32, f32>, rows: usize, blocks: usize) {
    /// What does not fit the registers, in the order in which it is addressed.
    #[repr(C)]
    struct Constants {
        bias: NeonA32,
        ends: [NeonA32; 2],
        /// Bytes from the end of a row of blocks to the beginning of the next, of the input and of the output.
        jumps: [usize; 2],
        blocks: usize,
    }
    let bytes = |elements: usize| elements * size_of::<f32>();
    let [first, second, third] = [0, 1, 2].map(|row| part.input.wrapping_add(row * part.row_stride));
    let weights = part.weights.map(|weights| weights.0);
    let constants = Constants {
        bias: part.bias,
        ends: part.ends,
        jumps: [
            bytes(S * part.row_stride - blocks * PIXELS * S * part.from_stride),
            bytes(part.out_row_stride - blocks * PIXELS * part.to_stride),
        ],
        blocks,
    };
    // Reads a column into one of three registers.
    macro_rules! load {
        ($row:literal, $at:literal) => {
            concat!("vld1.32 {{", $at, "}}, [{", $row, "}], {from_stride}\n")
        };
    }
    // A column times the weights of one row: registers of the column, and which weights go to which sums.
    macro_rules! add {
        ($at:literal $(, $sum:literal $weights:literal)*) => {
            concat!($("vmla.f32 {", $sum, "}, ", $at, ", {", $weights, "}\n",)*)
        };
    }
    // All columns of a row; each is read before the two before it are used.
    macro_rules! row {
        (1, $row:literal, $left:literal, $middle:literal, $right:literal) => {
            concat!(
                load!($row, "d0-d1"),
                load!($row, "d2-d3"),
                load!($row, "d4-d5"),
                add!("q0", "a" $left),
                load!($row, "d0-d1"),
                add!("q1", "a" $middle, "b" $left),
                load!($row, "d2-d3"),
                add!("q2", "a" $right, "b" $middle, "c" $left),
                load!($row, "d4-d5"),
                add!("q0", "b" $right, "c" $middle, "d" $left),
                add!("q1", "c" $right, "d" $middle),
                add!("q2", "d" $right),
                "sub {", $row, "}, {", $row, "}, {from_stride}, lsl #1\n",
            )
        };
        (2, $row:literal, $left:literal, $middle:literal, $right:literal) => {
            concat!(
                load!($row, "d0-d1"),
                load!($row, "d2-d3"),
                load!($row, "d4-d5"),
                add!("q0", "a" $left),
                load!($row, "d0-d1"),
                add!("q1", "a" $middle),
                load!($row, "d2-d3"),
                add!("q2", "a" $right, "b" $left),
                load!($row, "d4-d5"),
                add!("q0", "b" $middle),
                load!($row, "d0-d1"),
                add!("q1", "b" $right, "c" $left),
                load!($row, "d2-d3"),
                add!("q2", "c" $middle),
                load!($row, "d4-d5"),
                add!("q0", "c" $right, "d" $left),
                add!("q1", "d" $middle),
                add!("q2", "d" $right),
                "sub {", $row, "}, {", $row, "}, {from_stride}\n",
            )
        };
    }
    macro_rules! blocks {
        ($stride:tt) => {
            // SAFETY: it reads and writes what the caller promised, and registers that are named.
            unsafe {
                asm!(
                    "2:",
                    "ldr {blocks}, [{constants}, #56]",
                    "3:",
                    "vld1.32 {{{a:e}, {a:f}}}, [{constants}]!",
                    "vmov {b}, {a}",
                    "vmov {c}, {a}",
                    "vmov {d}, {a}",
                    row!($stride, "first", "w0", "w1", "w2"),
                    row!($stride, "second", "w3", "w4", "w5"),
                    row!($stride, "third", "w6", "w7", "w8"),
                    "vldmia {constants}, {{q0-q1}}",
                    "sub {constants}, {constants}, #16",
                    "vmax.f32 {a}, {a}, q0",
                    "vmax.f32 {b}, {b}, q0",
                    "vmax.f32 {c}, {c}, q0",
                    "vmax.f32 {d}, {d}, q0",
                    "vmin.f32 {a}, {a}, q1",
                    "vmin.f32 {b}, {b}, q1",
                    "vmin.f32 {c}, {c}, q1",
                    "vmin.f32 {d}, {d}, q1",
                    "subs {blocks}, {blocks}, #1",
                    "vst1.32 {{{a:e}, {a:f}}}, [{out}], {to_stride}",
                    "vst1.32 {{{b:e}, {b:f}}}, [{out}], {to_stride}",
                    "vst1.32 {{{c:e}, {c:f}}}, [{out}], {to_stride}",
                    "vst1.32 {{{d:e}, {d:f}}}, [{out}], {to_stride}",
                    "bne 3b",
                    "ldr {blocks}, [{constants}, #48]",
                    "add {first}, {first}, {blocks}",
                    "add {second}, {second}, {blocks}",
                    "add {third}, {third}, {blocks}",
                    "ldr {blocks}, [{constants}, #52]",
                    "add {out}, {out}, {blocks}",
                    "subs {rows}, {rows}, #1",
                    "bne 2b",
                    first = inout(reg) first => _,
                    second = inout(reg) second => _,
                    third = inout(reg) third => _,
                    from_stride = in(reg) bytes(part.from_stride),
                    out = inout(reg) part.out => _,
                    to_stride = in(reg) bytes(part.to_stride),
                    rows = inout(reg) rows => _,
                    blocks = out(reg) _,
                    constants = inout(reg) &raw const constants => _,
                    w0 = in(qreg) weights[0],
                    w1 = in(qreg) weights[1],
                    w2 = in(qreg) weights[2],
                    w3 = in(qreg) weights[3],
                    w4 = in(qreg) weights[4],
                    w5 = in(qreg) weights[5],
                    w6 = in(qreg) weights[6],
                    w7 = in(qreg) weights[7],
                    w8 = in(qreg) weights[8],
                    a = out(qreg) _,
                    b = out(qreg) _,
                    c = out(qreg) _,
                    d = out(qreg) _,
                    out("q0") _,
                    out("q1") _,
                    out("q2") _,
                    options(nostack),
                )
            }
        };
    }
    match S {
        1 => blocks!(1),
        _ => blocks!(2),
    }
}
