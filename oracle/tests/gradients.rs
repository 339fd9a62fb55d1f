//! Gradients of Macula's networks, compared with those of burn's autodiff on its ndarray backend.
//!
//! The same graph is built twice from one spec: here from burn's elementary operations, including batch norm, and in
//! Macula from its own kernels. Every number of every parameter tensor is compared, for each layer in a small graph and for
//! `nano` and `mobile`.
#![expect(
    deprecated,
    reason = "burn-ndarray is removed from burn after 0.22; until then it is an independent reference"
)]
#![expect(clippy::print_stdout, reason = "measured errors, shown with --nocapture")]

mod autodiff;
#[path = "../../tests/cases/mod.rs"]
mod cases;
#[path = "../../tests/reference/mod.rs"]
mod reference;

use std::collections::BTreeMap;

use autodiff::{Burn, Tensor, compare, numbers, reshape, tensor};
use burn_backend::ops::{ActivationOps, ConvOptions, FloatTensorOps, ModuleOps};
use burn_backend::{AutodiffBackend, TensorMetadata};
use macula::encoder::{Activation, Conv, ConvKind, EncoderSpec, InputShape, NamedTensor, Node, Preset, Workspace};
use macula::nn::cross_entropy::cross_entropy;
use macula::nn::linear::{linear_backward, linear_forward};
use macula::rng::Rng;

/// Smallest distance of units from their kinks in small graphs, so that rounding does not choose the side. In a complete
/// network one of the many thousand units may be nearer.
const MARGIN: f64 = 1e-5;

const SMOOTHING: f32 = 0.1;
const CLASSES: usize = 4;

/// Mean over `dims`, which stay as dimensions of length 1.
fn mean(x: Tensor, dims: &[usize]) -> Tensor {
    dims.iter().fold(x, |x, &dim| Burn::float_mean_dim(x, dim))
}

/// Parameters by name, as leaves of autodiff.
struct Parameters(BTreeMap<String, Tensor>);

impl Parameters {
    fn new(tensors: &[NamedTensor]) -> Self {
        let leaf = |t: &NamedTensor| Burn::float_set_require_grad(tensor(&t.data, &t.shape), true);
        Self(tensors.iter().map(|t| (t.name.clone(), leaf(t))).collect())
    }

    fn get(&self, owner: &str, part: &str) -> Tensor {
        self.0[&format!("{owner}.{part}")].clone()
    }

    /// Convolution, batch norm over the batch, activation; `[N, C, H, W]` to `[N, O, H', W']`.
    fn conv(&self, conv: &Conv, x: Tensor) -> Tensor {
        let groups = if conv.kind == ConvKind::Depthwise3x3 { conv.channels_in } else { 1 };
        let options = ConvOptions::new([conv.stride; 2], [conv.kernel() / 2; 2], [1; 2], groups);
        let y = Burn::conv2d(x, self.get(&conv.name, "weight"), None, options);

        let centred = Burn::float_sub(y.clone(), mean(y, &[0, 2, 3]));
        let variance = mean(Burn::float_mul(centred.clone(), centred.clone()), &[0, 2, 3]);
        let deviation = Burn::float_sqrt(Burn::float_add_scalar(variance, 1e-5f32.into()));
        let by_channel = |part| reshape(self.get(&conv.norm, part), &[1, conv.channels_out, 1, 1]);
        let y = Burn::float_mul(Burn::float_div(centred, deviation), by_channel("weight"));
        activate(conv.activation, Burn::float_add(y, by_channel("bias")))
    }

    /// Features `[N, D]` of `[N, C, H, W]`.
    fn features(&self, spec: &EncoderSpec, input: Tensor) -> Tensor {
        let mut values = vec![input];
        for node in &spec.nodes {
            let next = match node {
                Node::Conv { input, conv } => self.conv(conv, values[*input].clone()),
                Node::Add { left, right, activation } => {
                    activate(*activation, Burn::float_add(values[*left].clone(), values[*right].clone()))
                }
            };
            values.push(next);
        }
        let last = mean(values.pop().expect("the input at least"), &[2, 3]);
        let count = last.shape()[0];
        reshape(last, &[count, spec.feature_dim()])
    }
}

fn activate(activation: Activation, x: Tensor) -> Tensor {
    match activation {
        Activation::Identity => x,
        Activation::Relu => Burn::relu(x),
        Activation::Relu6 => Burn::float_clamp(x, 0f32.into(), 6f32.into()),
    }
}

/// Smoothed cross-entropy of a linear head, from elementary operations.
fn loss(features: Tensor, parameters: &Parameters, labels: &[usize]) -> Tensor {
    let weight = Burn::float_transpose(parameters.get("head", "weight"));
    let bias = reshape(parameters.get("head", "bias"), &[1, CLASSES]);
    let logits = Burn::float_add(Burn::float_matmul(features, weight), bias);
    let sum = Burn::float_sum_dim(Burn::float_exp(logits.clone()), 1);
    let log_p = Burn::float_sub(logits, Burn::float_log(sum));
    let target = |label: usize, c: usize| SMOOTHING / CLASSES as f32 + if c == label { 1.0 - SMOOTHING } else { 0.0 };
    let targets: Vec<f32> = labels.iter().flat_map(|&label| (0..CLASSES).map(move |c| target(label, c))).collect();
    let product = Burn::float_mul(log_p, tensor(&targets, &[labels.len(), CLASSES]));
    Burn::float_mul_scalar(Burn::float_sum(product), (-1.0 / labels.len() as f32).into())
}

/// `[N, H, W, C]` to `[N, C, H, W]`.
fn channels_first(x: &[f32], input: InputShape) -> Vec<f32> {
    let InputShape { channels, height, width } = input;
    let image = |image: &[f32]| -> Vec<f32> {
        (0..channels).flat_map(|c| image[c..].iter().step_by(channels).copied().collect::<Vec<_>>()).collect()
    };
    x.chunks_exact(channels * height * width).flat_map(image).collect()
}

/// Loss and gradients of Macula; the head's are named `head.weight` and `head.bias`.
fn ours(
    network: &mut macula::encoder::Network,
    head: &[NamedTensor; 2],
    input: &[f32],
    labels: &[usize],
) -> (f64, Vec<NamedTensor>) {
    let mut workspace = Workspace::default();
    let features = network.forward(&mut workspace, input).to_vec();
    let mut logits = vec![0.0; labels.len() * CLASSES];
    linear_forward(&mut logits, &features, &head[0].data, &head[1].data);
    let mut dlogits = vec![0.0; logits.len()];
    let loss = cross_entropy(&mut dlogits, &logits, labels, SMOOTHING);
    let mut dhead = head.clone();
    let [dweight, dbias] = &mut dhead;
    let mut dfeatures = vec![0.0; features.len()];
    linear_backward(&mut dweight.data, &mut dbias.data, &mut dfeatures, &features, &head[0].data, &dlogits);
    let mut gradient = vec![f32::NAN; network.parameters.len()];
    network.backward(&mut workspace, input, &dfeatures, &mut gradient);
    let mut gradients = network.to_named(&gradient);
    gradients.extend(dhead);
    (loss, gradients)
}

/// Loss and gradients of burn, in the order of `tensors`.
fn burns(spec: &EncoderSpec, tensors: &[NamedTensor], input: &[f32], labels: &[usize]) -> (f64, Vec<Vec<f32>>) {
    let parameters = Parameters::new(tensors);
    let InputShape { channels, height, width } = spec.input;
    let images = tensor(&channels_first(input, spec.input), &[labels.len(), channels, height, width]);
    let loss = loss(parameters.features(spec, images), &parameters, labels);
    let value = numbers(Burn::inner(loss.clone()))[0];
    let gradients = Burn::backward(loss);
    let of =
        |t: &NamedTensor| numbers(Burn::grad(&parameters.0[&t.name], &gradients).expect("every tensor takes part"));
    (f64::from(value), tensors.iter().map(of).collect())
}

/// Compares the gradients for `count` random images.
fn check(case: &str, spec: EncoderSpec, count: usize, margin: f64) {
    let mut rng = Rng::for_purpose(21, case);
    let labels: Vec<usize> = (0..count).map(|n| n % CLASSES).collect();
    let dim = spec.feature_dim();
    let mut random = |name: &str, shape: &[usize]| NamedTensor {
        name: name.into(),
        shape: shape.into(),
        data: (0..shape.iter().product()).map(|_| 0.3 * rng.normal()).collect(),
    };
    let head = [random("head.weight", &[CLASSES, dim]), random("head.bias", &[CLASSES])];
    let mut network = cases::network(spec.clone(), &mut rng);
    let input = cases::images(&network, count, margin, &mut rng);
    let tensors = [network.to_named(&network.parameters), head.to_vec()].concat();
    let (our_loss, found) = ours(&mut network, &head, &input, &labels);
    let (burn_loss, expected) = burns(&spec, &tensors, &input, &labels);
    assert!((our_loss / burn_loss - 1.0).abs() < 1e-5, "{case}: loss {our_loss}, burn has {burn_loss}");
    compare(case, &found, &expected);
}

#[test]
fn each_layer() {
    for (case, spec) in cases::layers() {
        check(&case, spec, 3, MARGIN);
    }
}

#[test]
fn whole_nano() {
    let input = InputShape { channels: 3, height: 32, width: 32 };
    check("nano", EncoderSpec::preset(Preset::Nano, input).unwrap(), 4, 0.0);
}

#[test]
fn whole_mobile() {
    let input = InputShape { channels: 3, height: 64, width: 64 };
    check("mobile", EncoderSpec::preset(Preset::Mobile, input).unwrap(), 2, 0.0);
}
