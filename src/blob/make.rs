//! Writes a blob from a folded encoder. `docs/blob-format.md` describes its fields.

use macula_edge::encoder::Blob;
use macula_edge::encoder::format::{
    self, ARENA_WORDS_AT, ARITHMETIC_AT, CHANNELS_AT, CHECKSUM_LEN, DIM_AT, FEATURE_SCALE_AT, HEADER_LEN, HEIGHT_AT,
    IDENTITY_AT, IDENTITY_LEN, INPUT_WORD_AT, LEN_AT, LENGTH_MAX_AT, MAGIC, NODE_ACTIVATION_AT, NODE_CHANNELS_AT,
    NODE_COUNT_AT, NODE_INPUT_AT, NODE_LEN, NODE_OP_AT, NODE_OUTPUT_WORD_AT, NODE_PARAMETERS_AT, NODE_RIGHT_AT,
    NODE_STRIDE_AT, NODE_SUM_AT, NODE_WEIGHTS_AT, NODE_ZERO_AT, OpCode, SectionKind, VERSION_AT, VERSION_MEAN,
    VERSION_READOUT, WIDTH_AT,
};
use macula_edge::feature::Length;
use sha2::{Digest, Sha256};

use super::arena::{Arena, plan};
use super::error::MakeBlobError;
use super::layers::{Layer, Layers};
use super::parts::{BlobParts, Limits};
use super::readout::section;
use crate::encoder::{Activation, ConvKind, Node};

/// The bytes of a blob of `parts`, which the device's parser has accepted.
///
/// # Errors
/// See [`MakeBlobError`].
pub fn make(parts: &BlobParts<'_>, limits: Limits) -> Result<Vec<u8>, MakeBlobError> {
    let spec = &parts.encoder.spec;
    parts.check_lengths()?;
    let arena = plan(spec, parts.weights.arithmetic())?;
    check_ram(&arena, limits.ram)?;
    let Layers { layers, units } = Layers::new(parts)?;
    let readout = section(parts, &units)?;
    let mut bytes = header(parts, &arena, units.last().copied().unwrap_or(1.0));
    let mut nodes = Vec::new();
    for (index, (node, layer)) in spec.nodes.iter().zip(&layers).enumerate() {
        let weights = append(&mut bytes, &layer.weights);
        let parameters = append(&mut bytes, &layer.parameters);
        nodes.extend(node_entry(node, layer, arena.offsets[index + 1], weights, parameters));
    }
    write_sections(&mut bytes, parts, nodes, &readout);
    finish(&mut bytes);
    if let Some(limit) = limits.flash.filter(|&limit| bytes.len() > limit) {
        let sizes = layers.iter().enumerate().map(|(index, layer)| (layer.weights.len(), spec.node_name(index)));
        let sizes = sizes.chain([(readout.len(), "readout".to_owned())]);
        let (largest, layer) = sizes.max_by_key(|(size, _)| *size).unwrap_or_default();
        return Err(MakeBlobError::Flash { needed: bytes.len(), limit, layer, largest });
    }
    let words: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
    Blob::parse(bytemuck::cast_slice(&words))?;
    Ok(bytes)
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

/// Writes `field` at byte `at`.
fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// The header, except sections, identity and length.
fn header(parts: &BlobParts<'_>, arena: &Arena, last_unit: f32) -> Vec<u8> {
    let (spec, input) = (&parts.encoder.spec, parts.encoder.spec.input);
    let length_max = parts.corpus.and_then(|corpus| corpus.length_max).map_or(0, |Length(length)| length);
    // The readout of the second version has a unit for each value.
    let (version, unit) = if spec.readout.is_mean() { (VERSION_MEAN, last_unit) } else { (VERSION_READOUT, 0.0) };
    let mut bytes = vec![0; HEADER_LEN];
    put(&mut bytes, 0, &MAGIC);
    put(&mut bytes, VERSION_AT, &version.to_le_bytes());
    bytes[ARITHMETIC_AT] = parts.weights.arithmetic() as u8;
    bytes[CHANNELS_AT] = input.channels as u8;
    // `spec.shapes` has checked that sides are at most 1024. The parser refuses other numbers that are too large.
    put(&mut bytes, HEIGHT_AT, &(input.height as u16).to_le_bytes());
    put(&mut bytes, WIDTH_AT, &(input.width as u16).to_le_bytes());
    put(&mut bytes, ARENA_WORDS_AT, &(arena.words() as u32).to_le_bytes());
    put(&mut bytes, NODE_COUNT_AT, &(spec.nodes.len() as u16).to_le_bytes());
    put(&mut bytes, DIM_AT, &(spec.feature_dim() as u16).to_le_bytes());
    put(&mut bytes, INPUT_WORD_AT, &(arena.offsets[0] as u32).to_le_bytes());
    put(&mut bytes, FEATURE_SCALE_AT, &unit.to_le_bytes());
    put(&mut bytes, LENGTH_MAX_AT, &length_max.to_le_bytes());
    bytes
}

/// Appends `part`, padded with zeros to whole words; returns its offset.
fn append(bytes: &mut Vec<u8>, part: &[u8]) -> usize {
    let offset = bytes.len();
    bytes.extend_from_slice(part);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    offset
}

/// Entry of a node in the section of nodes. `output_word` is a word of the arena, `weights` and `parameters` are bytes of
/// the blob.
fn node_entry(node: &Node, layer: &Layer, output_word: usize, weights: usize, parameters: usize) -> [u8; NODE_LEN] {
    let mut entry = [0; NODE_LEN];
    let activation = match node {
        Node::Conv { input, conv } => {
            entry[NODE_OP_AT] = match conv.kind {
                ConvKind::Full3x3 => OpCode::Conv3x3,
                ConvKind::Pointwise => OpCode::Conv1x1,
                ConvKind::Depthwise3x3 => OpCode::Depthwise3x3,
            } as u8;
            entry[NODE_STRIDE_AT] = conv.stride as u8;
            put(&mut entry, NODE_INPUT_AT, &(*input as u16).to_le_bytes());
            put(&mut entry, NODE_WEIGHTS_AT, &(weights as u32).to_le_bytes());
            put(&mut entry, NODE_PARAMETERS_AT, &(parameters as u32).to_le_bytes());
            conv.activation
        }
        Node::Add { left, right, activation } => {
            entry[NODE_OP_AT] = OpCode::Add as u8;
            put(&mut entry, NODE_INPUT_AT, &(*left as u16).to_le_bytes());
            put(&mut entry, NODE_RIGHT_AT, &(*right as u16).to_le_bytes());
            *activation
        }
    };
    entry[NODE_ACTIVATION_AT] = match activation {
        Activation::Identity => format::Activation::Identity,
        Activation::Relu => format::Activation::Relu,
        Activation::Relu6 => format::Activation::Relu6,
    } as u8;
    entry[NODE_ZERO_AT] = layer.zero;
    put(&mut entry, NODE_CHANNELS_AT, &(layer.channels as u32).to_le_bytes());
    put(&mut entry, NODE_OUTPUT_WORD_AT, &(output_word as u32).to_le_bytes());
    put(&mut entry, NODE_SUM_AT, layer.sum.map(i32::to_le_bytes).as_flattened());
    entry
}

/// Appends the sections and writes their offsets and lengths to the header.
fn write_sections(bytes: &mut Vec<u8>, parts: &BlobParts<'_>, nodes: Vec<u8>, readout: &[u8]) {
    let recipe = parts.preprocessing;
    let floats = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
    let channel = |(mean, std): (&f32, &f32)| {
        let pad = (mean * 255.0).round().clamp(0.0, 255.0) as u32;
        [floats(&[1.0 / (255.0 * std), -mean / std]), pad.to_le_bytes().to_vec()].concat()
    };
    let golden = parts.golden.map(|golden| {
        let mut section = golden.pixels.to_vec();
        section.resize(section.len().next_multiple_of(4), 0);
        section.extend(golden.feature.iter().flat_map(|value| value.to_le_bytes()));
        section
    });
    for kind in SectionKind::ALL {
        let section = match kind {
            SectionKind::Input => recipe.mean.iter().zip(&recipe.std).flat_map(channel).collect(),
            SectionKind::Nodes => nodes.clone(),
            SectionKind::Statistics => {
                parts.corpus.map(|corpus| [floats(corpus.mean), floats(corpus.std)].concat()).unwrap_or_default()
            }
            SectionKind::Readout => readout.to_vec(),
            SectionKind::Golden => golden.clone().unwrap_or_default(),
        };
        if !section.is_empty() {
            let entry = [append(bytes, &section) as u32, section.len() as u32].map(u32::to_le_bytes);
            put(bytes, kind.entry_at(), entry.as_flattened());
        }
    }
}

/// Writes length and identity, and appends the checksum.
fn finish(bytes: &mut Vec<u8>) {
    let len = (bytes.len() + CHECKSUM_LEN) as u32;
    put(bytes, LEN_AT, &len.to_le_bytes());
    let identity = Sha256::digest(&bytes);
    put(bytes, IDENTITY_AT, &identity[..IDENTITY_LEN]);
    bytes.extend(crc32fast::hash(bytes).to_le_bytes());
}
