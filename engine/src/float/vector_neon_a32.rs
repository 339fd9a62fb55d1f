//! Vectors of four f32 in the NEON of 32-bit Arm processors.
//!
//! Products are rounded before they are added: only such an instruction takes one lane as a factor, and processors without fused
//! ones, such as Cortex-A9, need no kernels of their own.
//!
//! There are 16 registers, few enough that the compiler keeps parts of the inner loops on the stack, where each vector costs two
//! instructions. So the loops that take nearly all of the time are assembly; what is left is the code of all processors.

#![allow(unsafe_code)] // Vector instructions.

use std::arch::arm::*;
use std::arch::asm;
use std::mem::MaybeUninit;
use std::sync::atomic::{Ordering, compiler_fence};

use super::depthwise::{PIXELS, Part};
use super::graph::Activation;
use super::plane::TILE;
use super::tile::Product;
use super::vector::{Vector, Work};
use super::winograd::{Outputs, PATCH, Patch};

/// Four f32.
#[derive(Clone, Copy)]
pub(super) struct NeonA32(float32x4_t);

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
    unsafe fn rows_times_two(product: Product<f32>, rows: usize) -> usize {
        if rows >= ROWS {
            // SAFETY: promised by the caller.
            unsafe { tiles(product, rows / ROWS) };
        }
        rows / ROWS * ROWS
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn filter<const S: usize>(part: Part<'_, Self>, [height, width]: [usize; 2]) {
        // SAFETY: promised by the caller.
        unsafe {
            if width < PIXELS {
                (0..height).for_each(|y| part.at::<S>(y, 0).row::<S>(width));
                return;
            }
            filter_blocks::<S>(part, height, width / PIXELS);
            if !width.is_multiple_of(PIXELS) {
                // The last pixels overlap those before.
                filter_blocks::<S>(part.at::<S>(0, width - PIXELS), height, 1);
            }
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn winograd_input(patch: Patch<f32>) {
        // SAFETY: promised by the caller.
        unsafe { input_patch(patch) };
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn winograd_output(outputs: Outputs<f32>) {
        // SAFETY: promised by the caller.
        unsafe {
            match outputs.size {
                [TILE, TILE] => output_tile(outputs),
                _ => outputs.transform::<Self>(),
            }
        }
    }
}

/// Rows that are multiplied together.
const ROWS: usize = 4;

/// Multiplies `count` times [`ROWS`] rows by two vectors, `count` not being zero. Written out because there are as many registers
/// as it needs: compilers load weights too early and then lack some.
///
/// # Safety
/// As for [`Vector::rows_times_two`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn tiles(product: Product<f32>, count: usize) {
    static ZEROS: [f32; 8] = [0.0; 8];
    /// What does not fit the registers, in the order in which it is addressed; in bytes, where it is added to addresses.
    #[repr(C)]
    struct Constants {
        start: *const f32,
        weights: *const f32,
        runs: usize,
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
        len: runs.len,
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
    macro_rules! tiles {
        ($residual:expr, $activation:expr) => {
            // SAFETY: it reads and writes what the caller promised and `constants`, and registers that are named.
            unsafe {
                asm!(
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
                    "bne 4b",
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
                    out("q0") _,
                    out("q1") _,
                    out("q2") _,
                    out("q3") _,
                    out("q4") _,
                    out("q5") _,
                    out("q6") _,
                    out("q7") _,
                    out("q8") _,
                    out("q9") _,
                    out("q10") _,
                    out("q11") _,
                    out("q12") _,
                    out("q13") _,
                    out("q14") _,
                    out("q15") _,
                    options(nostack),
                )
            }
        };
    }
    match (target.residual.is_some(), target.activation) {
        (false, Activation::Identity) => tiles!("", ""),
        (false, Activation::Relu) => tiles!("", relu!()),
        (false, Activation::Relu6) => tiles!("", relu6!()),
        (true, Activation::Identity) => tiles!(residual!(), ""),
        (true, Activation::Relu) => tiles!(residual!(), relu!()),
        (true, Activation::Relu6) => tiles!(residual!(), relu6!()),
    }
}

/// `blocks` times four pixels of each row of [`Vector::filter`], of which there are some. Written out because weights, sums and
/// three columns of the input are as many as there are registers.
///
/// # Safety
/// As for [`Vector::filter`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn filter_blocks<const S: usize>(part: Part<'_, NeonA32>, rows: usize, blocks: usize) {
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
    // Every activation is a clamp.
    let ends = match part.activation {
        Activation::Identity => [f32::NEG_INFINITY, f32::INFINITY],
        Activation::Relu => [0.0, f32::INFINITY],
        Activation::Relu6 => [0.0, 6.0],
    };
    let constants = Constants {
        bias: part.bias,
        // SAFETY: promised by the caller.
        ends: ends.map(|end| unsafe { NeonA32::splat(end) }),
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

/// The factors of Winograd's transforms, lanes of q7 in the assembly.
static FACTORS: [f32; 4] = [2.0, 4.0, 5.0, 8.0];

/// [`Patch::transform`]. Written out because compilers take two instructions for each vector on the stack.
///
/// # Safety
/// As for [`Patch::transform`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn input_patch(patch: Patch<f32>) {
    let [row, pixel] = patch.strides.map(|stride| stride * size_of::<f32>());
    let mut columns = MaybeUninit::<[[NeonA32; PATCH]; PATCH]>::uninit();
    // `Bᵀ` of q0 to q4 and q13, to q8 to q13.
    macro_rules! transform {
        () => {
            concat!(
                "vmov q8, q4\n",
                "vmov q6, q4\n",
                "vmov q14, q3\n",
                "vmls.f32 q8, q2, d15[0]\n",
                "vmls.f32 q13, q3, d15[0]\n",
                "vmls.f32 q6, q2, d14[1]\n",
                "vmls.f32 q14, q1, d14[1]\n",
                "vsub.f32 q11, q4, q2\n",
                "vsub.f32 q15, q3, q1\n",
                "vmla.f32 q8, q0, d14[1]\n",
                "vmla.f32 q13, q1, d14[1]\n",
                "vmov q12, q11\n",
                "vadd.f32 q9, q6, q14\n",
                "vsub.f32 q10, q6, q14\n",
                "vmla.f32 q11, q15, d14[0]\n",
                "vmls.f32 q12, q15, d14[0]\n",
            )
        };
    }
    macro_rules! column {
        () => {
            concat!(
                "vld1.32 {{d0-d1}}, [{from}], {row}\n",
                "vld1.32 {{d2-d3}}, [{from}], {row}\n",
                "vld1.32 {{d4-d5}}, [{from}], {row}\n",
                "vld1.32 {{d6-d7}}, [{from}], {row}\n",
                "vld1.32 {{d8-d9}}, [{from}], {row}\n",
                "vld1.32 {{d26-d27}}, [{from}], {back}\n",
                transform!(),
                "vstmia {columns}!, {{q8-q13}}\n",
            )
        };
    }
    macro_rules! row {
        () => {
            concat!(
                "vld1.32 {{d0-d1}}, [{columns}], {side}\n",
                "vld1.32 {{d2-d3}}, [{columns}], {side}\n",
                "vld1.32 {{d4-d5}}, [{columns}], {side}\n",
                "vld1.32 {{d6-d7}}, [{columns}], {side}\n",
                "vld1.32 {{d8-d9}}, [{columns}], {side}\n",
                "vld1.32 {{d26-d27}}, [{columns}], {side}\n",
                "sub {columns}, {columns}, #560\n",
                transform!(),
                "vst1.32 {{d16-d17}}, [{to}], {to_stride}\n",
                "vst1.32 {{d18-d19}}, [{to}], {to_stride}\n",
                "vst1.32 {{d20-d21}}, [{to}], {to_stride}\n",
                "vst1.32 {{d22-d23}}, [{to}], {to_stride}\n",
                "vst1.32 {{d24-d25}}, [{to}], {to_stride}\n",
                "vst1.32 {{d26-d27}}, [{to}], {to_stride}\n",
            )
        };
    }
    // SAFETY: it reads and writes what the caller promised and `columns`, and registers that are named.
    unsafe {
        asm!(
            "vld1.32 {{d14-d15}}, [{side}]",
            column!(),
            column!(),
            column!(),
            column!(),
            column!(),
            column!(),
            // A column has 96 bytes.
            "mov {side}, #96",
            "sub {columns}, {columns}, #576",
            row!(),
            row!(),
            row!(),
            row!(),
            row!(),
            row!(),
            from = inout(reg) patch.from => _,
            row = in(reg) row,
            back = in(reg) pixel.wrapping_sub((PATCH - 1) * row),
            columns = inout(reg) columns.as_mut_ptr() => _,
            side = inout(reg) FACTORS.as_ptr() => _,
            to = inout(reg) patch.to => _,
            to_stride = in(reg) patch.to_stride * size_of::<f32>(),
            out("q0") _,
            out("q1") _,
            out("q2") _,
            out("q3") _,
            out("q4") _,
            out("q6") _,
            out("q7") _,
            out("q8") _,
            out("q9") _,
            out("q10") _,
            out("q11") _,
            out("q12") _,
            out("q13") _,
            out("q14") _,
            out("q15") _,
            options(nostack, preserves_flags),
        )
    }
}

/// [`Outputs::transform`] of a whole tile, written out as [`input_patch`] is.
///
/// # Safety
/// As for [`Outputs::transform`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn output_tile(outputs: Outputs<f32>) {
    let bytes = |elements: usize| elements * size_of::<f32>();
    let [row, pixel] = outputs.strides.map(bytes);
    let position = bytes(outputs.sums_stride);
    let mut columns = MaybeUninit::<[[NeonA32; TILE]; PATCH]>::uninit();
    // `Aᵀ` of q0 to q5, to q8 to q11.
    macro_rules! transform {
        () => {
            concat!(
                "vadd.f32 q10, q1, q2\n",
                "vsub.f32 q9, q1, q2\n",
                "vadd.f32 q12, q3, q4\n",
                "vsub.f32 q13, q3, q4\n",
                "vadd.f32 q8, q0, q10\n",
                "vadd.f32 q11, q5, q9\n",
                "vmla.f32 q9, q13, d14[0]\n",
                "vmla.f32 q10, q12, d14[1]\n",
                "vadd.f32 q8, q8, q12\n",
                "vmla.f32 q11, q13, d15[1]\n",
            )
        };
    }
    macro_rules! column {
        () => {
            concat!(
                "vld1.32 {{d0-d1}}, [{sums}], {sums_row}\n",
                "vld1.32 {{d2-d3}}, [{sums}], {sums_row}\n",
                "vld1.32 {{d4-d5}}, [{sums}], {sums_row}\n",
                "vld1.32 {{d6-d7}}, [{sums}], {sums_row}\n",
                "vld1.32 {{d8-d9}}, [{sums}], {sums_row}\n",
                "vld1.32 {{d10-d11}}, [{sums}], {back}\n",
                transform!(),
                "vstmia {columns}!, {{q8-q11}}\n",
            )
        };
    }
    macro_rules! row {
        ($residual:expr, $activation:expr) => {
            concat!(
                "vld1.32 {{d0-d1}}, [{columns}], {side}\n",
                "vld1.32 {{d2-d3}}, [{columns}], {side}\n",
                "vld1.32 {{d4-d5}}, [{columns}], {side}\n",
                "vld1.32 {{d6-d7}}, [{columns}], {side}\n",
                "vld1.32 {{d8-d9}}, [{columns}], {side}\n",
                "vld1.32 {{d10-d11}}, [{columns}], {side}\n",
                "sub {columns}, {columns}, #368\n",
                transform!(),
                $residual,
                $activation,
                "vst1.32 {{d16-d17}}, [{to}], {pixel}\n",
                "vst1.32 {{d18-d19}}, [{to}], {pixel}\n",
                "vst1.32 {{d20-d21}}, [{to}], {pixel}\n",
                "vst1.32 {{d22-d23}}, [{to}], {next_row}\n",
            )
        };
    }
    // With what is between transform and store: the residual and the activation, if any.
    macro_rules! tile {
        ($residual:expr, $activation:expr) => {
            // SAFETY: it reads and writes what the caller promised and `columns`, and registers that are named.
            unsafe {
                asm!(
                    "vld1.32 {{d14-d15}}, [{side}]",
                    column!(),
            column!(),
            column!(),
            column!(),
            column!(),
            column!(),
                    // A column has 64 bytes.
                    "mov {side}, #64",
                    "sub {columns}, {columns}, #384",
                    "vmov.i32 q6, #0",
                    row!($residual, $activation),
                    row!($residual, $activation),
                    row!($residual, $activation),
                    row!($residual, $activation),
                    sums = inout(reg) outputs.sums => _,
                    sums_row = in(reg) PATCH * position,
                    back = in(reg) position.wrapping_sub((PATCH - 1) * PATCH * position),
                    columns = inout(reg) columns.as_mut_ptr() => _,
                    side = inout(reg) FACTORS.as_ptr() => _,
                    to = inout(reg) outputs.to => _,
                    residual = inout(reg) outputs.residual.unwrap_or(std::ptr::null()) => _,
                    pixel = in(reg) pixel,
                    next_row = in(reg) row.wrapping_sub((TILE - 1) * pixel),
                    out("q0") _,
                    out("q1") _,
                    out("q2") _,
                    out("q3") _,
                    out("q4") _,
                    out("q5") _,
                    out("q6") _,
                    out("q7") _,
                    out("q8") _,
                    out("q9") _,
                    out("q10") _,
                    out("q11") _,
                    out("q12") _,
                    out("q13") _,
                    out("q14") _,
                    out("q15") _,
                    options(nostack, preserves_flags),
                )
            }
        };
    }
    macro_rules! residual {
        () => {
            concat!(
                "vld1.32 {{d0-d1}}, [{residual}], {pixel}\n",
                "vld1.32 {{d2-d3}}, [{residual}], {pixel}\n",
                "vld1.32 {{d4-d5}}, [{residual}], {pixel}\n",
                "vld1.32 {{d6-d7}}, [{residual}], {next_row}\n",
                "vadd.f32 q8, q8, q0\n",
                "vadd.f32 q9, q9, q1\n",
                "vadd.f32 q10, q10, q2\n",
                "vadd.f32 q11, q11, q3\n",
            )
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
    macro_rules! relu6 {
        () => {
            concat!("vmov.f32 q14, #6.0\n", each!("vmax.f32", "q6"), each!("vmin.f32", "q14"))
        };
    }
    match (outputs.residual.is_some(), outputs.activation) {
        (false, Activation::Identity) => tile!("@ No {residual}.\n", ""),
        (false, Activation::Relu) => tile!("@ No {residual}.\n", each!("vmax.f32", "q6")),
        (false, Activation::Relu6) => tile!("@ No {residual}.\n", relu6!()),
        (true, Activation::Identity) => tile!(residual!(), ""),
        (true, Activation::Relu) => tile!(residual!(), each!("vmax.f32", "q6")),
        (true, Activation::Relu6) => tile!(residual!(), relu6!()),
    }
}
