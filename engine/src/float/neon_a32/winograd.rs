//! The transforms of Winograd's convolution.

#![allow(unsafe_code)] // Vector instructions.

use std::mem::MaybeUninit;

use super::super::graph::Activation;
use super::super::pieces::{Outputs, PATCH, Patch};
use super::super::plane::TILE;
use super::register::NeonA32;
use crate::all_registers::asm_of_all_registers;

/// The factors of Winograd's transforms, lanes of q7 in the assembly.
static FACTORS: [f32; 4] = [2.0, 4.0, 5.0, 8.0];

/// [`Patch::transform`]. Written out because compilers take two instructions for each vector on the stack.
///
/// # Safety
/// As for [`Patch::transform`].
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn input_patch(patch: Patch<f32>) {
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
        asm_of_all_registers!(
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
pub(super) unsafe fn output_tile(outputs: Outputs<f32>) {
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
                asm_of_all_registers!(
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
