//! Convolutions over all channels with VPDPBUSD, which adds four products of bytes to each of sixteen sums.
//!
//! A tile is eight pixels times 32 channels: four bytes of a pixel, broadcast, are multiplied with those of all channels.

use core::arch::x86_64::{__m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32};

use super::pack::{PIXELS, Packed, store};
use super::requantise::CHANNELS;
use crate::int8::filters::Filters;
use crate::int8::kernel::{Geometry, Kernel};

/// Weights of a lane.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Lane([[i8; 4]; CHANNELS]);

/// A convolution over all channels.
pub(super) struct Vnni(Packed<Lane>);

impl Vnni {
    /// Packs the weights.
    pub fn new(at: Geometry, filters: &Filters) -> Self {
        Self(Packed::new(at, filters, Lane))
    }

    /// # Safety
    /// The arena has the planes of the geometry and the margin behind them.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn run_tiles(&self, arena: *mut u8) {
        let Packed { at, channels, .. } = &self.0;
        let blocks = self.0.requantise.len();
        // SAFETY: the window of every output pixel and the pixel itself lie in the arena. The last lane of a run may reach
        // three bytes into the margin.
        unsafe {
            let (input, output) = (arena.add(at.first(0, 0)), arena.add(at.to.origin()));
            let (reads, writes) = (self.0.reads.as_chunks::<PIXELS>().0, self.0.writes.as_chunks::<PIXELS>().0);
            for (reads, writes) in reads.iter().zip(writes) {
                let pixels = reads.map(|at| input.add(at as usize).cast_const());
                let mut block = 0;
                while block < blocks {
                    // An odd block is alone, and so is one of which half is stored.
                    let is_pair = block + 2 <= blocks && channels - CHANNELS * block >= 2 * CHANNELS;
                    if is_pair {
                        self.tile::<2>(pixels, block, output, writes);
                    } else {
                        self.tile::<1>(pixels, block, output, writes);
                    }
                    block += if is_pair { 2 } else { 1 };
                }
            }
        }
    }

    /// Computes `N` blocks of channels of eight pixels.
    ///
    /// # Safety
    /// As [`Self::run_tiles`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    #[inline]
    unsafe fn tile<const N: usize>(
        &self,
        pixels: [*const u8; PIXELS],
        block: usize,
        output: *mut u8,
        writes: &[u32; PIXELS],
    ) {
        let Packed { at, weights, requantise, lanes, channels, .. } = &self.0;
        let (rows, _) = at.window();
        let requantise = &requantise[block..block + N];
        // SAFETY: the caller's, and each block has `rows × lanes` lanes.
        unsafe {
            let mut bias = [_mm512_set1_epi32(0); N];
            for (bias, of) in bias.iter_mut().zip(requantise) {
                *bias = _mm512_loadu_si512(of.bias.as_ptr().cast());
            }
            let mut sums = [bias; PIXELS];
            let mut weights = weights.as_ptr().add(block * rows * lanes);
            for row in 0..rows {
                let mut from = row * at.from.pitch();
                for _ in 0..*lanes {
                    let mut w: [__m512i; N] = [_mm512_set1_epi32(0); N];
                    for (n, w) in w.iter_mut().enumerate() {
                        *w = _mm512_loadu_si512(weights.add(n * rows * lanes).cast());
                    }
                    for (sums, pixel) in sums.iter_mut().zip(pixels) {
                        let x = _mm512_set1_epi32(pixel.add(from).cast::<i32>().read_unaligned());
                        for (sum, w) in sums.iter_mut().zip(w) {
                            *sum = _mm512_dpbusd_epi32(*sum, x, w);
                        }
                    }
                    weights = weights.add(1);
                    from += 4;
                }
            }
            for (sums, &to) in sums.into_iter().zip(writes) {
                for (n, (sum, of)) in sums.into_iter().zip(requantise).enumerate() {
                    let first = (block + n) * CHANNELS;
                    store(output.add(to as usize + first), of.avx512(sum), channels - first < CHANNELS);
                }
            }
        }
    }
}

impl Kernel for Vnni {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        // SAFETY: the kernel is made for processors with VNNI only, and the arena is that of the plan.
        unsafe { self.run_tiles(arena.as_mut_ptr()) }
    }

    fn packed(&self) -> usize {
        self.0.len()
    }
}
