//! A few fixed training steps of `nano` and `mobile`, compared with PyTorch (`vectors/nano_20_steps.py`).
//!
//! Weights and images are computed from integers by the same few lines in both programs.
#![expect(clippy::print_stdout, reason = "measured errors, shown with --nocapture")]

mod reference;

use std::path::Path;

use macula::encoder::{Conv, ConvKind, EncoderSpec, InputShape, NamedTensor, Network, Node, Preset, Role, Workspace};
use macula::nn::cross_entropy::cross_entropy;
use macula::nn::linear::{linear_backward, linear_forward};
use macula::nn::optimiser::{Optimiser, OptimiserKind};
use serde::Deserialize;

const CLASSES: usize = 4;
const BATCHES: usize = 4;

/// The results of the script for one network.
#[derive(Deserialize)]
struct Vectors {
    steps: usize,
    batch: usize,
    side: usize,
    learning_rate: f32,
    momentum: f32,
    runs: Vec<Run>,
}

/// One training run in PyTorch; all but `loss_f32` in f64.
#[derive(Deserialize)]
struct Run {
    weight_decay: f32,
    label_smoothing: f32,
    loss_f32: Vec<f64>,
    loss: Vec<f64>,
    /// Euclidean length of every tensor after the last step.
    norms: Vec<f64>,
    /// Names for `norms`.
    names: Vec<String>,
    /// Frozen features of the first two images after the last step.
    features: Vec<f64>,
}

fn vectors(file: &str) -> Vectors {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
}

/// A linear congruential generator (Numerical Recipes) seeded with the FNV-1a hash of a name.
struct Stream {
    state: u32,
}

impl Stream {
    fn new(name: &str) -> Self {
        let hash = |state: u32, byte: u8| (state ^ u32::from(byte)).wrapping_mul(16_777_619);
        Self { state: name.bytes().fold(2_166_136_261, hash) }
    }

    /// The upper 24 of 32 bits.
    fn bits(&mut self) -> i32 {
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.state >> 8) as i32
    }

    /// `count` numbers in `[-bound, bound)`.
    fn uniform(&mut self, count: usize, bound: f64) -> Vec<f32> {
        let step = bound as f32 / (1 << 23) as f32;
        (0..count).map(|_| (self.bits() - (1 << 23)) as f32 * step).collect()
    }
}

/// The initial tensor `name`, as in the script.
fn start(name: &str, shape: &[usize]) -> NamedTensor {
    let len = shape.iter().product();
    let mut data = if let [_, rest @ ..] = shape
        && !rest.is_empty()
    {
        Stream::new(name).uniform(len, (6.0 / rest.iter().product::<usize>() as f64).sqrt())
    } else {
        Stream::new(name).uniform(len, 0.25)
    };
    if shape.len() == 1 && !name.ends_with("bias") {
        data.iter_mut().for_each(|x| *x += 1.0);
    }
    NamedTensor { name: name.to_owned(), shape: shape.to_vec(), data }
}

/// All initial tensors of `spec`.
fn start_all(spec: &EncoderSpec) -> Vec<NamedTensor> {
    let convs = spec.nodes.iter().filter_map(|node| match node {
        Node::Conv { conv, .. } => Some(conv),
        Node::Add { .. } => None,
    });
    let tensors = |conv: &Conv| {
        let channels_in = if conv.kind == ConvKind::Depthwise3x3 { 1 } else { conv.channels_in };
        let weight = [conv.channels_out, channels_in, conv.kernel(), conv.kernel()];
        [
            start(&format!("{}.weight", conv.name), &weight),
            start(&format!("{}.weight", conv.norm), &[conv.channels_out]),
            start(&format!("{}.bias", conv.norm), &[conv.channels_out]),
        ]
    };
    convs.flat_map(tensors).collect()
}

/// Images `[N, H, W, C]` and labels of one step: stripes with noise, whose direction is the class.
fn batch(step: usize, size: usize, side: usize) -> (Vec<f32>, Vec<usize>) {
    let mut pixels = Stream::new(&format!("pixels {}", step % BATCHES));
    let labels: Vec<usize> = (0..size).map(|_| pixels.bits() as usize % CLASSES).collect();
    let mut images = Vec::with_capacity(size * side * side * 3);
    for &label in &labels {
        for y in 0..side {
            for x in 0..side {
                let phase = [x, y, x + y, x + 2 * y][label];
                let stripe = if phase / 2 % 2 == 1 { 48 } else { 0 };
                images.extend((0..3).map(|_| (pixels.bits() % 192 + stripe - 128) as f32 / 64.0));
            }
        }
    }
    (images, labels)
}

fn spec(preset: Preset, side: usize) -> EncoderSpec {
    EncoderSpec::preset(preset, InputShape { channels: 3, height: side, width: side }).unwrap()
}

/// A network in training: encoder, then head, in one flat vector.
struct Training {
    network: Network,
    head_weight: Vec<f32>,
    head_bias: Vec<f32>,
    optimiser: Optimiser,
    workspace: Workspace,
}

impl Training {
    fn new(preset: Preset, vectors: &Vectors, run: &Run) -> Self {
        let mut network = Network::new(spec(preset, vectors.side), 0).unwrap();
        network.parameters = network.from_named(&start_all(network.spec())).unwrap();
        let dim = network.spec().feature_dim();
        let head_weight = start("head.weight", &[CLASSES, dim]).data;
        let head_bias = start("head.bias", &[CLASSES]).data;
        let encoder_len = network.parameters.len();
        let mut decayed: Vec<_> =
            network.layout().iter().filter(|t| t.role == Role::Weight).map(|t| t.range.clone()).collect();
        decayed.push(encoder_len..encoder_len + head_weight.len());
        let kind = OptimiserKind::Sgd { momentum: vectors.momentum, nesterov: false };
        let len = encoder_len + head_weight.len() + head_bias.len();
        let optimiser = Optimiser::new(kind, len, run.weight_decay, decayed);
        Self { network, head_weight, head_bias, optimiser, workspace: Workspace::default() }
    }

    /// Updates all parameters and returns the loss before the update.
    fn step(&mut self, images: &[f32], labels: &[usize], smoothing: f32, learning_rate: f32) -> f64 {
        let features = self.network.forward(&mut self.workspace, images).to_vec();
        let mut logits = vec![0.0; labels.len() * CLASSES];
        linear_forward(&mut logits, &features, &self.head_weight, &self.head_bias);
        let mut dlogits = vec![0.0; logits.len()];
        let loss = cross_entropy(&mut dlogits, &logits, labels, smoothing);

        let (encoder_len, weight_len) = (self.network.parameters.len(), self.head_weight.len());
        let mut gradient = vec![0.0; encoder_len + weight_len + CLASSES];
        let (dencoder, dhead) = gradient.split_at_mut(encoder_len);
        let (dweight, dbias) = dhead.split_at_mut(weight_len);
        let mut dfeatures = vec![0.0; features.len()];
        linear_backward(dweight, dbias, &mut dfeatures, &features, &self.head_weight, &dlogits);
        self.network.backward(&mut self.workspace, images, &dfeatures, dencoder);

        let mut parameters = [&self.network.parameters[..], &self.head_weight, &self.head_bias].concat();
        self.optimiser.step(&mut parameters, &gradient, learning_rate);
        self.head_bias = parameters.split_off(encoder_len + weight_len);
        self.head_weight = parameters.split_off(encoder_len);
        self.network.parameters = parameters;
        loss
    }

    /// Euclidean length of the tensor `name`, running statistics included.
    fn norm(&self, name: &str) -> f64 {
        let length = |data: &[f32]| data.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        match name {
            "head.weight" => return length(&self.head_weight),
            "head.bias" => return length(&self.head_bias),
            _ => {}
        }
        let mut tensors = self.network.to_named(&self.network.parameters);
        tensors.extend(self.network.statistics());
        length(&tensors.iter().find(|t| t.name == name).unwrap_or_else(|| panic!("no tensor {name}")).data)
    }
}

/// Largest relative errors allowed.
struct Tolerance {
    /// Loss of the first step.
    first_loss: f64,
    /// Loss of any step.
    loss: f64,
    /// Length of any tensor after the last step.
    norm: f64,
    /// Frozen features after the last step, relative to the largest.
    feature: f64,
}

fn relative(found: f64, expected: f64) -> f64 {
    (found / expected - 1.0).abs()
}

/// Trains as in the script and compares.
fn train_and_compare(preset: Preset, file: &str, tolerance: &Tolerance) {
    let vectors = vectors(file);
    for run in &vectors.runs {
        let mut training = Training::new(preset, &vectors, run);
        let mut worst = 0.0f64;
        for step in 0..vectors.steps {
            let (images, labels) = batch(step, vectors.batch, vectors.side);
            let found = training.step(&images, &labels, run.label_smoothing, vectors.learning_rate);
            let error = relative(found, run.loss[step]);
            let limit = if step == 0 { tolerance.first_loss } else { tolerance.loss };
            assert!(
                error < limit,
                "step {}: loss {found}, PyTorch has {} in f64 and {} in f32 (decay {})",
                step + 1,
                run.loss[step],
                run.loss_f32[step],
                run.weight_decay
            );
            worst = worst.max(error);
        }
        let torch = run.loss_f32.iter().zip(&run.loss).map(|(&a, &b)| relative(a, b)).fold(0.0, f64::max);
        println!(
            "{file}, decay {}: loss at most {worst:.1e} from PyTorch's f64, whose f32 is {torch:.1e} away",
            run.weight_decay
        );
        compare_result(&training, &vectors, run, tolerance);
    }
}

/// Compares weights, running statistics and frozen features after the last step.
fn compare_result(training: &Training, vectors: &Vectors, run: &Run, tolerance: &Tolerance) {
    let mut worst = 0.0f64;
    for (name, &expected) in run.names.iter().zip(&run.norms) {
        let found = training.norm(name);
        let error = relative(found, expected);
        assert!(error < tolerance.norm, "{name} has length {found}, PyTorch has {expected}: {error:.1e}");
        worst = worst.max(error);
    }
    let (images, _) = batch(0, vectors.batch, vectors.side);
    let features = training.network.embed(&images[..2 * vectors.side * vectors.side * 3]);
    let largest = run.features.iter().fold(0.0f64, |max, f| max.max(f.abs()));
    assert_eq!(features.len(), run.features.len());
    let mut worst_feature = 0.0f64;
    for (i, (&found, expected)) in features.iter().zip(&run.features).enumerate() {
        let error = (f64::from(found) - expected).abs() / largest;
        assert!(error < tolerance.feature, "feature {i} is {found}, PyTorch has {expected}");
        worst_feature = worst_feature.max(error);
    }
    println!("lengths of tensors at most {worst:.1e} away, frozen features {worst_feature:.1e} of the largest");
}

/// PyTorch in f32 differs from f64 by 6e-5 (loss), 5e-5 (lengths) and 7e-4 (features).
#[test]
fn nano_trains_as_in_torch() {
    let tolerance = Tolerance { first_loss: 1e-5, loss: 1e-3, norm: 5e-4, feature: 5e-3 };
    train_and_compare(Preset::Nano, "nano_20_steps.json", &tolerance);
}

/// Few channels and few pixels amplify rounding: PyTorch in f32 differs by 4e-4, 2e-4 and 1e-2.
#[test]
fn mobile_trains_as_in_torch() {
    let tolerance = Tolerance { first_loss: 1e-5, loss: 2e-3, norm: 1e-3, feature: 5e-2 };
    train_and_compare(Preset::Mobile, "mobile_5_steps.json", &tolerance);
}

/// The f64 reference for gradients is PyTorch's network: the first loss agrees to ten digits.
#[test]
fn the_f64_reference_agrees_with_torch() {
    for (preset, file) in [(Preset::Nano, "nano_20_steps.json"), (Preset::Mobile, "mobile_5_steps.json")] {
        let vectors = vectors(file);
        let spec = spec(preset, vectors.side);
        let tensors = reference::widen(&start_all(&spec));
        let (images, labels) = batch(0, vectors.batch, vectors.side);
        let (values, _) = reference::values(&spec, &tensors, &reference::to_f64(&images));
        let features = reference::features_from(&spec, &tensors, &values, spec.nodes.len() - 1);
        let weight = reference::to_f64(&start("head.weight", &[CLASSES, spec.feature_dim()]).data);
        let bias = reference::to_f64(&start("head.bias", &[CLASSES]).data);
        let logits = reference::linear(&features, &weight, &bias);
        for run in &vectors.runs {
            // The script has the nearest f64 of the smoothing, not the nearest f32.
            let smoothing = f64::from((run.label_smoothing * 1000.0).round()) / 1000.0;
            let loss = reference::cross_entropy(&logits, &labels, smoothing);
            assert!(relative(loss, run.loss[0]) < 1e-10, "{file}: {loss}, expected {}", run.loss[0]);
        }
    }
}
