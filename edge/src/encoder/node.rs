//! A node of a blob and the values between nodes.
//!
//! C input channels, O output channels, K = 9 C or C weights per output channel, in int8 rounded up to a multiple of 4.

use super::format::{Activation, Arithmetic, CHANNELS_MAX, SHIFT_MAX};

/// Largest sum of products of one output: at most K products of 255 × 128.
const PRODUCTS_MAX: i64 = 9 * CHANNELS_MAX as i64 * 255 * 128;

/// Shape `[height, width, channels]` of a value and its place in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// Rows.
    pub height: u16,
    /// Columns.
    pub width: u16,
    /// Channels.
    pub channels: u16,
    /// Zero point (int8). The input has a padding pixel per channel instead.
    pub zero: u8,
    /// First word of the arena.
    pub offset_words: usize,
}

impl Value {
    pub(super) const EMPTY: Self = Self { height: 0, width: 0, channels: 0, zero: 0, offset_words: 0 };

    /// Number of elements.
    pub fn values(&self) -> usize {
        usize::from(self.height) * usize::from(self.width) * usize::from(self.channels)
    }

    /// Words of the arena: a word holds four elements in int8, one in f16 (which computes in f32).
    pub fn words(&self, arithmetic: Arithmetic) -> usize {
        match arithmetic {
            Arithmetic::F16 => self.values(),
            Arithmetic::Int8 => self.values().div_ceil(4),
        }
    }

    /// Words of the arena where it lies.
    pub fn range(&self, arithmetic: Arithmetic) -> core::ops::Range<usize> {
        self.offset_words..self.offset_words + self.words(arithmetic)
    }
}

/// Maps a 32-bit sum to a u8, for one output channel.
///
/// `y = clamp(((((sum + bias) * multiplier) >> 32) + offset) >> shift, 0, 255)`, shifts rounding down; `offset` is
/// half a unit plus the zero point, `2^(shift - 1) + zero * 2^shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requantise {
    /// Bias in units of the sum, including the contribution of the input's zero point.
    pub bias: i32,
    /// Unit of the sum divided by the unit of the output, times `2^(32 + shift)`.
    pub multiplier: i32,
    /// Rounding and zero point.
    pub offset: i32,
    /// 1 to 21.
    pub shift: i32,
}

/// Operation of a node. Convolutions pad by half the kernel's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'b> {
    /// 3×3 or 1×1 over all channels.
    Conv {
        /// 1 or 3.
        kernel: usize,
        /// 1 or 2.
        stride: usize,
        /// int8: `[O / 2, K / 4, 2, 4]`; f16: `[O / 8, K, 8]`. K runs over rows, columns, channels.
        weights: &'b [u8],
        /// int8: [`Requantise`] of each output channel as four i32; f16: bias of each output channel as f32.
        parameters: &'b [u32],
    },
    /// 3×3 of each channel alone.
    Depthwise {
        /// 1 or 2.
        stride: usize,
        /// `[9, C]`.
        weights: &'b [u8],
        /// As for [`Op::Conv`].
        parameters: &'b [u32],
    },
    /// Sum of two values; in int8 `clamp((left * ml + right * mr + offset) >> shift, 0, 255)`.
    Add {
        /// Index of the second value.
        right: usize,
        /// `ml` and `mr`.
        multipliers: [i32; 2],
        /// Rounding and zero points.
        offset: i32,
        /// 1 to 21.
        shift: i32,
    },
}

/// One step: reads value `input`, makes value `index + 1` of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node<'b> {
    /// Index of the value read.
    pub input: usize,
    /// Operation.
    pub op: Op<'b>,
    /// Activation of the result.
    pub activation: Activation,
}

impl Requantise {
    /// Reads the four words of a blob.
    pub fn from_words(words: [u32; 4]) -> Self {
        let [bias, multiplier, offset, shift] = words.map(|word| word as i32);
        Self { bias, multiplier, offset, shift }
    }

    /// The output of a sum of products.
    #[inline]
    pub fn apply(self, sum: i32) -> u8 {
        let scaled = ((i64::from(sum + self.bias) * i64::from(self.multiplier)) >> 32) as i32;
        ((scaled + self.offset) >> self.shift).clamp(0, 255) as u8
    }

    /// Whether [`Self::apply`] cannot overflow for any sum that a convolution can have.
    pub(super) fn is_sound(self) -> bool {
        let bias_max = i64::from(i32::MAX) - PRODUCTS_MAX;
        // The scaled sum is below 2^30 in magnitude, so an offset below 2^30 does not overflow 32 bits.
        i64::from(self.bias).abs() <= bias_max
            && self.multiplier >= 0
            && (0..1 << 30).contains(&self.offset)
            && (1..=SHIFT_MAX).contains(&self.shift)
    }
}
