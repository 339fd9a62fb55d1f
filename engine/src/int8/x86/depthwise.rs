//! 3×3 convolutions of each channel alone, of sixteen channels at a time.
//!
//! Three bytes of a column are put into one 32-bit lane of their channel: VNNI multiplies all of them at once, AVX2 two of
//! 16 bits. Neighbouring pixels share columns.

use core::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_loadl_epi64, _mm_loadu_si128, _mm256_add_epi32, _mm256_cvtepu8_epi32,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_or_si256, _mm256_slli_epi32, _mm512_cvtepu8_epi32,
    _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_or_si512, _mm512_slli_epi32,
};

use super::pack::store;
use super::requantise::{CHANNELS, Sixteen};
use crate::int8::filters::Filters;
use crate::int8::kernel::{Geometry, Kernel};

/// Sixteen channels.
struct Block {
    /// By column: for each channel the weights of its three rows, and 0.
    bytes: [[[i8; 4]; CHANNELS]; 3],
    /// By column: the same in 16 bits, of the rows 0 and 1, and of row 2.
    words: [[[[i16; 2]; CHANNELS]; 2]; 3],
    requantise: Sixteen,
}

/// A 3×3 convolution of each channel alone; `VNNI` with AVX-512 and its dot products, else with AVX2.
pub(super) struct Depthwise<const VNNI: bool> {
    at: Geometry,
    blocks: Vec<Block>,
}

impl<const VNNI: bool> Depthwise<VNNI> {
    /// Packs the weights.
    pub fn new(at: Geometry, filters: &Filters) -> Self {
        let channels = filters.channels();
        let block = |(block, &requantise): (usize, &Sixteen)| {
            let weight = |tap: usize, channel: usize| {
                let channel = block * CHANNELS + channel;
                if channel < channels { filters.weights[tap * channels + channel] } else { 0 }
            };
            let column = |column: usize| {
                std::array::from_fn(|channel| {
                    [weight(column, channel), weight(3 + column, channel), weight(6 + column, channel), 0]
                })
            };
            let bytes: [[[i8; 4]; CHANNELS]; 3] = std::array::from_fn(column);
            let words = bytes.map(|column| {
                [column.map(|of| [of[0].into(), of[1].into()]), column.map(|of| [of[2].into(), of[3].into()])]
            });
            Block { bytes, words, requantise }
        };
        let blocks = Sixteen::pack(&filters.requantise).iter().enumerate().map(block).collect();
        Self { at, blocks }
    }

    /// Bytes of weights and parameters.
    fn len(&self) -> usize {
        size_of_val(&self.blocks[..])
    }
}

/// Runs `$one` on every pixel of every block, with what its window begins with and where it goes.
macro_rules! every_pixel {
    ($of:expr, $arena:expr, $one:ident) => {{
        let Geometry { from, to, stride, .. } = $of.at;
        let steps = [from.pitch(), from.channels];
        for (index, block) in $of.blocks.iter().enumerate() {
            let half = to.channels - index * CHANNELS < CHANNELS;
            for row in 0..to.height {
                let input = $arena.add($of.at.first(row, 0) + index * CHANNELS);
                let output = $arena.add(to.pixel(row, 0) + index * CHANNELS);
                for column in 0..to.width {
                    let bytes = $one(block, input.add(column * stride * from.channels), steps);
                    store(output.add(column * to.channels), bytes, half);
                }
            }
        }
    }};
}

/// # Safety
/// The arena has the planes of the geometry and the margin behind them.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn run_vnni(of: &Depthwise<true>, arena: *mut u8) {
    // SAFETY: windows and pixels lie in the arena; of the last block, eight bytes may lie in the margin.
    unsafe { every_pixel!(of, arena, vnni) }
}

/// The bytes of sixteen channels of a pixel.
///
/// # Safety
/// Three pixels of three rows from `input` can be read.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn vnni(block: &Block, input: *const u8, [pitch, pixel]: [usize; 2]) -> __m128i {
    // SAFETY: the caller's.
    unsafe {
        let value = |row: usize, column: usize| -> __m512i {
            _mm512_cvtepu8_epi32(_mm_loadu_si128(input.add(row * pitch + column * pixel).cast()))
        };
        let mut sums = _mm512_loadu_si512(block.requantise.bias.as_ptr().cast());
        for column in 0..3 {
            let first = _mm512_or_si512(value(0, column), _mm512_slli_epi32::<8>(value(1, column)));
            let x = _mm512_or_si512(first, _mm512_slli_epi32::<16>(value(2, column)));
            sums = _mm512_dpbusd_epi32(sums, x, _mm512_loadu_si512(block.bytes[column].as_ptr().cast()));
        }
        block.requantise.avx512(sums)
    }
}

/// # Safety
/// The arena has the planes of the geometry and the margin behind them.
#[target_feature(enable = "avx2")]
unsafe fn run_avx2(of: &Depthwise<false>, arena: *mut u8) {
    // SAFETY: windows and pixels lie in the arena; of the last block, eight bytes may lie in the margin.
    unsafe { every_pixel!(of, arena, avx2) }
}

/// The bytes of sixteen channels of a pixel.
///
/// # Safety
/// Three pixels of three rows from `input` can be read.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn avx2(block: &Block, input: *const u8, [pitch, pixel]: [usize; 2]) -> __m128i {
    // SAFETY: the caller's; `first` is 0 or 8 of sixteen channels.
    unsafe {
        let half = |first: usize| -> __m256i {
            let value = |row: usize, column: usize| {
                _mm256_cvtepu8_epi32(_mm_loadl_epi64(input.add(row * pitch + column * pixel + first).cast()))
            };
            let mut sums = _mm256_loadu_si256(block.requantise.bias.as_ptr().add(first).cast());
            for column in 0..3 {
                let weights = |part: usize| _mm256_loadu_si256(block.words[column][part].as_ptr().add(first).cast());
                let two = _mm256_or_si256(value(0, column), _mm256_slli_epi32::<16>(value(1, column)));
                sums = _mm256_add_epi32(sums, _mm256_madd_epi16(two, weights(0)));
                sums = _mm256_add_epi32(sums, _mm256_madd_epi16(value(2, column), weights(1)));
            }
            sums
        };
        block.requantise.avx2([half(0), half(8)])
    }
}

impl Kernel for Depthwise<true> {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        // SAFETY: the kernel is made for processors with VNNI only, and the arena is that of the plan.
        unsafe { run_vnni(self, arena.as_mut_ptr()) }
    }

    fn packed(&self) -> usize {
        self.len()
    }
}

impl Kernel for Depthwise<false> {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        // SAFETY: the kernel is made for processors with AVX2 only, and the arena is that of the plan.
        unsafe { run_avx2(self, arena.as_mut_ptr()) }
    }

    fn packed(&self) -> usize {
        self.len()
    }
}
