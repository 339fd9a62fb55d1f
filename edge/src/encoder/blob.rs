//! Reads a blob in place: checks it once, then gives its parts. [`super::format`] has the offsets.

use bytemuck::try_cast_slice;
use crc::{CRC_32_ISO_HDLC, Crc};

use super::error::BlobError;
use super::format::{
    ARENA_WORDS_AT, ARENA_WORDS_MAX, ARITHMETIC_AT, Arithmetic, CHANNELS_AT, CHECKSUM_LEN, DIM_AT, FEATURE_SCALE_AT,
    HEADER_LEN, HEIGHT_AT, IDENTITY_AT, IDENTITY_LEN, INPUT_CHANNEL_LEN, INPUT_WORD_AT, LEN_AT, LENGTH_MAX_AT, MAGIC,
    NODE_COUNT_AT, NODE_LEN, NODES_MAX, RESERVED_AT, SIDE_MAX, SectionKind, VERSION_AT, VERSION_MEAN, VERSION_READOUT,
    WIDTH_AT, u16_at, u32_at,
};
use super::graph::{Graph, content_at};
use super::node::{Node, Value};
use super::readout::Readout;
use super::room::extra_words;
use crate::feature::{CorpusStats, DIM_MAX, Length};

#[cfg(target_endian = "big")]
compile_error!("a blob is read in place, and its numbers are little-endian");

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// How the pixels of one channel become the first value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputChannel {
    /// Normalised value per grey level; f16 blobs compute `scale * pixel + offset`.
    pub scale: f32,
    /// Normalised value of pixel 0.
    pub offset: f32,
    /// The pixel nearest to a normalised 0, with which an int8 blob pads.
    pub pad: u8,
}

/// An image of the network's input size and its feature, for a self-test.
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
    bytes: &'b [u8],
    arena_words: usize,
    extra_words: usize,
    dim: usize,
    input: [InputChannel; 3],
    sections: [&'b [u8]; SectionKind::ALL.len()],
    pub(super) graph: Graph<'b>,
    readout: Readout<'b>,
}

impl<'b> Blob<'b> {
    /// Checks `bytes` once, so that no later access can fail or reach outside.
    ///
    /// Bytes behind the blob are ignored: it may lie at the start of a larger slot of flash.
    ///
    /// # Errors
    /// The first fault found.
    pub fn parse(bytes: &'b [u8]) -> Result<Self, BlobError> {
        let bytes = checked_bytes(bytes)?;
        if try_cast_slice::<u8, u32>(bytes).is_err() {
            return Err(BlobError::Misaligned);
        }
        let arithmetic = match bytes[ARITHMETIC_AT] {
            number if number == Arithmetic::F16 as u8 => Arithmetic::F16,
            number if number == Arithmetic::Int8 as u8 => Arithmetic::Int8,
            found => return Err(BlobError::Header { what: "arithmetic", found: found.into(), limit: 2 }),
        };
        let channels = bytes[CHANNELS_AT];
        if channels != 1 && channels != 3 {
            return Err(BlobError::Header { what: "channel count", found: channels.into(), limit: 3 });
        }
        let u16_in = |what, at, most| within(what, u16_at(bytes, at).into(), 1, most);
        let height = u16_in("number of rows", HEIGHT_AT, SIDE_MAX)?;
        let width = u16_in("number of columns", WIDTH_AT, SIDE_MAX)?;
        let arena_words = within("arena", u32_at(bytes, ARENA_WORDS_AT), 1, ARENA_WORDS_MAX)?;
        let node_count = u16_in("number of nodes", NODE_COUNT_AT, NODES_MAX)?;
        let dim = u16_in("feature dimension", DIM_AT, DIM_MAX)?;
        let reserved = bytes[RESERVED_AT..HEADER_LEN].iter().position(|&byte| byte != 0);
        within("reserved field", reserved.map_or(0, |at| bytes[RESERVED_AT + at].into()), 0, 0)?;
        let has_readout = u16_at(bytes, VERSION_AT) == VERSION_READOUT;
        let sections = read_sections(bytes, [height * width, channels.into(), node_count, dim], has_readout)?;
        let input = read_input(sections[SectionKind::Input as usize])?;
        let offset_words = within("place of the input", u32_at(bytes, INPUT_WORD_AT), 0, ARENA_WORDS_MAX)?;
        let (height, width) = (height as u16, width as u16);
        let first = Value { height, width, channels: channels.into(), zero: 0, offset_words };
        let nodes = sections[SectionKind::Nodes as usize];
        let mut graph = Graph::parse(bytes, nodes, arithmetic, first)?;
        let values = &graph.values[..=node_count];
        let readout = match has_readout {
            true => Readout::parse(sections[SectionKind::Readout as usize], values, dim)?,
            false => Readout::mean(values, dim, f32::from_bits(u32_at(bytes, FEATURE_SCALE_AT)))?,
        };
        graph.check_places(readout.scratch_words(graph.kernel_words), arena_words)?;
        let extra_words = match arithmetic {
            Arithmetic::F16 => 0,
            Arithmetic::Int8 => extra_words(&graph, arena_words - readout.behind_scratch()),
        };
        Ok(Self { bytes, arena_words, extra_words, dim, input, sections, graph, readout })
    }

    /// The section, unless it is missing.
    fn section(&self, kind: SectionKind) -> Option<&'b [u8]> {
        Some(self.sections[kind as usize]).filter(|section| !section.is_empty())
    }

    /// The first 16 bytes of the SHA-256 of the blob with this field set to 0 and without its checksum.
    pub fn identity(&self) -> [u8; IDENTITY_LEN] {
        let mut identity = [0; IDENTITY_LEN];
        identity.copy_from_slice(&self.bytes[IDENTITY_AT..][..IDENTITY_LEN]);
        identity
    }

    /// Arithmetic of weights and values.
    pub fn arithmetic(&self) -> Arithmetic {
        self.graph.arithmetic
    }

    /// Bytes of the blob.
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Words (4 bytes) of memory that running it needs.
    pub fn arena_words(&self) -> usize {
        self.arena_words
    }

    /// Words besides [`Self::arena_words`] that make it faster, at most 2048: convolutions in int8 transform more pixels at a
    /// time. The features are the same bytes with all, some or none of them.
    pub fn extra_words(&self) -> usize {
        self.extra_words
    }

    /// Feature dimension D.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How values become the feature.
    pub fn readout(&self) -> &Readout<'b> {
        &self.readout
    }

    /// Shape and place of the input.
    pub fn input(&self) -> Value {
        self.graph.values[0]
    }

    /// How pixels become the first value, per channel.
    pub fn input_channels(&self) -> &[InputChannel] {
        &self.input[..usize::from(self.graph.values[0].channels)]
    }

    /// Number of nodes.
    pub fn node_count(&self) -> usize {
        self.graph.node_count()
    }

    /// Node `index`, less than [`Self::node_count`].
    pub fn node(&self, index: usize) -> Node<'b> {
        self.graph.node(index)
    }

    /// Shape and place of value `index`: 0 the input, `i + 1` the output of node `i`.
    pub fn value(&self, index: usize) -> Value {
        self.graph.values[index]
    }

    /// Statistics of the features over the corpus; `None` where they were not measured.
    pub fn corpus(&self) -> Option<CorpusStats<'b>> {
        let values: &[f32] = try_cast_slice(self.section(SectionKind::Statistics)?).ok()?;
        let (mean, std) = values.split_at(self.dim);
        let length_max = Some(Length(u16_at(self.bytes, LENGTH_MAX_AT))).filter(|&Length(max)| max > 0);
        Some(CorpusStats { mean, std, length_max })
    }

    /// The image and feature for a self-test.
    pub fn golden(&self) -> Option<Golden<'b>> {
        let section = self.section(SectionKind::Golden)?;
        let (pixels, feature) = section.split_at(section.len() - 2 * self.dim);
        let input = self.graph.values[0];
        Some(Golden { pixels: &pixels[..input.values()], feature: try_cast_slice(feature).ok()? })
    }
}

/// The blob at the start of `bytes`, after a check of magic, version, length and checksum.
fn checked_bytes(bytes: &[u8]) -> Result<&[u8], BlobError> {
    let available = bytes.len();
    let short = BlobError::Truncated { needed: HEADER_LEN + CHECKSUM_LEN, available };
    let found: &[u8; 4] = bytes.first_chunk().ok_or(short)?;
    if *found != MAGIC {
        return Err(BlobError::NotABlob { found: *found });
    }
    let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(short)?;
    let version = u16_at(header, VERSION_AT);
    if version != VERSION_MEAN && version != VERSION_READOUT {
        return Err(BlobError::Version { found: version });
    }
    let len = u32_at(header, LEN_AT) as usize;
    if len > available {
        return Err(BlobError::Truncated { needed: len, available });
    }
    let least = HEADER_LEN + CHECKSUM_LEN;
    if len < least || !len.is_multiple_of(4) {
        return Err(BlobError::Header { what: "length", found: len as u64, limit: least as u64 });
    }
    let (content, stored) = bytes[..len].split_last_chunk::<CHECKSUM_LEN>().ok_or(short)?;
    let (stored, computed) = (u32::from_le_bytes(*stored), CRC.checksum(content));
    if stored != computed {
        return Err(BlobError::Checksum { stored, computed });
    }
    Ok(&bytes[..len])
}

/// The sections, empty where an optional one is missing. `size`: pixels, channels, nodes, feature dimension.
fn read_sections(
    bytes: &[u8],
    size: [usize; 4],
    has_readout: bool,
) -> Result<[&[u8]; SectionKind::ALL.len()], BlobError> {
    let [pixels, channels, nodes, dim] = size;
    let mut sections: [&[u8]; SectionKind::ALL.len()] = Default::default();
    for (section, kind) in sections.iter_mut().zip(SectionKind::ALL) {
        let [offset, len] = [0, 4].map(|field| u32_at(bytes, kind.entry_at() + field) as usize);
        let needed = match kind {
            SectionKind::Input => INPUT_CHANNEL_LEN * channels,
            SectionKind::Nodes => NODE_LEN * nodes,
            SectionKind::Statistics => 8 * dim,
            // Its own fields determine its length, which its parser checks.
            SectionKind::Readout if has_readout => len,
            SectionKind::Readout => dim * (dim + 1),
            SectionKind::Golden => (pixels * channels).next_multiple_of(4) + 2 * dim,
        };
        if len == 0 && !matches!(kind, SectionKind::Input | SectionKind::Nodes) {
            continue;
        }
        let found = content_at(bytes, offset, len).filter(|_| len == needed);
        let [offset, len, needed] = [offset, len, needed].map(|value| value as u64);
        *section = found.ok_or(BlobError::Section { what: kind.name(), offset, len, needed })?;
    }
    Ok(sections)
}

fn read_input(section: &[u8]) -> Result<[InputChannel; 3], BlobError> {
    let mut input = [InputChannel { scale: 0.0, offset: 0.0, pad: 0 }; 3];
    for (channel, entry) in input.iter_mut().zip(section.chunks_exact(INPUT_CHANNEL_LEN)) {
        let [scale, offset] = [0, 4].map(|at| f32::from_bits(u32_at(entry, at)));
        *channel = InputChannel { scale, offset, pad: within("padding pixel", u32_at(entry, 8), 0, 255)? as u8 };
    }
    Ok(input)
}

fn within(what: &'static str, found: u32, least: usize, most: usize) -> Result<usize, BlobError> {
    let value = found as usize;
    let limit = if value < least { least } else { most };
    match (least..=most).contains(&value) {
        true => Ok(value),
        false => Err(BlobError::Header { what, found: found.into(), limit: limit as u64 }),
    }
}
