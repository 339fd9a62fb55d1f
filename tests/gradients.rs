//! Backward passes against central differences of an independent f64 forward pass (`reference`).
//!
//! Every layer is checked inside a small graph, which covers the gradients of its parameters and of its input; then `nano`
//! and `mobile` with head and loss. Each tensor is checked along two random directions and along a few single elements.
#![expect(clippy::print_stdout, reason = "measured errors, shown with --nocapture")]

mod cases;
mod reference;

use macula::encoder::{Algorithm, EncoderSpec, InputShape, Node, Pooling, Precision, Preset, Readout, Workspace};
use macula::nn::cross_entropy::cross_entropy;
use macula::nn::linear::{linear_backward, linear_forward};
use macula::rng::Rng;
use rayon::prelude::*;
use reference::{Tensors, to_f64};

/// Allowed error relative to the largest slope in the tensor.
const TOLERANCE: f64 = 1e-3;

/// Error always allowed, relative to the largest slope in the network. A shift that the next batch norm removes has slope
/// zero, which f32 reaches only up to rounding.
const FLOOR: f64 = 1e-5;

/// Step of the differences; f64 then has an error of about 1e-8.
const STEP: f64 = 1e-7;

/// Distance of units from their kinks in small graphs: above `STEP` and above the rounding of f32. In a whole network a few
/// of many thousand units may cross a kink; their share of a slope is below the tolerance.
const MARGIN: f64 = 1e-5;

/// A line through the space of one tensor.
struct Probe {
    tensor: usize,
    /// Node of the graph that owns the tensor.
    node: usize,
    /// Index in the tensor, and its change per unit along the line.
    direction: Vec<(usize, f64)>,
}

/// A loss of features `[N, D]` in f64, and its gradient as Macula computes it.
trait Loss: Sync {
    fn reference(&self, features: &[f64]) -> f64;
    fn gradient(&self, features: &[f32]) -> Vec<f32>;
}

/// Weighted sum of all features with fixed random weights.
struct WeightedSum(Vec<f32>);

impl Loss for WeightedSum {
    fn reference(&self, features: &[f64]) -> f64 {
        features.iter().zip(&self.0).map(|(f, &w)| f * f64::from(w)).sum()
    }

    fn gradient(&self, _features: &[f32]) -> Vec<f32> {
        self.0.clone()
    }
}

/// Linear head and smoothed cross-entropy.
struct Classifier {
    weight: Vec<f32>,
    bias: Vec<f32>,
    labels: Vec<usize>,
}

const SMOOTHING: f32 = 0.1;

impl Classifier {
    fn new(rng: &mut Rng, dim: usize, classes: usize, count: usize) -> Self {
        Self {
            weight: (0..dim * classes).map(|_| 0.3 * rng.normal()).collect(),
            bias: (0..classes).map(|_| rng.normal()).collect(),
            labels: (0..count).map(|n| n % classes).collect(),
        }
    }

    /// Gradients of weight, bias and features.
    fn gradients(&self, features: &[f32]) -> [Vec<f32>; 3] {
        let mut logits = vec![0.0; self.labels.len() * self.bias.len()];
        linear_forward(&mut logits, features, &self.weight, &self.bias);
        let mut dlogits = vec![0.0; logits.len()];
        cross_entropy(&mut dlogits, &logits, &self.labels, SMOOTHING);
        let [mut dweight, mut dbias, mut dx] = [&self.weight[..], &self.bias, features].map(|x| vec![0.0; x.len()]);
        linear_backward(&mut dweight, &mut dbias, &mut dx, features, &self.weight, &dlogits);
        [dweight, dbias, dx]
    }
}

impl Loss for Classifier {
    fn reference(&self, features: &[f64]) -> f64 {
        let logits = reference::linear(features, &to_f64(&self.weight), &to_f64(&self.bias));
        reference::cross_entropy(&logits, &self.labels, f64::from(SMOOTHING))
    }

    fn gradient(&self, features: &[f32]) -> Vec<f32> {
        let [_, _, dfeatures] = self.gradients(features);
        dfeatures
    }
}

/// Two random directions and up to `singles` single elements of each tensor.
fn probes(spec: &EncoderSpec, names: &[(String, usize)], singles: usize, rng: &mut Rng) -> Vec<Probe> {
    let mut probes = Vec::new();
    for (tensor, (name, len)) in names.iter().enumerate() {
        let (owner, _) = name.rsplit_once('.').unwrap();
        let owns = |node: &Node| matches!(node, Node::Conv { conv, .. } if conv.name == owner || conv.norm == owner);
        let node = spec.nodes.iter().position(owns).unwrap();
        for _ in 0..2 {
            // Unit length on average, so that slopes are comparable with those of single elements.
            let direction = (0..*len).map(|i| (i, f64::from(rng.normal()) / (*len as f64).sqrt())).collect();
            probes.push(Probe { tensor, node, direction });
        }
        let single = |i| Probe { tensor, node, direction: vec![(i, 1.0)] };
        probes.extend(rng.sample(*len, singles).into_iter().map(single));
    }
    probes
}

/// Slope of `loss` along `probe` by central differences.
fn slope(
    spec: &EncoderSpec,
    tensors: &Tensors,
    name: &str,
    values: &[Vec<f64>],
    probe: &Probe,
    loss: &dyn Loss,
) -> f64 {
    let mut moved = tensors.clone();
    let mut at = |offset: f64| {
        let (from, to) = (&tensors[name], moved.get_mut(name).unwrap());
        to.copy_from_slice(from);
        probe.direction.iter().for_each(|&(i, d)| to[i] += offset * d);
        loss.reference(&reference::features_from(spec, &moved, values, probe.node))
    };
    (at(STEP) - at(-STEP)) / (2.0 * STEP)
}

/// Compares `found` with `expected`, one slope per probe, relative to the largest slope of each tensor.
fn compare(case: &str, names: &[(String, usize)], probes: &[Probe], expected: &[f64], found: &[f64]) {
    let largest = |tensor: Option<usize>| {
        let of = probes.iter().zip(expected).filter(|(probe, _)| tensor.is_none_or(|t| t == probe.tensor));
        of.map(|(_, slope)| slope.abs()).fold(0.0, f64::max)
    };
    let floor = FLOOR * largest(None);
    let mut worst = 0.0f64;
    for ((probe, expected), found) in probes.iter().zip(expected).zip(found) {
        let allowed = (TOLERANCE * largest(Some(probe.tensor))).max(floor);
        let error = (expected - found).abs() / allowed * TOLERANCE;
        assert!(
            error <= TOLERANCE,
            "{case}: {} along {}: {found:e}, central differences give {expected:e}, error {error:.1e} of the tensor's largest",
            names[probe.tensor].0,
            if probe.direction.len() == 1 { format!("element {}", probe.direction[0].0) } else { "all".into() },
        );
        worst = worst.max(error);
    }
    println!("{case}: {} slopes of {} tensors, worst error {worst:.1e}", probes.len(), names.len());
}

/// Checks the gradient of all parameters of `spec` for `count` random images, with `singles` single elements per tensor.
fn check(
    case: &str,
    spec: EncoderSpec,
    count: usize,
    singles: usize,
    margin: f64,
    make_loss: impl Fn(&mut Rng) -> Box<dyn Loss>,
) {
    let mut rng = Rng::for_purpose(11, case);
    let loss = make_loss(&mut rng);
    let mut network = cases::network(spec.clone(), &mut rng);
    let input = cases::images(&network, count, margin, &mut rng);

    let mut workspace = Workspace::default();
    let features = network.forward(&mut workspace, &input).to_vec();
    let mut gradient = vec![f32::NAN; network.parameters.len()];
    network.backward(&mut workspace, &input, &loss.gradient(&features), &mut gradient);
    let gradient = network.to_named(&gradient);

    let tensors = reference::widen(&network.to_named(&network.parameters));
    let (values, _) = reference::values(&spec, &tensors, &to_f64(&input));
    for (i, (expected, &found)) in
        reference::features_from(&spec, &tensors, &values, 0).iter().zip(&features).enumerate()
    {
        let error = (expected - f64::from(found)).abs();
        assert!(error < 1e-4 * expected.abs().max(1.0), "{case}: feature {i}: found {found}, expected {expected}");
    }

    let names: Vec<(String, usize)> = gradient.iter().map(|t| (t.name.clone(), t.data.len())).collect();
    let probes = probes(&spec, &names, singles, &mut rng);
    let expected: Vec<f64> =
        probes.par_iter().map(|probe| slope(&spec, &tensors, &names[probe.tensor].0, &values, probe, &*loss)).collect();
    let found: Vec<f64> = probes
        .iter()
        .map(|probe| probe.direction.iter().map(|&(i, d)| d * f64::from(gradient[probe.tensor].data[i])).sum())
        .collect();
    compare(case, &names, &probes, &expected, &found);
}

/// Three images through each small graph; weights of the mean over pixels are random.
#[test]
fn each_layer_matches_central_differences() {
    for (case, spec) in cases::layers() {
        let dim = spec.feature_dim();
        let weights =
            |rng: &mut Rng| -> Box<dyn Loss> { Box::new(WeightedSum((0..3 * dim).map(|_| rng.normal()).collect())) };
        check(&case, spec, 3, 8, MARGIN, weights);
    }
}

fn check_preset(preset: Preset, side: usize, count: usize, singles: usize) {
    let spec = EncoderSpec::preset(preset, InputShape { channels: 3, height: side, width: side }).unwrap();
    let dim = spec.feature_dim();
    let head = |rng: &mut Rng| -> Box<dyn Loss> { Box::new(Classifier::new(rng, dim, 4, count)) };
    check(preset.name(), spec, count, singles, 0.0, head);
}

#[test]
fn nano_matches_central_differences() {
    check_preset(Preset::Nano, 16, 4, 6);
}

#[test]
fn mobile_matches_central_differences() {
    check_preset(Preset::Mobile, 32, 4, 4);
}

/// The gradient of every tensor beside that of direct convolutions in f32, relative to its length. Winograd's transforms round a few times
/// as often; bf16 rounds factors by up to 1/256, which also moves units across the kink of ReLU. The worst tensors are shifts, whose gradients
/// nearly cancel; a wrong product is off by more than its length.
#[test]
fn other_arithmetic_gives_nearly_the_same_gradients() {
    for (preset, side) in [(Preset::Nano, 32), (Preset::Micro, 32), (Preset::Mobile, 32)] {
        let spec = EncoderSpec::preset(preset, InputShape { channels: 3, height: side, width: side }).unwrap();
        let mut rng = Rng::for_purpose(13, "arithmetic");
        let mut network = cases::network(spec, &mut rng);
        let input: Vec<f32> = (0..8 * side * side * 3).map(|_| rng.normal()).collect();
        let dfeatures: Vec<f32> = (0..8 * network.feature_dim()).map(|_| rng.normal()).collect();
        let mut gradient = |precision, algorithm| {
            network.set_arithmetic(precision, algorithm);
            let (mut workspace, mut gradient) = (Workspace::default(), vec![f32::NAN; network.parameters.len()]);
            network.forward(&mut workspace, &input);
            network.backward(&mut workspace, &input, &dfeatures, &mut gradient);
            network.to_named(&gradient)
        };
        let exact = gradient(Precision::F32, Algorithm::Direct);
        // Rounding turns the sign of a few activations near 0, which their gradients then pass or not.
        for (precision, algorithm, tolerance) in
            [(Precision::F32, Algorithm::Winograd, 1e-2), (Precision::Bf16, Algorithm::Direct, 0.5)]
        {
            if precision == Precision::Bf16 && preset == Preset::Mobile {
                // Its pointwise convolutions are compared one by one (`src/nn/conv_bf16.rs`).
                continue;
            }
            let found = gradient(precision, algorithm);
            let mut worst = 0.0f64;
            for (exact, found) in exact.iter().zip(&found) {
                let length = |of: &dyn Fn(usize) -> f32| {
                    (0..exact.data.len()).map(|i| f64::from(of(i)).powi(2)).sum::<f64>().sqrt()
                };
                let error = length(&|i| exact.data[i] - found.data[i]) / length(&|i| exact.data[i]);
                worst = worst.max(error);
                assert!(error < tolerance, "{}: {precision:?}, {algorithm:?}: {}: {error}", preset.name(), exact.name);
            }
            println!("{}, {precision:?}, {algorithm:?}: error {worst:.1e} of a tensor's length", preset.name());
            let is_other = precision == Precision::Bf16 || preset != Preset::Mobile;
            assert_eq!(worst > 0.0, is_other, "{}: {precision:?}, {algorithm:?} is used", preset.name());
        }
    }
}

/// Each readout through graphs whose stages end in a sum, in a convolution without activation, and in one pixel.
#[test]
fn each_readout_matches_central_differences() {
    let graphs =
        cases::layers().into_iter().filter(|(case, _)| case.starts_with("sums with Relu6") || case.starts_with("maps"));
    let mobile = EncoderSpec::preset(Preset::Mobile, InputShape { channels: 1, height: 24, width: 24 }).unwrap();
    for (case, spec) in graphs.chain([("mobile".to_owned(), mobile)]) {
        for pooling in [Pooling::MeanStd, Pooling::Stages, Pooling::Grid] {
            let spec = EncoderSpec { readout: Readout::pooled(pooling), ..spec.clone() };
            let len = 3 * spec.pooled_len();
            let weights =
                |rng: &mut Rng| -> Box<dyn Loss> { Box::new(WeightedSum((0..len).map(|_| rng.normal()).collect())) };
            let margin = if case == "mobile" { 0.0 } else { MARGIN };
            check(&format!("{case}, {}", pooling.name()), spec, 3, 4, margin, weights);
        }
    }
}

/// Every weight of the head.
#[test]
fn linear_and_cross_entropy_match_central_differences() {
    let mut rng = Rng::for_purpose(12, "head");
    let mut head = Classifier::new(&mut rng, 13, 5, 7);
    let features: Vec<f32> = (0..7 * 13).map(|_| rng.normal()).collect();
    let found = head.gradients(&features);
    let wide = [&head.weight, &head.bias, &features].map(|x| to_f64(x));
    let loss = |at: &[Vec<f64>; 3]| {
        reference::cross_entropy(&reference::linear(&at[2], &at[0], &at[1]), &head.labels, f64::from(SMOOTHING))
    };
    for (part, found) in found.iter().enumerate() {
        for (i, &found) in found.iter().enumerate() {
            let at = |offset: f64| {
                let mut moved = wide.clone();
                moved[part][i] += offset;
                loss(&moved)
            };
            let expected = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            assert!(
                (expected - f64::from(found)).abs() < 1e-6,
                "part {part}, number {i}: found {found}, expected {expected}"
            );
        }
    }
    // The value of the loss too; a wrong label changes it.
    let value = |head: &Classifier| {
        let mut logits = vec![0.0; 35];
        linear_forward(&mut logits, &features, &head.weight, &head.bias);
        cross_entropy(&mut [0.0; 35], &logits, &head.labels, SMOOTHING)
    };
    assert!((value(&head) - loss(&wide)).abs() < 1e-6);
    let before = value(&head);
    head.labels[0] += 1;
    assert!((value(&head) - before).abs() > 1e-3);
}
