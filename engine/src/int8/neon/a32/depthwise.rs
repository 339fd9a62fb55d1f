//! 3×3 convolutions of each channel alone, for eight channels of four neighbouring pixels at a time.
//!
//! Two products of bytes are added in 16 bits, which holds them unless two weights are -128 (products of -128 and -128), and
//! then to the sums.

use crate::all_registers::asm_of_all_registers;
use crate::int8::filters::Filters;
use crate::int8::kernel::{Geometry, Kernel};
use crate::int8::neon::requantise::Parameters;

/// Channels of a block.
const CHANNELS: usize = 8;
/// Pixels of a tile.
const PIXELS: usize = 4;

/// Eight channels, in the order in which they are read.
#[repr(C)]
struct Block {
    /// By tap, and one of zeros.
    weights: [[i8; CHANNELS]; 10],
    requantise: Parameters<CHANNELS>,
}

/// A 3×3 convolution of each channel alone.
pub(in crate::int8::neon) struct Depthwise {
    at: Geometry,
    blocks: Vec<Block>,
}

impl Depthwise {
    /// Packs the weights. `None` if two products might not fit 16 bits.
    pub fn new(at: Geometry, filters: &Filters) -> Option<Self> {
        if filters.weights.contains(&i8::MIN) {
            return None;
        }
        let channels = filters.channels();
        let block = |(block, requantise): (usize, Parameters<CHANNELS>)| {
            let mut weights = [[0; CHANNELS]; 10];
            for (tap, weights) in weights[..9].iter_mut().enumerate() {
                weights.copy_from_slice(&filters.weights[tap * channels + block * CHANNELS..][..CHANNELS]);
            }
            Block { weights, requantise }
        };
        Some(Self { at, blocks: Parameters::pack(&filters.requantise).into_iter().enumerate().map(block).collect() })
    }

    /// # Safety
    /// The processor has NEON. The arena has the planes of `at` and the margin behind them.
    #[target_feature(enable = "neon")]
    unsafe fn run_blocks<const STRIDE: usize>(&self, arena: *mut i8) {
        let Geometry { from, to, .. } = self.at;
        for (index, block) in self.blocks.iter().enumerate() {
            for row in 0..to.height {
                // SAFETY: windows and pixels lie in the arena. With fewer pixels than a tile has, what is read behind the
                // last one is in the margin, and only what is made of the others is stored.
                unsafe {
                    let input = |column: usize| arena.add(self.at.first(row, column) + CHANNELS * index).cast_const();
                    let output = arena.add(to.pixel(row, 0) + CHANNELS * index);
                    let steps = [from.pitch(), from.channels];
                    if to.width < PIXELS {
                        let mut all = [[0; CHANNELS]; PIXELS];
                        tile::<STRIDE>(block, input(0), steps, all.as_mut_ptr().cast(), CHANNELS);
                        for (column, pixel) in all[..to.width].iter().enumerate() {
                            output.add(column * to.channels).cast::<[i8; CHANNELS]>().write(*pixel);
                        }
                        continue;
                    }
                    for column in (0..to.width).step_by(PIXELS) {
                        // The last tile may repeat pixels of the one before.
                        let column = column.min(to.width - PIXELS);
                        tile::<STRIDE>(block, input(column), steps, output.add(column * to.channels), to.channels);
                    }
                }
            }
        }
    }
}

impl Kernel for Depthwise {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        let arena = arena.as_mut_ptr().cast();
        // SAFETY: the kernel is made for processors with NEON only, and the arena is that of the plan.
        unsafe { if self.at.stride == 1 { self.run_blocks::<1>(arena) } else { self.run_blocks::<2>(arena) } }
    }

    fn packed(&self) -> usize {
        size_of_val(&self.blocks[..])
    }
}

/// Computes eight channels of four neighbouring pixels.
///
/// * `steps`: bytes from an input row to the next, of an input pixel
/// * `made`: bytes of an output pixel
///
/// # Safety
/// As [`Depthwise::run_blocks`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn tile<const STRIDE: usize>(
    block: &Block,
    input: *const i8,
    [pitch, pixel]: [usize; 2],
    output: *mut i8,
    made: usize,
) {
    // Reads a column of the first two rows, or of the third.
    macro_rules! load_two {
        () => {
            "vld1.8 {{d12}}, [{first}], {pixel}\nvld1.8 {{d13}}, [{second}], {pixel}\n"
        };
    }
    macro_rules! load {
        ($at:literal) => {
            concat!("vld1.8 {{", $at, "}}, [{third}], {pixel}\n")
        };
    }
    // Adds two products to eight sums of a pixel.
    macro_rules! add_two {
        ($x:literal $w:literal, $y:literal $v:literal, $low:literal, $high:literal) => {
            concat!(
                concat!("vmull.s8 q5, ", $x, ", ", $w, "\n"),
                concat!("vmlal.s8 q5, ", $y, ", ", $v, "\n"),
                concat!("vaddw.s16 ", $low, ", ", $low, ", d10\n"),
                concat!("vaddw.s16 ", $high, ", ", $high, ", d11\n"),
            )
        };
    }
    macro_rules! add_one {
        ($x:literal, $low:literal, $high:literal) => {
            concat!(
                concat!("vmull.s8 q5, ", $x, ", d8\n"),
                concat!("vaddw.s16 ", $low, ", ", $low, ", d10\n"),
                concat!("vaddw.s16 ", $high, ", ", $high, ", d11\n"),
            )
        };
    }
    // A column of the first two rows, with the weights of one of their columns.
    macro_rules! left {
        ($low:literal, $high:literal) => {
            add_two!("d12" "d0", "d13" "d3", $low, $high)
        };
    }
    macro_rules! middle {
        ($low:literal, $high:literal) => {
            add_two!("d12" "d1", "d13" "d4", $low, $high)
        };
    }
    macro_rules! right {
        ($low:literal, $high:literal) => {
            add_two!("d12" "d2", "d13" "d5", $low, $high)
        };
    }
    // The third row of a pixel, of which three columns are read.
    macro_rules! third {
        ($a:literal, $b:literal, $c:literal, $low:literal, $high:literal) => {
            concat!(add_two!($a "d6", $b "d7", $low, $high), add_one!($c, $low, $high))
        };
    }
    macro_rules! each {
        ($op:literal, $low:literal, $high:literal) => {
            concat!(
                concat!($op, " q8, q8, ", $low, "\n"),
                concat!($op, " q9, q9, ", $high, "\n"),
                concat!($op, " q10, q10, ", $low, "\n"),
                concat!($op, " q11, q11, ", $high, "\n"),
                concat!($op, " q12, q12, ", $low, "\n"),
                concat!($op, " q13, q13, ", $high, "\n"),
                concat!($op, " q14, q14, ", $low, "\n"),
                concat!($op, " q15, q15, ", $high, "\n"),
            )
        };
    }
    macro_rules! store {
        ($low:literal, $high:literal, $first:literal, $second:literal) => {
            concat!(
                concat!("vqmovn.s32 ", $first, ", ", $low, "\n"),
                concat!("vqmovn.s32 ", $second, ", ", $high, "\n"),
                concat!("vqmovn.s16 ", $first, ", ", $low, "\n"),
                concat!("vst1.8 {{", $first, "}}, [{output}], {made}\n"),
            )
        };
    }
    macro_rules! tile {
        ($($sums:expr),+ $(,)?) => {
            // SAFETY: it reads and writes what the caller promised, and registers that are named.
            unsafe {
                asm_of_all_registers!(
                    "vldmia {block}!, {{d0-d9}}",
                    "vldmia {block}, {{q8-q9}}",
                    "vldmia {block}, {{q10-q11}}",
                    "vldmia {block}, {{q12-q13}}",
                    "vldmia {block}!, {{q14-q15}}",
                    $($sums,)+
                    "vldmia {block}, {{q0-q5}}",
                    each!("vqdmulh.s32", "q0", "q1"),
                    each!("vqadd.s32", "q2", "q3"),
                    each!("vshl.s32", "q4", "q5"),
                    store!("q8", "q9", "d16", "d17"),
                    store!("q10", "q11", "d20", "d21"),
                    store!("q12", "q13", "d24", "d25"),
                    store!("q14", "q15", "d28", "d29"),
                    block = inout(reg) &raw const *block => _,
                    first = inout(reg) input => _,
                    second = inout(reg) input.wrapping_add(pitch) => _,
                    third = inout(reg) input.wrapping_add(2 * pitch) => _,
                    pixel = in(reg) pixel,
                    output = inout(reg) output => _,
                    made = in(reg) made,
                    options(nostack, preserves_flags),
                )
            }
        };
    }
    match STRIDE {
        1 => tile!(
            load_two!(),
            left!("q8", "q9"),
            load_two!(),
            middle!("q8", "q9"),
            left!("q10", "q11"),
            load_two!(),
            right!("q8", "q9"),
            middle!("q10", "q11"),
            left!("q12", "q13"),
            load_two!(),
            right!("q10", "q11"),
            middle!("q12", "q13"),
            left!("q14", "q15"),
            load_two!(),
            right!("q12", "q13"),
            middle!("q14", "q15"),
            load_two!(),
            right!("q14", "q15"),
            load!("d12"),
            load!("d13"),
            load!("d14"),
            third!("d12", "d13", "d14", "q8", "q9"),
            load!("d12"),
            third!("d13", "d14", "d12", "q10", "q11"),
            load!("d13"),
            third!("d14", "d12", "d13", "q12", "q13"),
            load!("d14"),
            third!("d12", "d13", "d14", "q14", "q15"),
        ),
        _ => tile!(
            load_two!(),
            left!("q8", "q9"),
            load_two!(),
            middle!("q8", "q9"),
            load_two!(),
            right!("q8", "q9"),
            left!("q10", "q11"),
            load_two!(),
            middle!("q10", "q11"),
            load_two!(),
            right!("q10", "q11"),
            left!("q12", "q13"),
            load_two!(),
            middle!("q12", "q13"),
            load_two!(),
            right!("q12", "q13"),
            left!("q14", "q15"),
            load_two!(),
            middle!("q14", "q15"),
            load_two!(),
            right!("q14", "q15"),
            load!("d12"),
            load!("d13"),
            load!("d14"),
            third!("d12", "d13", "d14", "q8", "q9"),
            load!("d12"),
            load!("d13"),
            third!("d14", "d12", "d13", "q10", "q11"),
            load!("d14"),
            load!("d12"),
            third!("d13", "d14", "d12", "q12", "q13"),
            load!("d13"),
            load!("d14"),
            third!("d12", "d13", "d14", "q14", "q15"),
        ),
    }
}
