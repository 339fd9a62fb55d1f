//! Rows times a block of two vectors.

#![allow(unsafe_code)] // Vector instructions.

use super::super::graph::Activation;
use super::super::pieces::Product;
use crate::all_registers::asm_of_all_registers;

/// Rows that are multiplied together.
pub(super) const ROWS: usize = 4;

/// Multiplies `count` times [`ROWS`] rows by two vectors, `count` not being zero. Written out because there are as many registers
/// as it needs: compilers load weights too early and then lack some.
///
/// # Safety
/// As for [`Vector::rows_times_two`].
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn tiles<const HAS_REST: bool>(product: Product<f32>, count: usize) {
    static ZEROS: [f32; 8] = [0.0; 8];
    /// What does not fit the registers, in the order in which it is addressed; in bytes, where it is added to addresses.
    #[repr(C)]
    struct Constants {
        start: *const f32,
        weights: *const f32,
        runs: usize,
        /// Where a run does not end in a group of four, four less.
        len: usize,
        /// From the end of a run to the beginning of the next.
        next_run: usize,
        /// From the end of the last run of a row to the beginning of the row that is [`ROWS`] further.
        next_row: usize,
        /// From a row of the output to the next.
        stride: usize,
        residual: *const f32,
    }
    let Product { input, runs, weights, target } = product;
    let bytes = |elements: usize| elements * size_of::<f32>();
    let mut constants = Constants {
        start: target.bias.unwrap_or(ZEROS.as_ptr()),
        weights,
        runs: runs.count,
        len: if HAS_REST { runs.len.wrapping_sub(4) } else { runs.len },
        next_run: bytes(runs.stride).wrapping_sub(bytes(runs.len)),
        next_row: bytes(ROWS * runs.row_stride).wrapping_sub(bytes((runs.count - 1) * runs.stride + runs.len)),
        stride: bytes(target.stride),
        residual: target.residual.unwrap_or(std::ptr::null()),
    };
    let [row_a, row_b, row_c, row_d] = [0, 1, 2, 3].map(|row| input.wrapping_add(row * runs.row_stride));
    // One element of each row, a lane of q4 to q7, times two vectors.
    macro_rules! step {
        ($left:literal, $right:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
            concat!(
                concat!("vmla.f32 q12, ", $left, ", ", $a, "\n"),
                concat!("vmla.f32 q13, ", $right, ", ", $a, "\n"),
                concat!("vmla.f32 q14, ", $left, ", ", $b, "\n"),
                concat!("vmla.f32 q15, ", $right, ", ", $b, "\n"),
                concat!("vmla.f32 q0, ", $left, ", ", $c, "\n"),
                concat!("vmla.f32 q1, ", $right, ", ", $c, "\n"),
                concat!("vmla.f32 q2, ", $left, ", ", $d, "\n"),
                concat!("vmla.f32 q3, ", $right, ", ", $d, "\n"),
            )
        };
    }
    macro_rules! each {
        ($op:literal, $with:literal) => {
            concat!(
                concat!($op, " q12, q12, ", $with, "\n"),
                concat!($op, " q13, q13, ", $with, "\n"),
                concat!($op, " q14, q14, ", $with, "\n"),
                concat!($op, " q15, q15, ", $with, "\n"),
                concat!($op, " q0, q0, ", $with, "\n"),
                concat!($op, " q1, q1, ", $with, "\n"),
                concat!($op, " q2, q2, ", $with, "\n"),
                concat!($op, " q3, q3, ", $with, "\n"),
            )
        };
    }
    macro_rules! relu {
        () => {
            concat!("vmov.i32 q8, #0\n", each!("vmax.f32", "q8"))
        };
    }
    macro_rules! relu6 {
        () => {
            concat!(relu!(), "vmov.f32 q9, #6.0\n", each!("vmin.f32", "q9"))
        };
    }
    macro_rules! residual {
        () => {
            concat!(
                "ldr {weights}, [{constants}, #28]\n",
                "vld1.32 {{d16-d19}}, [{weights}], {len}\n",
                "vld1.32 {{d20-d23}}, [{weights}], {len}\n",
                "vadd.f32 q12, q12, q8\n",
                "vadd.f32 q13, q13, q9\n",
                "vadd.f32 q14, q14, q10\n",
                "vadd.f32 q15, q15, q11\n",
                "vld1.32 {{d16-d19}}, [{weights}], {len}\n",
                "vld1.32 {{d20-d23}}, [{weights}], {len}\n",
                "vadd.f32 q0, q0, q8\n",
                "vadd.f32 q1, q1, q9\n",
                "vadd.f32 q2, q2, q10\n",
                "vadd.f32 q3, q3, q11\n",
                "str {weights}, [{constants}, #28]\n",
            )
        };
    }
    // Before, in and after the loop over groups of four elements. With a rest, there may be no group.
    macro_rules! no_rest {
        (before) => {
            ""
        };
        (again) => {
            "bne 4b\n"
        };
        (after) => {
            ""
        };
    }
    macro_rules! rest {
        (before) => {
            "cmp {len}, #0\nbmi 6f\n"
        };
        (again) => {
            "bpl 4b\n"
        };
        (after) => {
            concat!(
                "6:\n",
                "add {len}, {len}, #4\n",
                "7:\n",
                "vldmia {weights}!, {{q8-q9}}\n",
                "vld1.32 {{d8[0]}}, [{row_a}]!\n",
                "vld1.32 {{d10[0]}}, [{row_b}]!\n",
                "vld1.32 {{d12[0]}}, [{row_c}]!\n",
                "vld1.32 {{d14[0]}}, [{row_d}]!\n",
                "subs {len}, {len}, #1\n",
                step!("q8", "q9", "d8[0]", "d10[0]", "d12[0]", "d14[0]"),
                "bne 7b\n",
            )
        };
    }
    macro_rules! tiles {
        ($rest:ident, $residual:expr, $activation:expr) => {
            // SAFETY: it reads and writes what the caller promised and `constants`, and registers that are named.
            unsafe {
                asm_of_all_registers!(
                    "2:",
                    "ldr {len}, [{constants}]",
                    "ldr {weights}, [{constants}, #4]",
                    "ldr {runs}, [{constants}, #8]",
                    "vldmia {len}, {{q12-q13}}",
                    "vldmia {len}, {{q14-q15}}",
                    "vldmia {len}, {{q0-q1}}",
                    "vldmia {len}, {{q2-q3}}",
                    "3:",
                    "ldr {len}, [{constants}, #12]",
                    $rest!(before),
                    "4:",
                    "vldmia {weights}!, {{q8-q11}}",
                    "vld1.32 {{d8-d9}}, [{row_a}]!",
                    "vld1.32 {{d10-d11}}, [{row_b}]!",
                    "vld1.32 {{d12-d13}}, [{row_c}]!",
                    "vld1.32 {{d14-d15}}, [{row_d}]!",
                    step!("q8", "q9", "d8[0]", "d10[0]", "d12[0]", "d14[0]"),
                    step!("q10", "q11", "d8[1]", "d10[1]", "d12[1]", "d14[1]"),
                    "vldmia {weights}!, {{q8-q11}}",
                    "subs {len}, {len}, #4",
                    step!("q8", "q9", "d9[0]", "d11[0]", "d13[0]", "d15[0]"),
                    step!("q10", "q11", "d9[1]", "d11[1]", "d13[1]", "d15[1]"),
                    $rest!(again),
                    $rest!(after),
                    "subs {runs}, {runs}, #1",
                    "beq 5f",
                    "ldr {len}, [{constants}, #16]",
                    "add {row_a}, {row_a}, {len}",
                    "add {row_b}, {row_b}, {len}",
                    "add {row_c}, {row_c}, {len}",
                    "add {row_d}, {row_d}, {len}",
                    "b 3b",
                    "5:",
                    "ldr {len}, [{constants}, #20]",
                    "add {row_a}, {row_a}, {len}",
                    "add {row_b}, {row_b}, {len}",
                    "add {row_c}, {row_c}, {len}",
                    "add {row_d}, {row_d}, {len}",
                    "ldr {len}, [{constants}, #24]",
                    $residual,
                    $activation,
                    "vst1.32 {{d24-d27}}, [{to}], {len}",
                    "vst1.32 {{d28-d31}}, [{to}], {len}",
                    "vst1.32 {{d0-d3}}, [{to}], {len}",
                    "vst1.32 {{d4-d7}}, [{to}], {len}",
                    "subs {count}, {count}, #1",
                    "bne 2b",
                    constants = in(reg) &raw mut constants,
                    weights = out(reg) _,
                    row_a = inout(reg) row_a => _,
                    row_b = inout(reg) row_b => _,
                    row_c = inout(reg) row_c => _,
                    row_d = inout(reg) row_d => _,
                    to = inout(reg) target.to => _,
                    runs = out(reg) _,
                    len = out(reg) _,
                    count = inout(reg) count => _,
                    options(nostack),
                )
            }
        };
    }
    macro_rules! with_rest {
        ($rest:ident) => {
            match (target.residual.is_some(), target.activation) {
                (false, Activation::Identity) => tiles!($rest, "", ""),
                (false, Activation::Relu) => tiles!($rest, "", relu!()),
                (false, Activation::Relu6) => tiles!($rest, "", relu6!()),
                (true, Activation::Identity) => tiles!($rest, residual!(), ""),
                (true, Activation::Relu) => tiles!($rest, residual!(), relu!()),
                (true, Activation::Relu6) => tiles!($rest, residual!(), relu6!()),
            }
        };
    }
    if HAS_REST {
        with_rest!(rest);
    } else {
        with_rest!(no_rest);
    }
}
