//! The nodes of a blob: shapes chained from the input on, places in the arena, parameters in flash.
//!
//! C channels read, O channels made, K = 9 C or C weights a channel made, rounded up to a multiple of 4 in int8.
//!
//! | word | content                                                                        |
//! |-----:|--------------------------------------------------------------------------------|
//! |    0 | op, stride, activation, zero point of the output (int8), a byte each           |
//! |    1 | value read; in a sum, the other value in the upper half                        |
//! |    2 | O; 0 in the upper half                                                         |
//! |    3 | word of the arena where the output lies                                        |
//! |    4 | byte of the blob where the weights lie                                         |
//! |    5 | byte of the blob where bias (f16) or [`Requantise`] (int8) of each channel lie |
//! |  6–9 | of a sum in int8: both multipliers, offset, shift                              |

use bytemuck::try_cast_slice;

use super::blob::{ARENA_WORDS_MAX, Arithmetic, Blob, BlobError};

/// Bytes of a node in the table.
pub const NODE_LEN: usize = 40;
/// Most nodes in a blob.
pub const NODES_MAX: usize = 64;
/// Most channels of a value.
const CHANNELS_MAX: u64 = 4096;
/// Largest shift of a requantisation: beyond it a zero point would leave 32 bits.
const SHIFT_MAX: i32 = 21;
/// Largest sum of products of one output: K at most, 255 times 128 each.
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
    /// The number that stands for 0 in int8. Of the input it is each channel's padding pixel instead.
    pub zero: u8,
    /// First word in the arena.
    pub offset_words: usize,
}

impl Value {
    pub(super) const EMPTY: Self = Self { height: 0, width: 0, channels: 0, zero: 0, offset_words: 0 };

    /// Numbers it holds.
    pub fn values(&self) -> usize {
        usize::from(self.height) * usize::from(self.width) * usize::from(self.channels)
    }

    /// Words it takes: four numbers a word in int8, one in f16 (which computes in f32).
    pub fn words(&self, arithmetic: Arithmetic) -> usize {
        match arithmetic {
            Arithmetic::F16 => self.values(),
            Arithmetic::Int8 => self.values().div_ceil(4),
        }
    }

    /// Its place in the arena.
    pub fn range(&self, arithmetic: Arithmetic) -> core::ops::Range<usize> {
        self.offset_words..self.offset_words + self.words(arithmetic)
    }
}

/// What follows a convolution or a sum. In int8 it is in the range of the output, and nothing is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

/// From a 32-bit sum to a u8, for one output channel.
///
/// `y = clamp(((((sum + bias) * multiplier) >> 32) + offset) >> shift, 0, 255)`, shifts rounding down; `offset` is
/// half a unit and the zero point, `2^(shift - 1) + zero * 2^shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requantise {
    /// Bias in units of the sum, with what the input's zero point contributes.
    pub bias: i32,
    /// Unit of the sum over unit of the output, times `2^(32 + shift)`.
    pub multiplier: i32,
    /// Rounding and zero point.
    pub offset: i32,
    /// 1 to 21.
    pub shift: i32,
}

/// Kernel of a convolution, all padded by half their side.
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
        /// int8: [`Requantise`] of each channel as four i32; f16: bias of each channel as f32.
        parameters: &'b [u32],
    },
    /// 3×3 on each channel alone.
    Depthwise {
        /// 1 or 2.
        stride: usize,
        /// `[9, C]`.
        weights: &'b [u8],
        /// As above.
        parameters: &'b [u32],
    },
    /// Sum of two values; in int8 `clamp((left * ml + right * mr + offset) >> shift, 0, 255)`.
    Add {
        /// The other value.
        right: usize,
        /// `ml` and `mr`.
        multipliers: [i32; 2],
        /// Rounding and zero points.
        offset: i32,
        /// 1 to 21.
        shift: i32,
    },
}

/// One step: reads value `input`, makes value `index + 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node<'b> {
    /// The value it reads.
    pub input: usize,
    /// What it does.
    pub op: Op<'b>,
    /// What follows.
    pub activation: Activation,
}

impl Requantise {
    /// From the four words of a blob.
    pub fn from_words(words: [u32; 4]) -> Self {
        let [bias, multiplier, offset, shift] = words.map(|word| word as i32);
        Self { bias, multiplier, offset, shift }
    }

    /// The output of one sum of products.
    #[inline]
    pub fn apply(self, sum: i32) -> u8 {
        let scaled = ((i64::from(sum + self.bias) * i64::from(self.multiplier)) >> 32) as i32;
        ((scaled + self.offset) >> self.shift).clamp(0, 255) as u8
    }

    /// Whether [`Self::apply`] stays inside 32 bits for every sum a convolution can make.
    fn is_sound(self) -> bool {
        let bias_max = i64::from(i32::MAX) - PRODUCTS_MAX;
        // Half a sum times half a multiplier is under 2^30, so offsets under 2^30 leave room.
        i64::from(self.bias).abs() <= bias_max
            && self.multiplier >= 0
            && (0..1 << 30).contains(&self.offset)
            && (1..=SHIFT_MAX).contains(&self.shift)
    }
}

/// Weights of one output channel, padding included.
pub(super) fn weights_per_channel(arithmetic: Arithmetic, kernel: usize, channels_in: usize) -> usize {
    let weights = kernel * kernel * channels_in;
    match arithmetic {
        Arithmetic::F16 => weights,
        Arithmetic::Int8 => weights.next_multiple_of(4),
    }
}

/// Words of scratch that a node needs.
fn scratch_words(arithmetic: Arithmetic, op: Op<'_>, channels_in: usize) -> usize {
    match (arithmetic, op) {
        // Two patches of K i16.
        (Arithmetic::Int8, Op::Conv { kernel, .. }) => weights_per_channel(arithmetic, kernel, channels_in),
        // The weights of eight channels as f32.
        (Arithmetic::F16, Op::Conv { kernel, .. }) => 8 * weights_per_channel(arithmetic, kernel, channels_in),
        (Arithmetic::F16, Op::Depthwise { .. }) => 9 * channels_in,
        (_, Op::Add { .. } | Op::Depthwise { .. }) => 0,
    }
}

/// Node `index` of a blob that was checked; the slices it lends are empty where they were not.
pub(super) fn read<'b>(blob: &Blob<'b>, index: usize) -> Node<'b> {
    let words = blob.node_words(index);
    let [op, stride, activation, _] = words[0].to_le_bytes();
    let (input, right) = (words[1] as usize & 0xffff, words[1] as usize >> 16);
    let (channels, channels_in) = (words[2] as usize & 0xffff, usize::from(blob.values[input].channels));
    let stride = usize::from(stride);
    let kernel = if op == 1 { 3 } else { 1 };
    let element = if blob.arithmetic() == Arithmetic::F16 { 2 } else { 1 };
    let slice = |word: usize, len: usize| blob.slice(words[word] as usize, len).unwrap_or_default();
    let parameters = || match blob.arithmetic() {
        // Where there is no such place the slice is empty, and lies nowhere in particular.
        Arithmetic::F16 => try_cast_slice(slice(5, 4 * channels)).unwrap_or_default(),
        Arithmetic::Int8 => try_cast_slice(slice(5, 16 * channels)).unwrap_or_default(),
    };
    let op = match op {
        1 | 2 => {
            let len = channels * weights_per_channel(blob.arithmetic(), kernel, channels_in) * element;
            Op::Conv { kernel, stride, weights: slice(4, len), parameters: parameters() }
        }
        3 => Op::Depthwise { stride, weights: slice(4, 9 * channels * element), parameters: parameters() },
        _ => {
            let [left, other, offset, shift] = [words[6], words[7], words[8], words[9]].map(|word| word as i32);
            Op::Add { right, multipliers: [left, other], offset, shift }
        }
    };
    let activation = match activation {
        0 => Activation::Identity,
        1 => Activation::Relu,
        _ => Activation::Relu6,
    };
    Node { input, op, activation }
}

/// Checks every node and fills in the values they make.
pub(super) fn check(blob: &mut Blob<'_>) -> Result<(), BlobError> {
    let arithmetic = blob.arithmetic();
    let mut scratch = blob.dim();
    for node in 0..blob.node_count() {
        blob.values[node + 1] = check_fields(blob, node)?;
        let read = read(blob, node);
        check_parameters(blob, node, read.op)?;
        scratch = scratch.max(scratch_words(arithmetic, read.op, usize::from(blob.values[read.input].channels)));
    }
    let last = blob.values[blob.node_count()];
    if usize::from(last.channels) != blob.dim() {
        let (found, limit) = (blob.dim() as u64, u64::from(last.channels));
        return Err(BlobError::Header { what: "feature dimension", found, limit });
    }
    check_places(blob, scratch)
}

/// Ranges of the fields of a node, and the value it makes.
fn check_fields(blob: &Blob<'_>, node: usize) -> Result<Value, BlobError> {
    let words = blob.node_words(node);
    let field = |what: &'static str, found: u64, least: u64, most: u64| match found {
        found if found < least => Err(BlobError::Node { node, what, found, limit: least }),
        found if found > most => Err(BlobError::Node { node, what, found, limit: most }),
        found => Ok(found as usize),
    };
    let [op, stride, activation, zero] = words[0].to_le_bytes().map(u64::from);
    let op = field("operation", op, 1, 4)?;
    field("activation", activation, 0, 2)?;
    let input = field("value read", u64::from(words[1] & 0xffff), 0, node as u64)?;
    let channels = field("channel count", u64::from(words[2]), 1, CHANNELS_MAX)?;
    let from = blob.values[input];
    let mut made = Value { channels: channels as u16, zero: zero as u8, offset_words: words[3] as usize, ..from };
    if op == 4 {
        // The input has a zero of its own in each channel, which no sum knows.
        field("value read", input as u64, 1, node as u64)?;
        let right = field("other value read", u64::from(words[1] >> 16), 1, node as u64)?;
        let other = blob.values[right];
        let size = |value: Value| (u64::from(value.height) << 32) | (u64::from(value.width) << 16);
        field("size of the other value", size(other), size(from), size(from))?;
        field("channel count", u64::from(other.channels), channels as u64, channels as u64)?;
        field("channel count", u64::from(from.channels), channels as u64, channels as u64)?;
    } else {
        let stride = field("stride", stride, 1, 2)? as u16;
        // A multiple of 8, as vectors and words want it.
        field("channel count modulo 8", channels as u64 % 8, 0, 0)?;
        (made.height, made.width) = (from.height.div_ceil(stride), from.width.div_ceil(stride));
    }
    // Bounded before anything is multiplied or added in the 32 bits of a small processor.
    let values = u64::from(made.height) * u64::from(made.width) * channels as u64;
    field("size of its output", values, 1, ARENA_WORDS_MAX)?;
    field("place of its output", u64::from(words[3]), 0, ARENA_WORDS_MAX)?;
    if op == 3 {
        field("channel count", channels as u64, u64::from(from.channels), u64::from(from.channels))?;
    }
    Ok(made)
}

/// Weights and parameters lie in the blob, and no arithmetic on them overflows.
fn check_parameters(blob: &Blob<'_>, node: usize, op: Op<'_>) -> Result<(), BlobError> {
    let words = blob.node_words(node);
    let wrong = |what, word: usize| BlobError::Node { node, what, found: u64::from(words[word]), limit: 0 };
    let int8 = blob.arithmetic() == Arithmetic::Int8;
    match op {
        Op::Conv { weights, parameters, .. } | Op::Depthwise { weights, parameters, .. } => {
            if weights.is_empty() {
                return Err(BlobError::Node {
                    node,
                    what: "place of the weights",
                    found: u64::from(words[4]),
                    limit: blob.len_bytes() as u64,
                });
            }
            if parameters.is_empty() {
                return Err(BlobError::Node {
                    node,
                    what: "place of the parameters",
                    found: u64::from(words[5]),
                    limit: blob.len_bytes() as u64,
                });
            }
            let (channels, _) = parameters.as_chunks::<4>();
            if int8 && !channels.iter().all(|words| Requantise::from_words(*words).is_sound()) {
                return Err(wrong("requantisation", 5));
            }
        }
        Op::Add { multipliers: [left, right], offset, shift, .. } if int8 => {
            let sum = 255 * (i64::from(left).abs() + i64::from(right).abs()) + i64::from(offset).abs();
            if sum > i64::from(i32::MAX) || !(1..=SHIFT_MAX).contains(&shift) {
                return Err(wrong("requantisation of a sum", 9));
            }
        }
        Op::Add { .. } => {}
    }
    Ok(())
}

/// Values lie in the arena, and none where another lies that is read later. A sum may take the place of a
/// summand that nobody reads after it.
fn check_places(blob: &mut Blob<'_>, scratch: usize) -> Result<(), BlobError> {
    let (arithmetic, nodes) = (blob.arithmetic(), blob.node_count());
    let mut last_reader = [0; NODES_MAX + 1];
    last_reader[nodes] = nodes;
    for node in 0..nodes {
        let step = read(blob, node);
        last_reader[step.input] = node;
        if let Op::Add { right, .. } = step.op {
            last_reader[right] = node;
        }
    }
    let room = blob.arena_words().checked_sub(scratch);
    let needed = |words: usize| BlobError::Header {
        what: "arena",
        found: blob.arena_words() as u64,
        limit: (words + scratch) as u64,
    };
    let room = room.ok_or(needed(0))?;
    for made in 0..=nodes {
        let range = blob.values[made].range(arithmetic);
        if range.end > room {
            return Err(needed(range.end));
        }
        let node = made.wrapping_sub(1);
        let sum = made > 0 && matches!(read(blob, node).op, Op::Add { .. });
        for (value, &last) in last_reader.iter().enumerate().take(made) {
            let other = blob.values[value].range(arithmetic);
            let apart = other.end <= range.start || range.end <= other.start;
            let replaced = sum && last == node && other == range;
            if last >= node && !apart && !replaced {
                return Err(BlobError::Overlap { node, value });
            }
        }
    }
    blob.values_words = room;
    Ok(())
}
