//! Convolutions over all channels without dot products: SMULL and SMLAL2 add products of bytes in pairs, in 16 bits, and
//! SADALP adds pairs of those to the sums: three instructions for sixteen products.
//!
//! A tile is four pixels times four channels, a register of partial sums each, added up at its end. Two products fit 16
//! bits unless both are of -128 and -128, so no weight may be -128.

use core::arch::aarch64::{
    int8x16_t, int32x4_t, vaddq_s32, vdupq_n_s32, vget_low_s8, vld1_s8, vld1q_s8, vld1q_s32, vmlal_high_s8, vmull_s8,
    vpadalq_s16, vpaddq_s32, vreinterpret_s32_s8, vst1_lane_s32,
};

use super::lanes::{Lanes, pair};
use super::requantise::Four;
use crate::int8::filters::Filters;
use crate::int8::kernel::{Geometry, Kernel};

/// Pixels of a tile, and channels of a tile.
const SIDE: usize = 4;

/// A convolution over all channels.
pub(super) struct Pairs {
    at: Geometry,
    /// `[O / 4, rows, steps, 4, 16]`, padded with 0; a last half step, `[4, 8]`, if so many bytes of a run remain.
    weights: Vec<i8>,
    requantise: Vec<Four>,
    /// Steps of sixteen bytes of a run.
    steps: usize,
    /// Whether half a step follows.
    half: bool,
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
        let half = (1..=8).contains(&(run % 16));
        let steps = if half { run / 16 } else { run.div_ceil(16) };
        let mut weights = Vec::new();
        for block in (0..filters.channels()).step_by(SIDE) {
            for row in 0..rows {
                for step in 0..steps + usize::from(half) {
                    let len = if step == steps { 8 } else { 16 };
                    for channel in block..block + SIDE {
                        let filter = &filters.filter(channel)[row * run..][..run];
                        weights.extend((16 * step..16 * step + len).map(|k| filter.get(k).copied().unwrap_or(0)));
                    }
                }
            }
        }
        let (reads, writes) = (at.from.offsets(at.stride, SIDE), at.to.offsets(1, SIDE));
        Some(Self { at, weights, requantise: Four::pack(&filters.requantise), steps, half, reads, writes })
    }

    /// # Safety
    /// The arena has the planes of `at` and the margin behind them. `HALF` is `half`.
    unsafe fn run_tiles<const HALF: bool>(&self, arena: *mut i8) {
        let (rows, _) = self.at.window();
        let block_len = SIDE * rows * (16 * self.steps + if HALF { 8 } else { 0 });
        // SAFETY: the window of every output pixel, and the pixel itself, lie in the arena. A run is read in steps, of
        // which up to 15 bytes reach into the margin. Tiles, blocks and parameters are those of `new`.
        unsafe {
            let (input, output) = (arena.add(self.at.first(0, 0)), arena.add(self.at.to.origin()));
            let (reads, writes) = (self.reads.as_chunks::<SIDE>().0, self.writes.as_chunks::<SIDE>().0);
            for (reads, writes) in reads.iter().zip(writes) {
                let pixels = reads.map(|at| input.add(at as usize).cast_const());
                let writes = writes.map(|at| output.add(at as usize));
                let mut weights = self.weights.as_ptr();
                for (block, requantise) in self.requantise.iter().enumerate() {
                    let sums = tile::<HALF>(pixels, weights, [rows, self.at.from.pitch(), self.steps]);
                    let (bias, lanes) = (vld1q_s32(requantise.bias.as_ptr()), Lanes::load(requantise));
                    let narrow = sums.map(|[a, b, c, d]| {
                        let sum = vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
                        lanes.narrow(vaddq_s32(sum, bias))
                    });
                    for two in 0..2 {
                        let bytes = vreinterpret_s32_s8(pair(narrow[2 * two], narrow[2 * two + 1]));
                        vst1_lane_s32::<0>(writes[2 * two].add(SIDE * block).cast(), bytes);
                        vst1_lane_s32::<1>(writes[2 * two + 1].add(SIDE * block).cast(), bytes);
                    }
                    weights = weights.add(block_len);
                }
            }
        }
    }
}

impl Kernel for Pairs {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        let arena = arena.as_mut_ptr().cast();
        // SAFETY: the arena is that of the plan.
        unsafe { if self.half { self.run_tiles::<true>(arena) } else { self.run_tiles::<false>(arena) } }
    }

    fn packed(&self) -> usize {
        self.weights.len() + size_of_val(&self.requantise[..]) + 8 * self.reads.len()
    }
}

/// Adds sixteen products, in four parts.
#[inline(always)]
fn add_sixteen(sum: &mut int32x4_t, x: int8x16_t, w: int8x16_t) {
    // SAFETY: every AArch64 processor has these instructions.
    unsafe {
        let two = vmlal_high_s8(vmull_s8(vget_low_s8(x), vget_low_s8(w)), x, w);
        *sum = vpadalq_s16(*sum, two);
    }
}

/// The sums of four pixels, of four channels each, in four parts.
///
/// * `shape`: rows, bytes between rows, whole steps in a run
///
/// # Safety
/// Pixels and weights can be read as [`Pairs::run_tiles`] says.
#[inline(always)]
unsafe fn tile<const HALF: bool>(
    pixels: [*const i8; SIDE],
    mut weights: *const i8,
    [rows, pitch, steps]: [usize; 3],
) -> [[int32x4_t; SIDE]; SIDE] {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [[vdupq_n_s32(0); SIDE]; SIDE];
        for row in 0..rows {
            let mut at = row * pitch;
            for _ in 0..steps {
                let w: [int8x16_t; SIDE] = core::array::from_fn(|channel| vld1q_s8(weights.add(16 * channel)));
                for (sums, pixel) in sums.iter_mut().zip(pixels) {
                    let x = vld1q_s8(pixel.add(at));
                    sums.iter_mut().zip(w).for_each(|(sum, w)| add_sixteen(sum, x, w));
                }
                weights = weights.add(16 * SIDE);
                at += 16;
            }
            if HALF {
                for (sums, pixel) in sums.iter_mut().zip(pixels) {
                    let x = vld1_s8(pixel.add(at));
                    for (channel, sum) in sums.iter_mut().enumerate() {
                        *sum = vpadalq_s16(*sum, vmull_s8(x, vld1_s8(weights.add(8 * channel))));
                    }
                }
                weights = weights.add(8 * SIDE);
            }
        }
        sums
    }
}
