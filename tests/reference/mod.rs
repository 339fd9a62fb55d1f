//! Slow reference of an encoder: f64, one loop per dimension, forward only.
//!
//! N images, H rows, W columns, C channels; values are NHWC, weights in PyTorch's layout. Batch norm uses the batch's own
//! statistics. Its central differences are the reference for gradients: their error in f64 is far below that of an f32
//! backward pass.
#![allow(dead_code, reason = "each test that shares this file uses its part of it")]

use std::collections::BTreeMap;
use std::ops::Range;

use macula::encoder::{Activation, Conv, ConvKind, EncoderSpec, Grid, NamedTensor, Node, STD_EPSILON};

/// Added to the variance, as in PyTorch.
const EPSILON: f64 = 1e-5;

/// Parameters by name, row-major.
pub type Tensors = BTreeMap<String, Vec<f64>>;

/// Widens named tensors.
pub fn widen(tensors: &[NamedTensor]) -> Tensors {
    tensors.iter().map(|tensor| (tensor.name.clone(), to_f64(&tensor.data))).collect()
}

/// Widens numbers.
pub fn to_f64(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&x| f64::from(x)).collect()
}

/// Every value of the graph for `input` `[N, H, W, C]`, the input first, and the smallest distance of a unit from a kink of
/// its activation.
pub fn values(spec: &EncoderSpec, tensors: &Tensors, input: &[f64]) -> (Vec<Vec<f64>>, f64) {
    let mut values = vec![input.to_vec()];
    let mut margin = f64::INFINITY;
    values.extend(values_from(spec, tensors, &values, 0, &mut margin));
    (values, margin)
}

/// The pooled values `[N, P]` for `tensors` that differ from those of `values` only from node `first` on.
pub fn features_from(spec: &EncoderSpec, tensors: &Tensors, values: &[Vec<f64>], first: usize) -> Vec<f64> {
    let mut margin = f64::INFINITY;
    let computed = values_from(spec, tensors, values, first, &mut margin);
    pool(spec, |id| if id <= first { &values[id] } else { &computed[id - first - 1] })
}

/// The values of the nodes from `first` on; lowers `margin` to the distance of the nearest kink.
fn values_from(
    spec: &EncoderSpec,
    tensors: &Tensors,
    before: &[Vec<f64>],
    first: usize,
    margin: &mut f64,
) -> Vec<Vec<f64>> {
    let shapes = spec.shapes().expect("a valid spec");
    let mut computed: Vec<Vec<f64>> = Vec::new();
    for node in &spec.nodes[first..] {
        let value = |id: usize| if id <= first { &before[id] } else { &computed[id - first - 1] };
        let next = match node {
            Node::Conv { input, conv } => {
                let mut y = convolve(conv, &tensors[&format!("{}.weight", conv.name)], value(*input), shapes[*input]);
                let (scale, shift) = (format!("{}.weight", conv.norm), format!("{}.bias", conv.norm));
                normalise(&mut y, &tensors[&scale], &tensors[&shift]);
                activate(conv.activation, &mut y, margin);
                y
            }
            Node::Add { left, right, activation } => {
                let mut y: Vec<f64> = value(*left).iter().zip(value(*right)).map(|(a, b)| a + b).collect();
                activate(*activation, &mut y, margin);
                y
            }
        };
        computed.push(next);
    }
    computed
}

/// The pooled values `[N, P]` of the spec's readout, with `value` giving each value `[N, H, W, C]`.
fn pool<'v>(spec: &EncoderSpec, value: impl Fn(usize) -> &'v [f64]) -> Vec<f64> {
    let (pooling, shapes) = (spec.readout.pooling, spec.shapes().expect("a valid spec"));
    let last = spec.nodes.len();
    let taken = if pooling.takes_stages() { spec.stage_outputs() } else { vec![last] };
    let images = value(0).len() / shapes[0].len();
    let mut rows = Vec::new();
    for image in 0..images {
        for &id in &taken {
            let Grid { rows: height, columns: width, channels } = shapes[id];
            let pixels = &value(id)[image * shapes[id].len()..][..shapes[id].len()];
            let mean = |c: usize, rows: Range<usize>, columns: Range<usize>| {
                let count = (rows.len() * columns.len()) as f64;
                let at = |row: usize, column: usize| pixels[(row * width + column) * channels + c];
                rows.map(|row| columns.clone().map(|column| at(row, column)).sum::<f64>()).sum::<f64>() / count
            };
            let means: Vec<f64> = (0..channels).map(|c| mean(c, 0..height, 0..width)).collect();
            rows.extend_from_slice(&means);
            if pooling.takes_std() {
                rows.extend(means.iter().enumerate().map(|(c, mean)| {
                    let squares = pixels[c..].iter().step_by(channels).map(|x| (x - mean).powi(2)).sum::<f64>();
                    (squares / (height * width) as f64 + f64::from(STD_EPSILON)).sqrt()
                }));
            }
            if pooling.takes_cells() && id == last {
                for rows_of_cell in [0..height.div_ceil(2), height / 2..height] {
                    for columns in [0..width.div_ceil(2), width / 2..width] {
                        rows.extend((0..channels).map(|c| mean(c, rows_of_cell.clone(), columns.clone())));
                    }
                }
            }
        }
    }
    rows
}

/// `x` `[N, H, W, C]` with `weight` `[O, C, K, K]` (`[O, 1, K, K]` where depthwise), padded by `K / 2`.
fn convolve(conv: &Conv, weight: &[f64], x: &[f64], shape: Grid) -> Vec<f64> {
    let Grid { rows: height, columns: width, channels } = shape;
    let (kernel, stride, pad) = (conv.kernel(), conv.stride, conv.kernel() / 2);
    let depthwise = conv.kind == ConvKind::Depthwise3x3;
    let group = if depthwise { 1 } else { channels };
    let mut y = Vec::new();
    for image in x.chunks_exact(height * width * channels) {
        for row in 0..height.div_ceil(stride) {
            for column in 0..width.div_ceil(stride) {
                for o in 0..conv.channels_out {
                    let mut sum = 0.0;
                    for ky in 0..kernel {
                        for kx in 0..kernel {
                            let (iy, ix) = (row * stride + ky, column * stride + kx);
                            if iy < pad || ix < pad || iy - pad >= height || ix - pad >= width {
                                continue;
                            }
                            let pixel = &image[((iy - pad) * width + ix - pad) * channels..][..channels];
                            let pixel = if depthwise { &pixel[o..=o] } else { pixel };
                            let at = (o * group * kernel + ky) * kernel + kx;
                            let taps = weight[at..].iter().step_by(kernel * kernel);
                            sum += pixel.iter().zip(taps).map(|(a, b)| a * b).sum::<f64>();
                        }
                    }
                    y.push(sum);
                }
            }
        }
    }
    y
}

/// `(y - mean) / sqrt(variance + ε) * scale + shift` by channel, over images and pixels.
fn normalise(y: &mut [f64], scale: &[f64], shift: &[f64]) {
    let channels = scale.len();
    let count = (y.len() / channels) as f64;
    for c in 0..channels {
        let channel = || y[c..].iter().step_by(channels);
        let mean = channel().sum::<f64>() / count;
        let variance = channel().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let factor = scale[c] / (variance + EPSILON).sqrt();
        for v in y[c..].iter_mut().step_by(channels) {
            *v = (*v - mean) * factor + shift[c];
        }
    }
}

fn activate(activation: Activation, y: &mut [f64], margin: &mut f64) {
    let kinks: &[f64] = match activation {
        Activation::Identity => &[],
        Activation::Relu => &[0.0],
        Activation::Relu6 => &[0.0, 6.0],
    };
    for v in y {
        // A unit exactly at a kink is the output of an earlier clipping, so small changes do not move it.
        for kink in kinks.iter().filter(|&kink| kink != v) {
            *margin = margin.min((*v - kink).abs());
        }
        *v = match activation {
            Activation::Identity => *v,
            Activation::Relu => v.max(0.0),
            Activation::Relu6 => v.clamp(0.0, 6.0),
        };
    }
}

/// `x W + b` for `x` `[N, D]` and `weight` `[K, D]`: `[N, K]`.
pub fn linear(x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let dim = weight.len() / bias.len();
    x.chunks_exact(dim)
        .flat_map(|row| {
            weight.chunks_exact(dim).zip(bias).map(move |(w, b)| row.iter().zip(w).map(|(x, w)| x * w).sum::<f64>() + b)
        })
        .collect()
}

/// Mean over rows of the cross-entropy of `logits` `[N, K]` with targets `1 - s + s / K` at the label, `s / K` elsewhere.
pub fn cross_entropy(logits: &[f64], labels: &[usize], smoothing: f64) -> f64 {
    let classes = logits.len() / labels.len();
    let total: f64 = logits
        .chunks_exact(classes)
        .zip(labels)
        .map(|(row, &label)| {
            let log_sum = row.iter().map(|v| v.exp()).sum::<f64>().ln();
            let mean = row.iter().map(|v| log_sum - v).sum::<f64>() / classes as f64;
            (1.0 - smoothing) * (log_sum - row[label]) + smoothing * mean
        })
        .sum();
    total / labels.len() as f64
}
