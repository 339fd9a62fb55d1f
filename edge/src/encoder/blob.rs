//! The blob: an encoder as bytes, read in place. `docs/blob-format.md` has every field.
//!
//! | offset | bytes | field                                                             |
//! |-------:|------:|-------------------------------------------------------------------|
//! |      0 |     4 | magic `MCLB`                                                      |
//! |      4 |     2 | version, 1                                                        |
//! |      6 |     1 | arithmetic: 1 f16 weights, 2 int8                                 |
//! |      7 |     1 | channels of the input, 1 or 3                                     |
//! |      8 |     2 | rows of the input                                                 |
//! |     10 |     2 | columns of the input                                              |
//! |     12 |     4 | L, bytes of the whole blob, a multiple of 4                       |
//! |     16 |    16 | identity                                                          |
//! |     32 |     4 | words (4 bytes) of the arena, the kernels' scratch included       |
//! |     36 |     2 | N, nodes                                                          |
//! |     38 |     2 | D, dimensions of the feature                                      |
//! |     40 |     4 | word of the arena where the input lies                            |
//! |     44 |     4 | f32: feature per unit of the last value                           |
//! |     48 |    40 | five sections, offset and length each: input, nodes, statistics, covariance, golden |
//! |     88 |     2 | length that 95 % of the corpus do not exceed, 256ths; 0: not known |
//! |     90 |     6 | 0                                                                 |
//! |  L - 4 |     4 | CRC-32 (IEEE) of everything before                                |

use core::fmt;

use bytemuck::try_cast_slice;
use crc::{CRC_32_ISO_HDLC, Crc};

use super::nodes::{self, NODES_MAX, Node, Value};
use crate::feature::{Corpus, DIM_MAX, Length};

#[cfg(target_endian = "big")]
compile_error!("a blob is read in place, and its numbers are little-endian");

/// First bytes of a blob.
pub const MAGIC: [u8; 4] = *b"MCLB";
/// The version of the format written and read here.
pub const VERSION: u16 = 1;
/// Bytes of the header.
pub const HEADER_LEN: usize = 96;
/// Longest side of the input, in pixels.
const SIDE_MAX: u64 = 1024;
/// Most words an arena may have: 256 MiB.
pub(super) const ARENA_WORDS_MAX: u64 = 1 << 26;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// What is computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// Weights f16, values f32.
    F16,
    /// Weights int8 with a scale for each output channel, values u8.
    Int8,
}

/// The parts of a blob that the header points to, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// How pixels become the first value, 12 bytes a channel.
    Input,
    /// The nodes, [`super::NODE_LEN`] bytes each.
    Nodes,
    /// Mean and standard deviation of the features over the corpus, f32, `[D]` each; may be missing.
    Statistics,
    /// Upper triangle of the features' covariance, i16; may be missing.
    Covariance,
    /// An image and its feature; may be missing.
    Golden,
}

impl SectionKind {
    /// All, in the header's order.
    pub const ALL: [Self; 5] = [Self::Input, Self::Nodes, Self::Statistics, Self::Covariance, Self::Golden];

    fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Nodes => "nodes",
            Self::Statistics => "statistics",
            Self::Covariance => "covariance",
            Self::Golden => "golden",
        }
    }
}

/// Bytes that are no blob, or one that cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobError {
    /// The blob must lie at an address that is a multiple of 4, to be read in place.
    Misaligned,
    /// The bytes end too early.
    Truncated {
        /// Bytes the blob needs.
        needed: usize,
        /// Bytes there are.
        available: usize,
    },
    /// The first bytes are not [`MAGIC`].
    NotABlob {
        /// What they are.
        found: [u8; 4],
    },
    /// Made by another version of the program.
    Version {
        /// What it says; [`VERSION`] can be read.
        found: u16,
    },
    /// The bytes are not those that were written.
    Checksum {
        /// What the blob says.
        stored: u32,
        /// What it is.
        computed: u32,
    },
    /// A field of the header is out of range.
    Header {
        /// Which.
        what: &'static str,
        /// What was found.
        found: u64,
        /// The limit it breaks.
        limit: u64,
    },
    /// A section lies outside of the blob, or has another length than needed.
    Section {
        /// Which.
        what: &'static str,
        /// Its first byte.
        offset: u64,
        /// Its bytes.
        len: u64,
        /// Bytes it must have.
        needed: u64,
    },
    /// A field of a node is out of range.
    Node {
        /// Index of the node.
        node: usize,
        /// Which field.
        what: &'static str,
        /// What was found.
        found: u64,
        /// The limit it breaks.
        limit: u64,
    },
    /// A value lies where another that is still needed lies.
    Overlap {
        /// The node that makes it.
        node: usize,
        /// The value it would destroy.
        value: usize,
    },
    /// The memory lent is smaller than the arena.
    Arena {
        /// Words (4 bytes) lent.
        found: usize,
        /// Words needed.
        needed: usize,
    },
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned => write!(f, "the blob does not lie at a multiple of 4 bytes"),
            Self::Truncated { needed, available } => {
                write!(f, "the blob has {available} bytes, {needed} are needed")
            }
            Self::NotABlob { found } => write!(f, "no blob: it begins with {found:02x?}, not {MAGIC:02x?}"),
            Self::Version { found } => write!(f, "a blob of version {found}, {VERSION} can be read"),
            Self::Checksum { stored, computed } => {
                write!(f, "the blob is damaged: its CRC-32 is {computed:08x}, {stored:08x} was written")
            }
            Self::Header { what, found, limit } => write!(f, "the blob's {what} is {found}, the limit is {limit}"),
            Self::Section { what, offset, len, needed } => {
                write!(f, "section {what} has {len} bytes at {offset}, {needed} inside the blob are needed")
            }
            Self::Node { node, what, found, limit } => {
                write!(f, "node {node}: {what} is {found}, the limit is {limit}")
            }
            Self::Overlap { node, value } => write!(f, "node {node} would overwrite value {value}, which is needed"),
            Self::Arena { found, needed } => {
                write!(f, "the arena has {} bytes, {} are needed", 4 * found, 4 * needed)
            }
        }
    }
}

impl core::error::Error for BlobError {}

/// How the pixels of one channel become the first value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputChannel {
    /// Normalised value per grey level; f16 blobs compute `scale * pixel + offset`.
    pub scale: f32,
    /// Normalised value of pixel 0.
    pub offset: f32,
    /// The pixel nearest to a normalised 0: what an int8 blob pads with.
    pub pad: u8,
}

/// An image of the network's size and the feature it must give, for a self-test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Golden<'b> {
    /// `[height, width, channels]`.
    pub pixels: &'b [u8],
    /// The quantised feature, `[D]`.
    pub feature: &'b [i16],
}

/// A blob whose every offset, shape and place in the arena has been checked.
#[derive(Clone)]
pub struct Blob<'b> {
    pub(super) bytes: &'b [u8],
    words: &'b [u32],
    arithmetic: Arithmetic,
    arena_words: usize,
    dim: usize,
    feature_scale: f32,
    node_count: usize,
    input: [InputChannel; 3],
    pub(super) values: [Value; NODES_MAX + 1],
    /// Words of the arena that values take; the kernels' scratch lies behind them.
    pub(super) values_words: usize,
    sections: [(usize, usize); 5],
}

impl<'b> Blob<'b> {
    /// Checks `bytes` once, so that nothing after this can fail or reach outside.
    ///
    /// Bytes behind the blob are left alone: it may lie at the start of a larger slot of flash.
    ///
    /// # Errors
    /// The first thing wrong with it.
    pub fn parse(bytes: &'b [u8]) -> Result<Self, BlobError> {
        let bytes = whole(bytes)?;
        let words: &[u32] = try_cast_slice(bytes).map_err(|_| BlobError::Misaligned)?;
        let half = |word: usize, index: usize| u64::from(words[word] >> (16 * index) & 0xffff);
        let arithmetic = match half(1, 1) & 0xff {
            1 => Arithmetic::F16,
            2 => Arithmetic::Int8,
            found => return Err(BlobError::Header { what: "arithmetic", found, limit: 2 }),
        };
        let channels = half(1, 1) >> 8;
        if channels != 1 && channels != 3 {
            return Err(BlobError::Header { what: "channel count", found: channels, limit: 3 });
        }
        let height = within("number of rows", half(2, 0), 1, SIDE_MAX)?;
        let width = within("number of columns", half(2, 1), 1, SIDE_MAX)?;
        let arena_words = within("arena", u64::from(words[8]), 1, ARENA_WORDS_MAX)?;
        let node_count = within("number of nodes", half(9, 0), 1, NODES_MAX as u64)?;
        let dim = within("feature dimension", half(9, 1), 1, DIM_MAX as u64)?;
        within("reserved field", u64::from(words[22] >> 16 | words[23]), 0, 0)?;
        let mut blob = Self {
            bytes,
            words,
            arithmetic,
            arena_words,
            dim,
            feature_scale: f32::from_bits(words[11]),
            node_count,
            input: [InputChannel { scale: 0.0, offset: 0.0, pad: 0 }; 3],
            values: [Value::EMPTY; NODES_MAX + 1],
            values_words: 0,
            sections: [(0, 0); 5],
        };
        blob.read_sections(height * width * channels as usize, channels as usize)?;
        blob.values[0] = Value {
            height: height as u16,
            width: width as u16,
            channels: channels as u16,
            zero: 0,
            offset_words: within("place of the input", u64::from(words[10]), 0, ARENA_WORDS_MAX)?,
        };
        nodes::check(&mut blob)?;
        Ok(blob)
    }

    fn read_sections(&mut self, pixels: usize, channels: usize) -> Result<(), BlobError> {
        let dim = self.dim;
        let triangle = 2 * (dim * (dim + 1) / 2);
        let golden = pixels.next_multiple_of(4) + 2 * dim;
        let needed = [12 * channels, nodes::NODE_LEN * self.node_count, 8 * dim, triangle, golden];
        for (index, kind) in SectionKind::ALL.into_iter().enumerate() {
            let (offset, len) = (self.words[12 + 2 * index] as usize, self.words[13 + 2 * index] as usize);
            let may_be_missing = !matches!(kind, SectionKind::Input | SectionKind::Nodes);
            if may_be_missing && len == 0 {
                continue;
            }
            if len != needed[index] || self.slice(offset, len).is_none() {
                let [offset, len, needed] = [offset, len, needed[index]].map(|value| value as u64);
                return Err(BlobError::Section { what: kind.name(), offset, len, needed });
            }
            self.sections[index] = (offset, len);
        }
        let first = self.sections[0].0 / 4;
        for channel in 0..channels {
            let word = |field: usize| self.words[first + 3 * channel + field];
            let pad = within("padding pixel", u64::from(word(2)), 0, 255)? as u8;
            self.input[channel] = InputChannel { scale: f32::from_bits(word(0)), offset: f32::from_bits(word(1)), pad };
        }
        Ok(())
    }

    /// `len` bytes from `offset`, a multiple of 4, where they lie between header and checksum.
    pub(super) fn slice(&self, offset: usize, len: usize) -> Option<&'b [u8]> {
        let end = offset.checked_add(len)?;
        let inside = offset.is_multiple_of(4) && offset >= HEADER_LEN && end <= self.bytes.len() - 4;
        if inside { self.bytes.get(offset..end) } else { None }
    }

    /// The ten words of node `index`.
    pub(super) fn node_words(&self, index: usize) -> &'b [u32] {
        let first = self.sections[1].0 / 4 + index * nodes::NODE_LEN / 4;
        &self.words[first..first + nodes::NODE_LEN / 4]
    }

    fn section(&self, kind: SectionKind) -> Option<&'b [u8]> {
        let (offset, len) = self.sections[kind as usize];
        if len == 0 { None } else { self.slice(offset, len) }
    }

    /// The first 16 bytes of the SHA-256 of the blob with this field set to 0, and without its checksum.
    pub fn identity(&self) -> [u8; 16] {
        let mut identity = [0; 16];
        identity.copy_from_slice(&self.bytes[16..32]);
        identity
    }

    /// What it computes with.
    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// Bytes of the whole blob.
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Words (4 bytes) of memory needed to run it.
    pub fn arena_words(&self) -> usize {
        self.arena_words
    }

    /// Dimensions of the feature, `D`.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Feature per unit of the last value.
    pub fn feature_scale(&self) -> f32 {
        self.feature_scale
    }

    /// Shape and place of the input.
    pub fn input(&self) -> Value {
        self.values[0]
    }

    /// How pixels become the first value, one for each channel.
    pub fn input_channels(&self) -> &[InputChannel] {
        &self.input[..usize::from(self.values[0].channels)]
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.node_count
    }

    /// Node `index`, less than [`Self::node_count`].
    pub fn node(&self, index: usize) -> Node<'b> {
        nodes::read(self, index)
    }

    /// Shape and place of value `index`: 0 the input, `i + 1` what node `i` makes.
    pub fn value(&self, index: usize) -> Value {
        self.values[index]
    }

    /// Mean and standard deviation of the features over the corpus.
    pub fn statistics(&self) -> Option<Corpus<'b>> {
        let values: &[f32] = try_cast_slice(self.section(SectionKind::Statistics)?).ok()?;
        let (mean, std) = values.split_at(self.dim);
        Some(Corpus { mean, std })
    }

    /// The length that 95 % of the corpus do not exceed, where somebody measured it.
    pub fn length_max(&self) -> Option<Length> {
        Some(Length(self.words[22] as u16)).filter(|&Length(max)| max > 0)
    }

    /// Upper triangle of the covariance of the quantised features.
    pub fn covariance(&self) -> Option<&'b [i16]> {
        try_cast_slice(self.section(SectionKind::Covariance)?).ok()
    }

    /// An image and its feature.
    pub fn golden(&self) -> Option<Golden<'b>> {
        let section = self.section(SectionKind::Golden)?;
        let (pixels, feature) = section.split_at(section.len() - 2 * self.dim);
        let input = self.values[0];
        Some(Golden { pixels: &pixels[..input.values()], feature: try_cast_slice(feature).ok()? })
    }
}

/// The blob at the start of `bytes`, after magic, version, length and checksum.
fn whole(bytes: &[u8]) -> Result<&[u8], BlobError> {
    let available = bytes.len();
    let short = BlobError::Truncated { needed: HEADER_LEN + 4, available };
    let found: &[u8; 4] = bytes.first_chunk().ok_or(short)?;
    if *found != MAGIC {
        return Err(BlobError::NotABlob { found: *found });
    }
    let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(short)?;
    let version = u16::from_le_bytes([header[4], header[5]]);
    if version != VERSION {
        return Err(BlobError::Version { found: version });
    }
    let len = u32::from_le_bytes([header[12], header[13], header[14], header[15]]) as usize;
    if len > available {
        return Err(BlobError::Truncated { needed: len, available });
    }
    if len < HEADER_LEN + 4 || !len.is_multiple_of(4) {
        return Err(BlobError::Header { what: "length", found: len as u64, limit: HEADER_LEN as u64 + 4 });
    }
    let (content, stored) = bytes[..len].split_last_chunk::<4>().ok_or(short)?;
    let (stored, computed) = (u32::from_le_bytes(*stored), CRC.checksum(content));
    if stored != computed {
        return Err(BlobError::Checksum { stored, computed });
    }
    Ok(&bytes[..len])
}

fn within(what: &'static str, found: u64, least: u64, most: u64) -> Result<usize, BlobError> {
    match (found < least, found > most) {
        (true, _) => Err(BlobError::Header { what, found, limit: least }),
        (_, true) => Err(BlobError::Header { what, found, limit: most }),
        _ => Ok(found as usize),
    }
}
