//! 3×3 convolutions of each channel alone, for sixteen channels of up to four neighbouring pixels at a time.
//!
//! Without dot products, two products of bytes are added in 16 bits, which holds them unless two weights are -128 (products
//! of -128 and -128), and then to the sums. With them, a column of three values is interleaved to groups of four bytes of a
//! channel, the last one multiplied by 0; neighbouring pixels share columns.

use core::arch::aarch64::{
    int8x16_t, int32x4_t, vaddw_high_s16, vaddw_s16, vcombine_s8, vget_low_s8, vget_low_s16, vld1q_s8, vld1q_s32,
    vmlal_high_s8, vmlal_s8, vmull_high_s8, vmull_s8, vreinterpretq_s8_s16, vreinterpretq_s16_s8, vst1_s8, vst1q_s8,
    vzip1q_s8, vzip1q_s16, vzip2q_s8, vzip2q_s16,
};
use core::arch::asm;

use super::lanes::{Lanes, eight};
use super::requantise::Four;
use crate::int8::filters::Filters;
use crate::int8::kernel::{Geometry, Kernel};

/// Channels of a block.
const CHANNELS: usize = 16;
/// Pixels of a tile.
const PIXELS: usize = 4;

/// Sixteen channels. Those behind the last one have weights 0 and are not stored.
struct Block {
    /// By tap; with dot products `[3, 4, 4, 4]`: column, quarter of the channels, channel, row.
    weights: [[i8; 16]; 12],
    requantise: [Four; 4],
}

/// A 3×3 convolution of each channel alone; `DOT` with dot products.
pub(super) struct Depthwise<const DOT: bool> {
    at: Geometry,
    blocks: Vec<Block>,
}

impl<const DOT: bool> Depthwise<DOT> {
    /// Packs the weights. `None` if two products might not fit 16 bits.
    pub fn new(at: Geometry, filters: &Filters) -> Option<Self> {
        if !DOT && filters.weights.contains(&i8::MIN) {
            return None;
        }
        let channels = filters.channels();
        let block = |first: usize| {
            let weight = |tap: usize, channel: usize| match first + channel < channels {
                true => filters.weights[tap * channels + first + channel],
                false => 0,
            };
            let weights: [[i8; 16]; 12] = std::array::from_fn(|group| {
                std::array::from_fn(|at| match DOT {
                    true if at % 4 < 3 => weight(3 * (at % 4) + group / 4, 4 * (group % 4) + at / 4),
                    false if group < 9 => weight(group, at),
                    _ => 0,
                })
            });
            let mut requantise = filters.requantise[first..channels.min(first + CHANNELS)].to_vec();
            requantise.resize(CHANNELS, requantise[0]);
            let fours = Four::pack(&requantise);
            Block { weights, requantise: std::array::from_fn(|four| fours[four]) }
        };
        Some(Self { at, blocks: (0..channels).step_by(CHANNELS).map(block).collect() })
    }

    /// # Safety
    /// With `DOT`, the processor has SDOT. The arena has the planes of `at` and the margin behind them.
    #[inline(always)]
    unsafe fn run_blocks<const STRIDE: usize>(&self, arena: *mut i8) {
        for (index, block) in self.blocks.iter().enumerate() {
            let first = index * CHANNELS;
            // SAFETY: the caller's.
            unsafe {
                if self.at.to.channels - first < CHANNELS {
                    self.run_block::<STRIDE, true>(block, first, arena);
                } else {
                    self.run_block::<STRIDE, false>(block, first, arena);
                }
            }
        }
    }

    /// Computes the channels of a block, from channel `first`; only eight if `HALF`.
    ///
    /// # Safety
    /// As [`Self::run_blocks`].
    #[inline(always)]
    unsafe fn run_block<const STRIDE: usize, const HALF: bool>(&self, block: &Block, first: usize, arena: *mut i8) {
        let Geometry { from, to, .. } = self.at;
        let steps = [from.pitch(), from.channels, to.channels];
        for row in 0..to.height {
            // SAFETY: windows and pixels lie in the arena. Of the last block, reads may reach eight bytes into the margin.
            unsafe {
                let input = |column: usize| arena.add(self.at.first(row, column) + first);
                let output = |column: usize| arena.add(to.pixel(row, column) + first);
                let mut column = 0;
                while column < to.width {
                    if to.width >= PIXELS {
                        // The last tile may repeat pixels of the one before.
                        let at = column.min(to.width - PIXELS);
                        tile::<DOT, STRIDE, PIXELS, HALF>(block, input(at), output(at), steps);
                        column += PIXELS;
                    } else {
                        tile::<DOT, STRIDE, 1, HALF>(block, input(column), output(column), steps);
                        column += 1;
                    }
                }
            }
        }
    }
}

/// # Safety
/// As [`Depthwise::run_blocks`], with SDOT.
#[target_feature(enable = "neon,dotprod")]
unsafe fn run_dot<const STRIDE: usize>(of: &Depthwise<true>, arena: *mut i8) {
    // SAFETY: the caller's.
    unsafe { of.run_blocks::<STRIDE>(arena) }
}

impl Kernel for Depthwise<true> {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        let arena = arena.as_mut_ptr().cast();
        // SAFETY: the kernel is made for processors with SDOT only, and the arena is that of the plan.
        unsafe { if self.at.stride == 1 { run_dot::<1>(self, arena) } else { run_dot::<2>(self, arena) } }
    }

    fn packed(&self) -> usize {
        size_of_val(&self.blocks[..])
    }
}

impl Kernel for Depthwise<false> {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        let arena = arena.as_mut_ptr().cast();
        // SAFETY: the arena is that of the plan.
        unsafe { if self.at.stride == 1 { self.run_blocks::<1>(arena) } else { self.run_blocks::<2>(arena) } }
    }

    fn packed(&self) -> usize {
        size_of_val(&self.blocks[..])
    }
}

type Sums = [int32x4_t; 4];

/// Computes `N` neighbouring pixels. `steps`: bytes from an input row to the next, of an input pixel, of an output pixel;
/// with `HALF` only the first eight channels are stored.
///
/// # Safety
/// As [`Depthwise::run_blocks`].
#[inline(always)]
unsafe fn tile<const DOT: bool, const STRIDE: usize, const N: usize, const HALF: bool>(
    block: &Block,
    input: *const i8,
    output: *mut i8,
    [pitch, pixel, made]: [usize; 3],
) {
    // SAFETY: the caller's.
    unsafe {
        let mut bias: Sums = [vld1q_s32(block.requantise[0].bias.as_ptr()); 4];
        for (bias, four) in bias.iter_mut().zip(&block.requantise) {
            *bias = vld1q_s32(four.bias.as_ptr());
        }
        let mut sums = [bias; N];
        let weight = |tap: usize| vld1q_s8(block.weights[tap].as_ptr());
        let value = |row: usize, column: usize| vld1q_s8(input.add(row * pitch + column * pixel));
        if DOT {
            let mut add_column = |column: usize| {
                let quads = interleaved(value(0, column), value(1, column), value(2, column));
                for (n, sums) in sums.iter_mut().enumerate() {
                    if column >= n * STRIDE && column < n * STRIDE + 3 {
                        for (quad, sum) in sums.iter_mut().enumerate() {
                            *sum = sdot(*sum, quads[quad], weight(4 * (column - n * STRIDE) + quad));
                        }
                    }
                }
            };
            // Written out, because the compiler keeps a loop with its conditions.
            let columns = (N - 1) * STRIDE + 3;
            add_column(0);
            add_column(1);
            add_column(2);
            if columns > 3 {
                add_column(3);
                add_column(4);
                add_column(5);
            }
            if columns > 6 {
                add_column(6);
                add_column(7);
                add_column(8);
            }
        } else {
            for column in 0..3 {
                for (n, sums) in sums.iter_mut().enumerate() {
                    let at = n * STRIDE + column;
                    add_two(sums, [value(0, at), value(1, at)], [weight(column), weight(3 + column)]);
                }
            }
            for (n, sums) in sums.iter_mut().enumerate() {
                let at = n * STRIDE;
                add_two(sums, [value(2, at), value(2, at + 1)], [weight(6), weight(7)]);
                add_one(sums, value(2, at + 2), weight(8));
            }
        }
        let low = [Lanes::load(&block.requantise[0]), Lanes::load(&block.requantise[1])];
        let high = [Lanes::load(&block.requantise[2]), Lanes::load(&block.requantise[3])];
        for (n, [a, b, c, d]) in sums.into_iter().enumerate() {
            let first = eight(&low, [a, b]);
            if HALF {
                vst1_s8(output.add(n * made), first);
            } else {
                vst1q_s8(output.add(n * made), vcombine_s8(first, eight(&high, [c, d])));
            }
        }
    }
}

/// Adds two products to each of sixteen sums.
#[inline(always)]
fn add_two(sums: &mut Sums, x: [int8x16_t; 2], w: [int8x16_t; 2]) {
    // SAFETY: every AArch64 processor has these instructions.
    unsafe {
        let low = vmull_s8(vget_low_s8(x[0]), vget_low_s8(w[0]));
        let low = vmlal_s8(low, vget_low_s8(x[1]), vget_low_s8(w[1]));
        let high = vmlal_high_s8(vmull_high_s8(x[0], w[0]), x[1], w[1]);
        *sums = [
            vaddw_s16(sums[0], vget_low_s16(low)),
            vaddw_high_s16(sums[1], low),
            vaddw_s16(sums[2], vget_low_s16(high)),
            vaddw_high_s16(sums[3], high),
        ];
    }
}

/// Adds a product to each of sixteen sums.
#[inline(always)]
fn add_one(sums: &mut Sums, x: int8x16_t, w: int8x16_t) {
    // SAFETY: every AArch64 processor has these instructions.
    unsafe {
        let low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
        let high = vmull_high_s8(x, w);
        *sums = [
            vaddw_s16(sums[0], vget_low_s16(low)),
            vaddw_high_s16(sums[1], low),
            vaddw_s16(sums[2], vget_low_s16(high)),
            vaddw_high_s16(sums[3], high),
        ];
    }
}

/// The bytes of three rows, channel by channel: `a b c c` of four channels in each vector.
#[inline(always)]
fn interleaved(a: int8x16_t, b: int8x16_t, c: int8x16_t) -> [int8x16_t; 4] {
    // SAFETY: every AArch64 processor has these instructions.
    unsafe {
        let ab = [vzip1q_s8(a, b), vzip2q_s8(a, b)].map(|pairs| vreinterpretq_s16_s8(pairs));
        let cc = [vzip1q_s8(c, c), vzip2q_s8(c, c)].map(|pairs| vreinterpretq_s16_s8(pairs));
        [vzip1q_s16(ab[0], cc[0]), vzip2q_s16(ab[0], cc[0]), vzip1q_s16(ab[1], cc[1]), vzip2q_s16(ab[1], cc[1])]
            .map(|quads| vreinterpretq_s8_s16(quads))
    }
}

/// Adds four products to each of four sums.
///
/// # Safety
/// The processor has SDOT.
#[inline(always)]
unsafe fn sdot(mut sum: int32x4_t, x: int8x16_t, weights: int8x16_t) -> int32x4_t {
    // SAFETY: an instruction on registers.
    unsafe {
        asm!(".arch_extension dotprod", "sdot {sum:v}.4s, {x:v}.16b, {weights:v}.16b",
            sum = inout(vreg) sum, x = in(vreg) x, weights = in(vreg) weights,
            options(pure, nomem, nostack, preserves_flags));
    }
    sum
}
