//! Convolutions over all channels with SDOT, which adds four products of bytes to each of four sums.
//!
//! A tile is eight pixels times eight channels, sixteen registers of sums. What a pixel reads is a few runs of adjacent
//! bytes (three rows of three pixels, or one pixel), so there is no copy of the input: each of the eight pixels has a
//! pointer, and all share the offset. SDOT by element multiplies four bytes of a pixel with those of four channels.

use core::arch::aarch64::{int8x16_t, int32x4_t, vld1q_s8, vld1q_s32, vst1_s8};
use core::arch::asm;

use super::lanes::{Lanes, eight};
use super::requantise::Four;
use crate::int8::filters::Filters;
use crate::int8::kernel::{Geometry, Kernel};

/// Pixels of a tile.
const PIXELS: usize = 8;
/// Channels of a tile.
const CHANNELS: usize = 8;

/// A convolution over all channels.
pub(super) struct Dot {
    at: Geometry,
    /// `[O / 8, rows, lanes, 8, 4]`: a lane is four adjacent bytes of a run, the last ones padded with 0.
    weights: Vec<i8>,
    requantise: Vec<Four>,
    /// Lanes of a run.
    lanes: usize,
    /// Where each output pixel reads and is written, from the first, padded to whole tiles by the last.
    reads: Vec<u32>,
    writes: Vec<u32>,
}

impl Dot {
    /// Packs the weights.
    pub fn new(at: Geometry, filters: &Filters) -> Self {
        let (rows, run) = at.window();
        let lanes = run.div_ceil(4);
        let mut weights = Vec::with_capacity(filters.channels() * rows * lanes * 4);
        for block in (0..filters.channels()).step_by(CHANNELS) {
            for (row, lane) in (0..rows).flat_map(|row| (0..lanes).map(move |lane| (row, lane))) {
                for channel in block..block + CHANNELS {
                    let filter = &filters.filter(channel)[row * run..][..run];
                    weights.extend((4 * lane..4 * lane + 4).map(|k| filter.get(k).copied().unwrap_or(0)));
                }
            }
        }
        let (reads, writes) = (at.from.offsets(at.stride, PIXELS), at.to.offsets(1, PIXELS));
        Self { at, weights, requantise: Four::pack(&filters.requantise), lanes, reads, writes }
    }

    /// # Safety
    /// The processor has SDOT. The arena has the planes of `at` and the margin behind them.
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn run_tiles<const TAIL: usize>(&self, arena: *mut u8) {
        let (rows, _) = self.at.window();
        let block_len = CHANNELS * 4 * rows * self.lanes;
        // SAFETY: the window of every output pixel, and the pixel itself, lie in the arena. A run is read in steps of 16
        // bytes, of which up to 15 reach into the margin. Tiles, blocks and parameters are those of `new`.
        unsafe {
            let input = arena.add(self.at.first(0, 0)).cast::<i8>();
            let output = arena.add(self.at.to.origin()).cast::<i8>();
            let (reads, writes) = (self.reads.as_chunks::<PIXELS>().0, self.writes.as_chunks::<PIXELS>().0);
            for (reads, writes) in reads.iter().zip(writes) {
                let pixels = reads.map(|at| input.add(at as usize).cast_const());
                let mut weights = self.weights.as_ptr();
                let mut to = output;
                for requantise in self.requantise.as_chunks::<2>().0 {
                    let sums = tile::<TAIL>(pixels, weights, requantise, [rows, self.at.from.pitch(), self.lanes / 4]);
                    let lanes = [Lanes::load(&requantise[0]), Lanes::load(&requantise[1])];
                    for (sums, &at) in sums.into_iter().zip(writes) {
                        vst1_s8(to.add(at as usize), eight(&lanes, sums));
                    }
                    weights = weights.add(block_len);
                    to = to.add(CHANNELS);
                }
            }
        }
    }
}

impl Kernel for Dot {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        let arena = arena.as_mut_ptr();
        // SAFETY: the kernel is made for processors with SDOT only, and the arena is that of the plan.
        unsafe {
            match self.lanes % 4 {
                0 => self.run_tiles::<0>(arena),
                1 => self.run_tiles::<1>(arena),
                2 => self.run_tiles::<2>(arena),
                _ => self.run_tiles::<3>(arena),
            }
        }
    }

    fn packed(&self) -> usize {
        self.weights.len() + size_of_val(&self.requantise[..]) + 8 * self.reads.len()
    }
}

/// `sum + weights · four bytes of x`, those of element `LANE`, in each of four channels.
///
/// # Safety
/// The processor has SDOT.
#[inline(always)]
unsafe fn sdot<const LANE: i32>(mut sum: int32x4_t, weights: int8x16_t, x: int8x16_t) -> int32x4_t {
    // SAFETY: an instruction on registers.
    unsafe {
        asm!(".arch_extension dotprod", "sdot {sum:v}.4s, {weights:v}.16b, {x:v}.4b[{lane}]",
            sum = inout(vreg) sum, weights = in(vreg) weights, x = in(vreg) x, lane = const LANE,
            options(pure, nomem, nostack, preserves_flags));
    }
    sum
}

type Sums = [[int32x4_t; 2]; PIXELS];

/// Adds the products of one lane.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
unsafe fn lane<const LANE: i32>(sums: &mut Sums, x: &[int8x16_t; PIXELS], weights: *const i8) {
    // SAFETY: 32 weights of a lane.
    unsafe {
        let (low, high) = (vld1q_s8(weights), vld1q_s8(weights.add(16)));
        for (sums, x) in sums.iter_mut().zip(x) {
            sums[0] = sdot::<LANE>(sums[0], low, *x);
            sums[1] = sdot::<LANE>(sums[1], high, *x);
        }
    }
}

/// The sums of eight pixels and eight channels.
///
/// * `shape`: rows, bytes between rows, steps of four lanes in a run; `TAIL` lanes follow
///
/// # Safety
/// The processor has SDOT. Pixels and weights can be read as [`Dot::run_tiles`] says.
#[inline(always)]
unsafe fn tile<const TAIL: usize>(
    pixels: [*const i8; PIXELS],
    mut weights: *const i8,
    requantise: &[Four; 2],
    [rows, pitch, steps]: [usize; 3],
) -> Sums {
    // SAFETY: the caller's.
    unsafe {
        let bias = [vld1q_s32(requantise[0].bias.as_ptr()), vld1q_s32(requantise[1].bias.as_ptr())];
        let mut sums = [bias; PIXELS];
        for row in 0..rows {
            let mut at = row * pitch;
            for _ in 0..steps {
                let x = pixels.map(|pixel| vld1q_s8(pixel.add(at)));
                lane::<0>(&mut sums, &x, weights);
                lane::<1>(&mut sums, &x, weights.add(32));
                lane::<2>(&mut sums, &x, weights.add(64));
                lane::<3>(&mut sums, &x, weights.add(96));
                weights = weights.add(128);
                at += 16;
            }
            if TAIL > 0 {
                let x = pixels.map(|pixel| vld1q_s8(pixel.add(at)));
                lane::<0>(&mut sums, &x, weights);
                if TAIL > 1 {
                    lane::<1>(&mut sums, &x, weights.add(32));
                }
                if TAIL > 2 {
                    lane::<2>(&mut sums, &x, weights.add(64));
                }
                weights = weights.add(32 * TAIL);
            }
        }
        sums
    }
}
