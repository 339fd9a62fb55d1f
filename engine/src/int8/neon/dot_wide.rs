//! As [`super::dot`], in tiles of four pixels times sixteen channels, for runs of a multiple of 32 bytes: two registers of a
//! pixel and two of weights are loaded at once, 20 loads for 128 SDOT.

use core::arch::aarch64::{int32x4_t, vcombine_s8, vld1q_s32, vst1q_s8};
use core::arch::asm;

use super::lanes::{Lanes, eight};
use super::requantise::Four;
use crate::int8::filters::Filters;
use crate::int8::kernel::{Geometry, Kernel};

/// Pixels of a tile.
const PIXELS: usize = 4;
/// Channels of a tile.
const CHANNELS: usize = 16;
/// Bytes of a pixel in a step.
const STEP: usize = 32;

/// A convolution over all channels.
pub(super) struct WideDot {
    at: Geometry,
    /// `[O / 16, K / 4, 16, 4]`.
    weights: Vec<i8>,
    requantise: Vec<Four>,
    /// Where each output pixel reads and is written, from the first, padded to whole tiles by the last.
    reads: Vec<u32>,
    writes: Vec<u32>,
}

impl WideDot {
    /// Packs the weights. `None` if the runs or channels do not fill tiles.
    pub fn new(at: Geometry, filters: &Filters) -> Option<Self> {
        let (rows, run) = at.window();
        if !run.is_multiple_of(STEP) || !filters.channels().is_multiple_of(CHANNELS) {
            return None;
        }
        let mut weights = Vec::with_capacity(filters.weights.len());
        for block in (0..filters.channels()).step_by(CHANNELS) {
            for lane in (0..rows * run).step_by(4) {
                (block..block + CHANNELS).for_each(|channel| weights.extend(&filters.filter(channel)[lane..lane + 4]));
            }
        }
        let (reads, writes) = (at.from.offsets(at.stride, PIXELS), at.to.offsets(1, PIXELS));
        Some(Self { at, weights, requantise: Four::pack(&filters.requantise), reads, writes })
    }
}

impl Kernel for WideDot {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        let (rows, run) = self.at.window();
        let (steps, gap) = (run / STEP, self.at.from.pitch().wrapping_sub(run));
        let arena = arena.as_mut_ptr().cast::<i8>();
        // SAFETY: the kernel is made for processors with SDOT only. The arena is that of the plan, where the window of every
        // output pixel and the pixel itself lie. Tiles, blocks and parameters are those of `new`.
        unsafe {
            let (input, output) = (arena.add(self.at.first(0, 0)), arena.add(self.at.to.origin()));
            let (reads, writes) = (self.reads.as_chunks::<PIXELS>().0, self.writes.as_chunks::<PIXELS>().0);
            for (reads, writes) in reads.iter().zip(writes) {
                let pixels = reads.map(|at| input.add(at as usize).cast_const());
                let mut to = writes.map(|at| output.add(at as usize));
                let mut weights = self.weights.as_ptr();
                for requantise in self.requantise.as_chunks::<4>().0 {
                    let mut sums = [[vld1q_s32(requantise[0].bias.as_ptr()); 4]; PIXELS];
                    for (four, requantise) in requantise.iter().enumerate() {
                        let bias = vld1q_s32(requantise.bias.as_ptr());
                        sums.iter_mut().for_each(|sums| sums[four] = bias);
                    }
                    weights = products(&mut sums, pixels, weights, [rows, steps, gap]);
                    let low = [Lanes::load(&requantise[0]), Lanes::load(&requantise[1])];
                    let high = [Lanes::load(&requantise[2]), Lanes::load(&requantise[3])];
                    for ([a, b, c, d], to) in sums.into_iter().zip(&mut to) {
                        vst1q_s8(*to, vcombine_s8(eight(&low, [a, b]), eight(&high, [c, d])));
                        *to = to.add(CHANNELS);
                    }
                }
            }
        }
    }

    fn packed(&self) -> usize {
        self.weights.len() + size_of_val(&self.requantise[..]) + 8 * self.reads.len()
    }
}

/// Products of one lane: of element `$lane` of the four pixels in `$x`, with the weights in `$w`.
macro_rules! lane {
    ($lane:literal; $($w:literal)*; $x0:literal $x1:literal $x2:literal $x3:literal) => {
        concat!(
            lane!(@ $lane $x0; "0" "1" "2" "3"; $($w)*),
            lane!(@ $lane $x1; "4" "5" "6" "7"; $($w)*),
            lane!(@ $lane $x2; "8" "9" "10" "11"; $($w)*),
            lane!(@ $lane $x3; "12" "13" "14" "15"; $($w)*),
        )
    };
    (@ $lane:literal $x:literal; $($sum:literal)*; $($w:literal)*) => {
        concat!($("sdot v", $sum, ".4s, v", $w, ".16b, v", $x, ".4b[", $lane, "]\n"),*)
    };
}

/// Products of sixteen bytes of the pixels in `$x`. The weights of a lane are loaded while those of the one before are used.
macro_rules! sixteen {
    ($($x:literal)*) => {
        concat!(
            "ldp q24, q25, [{weights}], #32\n ldp q26, q27, [{weights}], #32\n",
            "ldp q28, q29, [{weights}], #32\n ldp q30, q31, [{weights}], #32\n",
            lane!("0"; "24" "25" "26" "27"; $($x)*),
            "ldp q24, q25, [{weights}], #32\n ldp q26, q27, [{weights}], #32\n",
            lane!("1"; "28" "29" "30" "31"; $($x)*),
            "ldp q28, q29, [{weights}], #32\n ldp q30, q31, [{weights}], #32\n",
            lane!("2"; "24" "25" "26" "27"; $($x)*),
            lane!("3"; "28" "29" "30" "31"; $($x)*),
        )
    };
}

/// Adds all products of four pixels and sixteen channels. Returns the weights of the next channels.
///
/// * `shape`: rows, steps of a run, bytes from the end of a run to the next
///
/// # Safety
/// The processor has SDOT; the pixels and `16 × rows × steps × 32` weights can be read.
#[inline(always)]
unsafe fn products(
    sums: &mut [[int32x4_t; 4]; PIXELS],
    pixels: [*const i8; PIXELS],
    weights: *const i8,
    [rows, steps, gap]: [usize; 3],
) -> *const i8 {
    let [a, b, c, d] = pixels;
    let mut next = weights;
    // SAFETY: the caller's. The loops run `rows` and `steps` times, each at least once.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "2:",
            "mov {step}, {steps}",
            "3:",
            "ldp q16, q17, [{a}], #32",
            "ldp q18, q19, [{b}], #32",
            "ldp q20, q21, [{c}], #32",
            "ldp q22, q23, [{d}], #32",
            sixteen!("16" "18" "20" "22"),
            sixteen!("17" "19" "21" "23"),
            "subs {step}, {step}, #1",
            "b.ne 3b",
            "add {a}, {a}, {gap}",
            "add {b}, {b}, {gap}",
            "add {c}, {c}, {gap}",
            "add {d}, {d}, {gap}",
            "subs {rows}, {rows}, #1",
            "b.ne 2b",
            a = inout(reg) a => _, b = inout(reg) b => _, c = inout(reg) c => _, d = inout(reg) d => _,
            weights = inout(reg) next, rows = inout(reg) rows => _, steps = in(reg) steps, gap = in(reg) gap,
            step = out(reg) _,
            inout("v0") sums[0][0], inout("v1") sums[0][1], inout("v2") sums[0][2], inout("v3") sums[0][3],
            inout("v4") sums[1][0], inout("v5") sums[1][1], inout("v6") sums[1][2], inout("v7") sums[1][3],
            inout("v8") sums[2][0], inout("v9") sums[2][1], inout("v10") sums[2][2], inout("v11") sums[2][3],
            inout("v12") sums[3][0], inout("v13") sums[3][1], inout("v14") sums[3][2], inout("v15") sums[3][3],
            out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _, out("v22") _,
            out("v23") _, out("v24") _, out("v25") _, out("v26") _, out("v27") _, out("v28") _, out("v29") _,
            out("v30") _, out("v31") _,
            options(pure, readonly, nostack),
        );
    }
    next
}
