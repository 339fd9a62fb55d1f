//! Weights of a folded network in the order of the device's kernels.
//!
//! C input channels, O output channels. A folded weight is `[O, C, K, K]`. In a blob each output channel has 9 C or C
//! weights (9 where depthwise), ordered by kernel row, kernel column, input channel.

use half::f16;

use super::error::MakeBlobError;
use super::int8::{ConvInput, Scale, quantise_channel, sum};
use super::parts::{BlobParts, Weights};
use crate::data::Preprocessing;
use crate::encoder::{Conv, ConvKind, FoldedConv, Node};

/// How often the range of an output may be doubled when its products are too coarse for it.
const WIDENINGS: usize = 40;

/// Data of one node.
#[derive(Default)]
pub(super) struct Layer {
    /// In the order of `docs/blob-format.md`.
    pub weights: Vec<u8>,
    /// f16: biases; int8: requantisation of each channel.
    pub parameters: Vec<u8>,
    /// int8 sum: multipliers, offset, shift.
    pub sum: [i32; 4],
    /// int8: zero point of the output.
    pub zero: u8,
    /// O.
    pub channels: usize,
}

/// Data of all nodes.
pub(super) struct Layers {
    pub layers: Vec<Layer>,
    /// Number per unit of each value as stored; that of the pixels has no meaning.
    pub units: Vec<f32>,
}

impl Layers {
    /// Converts the weights of `parts`, whose lengths have been checked.
    pub fn new(parts: &BlobParts<'_>) -> Result<Self, MakeBlobError> {
        let spec = &parts.encoder.spec;
        let shapes = spec.shapes()?;
        let mut folded = parts.encoder.convs.iter();
        // The first one is a placeholder: the pixels have a scale per channel.
        let mut scales = vec![Scale { unit: 1.0, zero: 0 }];
        let mut layers = Vec::new();
        for (index, node) in spec.nodes.iter().enumerate() {
            let mut layer = Layer { channels: shapes[index + 1].channels, ..Layer::default() };
            let mut output = Scale { unit: 1.0, zero: 0 };
            match (node, parts.weights) {
                (Node::Conv { input, conv }, weights) => {
                    let Some(folded) = folded.next() else { continue };
                    check_finite(conv, folded, weights)?;
                    match weights {
                        Weights::F16 => fill_f16(&mut layer, conv, folded),
                        Weights::Int8(ranges) => {
                            let input = match input {
                                0 => pixels(parts.preprocessing),
                                _ => ConvInput::uniform(&scales[*input], conv.channels_in),
                            };
                            output = fill_int8(&mut layer, conv, folded, &input, Scale::of(ranges[index + 1]))?;
                        }
                    }
                }
                (Node::Add { left, right, .. }, Weights::Int8(ranges)) => {
                    output = Scale::of(ranges[index + 1]);
                    let no_sum = || MakeBlobError::Scale { layer: spec.node_name(index) };
                    layer.sum = sum(&scales[*left], &scales[*right], &output).ok_or_else(no_sum)?;
                    layer.zero = output.zero;
                }
                (Node::Add { .. }, Weights::F16) => {}
            }
            scales.push(output);
            layers.push(layer);
        }
        let units = scales.iter().map(|scale| scale.unit as f32).collect();
        Ok(Self { layers, units })
    }
}

/// Checks that the blob's number format can represent each weight and bias.
fn check_finite(conv: &Conv, folded: &FoldedConv, weights: Weights<'_>) -> Result<(), MakeBlobError> {
    let is_f16 = matches!(weights, Weights::F16);
    let element = if is_f16 { "f16" } else { "int8" };
    for (what, values) in [("weight", &folded.weight), ("bias", &folded.bias)] {
        let holds = |value: f32| value.is_finite() && (!is_f16 || f16::from_f32(value).is_finite());
        if let Some(index) = values.iter().position(|&value| !holds(value)) {
            return Err(MakeBlobError::Value { layer: conv.name.clone(), what, index, value: values[index], element });
        }
    }
    Ok(())
}

/// `[O][K]`, K over kernel rows, kernel columns, input channels.
fn by_channel(conv: &Conv, folded: &FoldedConv) -> Vec<Vec<f32>> {
    let taps = conv.kernel() * conv.kernel();
    let channels = conv.weight_len() / conv.channels_out / taps;
    let reorder = |filter: &[f32]| (0..taps * channels).map(|k| filter[k % channels * taps + k / channels]).collect();
    folded.weight.chunks(taps * channels).map(reorder).collect()
}

fn fill_f16(layer: &mut Layer, conv: &Conv, folded: &FoldedConv) {
    let filters = by_channel(conv, folded);
    let half = |value: f32| f16::from_f32(value).to_le_bytes();
    layer.weights = match conv.kind {
        // [9, C]
        ConvKind::Depthwise3x3 => {
            (0..9).flat_map(|k| filters.iter().map(move |filter| half(filter[k]))).flatten().collect()
        }
        // [O / 8, K, 8]
        _ => filters
            .chunks(8)
            .flat_map(|block| {
                (0..block[0].len()).flat_map(move |k| block.iter().flat_map(move |filter| half(filter[k])))
            })
            .collect(),
    };
    layer.parameters = folded.bias.iter().flat_map(|bias| bias.to_le_bytes()).collect();
}

/// The pixels as input of a convolution.
fn pixels(recipe: &Preprocessing) -> ConvInput {
    ConvInput {
        unit: recipe.std.iter().map(|&std| 1.0 / (255.0 * f64::from(std))).collect(),
        zero: recipe.mean.iter().map(|&mean| 255.0 * f64::from(mean)).collect(),
    }
}

/// Quantises a convolution; returns the scale of its output, which may be wider than `output`.
fn fill_int8(
    layer: &mut Layer,
    conv: &Conv,
    folded: &FoldedConv,
    input: &ConvInput,
    mut output: Scale,
) -> Result<Scale, MakeBlobError> {
    let filters = by_channel(conv, folded);
    let is_depthwise = conv.kind == ConvKind::Depthwise3x3;
    for _ in 0..WIDENINGS {
        let quantised: Option<Vec<_>> = filters
            .iter()
            .zip(&folded.bias)
            .enumerate()
            .map(|(o, (filter, &bias))| quantise_channel(filter, bias, input, is_depthwise.then_some(o), &output))
            .collect();
        let Some(quantised) = quantised else {
            // Both ends move, so the zero point stays.
            output.unit *= 2.0;
            continue;
        };
        let words = quantised.iter().flat_map(|channel| channel.parameters);
        layer.parameters = words.flat_map(i32::to_le_bytes).collect();
        let weights: Vec<Vec<i8>> = quantised.into_iter().map(|channel| channel.weights).collect();
        layer.weights = if is_depthwise { by_tap(&weights) } else { in_pairs(&weights) };
        layer.zero = output.zero;
        return Ok(output);
    }
    Err(MakeBlobError::Scale { layer: conv.name.clone() })
}

/// `[9, C]`.
fn by_tap(weights: &[Vec<i8>]) -> Vec<u8> {
    (0..9).flat_map(|k| weights.iter().map(move |weights| weights[k] as u8)).collect()
}

/// `[O / 2, K' / 4, 2, 4]`, K' is K padded with 0 to a multiple of 4.
fn in_pairs(weights: &[Vec<i8>]) -> Vec<u8> {
    let group = |weights: &[i8], g: usize| -> [u8; 4] {
        std::array::from_fn(|i| weights.get(4 * g + i).copied().unwrap_or(0) as u8)
    };
    let pair = |pair: &[Vec<i8>]| -> Vec<u8> {
        (0..pair[0].len().div_ceil(4)).flat_map(|g| pair.iter().flat_map(move |weights| group(weights, g))).collect()
    };
    weights.chunks(2).flat_map(pair).collect()
}
