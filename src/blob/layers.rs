//! Weights of a folded network in the order in which the device's kernels read them.
//!
//! C channels read, O made, K = 9 C or C. A folded weight is `[O, C, K, K]`; a blob's `k` runs over rows of the kernel,
//! its columns, channels.

use half::f16;

use super::int8::{Read, Scale, channel, scale, sum};
use super::make::{BlobParts, MakeBlobError, Weights};
use super::node_name;
use crate::data::Preprocessing;
use crate::encoder::{Conv, ConvKind, FoldedConv, Node};

/// Times that the range of an output is doubled for a sum of products that is too coarse for it.
const WIDENINGS: usize = 40;

/// What a node brings along.
#[derive(Default)]
pub(super) struct Layer {
    /// As `docs/blob-format.md` orders them.
    pub weights: Vec<u8>,
    /// f16: biases; int8: requantisation of each channel.
    pub parameters: Vec<u8>,
    /// Of a sum in int8: multipliers, offset, shift.
    pub sum: [i32; 4],
    /// int8: zero point of what it makes.
    pub zero: u8,
    /// O.
    pub channels: usize,
}

/// Every node's layer, and the feature per unit of the last value.
pub(super) fn layers(parts: &BlobParts<'_>) -> Result<(Vec<Layer>, f32), MakeBlobError> {
    let spec = &parts.encoder.spec;
    let shapes = spec.shapes()?;
    let mut folded = parts.encoder.convs.iter();
    // The first stands for the pixels, which have a scale for each channel instead.
    let mut scales = vec![Scale { unit: 1.0, zero: 0 }];
    let mut layers = Vec::new();
    for (index, node) in spec.nodes.iter().enumerate() {
        let mut layer = Layer { channels: shapes[index + 1].channels, ..Layer::default() };
        let mut made = Scale { unit: 1.0, zero: 0 };
        match (node, parts.weights) {
            (Node::Conv { input, conv }, weights) => {
                // There is one for each: lengths have been checked.
                let Some(folded) = folded.next() else { continue };
                check_finite(conv, folded, weights)?;
                match weights {
                    Weights::F16 => fill_f16(&mut layer, conv, folded),
                    Weights::Int8(ranges) => {
                        let read = read(*input, conv.channels_in, &scales[*input], parts.preprocessing);
                        made = fill_int8(&mut layer, conv, folded, &read, scale(ranges, index + 1))?;
                    }
                }
            }
            (Node::Add { left, right, .. }, Weights::Int8(ranges)) => {
                made = scale(ranges, index + 1);
                let no_sum = || MakeBlobError::Scale { layer: node_name(index, node) };
                layer.sum = sum(&scales[*left], &scales[*right], &made).ok_or_else(no_sum)?;
                layer.zero = made.zero;
            }
            (Node::Add { .. }, Weights::F16) => {}
        }
        scales.push(made);
        layers.push(layer);
    }
    let unit = scales.last().map_or(1.0, |scale| scale.unit);
    Ok((layers, unit as f32))
}

/// Each weight and bias must be a number that the blob's element holds.
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

/// `[O][K]`, `k` over rows, columns, channels.
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

/// What a convolution reads.
fn read(value: usize, channels: usize, scale: &Scale, recipe: &Preprocessing) -> Read {
    match value {
        0 => Read {
            unit: recipe.std.iter().map(|&std| 1.0 / (255.0 * f64::from(std))).collect(),
            zero: recipe.mean.iter().map(|&mean| 255.0 * f64::from(mean)).collect(),
        },
        _ => Read { unit: vec![scale.unit; channels], zero: vec![f64::from(scale.zero); channels] },
    }
}

/// Quantises a convolution; the scale of what it makes may come out wider than it was asked for.
fn fill_int8(
    layer: &mut Layer,
    conv: &Conv,
    folded: &FoldedConv,
    read: &Read,
    mut made: Scale,
) -> Result<Scale, MakeBlobError> {
    let filters = by_channel(conv, folded);
    let is_depthwise = conv.kind == ConvKind::Depthwise3x3;
    for _ in 0..WIDENINGS {
        let quantised: Option<Vec<_>> = filters
            .iter()
            .zip(&folded.bias)
            .enumerate()
            .map(|(o, (filter, &bias))| channel(filter, bias, read, is_depthwise.then_some(o), &made))
            .collect();
        let Some(quantised) = quantised else {
            // A wider range keeps its zero point: both ends move.
            made.unit *= 2.0;
            continue;
        };
        let words = quantised.iter().flat_map(|channel| channel.parameters);
        layer.parameters = words.flat_map(i32::to_le_bytes).collect();
        let weights: Vec<Vec<i8>> = quantised.into_iter().map(|channel| channel.weights).collect();
        layer.weights = if is_depthwise { by_tap(&weights) } else { in_pairs(&weights) };
        layer.zero = made.zero;
        return Ok(made);
    }
    Err(MakeBlobError::Scale { layer: conv.name.clone() })
}

/// `[9, C]`.
fn by_tap(weights: &[Vec<i8>]) -> Vec<u8> {
    (0..9).flat_map(|k| weights.iter().map(move |weights| weights[k] as u8)).collect()
}

/// `[O / 2, K' / 4, 2, 4]`, K filled up with 0.
fn in_pairs(weights: &[Vec<i8>]) -> Vec<u8> {
    let group = |weights: &[i8], g: usize| -> [u8; 4] {
        std::array::from_fn(|i| weights.get(4 * g + i).copied().unwrap_or(0) as u8)
    };
    let pair = |pair: &[Vec<i8>]| -> Vec<u8> {
        (0..pair[0].len().div_ceil(4)).flat_map(|g| pair.iter().flat_map(move |weights| group(weights, g))).collect()
    };
    weights.chunks(2).flat_map(pair).collect()
}
