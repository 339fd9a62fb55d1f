//! Products of four tiles times eight output channels, eight registers of sums. VMLAL by lane multiplies one input channel of
//! a tile with four output channels.

use crate::all_registers::asm_of_all_registers;
use crate::int8::winograd::PLACES;

/// Tiles whose products are computed together.
pub(in crate::int8::neon) const QUAD: usize = 4;
/// Output channels whose products are computed together.
pub(in crate::int8::neon) const CHANNELS: usize = 8;

/// Quads of tiles times eight output channels, at one place.
///
/// * `shape`: blocks of eight input channels, 8, O, quads, of which there are some
///
/// # Safety
/// The processor has NEON. Weights, inputs and products are there in the layouts of the caller, and eight biases.
#[inline]
#[target_feature(enable = "neon")]
pub(in crate::int8::neon) unsafe fn products(
    weights: *const i16,
    bias: *const i32,
    inputs: *const i16,
    products: *mut i32,
    [steps, _, outputs, quads]: [usize; 4],
) {
    let four_channels = 4 * 4 * PLACES;
    // One input channel, a lane of q0 to q3 (a tile each), times the weights of eight output channels.
    macro_rules! channel {
        ($low:literal, $high:literal, $lane:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
            concat!(
                concat!("vmlal.s16 q8, ", $low, ", ", $a, $lane, "\n"),
                concat!("vmlal.s16 q9, ", $high, ", ", $a, $lane, "\n"),
                concat!("vmlal.s16 q10, ", $low, ", ", $b, $lane, "\n"),
                concat!("vmlal.s16 q11, ", $high, ", ", $b, $lane, "\n"),
                concat!("vmlal.s16 q12, ", $low, ", ", $c, $lane, "\n"),
                concat!("vmlal.s16 q13, ", $high, ", ", $c, $lane, "\n"),
                concat!("vmlal.s16 q14, ", $low, ", ", $d, $lane, "\n"),
                concat!("vmlal.s16 q15, ", $high, ", ", $d, $lane, "\n"),
            )
        };
    }
    macro_rules! four_channels {
        ($a:literal, $b:literal, $c:literal, $d:literal) => {
            concat!(
                "vldmia {weights}!, {{q4-q7}}\n",
                channel!("d8", "d9", "[0]", $a, $b, $c, $d),
                channel!("d10", "d11", "[1]", $a, $b, $c, $d),
                channel!("d12", "d13", "[2]", $a, $b, $c, $d),
                channel!("d14", "d15", "[3]", $a, $b, $c, $d),
            )
        };
    }
    // SAFETY: it reads and writes what the caller promised, and registers that are named.
    unsafe {
        asm_of_all_registers!(
            "2:",
            "vldmia {bias}, {{q8-q9}}",
            "vldmia {bias}, {{q10-q11}}",
            "vldmia {bias}, {{q12-q13}}",
            "vldmia {bias}, {{q14-q15}}",
            "mov {weights}, {all_weights}",
            "mov {left}, {steps}",
            // Behind the last step of a quad are the inputs and, below, the products of the next one.
            "3:",
            "vldmia {inputs}, {{q0-q3}}",
            "add {inputs}, {inputs}, #{next_step}",
            four_channels!("d0", "d2", "d4", "d6"),
            "subs {left}, {left}, #1",
            four_channels!("d1", "d3", "d5", "d7"),
            "bne 3b",
            "vst1.32 {{d16-d17}}, [{products}], {next_four}",
            "vst1.32 {{d18-d19}}, [{products}], {next_tile}",
            "vst1.32 {{d20-d21}}, [{products}], {next_four}",
            "vst1.32 {{d22-d23}}, [{products}], {next_tile}",
            "vst1.32 {{d24-d25}}, [{products}], {next_four}",
            "vst1.32 {{d26-d27}}, [{products}], {next_tile}",
            "subs {quads}, {quads}, #1",
            "vst1.32 {{d28-d29}}, [{products}], {next_four}",
            "vst1.32 {{d30-d31}}, [{products}], {next_tile}",
            "bne 2b",
            bias = in(reg) bias,
            inputs = inout(reg) inputs => _,
            next_step = const 2 * 8 * QUAD * PLACES,
            all_weights = in(reg) weights,
            weights = out(reg) _,
            steps = in(reg) steps,
            left = out(reg) _,
            quads = inout(reg) quads => _,
            products = inout(reg) products => _,
            next_four = in(reg) four_channels,
            next_tile = in(reg) (4 * PLACES * outputs).wrapping_sub(four_channels),
            options(nostack),
        )
    }
}
