//! The format of a blob: byte offsets, numbers and limits that the host's writer and the device's reader share.
//!
//! Numbers are little-endian. `docs/blob-format.md` describes every field.

/// First bytes of a blob.
pub const MAGIC: [u8; 4] = *b"MCLB";
/// The version of a blob whose feature is the mean over the pixels of the last value.
pub const VERSION_MEAN: u16 = 1;
/// The version of a blob whose section [`SectionKind::Readout`] states how values become the feature.
pub const VERSION_READOUT: u16 = 2;
/// Bytes of the header.
pub const HEADER_LEN: usize = 96;
/// Bytes of the CRC-32 at the end of a blob.
pub const CHECKSUM_LEN: usize = 4;

/// u16, [`VERSION_MEAN`] or [`VERSION_READOUT`].
pub const VERSION_AT: usize = 4;
/// u8, an [`Arithmetic`].
pub const ARITHMETIC_AT: usize = 6;
/// u8, channels of the input: 1 or 3.
pub const CHANNELS_AT: usize = 7;
/// u16, rows of the input.
pub const HEIGHT_AT: usize = 8;
/// u16, columns of the input.
pub const WIDTH_AT: usize = 10;
/// u32, bytes of the blob including its checksum, a multiple of 4.
pub const LEN_AT: usize = 12;
/// The identity, [`IDENTITY_LEN`] bytes.
pub const IDENTITY_AT: usize = 16;
/// Bytes of an identity.
pub const IDENTITY_LEN: usize = 16;
/// u32, words (4 bytes) of the arena including the kernels' scratch.
pub const ARENA_WORDS_AT: usize = 32;
/// u16, N, number of nodes.
pub const NODE_COUNT_AT: usize = 36;
/// u16, D, feature dimension.
pub const DIM_AT: usize = 38;
/// u32, word of the arena where the input lies.
pub const INPUT_WORD_AT: usize = 40;
/// f32, feature per unit of the last value; 0 in [`VERSION_READOUT`], whose readout has one per pooled value.
pub const FEATURE_SCALE_AT: usize = 44;
/// Offset and length (u32 each) of every section, in the order of [`SectionKind::ALL`].
pub const SECTIONS_AT: usize = 48;
/// u16, the length that 95 % of the corpus do not exceed, in 256ths; 0 if unknown.
pub const LENGTH_MAX_AT: usize = 88;
/// Reserved up to [`HEADER_LEN`]: 0.
pub const RESERVED_AT: usize = 90;

/// Bytes of a channel in section [`SectionKind::Input`]: f32 scale, f32 offset, u32 padding pixel.
pub const INPUT_CHANNEL_LEN: usize = 12;

/// Bytes of a node in section [`SectionKind::Nodes`]. The offsets below count from the start of a node.
pub const NODE_LEN: usize = 40;
/// u8, an [`OpCode`].
pub const NODE_OP_AT: usize = 0;
/// u8, 1 or 2; 0 for a sum.
pub const NODE_STRIDE_AT: usize = 1;
/// u8, an [`Activation`].
pub const NODE_ACTIVATION_AT: usize = 2;
/// u8, zero point of the output (int8).
pub const NODE_ZERO_AT: usize = 3;
/// u16, index of the value read.
pub const NODE_INPUT_AT: usize = 4;
/// u16, index of the second summand of a sum.
pub const NODE_RIGHT_AT: usize = 6;
/// u32, O, output channels.
pub const NODE_CHANNELS_AT: usize = 8;
/// u32, word of the arena where the output lies.
pub const NODE_OUTPUT_WORD_AT: usize = 12;
/// u32, byte of the blob where the weights lie.
pub const NODE_WEIGHTS_AT: usize = 16;
/// u32, byte of the blob where bias (f16) or requantisation (int8) of each channel lie.
pub const NODE_PARAMETERS_AT: usize = 20;
/// Four i32 of a sum (int8): both multipliers, offset, shift.
pub const NODE_SUM_AT: usize = 24;

/// u16 at the start of section [`SectionKind::Readout`]: S, number of pooled values. The offsets below count from there.
pub const READOUT_COUNT_AT: usize = 0;
/// u16, 1 if a linear map follows, else 0.
pub const READOUT_MAP_AT: usize = 2;
/// f32, added to a variance before its root.
pub const READOUT_EPS_AT: usize = 4;
/// The pooled values, [`POOLED_LEN`] bytes each.
pub const READOUT_VALUES_AT: usize = 8;
/// Bytes of a pooled value: u16 its index, u16 parts ([`PART_MEAN`] and others), f32 its unit.
pub const POOLED_LEN: usize = 8;
/// The mean over the pixels, which every pooled value has.
pub const PART_MEAN: u16 = 1;
/// The standard deviation over the pixels.
pub const PART_STD: u16 = 2;
/// The means of the four cells of a 2×2 grid, row by row.
pub const PART_CELLS: u16 = 4;
/// Bytes per dimension of the feature before the weights of a linear map: f32 scale, f32 bias.
pub const MAP_ROW_LEN: usize = 8;
/// Dimensions that a linear map computes together: its weights are f16, `[D / 8 rounded up, P, 8]`.
pub const MAP_LANES: usize = 8;

/// Longest side of the input, in pixels.
pub const SIDE_MAX: usize = 1024;
/// Most words of an arena: 256 MiB.
pub const ARENA_WORDS_MAX: usize = 1 << 26;
/// Most nodes of a blob.
pub const NODES_MAX: usize = 64;
/// Most pooled values of a readout.
pub const POOLED_VALUES_MAX: usize = 16;
/// Most pooled numbers P.
pub const POOLED_MAX: usize = 1 << 14;
/// Most channels of a value.
pub const CHANNELS_MAX: usize = 4096;
/// Largest shift of a requantisation. With a larger one a zero point would not fit 32 bits.
pub const SHIFT_MAX: i32 = 21;

/// Arithmetic of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Arithmetic {
    /// Weights f16, values f32.
    F16 = 1,
    /// Weights int8 with a scale for each output channel, values u8.
    Int8 = 2,
}

/// Operation of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OpCode {
    /// Convolution 3×3 over all channels.
    Conv3x3 = 1,
    /// Convolution 1×1 over all channels.
    Conv1x1 = 2,
    /// Convolution 3×3 of each channel alone.
    Depthwise3x3 = 3,
    /// Sum of two values.
    Add = 4,
}

impl OpCode {
    /// All, in the order of their numbers, which begin with 1.
    pub const ALL: [Self; 4] = [Self::Conv3x3, Self::Conv1x1, Self::Depthwise3x3, Self::Add];
}

/// Activation after a convolution or a sum. In int8 the range of the output implements it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Activation {
    /// Nothing.
    Identity = 0,
    /// `max(x, 0)`.
    Relu = 1,
    /// `min(max(x, 0), 6)`.
    Relu6 = 2,
}

/// The sections that the header points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// How pixels become the first value, [`INPUT_CHANNEL_LEN`] bytes per channel.
    Input,
    /// The nodes, [`NODE_LEN`] bytes each.
    Nodes,
    /// Mean and standard deviation of the features over the corpus, f32, `[D]` each; optional.
    Statistics,
    /// How values become the feature, in [`VERSION_READOUT`]. In [`VERSION_MEAN`] the writer leaves it empty; older files
    /// have a covariance there, which the reader ignores after a check of its bounds.
    Readout,
    /// An image and its feature; optional.
    Golden,
}

impl SectionKind {
    /// All, in the order of the header.
    pub const ALL: [Self; 5] = [Self::Input, Self::Nodes, Self::Statistics, Self::Readout, Self::Golden];

    /// Byte of the header where offset and length (u32 each) of this section lie.
    pub const fn entry_at(self) -> usize {
        SECTIONS_AT + 8 * self as usize
    }

    /// Its name in errors and documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Nodes => "nodes",
            Self::Statistics => "statistics",
            Self::Readout => "readout",
            Self::Golden => "golden",
        }
    }
}

/// The u16 at byte `at`.
pub fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// The u32 at byte `at`.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
