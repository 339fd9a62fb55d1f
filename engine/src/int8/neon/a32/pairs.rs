//! Convolutions over all channels: VMULL and VMLAL add products of bytes in pairs, in 16 bits, and VPADAL adds pairs of those
//! to the sums: three instructions for sixteen products.
//!
//! A tile is two pixels times sixteen channels, eight registers of sums. Two adjacent bytes of a pixel are repeated to fill a
//! register, and multiplied with two weights of each of four channels: then a sum is of one channel, and nothing is left to
//! add up at the end. Two products fit 16 bits unless both are of -128 and -128, so no weight may be -128.

use crate::all_registers::asm_of_all_registers;
use crate::int8::filters::Filters;
use crate::int8::kernel::{Geometry, Kernel};
use crate::int8::neon::requantise::Parameters;

/// Pixels of a tile.
const PIXELS: usize = 2;
/// Channels of a tile.
const CHANNELS: usize = 16;

/// A convolution over all channels.
pub(in crate::int8::neon) struct Pairs {
    at: Geometry,
    /// `[O / 16, rows, steps, 2, 16, 2]`: a step is four bytes of a run, padded with 0. A last block may have eight channels.
    weights: Vec<i8>,
    requantise: Vec<Parameters<CHANNELS>>,
    /// Steps of a run.
    steps: usize,
    /// Where each output pixel reads and is written, from the first, padded to whole tiles by the last.
    reads: Vec<u32>,
    writes: Vec<u32>,
}

impl Pairs {
    /// Packs the weights. `None` if one is -128.
    pub fn new(at: Geometry, filters: &Filters) -> Option<Self> {
        if filters.weights.contains(&i8::MIN) {
            return None;
        }
        let (rows, run) = at.window();
        let steps = run.div_ceil(4);
        let mut weights = Vec::new();
        for block in (0..filters.channels()).step_by(CHANNELS) {
            for (row, first) in (0..rows).flat_map(|row| (0..2 * steps).map(move |two| (row, 2 * two))) {
                for channel in block..filters.channels().min(block + CHANNELS) {
                    let filter = &filters.filter(channel)[row * run..][..run];
                    weights.extend((first..first + 2).map(|k| filter.get(k).copied().unwrap_or(0)));
                }
            }
        }
        let (reads, writes) = (at.from.offsets(at.stride, PIXELS), at.to.offsets(1, PIXELS));
        Some(Self { at, weights, requantise: Parameters::pack(&filters.requantise), steps, reads, writes })
    }

    /// # Safety
    /// The processor has NEON. The arena has the planes of `at` and the margin behind them. `ODD` says whether `steps` is odd.
    #[target_feature(enable = "neon")]
    unsafe fn run_tiles<const ODD: bool>(&self, arena: *mut i8) {
        let (rows, _) = self.at.window();
        // SAFETY: the window of every output pixel, and the pixel itself, lie in the arena. A run is read in steps, of which up
        // to three bytes reach into the margin. Tiles, blocks and parameters are those of `new`.
        unsafe {
            let (input, output) = (arena.add(self.at.first(0, 0)), arena.add(self.at.to.origin()));
            let (reads, writes) = (self.reads.as_chunks::<PIXELS>().0, self.writes.as_chunks::<PIXELS>().0);
            let shape = [rows, self.at.from.pitch(), self.steps];
            for (block, requantise) in self.requantise.iter().enumerate() {
                let first = CHANNELS * block;
                let weights = self.weights.as_ptr().add(first * rows * 4 * self.steps);
                let output = output.add(first);
                let is_half = self.at.to.channels - first < CHANNELS;
                for (reads, writes) in reads.iter().zip(writes) {
                    let pixels = reads.map(|at| input.add(at as usize).cast_const());
                    let writes = writes.map(|at| output.add(at as usize));
                    if is_half {
                        tile::<ODD, true>(pixels, writes, weights, requantise, shape);
                    } else {
                        tile::<ODD, false>(pixels, writes, weights, requantise, shape);
                    }
                }
            }
        }
    }
}

impl Kernel for Pairs {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        let arena = arena.as_mut_ptr().cast();
        // SAFETY: the kernel is made for processors with NEON only, and the arena is that of the plan.
        unsafe { if self.steps % 2 == 1 { self.run_tiles::<true>(arena) } else { self.run_tiles::<false>(arena) } }
    }

    fn packed(&self) -> usize {
        self.weights.len() + size_of_val(&self.requantise[..]) + 8 * self.reads.len()
    }
}

/// Computes two pixels of sixteen channels, or of eight if `HALF`.
///
/// * `shape`: rows, bytes between rows, steps in a run, an odd number if `ODD`
///
/// # Safety
/// Pixels, places and weights are there as [`Pairs::run_tiles`] says.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn tile<const ODD: bool, const HALF: bool>(
    [first, second]: [*const i8; PIXELS],
    [to_first, to_second]: [*mut i8; PIXELS],
    weights: *const i8,
    requantise: &Parameters<CHANNELS>,
    [rows, pitch, steps]: [usize; 3],
) {
    // The products of four bytes of a pixel, repeated in two registers, with the weights of eight channels, two registers for
    // the first two bytes and two for the last; and where they are added.
    macro_rules! eight_products {
        ($x:literal, $y:literal, $a:literal, $b:literal, $c:literal, $d:literal, $low:literal, $high:literal) => {
            concat!(
                concat!("vmull.s8 q2, ", $a, ", ", $x, "\n"),
                concat!("vmull.s8 q3, ", $b, ", ", $x, "\n"),
                concat!("vmlal.s8 q2, ", $c, ", ", $y, "\n"),
                concat!("vmlal.s8 q3, ", $d, ", ", $y, "\n"),
                concat!("vpadal.s16 ", $low, ", q2\n"),
                concat!("vpadal.s16 ", $high, ", q3\n"),
            )
        };
    }
    macro_rules! step {
        ($load:literal, $($eight:expr),+) => {
            concat!(
                "vld1.16 {{d0[]}}, [{first}]!\n",
                "vld1.16 {{d1[]}}, [{first}]!\n",
                $load,
                "vld1.16 {{d2[]}}, [{second}]!\n",
                "vld1.16 {{d3[]}}, [{second}]!\n",
                $($eight,)+
            )
        };
    }
    macro_rules! sixteen_channels {
        () => {
            step!(
                "vldmia {weights}!, {{q4-q7}}\n",
                eight_products!("d0", "d1", "d8", "d9", "d12", "d13", "q8", "q9"),
                eight_products!("d0", "d1", "d10", "d11", "d14", "d15", "q10", "q11"),
                eight_products!("d2", "d3", "d8", "d9", "d12", "d13", "q12", "q13"),
                eight_products!("d2", "d3", "d10", "d11", "d14", "d15", "q14", "q15")
            )
        };
    }
    macro_rules! eight_channels {
        () => {
            step!(
                "vldmia {weights}!, {{q4-q5}}\n",
                eight_products!("d0", "d1", "d8", "d9", "d10", "d11", "q8", "q9"),
                eight_products!("d2", "d3", "d8", "d9", "d10", "d11", "q12", "q13")
            )
        };
    }
    // An operation on sums of eight channels of both pixels.
    macro_rules! each {
        ($op:literal, $a:literal, $b:literal, $c:literal, $d:literal, $low:literal, $high:literal) => {
            concat!(
                concat!($op, " ", $a, ", ", $a, ", ", $low, "\n"),
                concat!($op, " ", $b, ", ", $b, ", ", $high, "\n"),
                concat!($op, " ", $c, ", ", $c, ", ", $low, "\n"),
                concat!($op, " ", $d, ", ", $d, ", ", $high, "\n"),
            )
        };
    }
    macro_rules! requantise_first {
        ($op:literal, $load:literal) => {
            concat!($load, each!($op, "q8", "q9", "q12", "q13", "q0", "q1"))
        };
    }
    macro_rules! requantise_all {
        ($op:literal, $load:literal) => {
            concat!(requantise_first!($op, $load), each!($op, "q10", "q11", "q14", "q15", "q2", "q3"))
        };
    }
    macro_rules! tile {
        ($enter:literal, $step:expr, $requantise:ident, $store:expr) => {
            // SAFETY: it reads and writes what the caller promised, and registers that are named.
            unsafe {
                asm_of_all_registers!(
                    "vldmia {requantise}, {{q8-q11}}",
                    "vldmia {requantise}!, {{q12-q15}}",
                    // Two steps at a time; an odd number begins with the second.
                    "2:",
                    "mov {left}, {steps}",
                    $enter,
                    "3:",
                    $step,
                    "4:",
                    $step,
                    "subs {left}, {left}, #1",
                    "bne 3b",
                    "add {first}, {first}, {next_row}",
                    "add {second}, {second}, {next_row}",
                    "subs {rows}, {rows}, #1",
                    "bne 2b",
                    $requantise!("vqdmulh.s32", "vldmia {requantise}!, {{q0-q3}}\n"),
                    $requantise!("vqadd.s32", "vldmia {requantise}!, {{q0-q3}}\n"),
                    $requantise!("vshl.s32", "vldmia {requantise}, {{q0-q3}}\n"),
                    $store,
                    requantise = inout(reg) &raw const *requantise => _,
                    steps = in(reg) steps.div_ceil(2),
                    left = out(reg) _,
                    first = inout(reg) first => _,
                    second = inout(reg) second => _,
                    weights = inout(reg) weights => _,
                    next_row = in(reg) pitch.wrapping_sub(4 * steps),
                    rows = inout(reg) rows => _,
                    to_first = in(reg) to_first,
                    to_second = in(reg) to_second,
                    options(nostack),
                )
            }
        };
    }
    macro_rules! narrow {
        ($($bytes:literal $low:literal $high:literal $from:literal $next:literal),+) => {
            concat!($(
                "vqmovn.s32 ", $low, ", ", $from, "\n",
                "vqmovn.s32 ", $high, ", ", $next, "\n",
                "vqmovn.s16 ", $bytes, ", ", $from, "\n",
            )+)
        };
    }
    macro_rules! store {
        ($first:literal, $second:literal) => {
            concat!("vst1.8 {{", $first, "}}, [{to_first}]\n", "vst1.8 {{", $second, "}}, [{to_second}]\n")
        };
    }
    macro_rules! sixteen {
        ($enter:literal) => {
            tile!(
                $enter,
                sixteen_channels!(),
                requantise_all,
                concat!(
                    narrow!("d16" "d16" "d17" "q8" "q9", "d17" "d20" "d21" "q10" "q11"),
                    narrow!("d24" "d24" "d25" "q12" "q13", "d25" "d28" "d29" "q14" "q15"),
                    store!("d16-d17", "d24-d25")
                )
            )
        };
    }
    macro_rules! eight {
        ($enter:literal) => {
            tile!(
                $enter,
                eight_channels!(),
                requantise_first,
                concat!(
                    narrow!("d16" "d16" "d17" "q8" "q9", "d24" "d24" "d25" "q12" "q13"),
                    store!("d16", "d24")
                )
            )
        };
    }
    match (ODD, HALF) {
        (false, false) => sixteen!(""),
        (true, false) => sixteen!("b 4f"),
        (false, true) => eight!(""),
        (true, true) => eight!("b 4f"),
    }
}
