//! A folded encoder as a blob; `docs/blob-format.md` has its fields.

use macula_edge::encoder::format::{HEADER_LEN, MAGIC, NODE_LEN, VERSION};
use macula_edge::encoder::{Arithmetic, Blob, BlobError};
use macula_edge::feature::{CorpusStats, Length};
use sha2::{Digest, Sha256};

use super::arena::{Arena, plan};
use super::calibrate::Ranges;
use super::layers::{Layer, layers};
use super::node_name;
use crate::data::Preprocessing;
use crate::encoder::{Activation, Conv, ConvKind, EncoderSpec, FoldedEncoder, Node, SpecError};

/// How weights are kept.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// f16; the device computes in f32.
    F16,
    /// int8, values in these ranges.
    Int8(&'a Ranges),
}

impl Weights<'_> {
    fn arithmetic(self) -> Arithmetic {
        match self {
            Self::F16 => Arithmetic::F16,
            Self::Int8(_) => Arithmetic::Int8,
        }
    }
}

/// What goes into a blob.
#[derive(Clone, Copy, Debug)]
pub struct BlobParts<'a> {
    /// Graph and weights.
    pub encoder: &'a FoldedEncoder,
    /// From pixels to the network's input.
    pub preprocessing: &'a Preprocessing,
    /// How weights are kept.
    pub weights: Weights<'a>,
    /// Statistics of the features over the corpus.
    pub corpus: Option<CorpusStats<'a>>,
    /// An image `[H, W, C]` and the quantised feature `[D]` it must give.
    pub golden: Option<(&'a [u8], &'a [i16])>,
}

/// What a device has to spare for an encoder, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// RAM for the arena.
    pub ram: Option<usize>,
    /// Flash for the blob.
    pub flash: Option<usize>,
}

/// An encoder cannot be made into a blob.
#[derive(Debug, thiserror::Error)]
pub enum MakeBlobError {
    /// The spec describes no network.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Weights, preprocessing or ranges do not belong to the spec.
    #[error("{what} has {found} values, the encoder needs {needed}")]
    Length {
        /// What has the wrong length.
        what: String,
        /// How many values there are.
        found: usize,
        /// How many the spec asks for.
        needed: usize,
    },
    /// A value is not finite, or becomes infinite in f16.
    #[error("{layer}: {what} {index} is {value}, which {element} cannot hold")]
    Value {
        /// Name of the convolution.
        layer: String,
        /// `weight` or `bias`.
        what: &'static str,
        /// Its index.
        index: usize,
        /// The value.
        value: f32,
        /// `f16` or `int8`.
        element: &'static str,
    },
    /// The ranges of what a layer reads and makes are too far apart for integers.
    #[error("{layer} cannot be computed in int8: its output is some 2^40 times its input or less than a product of it")]
    Scale {
        /// Name of the layer.
        layer: String,
    },
    /// The encoder needs more memory than there is.
    #[error(
        "the encoder needs {needed} bytes of RAM, {limit} are allowed: {values} for values, most of them alive at {layer} ({peak}), and {scratch} of scratch"
    )]
    Ram {
        /// Bytes of the arena.
        needed: usize,
        /// Bytes there are.
        limit: usize,
        /// Bytes of values.
        values: usize,
        /// The layer at which most values are alive.
        layer: String,
        /// Bytes of them.
        peak: usize,
        /// Bytes the kernels need besides.
        scratch: usize,
    },
    /// The blob needs more flash than there is.
    #[error("the encoder needs {needed} bytes of flash, {limit} are allowed: {largest} of them are weights of {layer}")]
    Flash {
        /// Bytes of the blob.
        needed: usize,
        /// Bytes there are.
        limit: usize,
        /// The layer with most weights.
        layer: String,
        /// Bytes of those.
        largest: usize,
    },
    /// The device would refuse the blob.
    #[error("the device would refuse this encoder: {0}")]
    Refused(#[from] BlobError),
}

/// `parts` as the bytes of a blob that the device's parser has accepted.
///
/// # Errors
/// See [`MakeBlobError`].
pub fn make(parts: &BlobParts<'_>, limits: Limits) -> Result<Vec<u8>, MakeBlobError> {
    let spec = &parts.encoder.spec;
    check_lengths(parts)?;
    let arena = plan(spec, parts.weights.arithmetic())?;
    check_ram(&arena, limits.ram)?;
    let mut bytes = header(parts, &arena);
    let (layers, feature_unit) = layers(parts)?;
    bytes[44..48].copy_from_slice(&feature_unit.to_le_bytes());
    let length_max = parts.corpus.and_then(|corpus| corpus.length_max).map_or(0, |Length(length)| length);
    bytes[88..90].copy_from_slice(&length_max.to_le_bytes());
    let mut nodes = Vec::new();
    let mut largest = (0, 0);
    for (index, (node, layer)) in spec.nodes.iter().zip(&layers).enumerate() {
        let weights = append(&mut bytes, &layer.weights);
        let parameters = append(&mut bytes, &layer.parameters);
        nodes.extend(node_entry(node, layer, arena.offsets[index + 1], weights, parameters));
        largest = largest.max((layer.weights.len(), index));
    }
    write_sections(&mut bytes, parts, &nodes);
    finish(&mut bytes);
    if let Some(limit) = limits.flash.filter(|&limit| bytes.len() > limit) {
        let layer = node_name(largest.1, &spec.nodes[largest.1]);
        return Err(MakeBlobError::Flash { needed: bytes.len(), limit, layer, largest: largest.0 });
    }
    let words: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
    Blob::parse(bytemuck::cast_slice(&words))?;
    Ok(bytes)
}

fn check_lengths(parts: &BlobParts<'_>) -> Result<(), MakeBlobError> {
    let spec = &parts.encoder.spec;
    let values = spec.shapes()?.len();
    let check = |what: &str, found: usize, needed: usize| match found == needed {
        true => Ok(()),
        false => Err(MakeBlobError::Length { what: what.to_owned(), found, needed }),
    };
    let convs: Vec<&Conv> = convs(spec).collect();
    check("the list of convolutions", parts.encoder.convs.len(), convs.len())?;
    for (conv, folded) in convs.iter().zip(&parts.encoder.convs) {
        check(&format!("the weight of {}", conv.name), folded.weight.len(), conv.weight_len())?;
        check(&format!("the bias of {}", conv.name), folded.bias.len(), conv.channels_out)?;
    }
    let recipe = parts.preprocessing;
    let input = (recipe.channels, recipe.height, recipe.width);
    let expected = (spec.input.channels, spec.input.height, spec.input.width);
    check("the preprocessing", input.0 * input.1 * input.2, expected.0 * expected.1 * expected.2)?;
    check("the preprocessing's mean", recipe.mean.len(), expected.0)?;
    check("the preprocessing's deviation", recipe.std.len(), expected.0)?;
    if let Weights::Int8(ranges) = parts.weights {
        check("the list of ranges", ranges.low.len().min(ranges.high.len()), values)?;
    }
    Ok(())
}

fn convs(spec: &EncoderSpec) -> impl Iterator<Item = &Conv> {
    spec.nodes.iter().filter_map(|node| match node {
        Node::Conv { conv, .. } => Some(conv),
        Node::Add { .. } => None,
    })
}

fn check_ram(arena: &Arena, limit: Option<usize>) -> Result<(), MakeBlobError> {
    let needed = 4 * arena.words();
    match limit.filter(|&limit| needed > limit) {
        None => Ok(()),
        Some(limit) => Err(MakeBlobError::Ram {
            needed,
            limit,
            values: 4 * arena.values_words,
            layer: arena.peak_node.clone(),
            peak: 4 * arena.peak_words,
            scratch: 4 * arena.scratch_words,
        }),
    }
}

/// The header, with sections, identity and length still to come.
fn header(parts: &BlobParts<'_>, arena: &Arena) -> Vec<u8> {
    let (spec, input) = (&parts.encoder.spec, parts.encoder.spec.input);
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.push(match parts.weights {
        Weights::F16 => 1,
        Weights::Int8(_) => 2,
    });
    bytes.push(input.channels as u8);
    // `spec.shapes` has seen that the sides are 1024 at most; all else that is too large the parser refuses.
    bytes.extend((input.height as u16).to_le_bytes());
    bytes.extend((input.width as u16).to_le_bytes());
    bytes.resize(32, 0);
    bytes.extend((arena.words() as u32).to_le_bytes());
    bytes.extend((spec.nodes.len() as u16).to_le_bytes());
    bytes.extend((spec.feature_dim() as u16).to_le_bytes());
    bytes.extend((arena.offsets[0] as u32).to_le_bytes());
    bytes.resize(HEADER_LEN, 0);
    bytes
}

/// Appends `part`, filled up to whole words; gives its offset.
fn append(bytes: &mut Vec<u8>, part: &[u8]) -> usize {
    let offset = bytes.len();
    bytes.extend_from_slice(part);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    offset
}

fn node_entry(node: &Node, layer: &Layer, place: usize, weights: usize, parameters: usize) -> [u8; NODE_LEN] {
    let (op, stride, activation, values, channels) = match node {
        Node::Conv { input, conv } => {
            let op = match conv.kind {
                ConvKind::Full3x3 => 1,
                ConvKind::Pointwise => 2,
                ConvKind::Depthwise3x3 => 3,
            };
            (op, conv.stride as u8, conv.activation, [*input, 0], conv.channels_out)
        }
        Node::Add { left, right, activation } => (4, 0, *activation, [*left, *right], layer.channels),
    };
    let activation = match activation {
        Activation::Identity => 0,
        Activation::Relu => 1,
        Activation::Relu6 => 2,
    };
    let values = (values[0] | values[1] << 16) as u32;
    let head = [u32::from_le_bytes([op, stride, activation, layer.zero]), values, channels as u32, place as u32];
    let (weights, parameters) = if op == 4 { (0, 0) } else { (weights as u32, parameters as u32) };
    let words = head.into_iter().chain([weights, parameters]).chain(layer.sum.map(|word| word as u32));
    let mut entry = [0; NODE_LEN];
    entry.as_chunks_mut::<4>().0.iter_mut().zip(words).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
    entry
}

/// Appends the sections and points the header to them.
fn write_sections(bytes: &mut Vec<u8>, parts: &BlobParts<'_>, nodes: &[u8]) {
    let recipe = parts.preprocessing;
    let floats = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
    let halves = |values: &[i16]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
    let channel = |(mean, std): (&f32, &f32)| {
        let pad = (mean * 255.0).round().clamp(0.0, 255.0) as u32;
        [floats(&[1.0 / (255.0 * std), -mean / std]), pad.to_le_bytes().to_vec()].concat()
    };
    let input = recipe.mean.iter().zip(&recipe.std).flat_map(channel).collect();
    let statistics = parts.corpus.map(|corpus| [floats(corpus.mean), floats(corpus.std)].concat());
    let golden = parts.golden.map(|(pixels, feature)| {
        let mut golden = pixels.to_vec();
        golden.resize(pixels.len().next_multiple_of(4), 0);
        golden.extend(halves(feature));
        golden
    });
    let unused = Vec::new();
    let sections = [input, nodes.to_vec(), statistics.unwrap_or_default(), unused, golden.unwrap_or_default()];
    for (index, section) in sections.into_iter().enumerate().filter(|(_, section)| !section.is_empty()) {
        let place = [append(bytes, &section) as u32, section.len() as u32].map(u32::to_le_bytes);
        bytes[48 + 8 * index..][..8].copy_from_slice(place.as_flattened());
    }
}

/// Length, identity and checksum.
fn finish(bytes: &mut Vec<u8>) {
    let len = bytes.len() as u32 + 4;
    bytes[12..16].copy_from_slice(&len.to_le_bytes());
    let identity = Sha256::digest(&bytes);
    bytes[16..32].copy_from_slice(&identity[..16]);
    bytes.extend(crc32fast::hash(bytes).to_le_bytes());
}
