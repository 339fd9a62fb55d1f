//! Convolutions over all channels with AVX2. Products of bytes would saturate, so bytes are widened to 16 bits, and VPMADDWD
//! adds two products to each of eight sums.
//!
//! A tile is four pixels times sixteen channels. Four bytes of a pixel, broadcast, hold two pairs of 16 bits: the first and
//! third byte (the others masked), and the second and fourth (shifted). Weights are packed in the same pairs.

use core::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_srli_epi16,
};

use super::pack::{PIXELS, Packed, store};
use super::requantise::{CHANNELS, Sixteen};
use crate::int8::filters::Filters;
use crate::int8::kernel::{Geometry, Kernel};

/// Pixels that are computed together: half a tile.
const HALF: usize = PIXELS / 2;

/// Weights of a lane, of the first and third byte, and of the second and fourth.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Lane([[[i16; 2]; CHANNELS]; 2]);

/// A convolution over all channels.
pub(super) struct Avx2(Packed<Lane>);

impl Avx2 {
    /// Packs the weights.
    pub fn new(at: Geometry, filters: &Filters) -> Self {
        let pairs = |lane: [[i8; 4]; CHANNELS], first: usize| lane.map(|of| [of[first].into(), of[first + 2].into()]);
        Self(Packed::new(at, filters, |lane| Lane([pairs(lane, 0), pairs(lane, 1)])))
    }

    /// # Safety
    /// The arena has the planes of the geometry and the margin behind them.
    #[target_feature(enable = "avx2")]
    unsafe fn run_tiles(&self, arena: *mut u8) {
        let Packed { at, weights, requantise, lanes, channels, .. } = &self.0;
        let (rows, _) = at.window();
        // SAFETY: the window of every output pixel and the pixel itself lie in the arena. The last lane of a run may reach
        // three bytes into the margin. Each block has `rows × lanes` lanes.
        unsafe {
            let (input, output) = (arena.add(at.first(0, 0)), arena.add(at.to.origin()));
            let (reads, writes) = (self.0.reads.as_chunks::<HALF>().0, self.0.writes.as_chunks::<HALF>().0);
            for (reads, writes) in reads.iter().zip(writes) {
                let pixels = reads.map(|at| input.add(at as usize).cast_const());
                for (block, requantise) in requantise.iter().enumerate() {
                    let weights = weights.as_ptr().add(block * rows * lanes);
                    let sums = tile(pixels, weights, requantise, [rows, at.from.pitch(), *lanes]);
                    let first = block * CHANNELS;
                    for (sums, &to) in sums.into_iter().zip(writes) {
                        store(output.add(to as usize + first), requantise.avx2(sums), channels - first < CHANNELS);
                    }
                }
            }
        }
    }
}

/// The sums of four pixels and sixteen channels.
///
/// * `shape`: rows, bytes between rows, lanes of a run
///
/// # Safety
/// Pixels and weights can be read as [`Avx2::run_tiles`] says.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn tile(
    pixels: [*const u8; HALF],
    mut weights: *const Lane,
    requantise: &Sixteen,
    [rows, pitch, lanes]: [usize; 3],
) -> [[__m256i; 2]; HALF] {
    // SAFETY: the caller's.
    unsafe {
        let bias = requantise.bias.as_ptr();
        let mut sums = [[_mm256_loadu_si256(bias.cast()), _mm256_loadu_si256(bias.add(8).cast())]; HALF];
        let low = _mm256_set1_epi16(0xff);
        for row in 0..rows {
            let mut from = row * pitch;
            for _ in 0..lanes {
                let lane = weights.cast::<__m256i>();
                let even = [_mm256_loadu_si256(lane), _mm256_loadu_si256(lane.add(1))];
                let odd = [_mm256_loadu_si256(lane.add(2)), _mm256_loadu_si256(lane.add(3))];
                for (sums, pixel) in sums.iter_mut().zip(pixels) {
                    let x = _mm256_set1_epi32(pixel.add(from).cast::<i32>().read_unaligned());
                    let (first, second) = (_mm256_and_si256(x, low), _mm256_srli_epi16::<8>(x));
                    for (half, sum) in sums.iter_mut().enumerate() {
                        let products = _mm256_madd_epi16(first, even[half]);
                        *sum = _mm256_add_epi32(*sum, products);
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(second, odd[half]));
                    }
                }
                weights = weights.add(1);
                from += 4;
            }
        }
        sums
    }
}

impl Kernel for Avx2 {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        // SAFETY: the kernel is made for processors with AVX2 only, and the arena is that of the plan.
        unsafe { self.run_tiles(arena.as_mut_ptr()) }
    }

    fn packed(&self) -> usize {
        self.0.len()
    }
}
