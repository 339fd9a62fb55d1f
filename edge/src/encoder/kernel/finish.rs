//! From sums to outputs: their requantisation, and before it the end of Winograd's F(2×2, 3×3), `Aᵀ M A` of the sums M of
//! two filters and two tiles.
//!
//! ```text
//! Aᵀ = 2  1  1  0
//!      0  1 -1 -2
//! ```

#[cfg(any(not(macula_dsp), test))]
use super::super::node::Requantise;
use super::places::Sums;

/// Outputs of two tiles: `[tile, row, column]`, that of the first filter in the low byte.
pub(in super::super) type Outputs = [[u16; 4]; 2];

/// Transforms sums back, to four times the sums of products of a convolution, and maps a quarter of each to an output.
///
/// * `parameters`: bias, multiplier, offset and shift of each filter
#[inline]
pub(in super::super) fn finish(sums: &Sums, parameters: &[[u32; 4]; 2]) -> Outputs {
    #[cfg(macula_dsp)]
    {
        let mut outputs = [[0; 4]; 2];
        // SAFETY: the function reads `sums` and `parameters`, and writes `outputs`.
        #[allow(unsafe_code)]
        unsafe {
            smmla_finish(sums, parameters, &mut outputs);
        }
        outputs
    }
    #[cfg(not(macula_dsp))]
    portable(sums, parameters)
}

/// The outputs in plain Rust.
#[cfg(any(not(macula_dsp), test))]
fn portable(sums: &Sums, parameters: &[[u32; 4]; 2]) -> Outputs {
    let back = |[a, b, c, d]: [i32; 4]| {
        let twice = |sum: i32| sum.wrapping_mul(2);
        [b.wrapping_add(c).wrapping_add(twice(a)), b.wrapping_sub(c).wrapping_sub(twice(d))]
    };
    core::array::from_fn(|tile| {
        let outputs = parameters.each_ref().map(|&words| Requantise::from_words(words));
        let of_filter = [0, 1].map(|filter| {
            let columns = [0, 1, 2, 3].map(|x| back([0, 4, 8, 12].map(|y| sums[y + x][2 * filter + tile])));
            let rows = [0, 1].map(|y| back(columns.map(|column| column[y])));
            [rows[0][0], rows[0][1], rows[1][0], rows[1][1]].map(|sum| outputs[filter].apply(sum >> 2))
        });
        core::array::from_fn(|at| u16::from_le_bytes([of_filter[0][at], of_filter[1][at]]))
    })
}

/// 62 instructions for the four outputs of a filter and a tile.
///
/// r0 sums, r1 parameters, r2 outputs; r4 to r7 transformed sums; r8 to r11 a column of sums, then bias, multiplier, offset
/// and shift; r12 a transformed column.
#[cfg(macula_dsp)]
#[allow(unsafe_code)]
#[unsafe(naked)]
// SAFETY: callers pass valid references. All callee-saved registers are restored.
unsafe extern "C" fn smmla_finish(sums: &Sums, parameters: &[[u32; 4]; 2], outputs: &mut Outputs) {
    /// Loads a column of sums, `$at` bytes behind the first.
    macro_rules! column {
        ($at:expr) => {
            concat!(
                "ldr r8, [r0, #",
                $at,
                "]\n ldr r9, [r0, #",
                $at,
                " + 64]\n",
                "ldr r10, [r0, #",
                $at,
                " + 128]\n ldr r11, [r0, #",
                $at,
                " + 192]\n"
            )
        };
    }
    /// The first row of Aᵀ times a column.
    macro_rules! top {
        ($to:literal) => {
            concat!("add ", $to, ", r9, r10\n add ", $to, ", ", $to, ", r8, lsl #1\n")
        };
    }
    /// The second row.
    macro_rules! bottom {
        ($to:literal) => {
            concat!("sub ", $to, ", r9, r10\n sub ", $to, ", ", $to, ", r11, lsl #1\n")
        };
    }
    /// Requantises the sum in `$sum` to output `$at`.
    macro_rules! output {
        ($sum:literal, $at:expr) => {
            concat!(
                "add ",
                $sum,
                ", r8, ",
                $sum,
                ", asr #2\n smmla ",
                $sum,
                ", ",
                $sum,
                ", r9, r10\n",
                "asr ",
                $sum,
                ", ",
                $sum,
                ", r11\n usat ",
                $sum,
                ", #8, ",
                $sum,
                "\n strb ",
                $sum,
                ", [r2, #",
                $at,
                "]\n"
            )
        };
    }
    /// A filter and a tile: byte of its first sums, parameters and outputs.
    macro_rules! tile {
        ($sums:literal, $parameters:literal, $outputs:literal) => {
            concat!(
                column!($sums),
                top!("r4"),
                bottom!("r6"),
                column!(concat!($sums, " + 16")),
                top!("r5"),
                bottom!("r7"),
                "add r4, r5, r4, lsl #1\n add r6, r7, r6, lsl #1\n",
                column!(concat!($sums, " + 32")),
                top!("r12"),
                "add r4, r4, r12\n sub r5, r5, r12\n",
                bottom!("r12"),
                "add r6, r6, r12\n sub r7, r7, r12\n",
                column!(concat!($sums, " + 48")),
                top!("r12"),
                "sub r5, r5, r12, lsl #1\n",
                bottom!("r12"),
                "sub r7, r7, r12, lsl #1\n",
                "ldrd r8, r9, [r1, #",
                $parameters,
                "]\n ldrd r10, r11, [r1, #",
                $parameters,
                " + 8]\n",
                output!("r4", $outputs),
                output!("r5", concat!($outputs, " + 2")),
                output!("r6", concat!($outputs, " + 4")),
                output!("r7", concat!($outputs, " + 6"))
            )
        };
    }
    core::arch::naked_asm!(
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, r12, lr}}",
        tile!("0", "0", "0"),
        tile!("4", "0", "8"),
        tile!("8", "16", "1"),
        tile!("12", "16", "9"),
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, r12, pc}}",
    )
}

/// Maps the sums of products of four channels and two pixels, `[channel, pixel]`, to a word of outputs of each pixel.
///
/// * `parameters`: bias, multiplier, offset and shift of each channel
#[inline]
pub(in super::super) fn requantise(sums: &[[i32; 2]; 4], parameters: &[[u32; 4]; 4]) -> [u32; 2] {
    #[cfg(macula_dsp)]
    {
        // SAFETY: the function reads `sums` and `parameters`.
        #[allow(unsafe_code)]
        let words = unsafe { smmla_requantise(sums, parameters) };
        [words as u32, (words >> 32) as u32]
    }
    #[cfg(not(macula_dsp))]
    portable_requantise(sums, parameters)
}

/// The words in plain Rust.
#[cfg(any(not(macula_dsp), test))]
fn portable_requantise(sums: &[[i32; 2]; 4], parameters: &[[u32; 4]; 4]) -> [u32; 2] {
    let outputs = parameters.each_ref().map(|&words| Requantise::from_words(words));
    let word = |pixel| u32::from_le_bytes([0, 1, 2, 3].map(|channel| outputs[channel].apply(sums[channel][pixel])));
    [word(0), word(1)]
}

/// Twelve instructions per channel.
///
/// r0 sums, r1 parameters; r2 and r3 the words; r4 to r7 bias, multiplier, offset and shift; r8 and r9 the sums of a
/// channel. The first word is returned in r0, the low half of the result, the second in r1.
#[cfg(macula_dsp)]
#[allow(unsafe_code)]
#[unsafe(naked)]
// SAFETY: callers pass valid references. All callee-saved registers are restored.
unsafe extern "C" fn smmla_requantise(sums: &[[i32; 2]; 4], parameters: &[[u32; 4]; 4]) -> u64 {
    /// A channel, up to the saturation.
    macro_rules! channel {
        () => {
            concat!(
                "ldm r1!, {{r4, r5, r6, r7}}\n ldrd r8, r9, [r0], #8\n add r8, r8, r4\n add r9, r9, r4\n",
                "smmla r8, r8, r5, r6\n smmla r9, r9, r5, r6\n asr r8, r8, r7\n asr r9, r9, r7"
            )
        };
    }
    core::arch::naked_asm!(
        "push {{r4, r5, r6, r7, r8, r9}}",
        channel!(),
        "usat r2, #8, r8\n usat r3, #8, r9",
        channel!(),
        "usat r8, #8, r8\n usat r9, #8, r9\n orr r2, r2, r8, lsl #8\n orr r3, r3, r9, lsl #8",
        channel!(),
        "usat r8, #8, r8\n usat r9, #8, r9\n orr r2, r2, r8, lsl #16\n orr r3, r3, r9, lsl #16",
        channel!(),
        "usat r8, #8, r8\n usat r9, #8, r9\n orr r0, r2, r8, lsl #24\n orr r1, r3, r9, lsl #24",
        "pop {{r4, r5, r6, r7, r8, r9}}",
        "bx lr",
    )
}

#[cfg(test)]
mod tests {
    use super::super::random::numbers;
    use super::*;

    /// Compares both versions with the products of matrices, which 64 bits hold, of sums that do not wrap around.
    #[test]
    fn outputs_equal_the_definition() {
        const A: [[i64; 4]; 2] = [[2, 1, 1, 0], [0, 1, -1, -2]];
        let mut random = numbers();
        let mut next = || (random() as i32) >> 6;
        let parameters = [
            Requantise { bias: 1234, multiplier: 1 << 22, offset: 77 << 3, shift: 3 },
            Requantise { bias: -99_999, multiplier: 12_345_678, offset: 1 << 9 | 40 << 10, shift: 10 },
        ];
        let words = parameters.map(|of| [of.bias, of.multiplier, of.offset, of.shift].map(|word| word as u32));
        for _ in 0..100 {
            let sums: Sums = core::array::from_fn(|_| core::array::from_fn(|_| next()));
            let expected: Outputs = core::array::from_fn(|tile| {
                core::array::from_fn(|at| {
                    u16::from_le_bytes([0, 1].map(|filter: usize| {
                        let term = |place: usize| {
                            A[at / 2][place / 4] * A[at % 2][place % 4] * i64::from(sums[place][2 * filter + tile])
                        };
                        parameters[filter].apply(((0..16).map(term).sum::<i64>() >> 2) as i32)
                    }))
                })
            });
            assert_eq!(finish(&sums, &words), expected);
            assert_eq!(portable(&sums, &words), expected);
        }
    }

    #[test]
    fn words_equal_the_definition() {
        let mut random = numbers();
        let mut next = || (random() as i32) >> 4;
        for shift in 1..=21 {
            let sums: [[i32; 2]; 4] = core::array::from_fn(|_| [next(), next()]);
            let channels: [Requantise; 4] = core::array::from_fn(|_| {
                let (bias, multiplier) = (next(), next() & 0x07ff_ffff);
                Requantise { bias, multiplier, offset: (shift << shift).min(1 << 29), shift }
            });
            let words = channels.map(|of| [of.bias, of.multiplier, of.offset, of.shift].map(|word| word as u32));
            let expected =
                [0, 1].map(|pixel| u32::from_le_bytes([0, 1, 2, 3].map(|c: usize| channels[c].apply(sums[c][pixel]))));
            assert_eq!(requantise(&sums, &words), expected);
            assert_eq!(portable_requantise(&sums, &words), expected);
        }
    }
}
