//! Losses and gradients of the objectives, compared with those of burn's autodiff on its ndarray backend.
//!
//! Each loss is implemented here again as in its paper, from burn's elementary operations: distances as differences,
//! similarities row by row, explicit mining. Every number of the gradient with respect to the features and to every tensor of
//! the head is compared.
#![expect(
    deprecated,
    reason = "burn-ndarray is removed from burn after 0.22; until then it is an independent reference"
)]
#![expect(clippy::print_stdout, reason = "measured errors, shown with --nocapture")]

mod autodiff;

use std::collections::BTreeMap;

use autodiff::{Burn, Tensor, compare, numbers, reshape, tensor};
use burn_backend::AutodiffBackend;
use burn_backend::ops::{ActivationOps, FloatTensorOps};
use macula::encoder::NamedTensor;
use macula::nn::l2_normalize::l2_normalize;
use macula::objective::{
    Comparison, Freeze, Head, Masked, Miner, Moco, Objective, Positives, Rotation, SimClr, StepOutput, Supervised,
    Targets, Triplet, contrastive_step,
};
use macula::ranks::Part;
use macula::rng::Rng;

/// Dimensions of a feature.
const DIM: usize = 7;
/// Hidden units and outputs of a projection head.
const HIDDEN: usize = 9;
const PROJECTION: usize = 5;

/// The tensors of a step that have gradients in burn, by name.
struct Leaves(BTreeMap<String, Tensor>);

impl Leaves {
    fn features(&self) -> Tensor {
        self.0["features"].clone()
    }

    /// `x Wᵀ + b`.
    fn linear(&self, name: &str, x: Tensor) -> Tensor {
        let weight = Burn::float_transpose(self.0[&format!("{name}.weight")].clone());
        let bias = self.0[&format!("{name}.bias")].clone();
        let outputs = numbers(Burn::inner(bias.clone())).len();
        Burn::float_add(Burn::float_matmul(x, weight), reshape(bias, &[1, outputs]))
    }

    /// Embeddings of unit length.
    fn projected(&self) -> Tensor {
        let hidden = Burn::relu(self.linear("projector.0", self.features()));
        let u = self.linear("projector.2", hidden);
        let squares = Burn::float_sum_dim(Burn::float_mul(u.clone(), u.clone()), 1);
        Burn::float_div(u, Burn::float_sqrt(squares))
    }
}

fn scaled(x: Tensor, by: f32) -> Tensor {
    Burn::float_mul_scalar(x, by.into())
}

fn mean(x: Tensor, count: usize) -> Tensor {
    scaled(Burn::float_sum(x), 1.0 / count as f32)
}

/// Mean over the rows of `-x[row][target] + ln Σ exp x[row]`; entries of `without` (0 or far below 0) are added first.
fn cross_entropy(logits: Tensor, targets: &[usize], classes: usize, without: Option<&[f32]>) -> Tensor {
    let rows = targets.len();
    let logits = match without {
        Some(without) => Burn::float_add(logits, tensor(without, &[rows, classes])),
        None => logits,
    };
    let sum = Burn::float_sum_dim(Burn::float_exp(logits.clone()), 1);
    let one_hot: Vec<f32> = targets
        .iter()
        .flat_map(|&target| (0..classes).map(move |class| f32::from(u8::from(class == target))))
        .collect();
    let right = Burn::float_mul(logits, tensor(&one_hot, &[rows, classes]));
    Burn::float_sub(mean(Burn::float_log(sum), rows), mean(right, rows))
}

fn normal(rng: &mut Rng, len: usize) -> Vec<f32> {
    (0..len).map(|_| rng.normal()).collect()
}

fn unit(rng: &mut Rng, rows: usize) -> Vec<f32> {
    let drawn = normal(rng, rows * PROJECTION);
    let mut unit = vec![0.0; drawn.len()];
    l2_normalize(&mut unit, &drawn, PROJECTION);
    unit
}

/// Compares loss and gradients on `rows` random features.
///
/// * `loss`: the step of parameters of `head` and features
fn check(
    case: &str,
    head: &Head,
    rows: usize,
    loss: &dyn Fn(&[f32], &[f32]) -> StepOutput,
    expected: &dyn Fn(&Leaves) -> Tensor,
) {
    let mut rng = Rng::for_purpose(5, case);
    let features = normal(&mut rng, rows * DIM);
    let parameters = head.initialise(DIM, &mut rng);
    let output = loss(&parameters, &features);

    let named = |features: &[f32], parameters: &[f32]| -> Vec<NamedTensor> {
        let features = NamedTensor { name: "features".into(), shape: vec![rows, DIM], data: features.to_vec() };
        [features].into_iter().chain(head.to_named(parameters)).collect()
    };
    let leaf = |t: NamedTensor| (t.name, Burn::float_set_require_grad(tensor(&t.data, &t.shape), true));
    let leaves = Leaves(named(&features, &parameters).into_iter().map(leaf).collect());
    let loss = expected(&leaves);
    let value = f64::from(numbers(Burn::inner(loss.clone()))[0]);
    assert!((output.loss / value - 1.0).abs() < 1e-4, "{case}: loss {}, burn has {value}", output.loss);
    let gradients = Burn::backward(loss);
    let found = named(&output.dfeatures, &output.dhead);
    let of = |t: &NamedTensor| numbers(Burn::grad(&leaves.0[&t.name], &gradients).expect("every tensor takes part"));
    let expected: Vec<Vec<f32>> = found.iter().map(of).collect();
    compare(case, &found, &expected);
}

/// [`check`] of an objective that has no state.
fn check_objective(
    case: &str,
    objective: &dyn Objective,
    rows: usize,
    labels: &[Option<usize>],
    expected: &dyn Fn(&Leaves) -> Tensor,
) {
    let loss = |parameters: &[f32], features: &[f32]| objective.loss(parameters, features, Targets::labels(labels));
    check(case, objective.head(), rows, &loss, expected);
}

fn projection(temperature: f32) -> Comparison {
    Comparison { temperature, projection_hidden: HIDDEN, projection_dim: PROJECTION, ..Comparison::DEFAULT }
}

#[test]
fn nt_xent() {
    for (images, temperature) in [(2, 0.5f32), (8, 0.2), (8, 1.0)] {
        let views = 2 * images;
        let labels = vec![None; images];
        let not_itself: Vec<f32> =
            (0..views * views).map(|at| if at / views == at % views { -1e9 } else { 0.0 }).collect();
        let partners: Vec<usize> = (0..views).map(|view| view ^ 1).collect();
        let case = format!("NT-Xent of {images} images at {temperature}");
        check_objective(&case, &SimClr::new(&projection(temperature)), views, &labels, &|leaves| {
            let z = leaves.projected();
            let similarity = scaled(Burn::float_matmul(z.clone(), Burn::float_transpose(z)), 1.0 / temperature);
            cross_entropy(similarity, &partners, views, Some(&not_itself))
        });
    }
}

#[test]
fn info_nce() {
    let (images, queued, temperature) = (6, 11, 0.2f32);
    let mut rng = Rng::for_purpose(6, "keys");
    let (keys, queue) = (unit(&mut rng, images), unit(&mut rng, queued));
    let head = Moco::new(&projection(temperature)).head().clone();
    let loss = |parameters: &[f32], features: &[f32]| {
        let info_nce = |q: &[f32]| macula::objective::info_nce(q, &keys, &queue, PROJECTION, temperature);
        contrastive_step(&head, parameters, features, info_nce)
    };
    check("InfoNCE", &head, images, &loss, &|leaves| {
        let q = leaves.projected();
        let own = Burn::float_sum_dim(Burn::float_mul(q.clone(), tensor(&keys, &[images, PROJECTION])), 1);
        let others = Burn::float_transpose(tensor(&queue, &[queued, PROJECTION]));
        let others = scaled(Burn::float_matmul(q, others), 1.0 / temperature);
        let own = scaled(own, 1.0 / temperature);
        let sum = Burn::float_add(Burn::float_exp(own.clone()), Burn::float_sum_dim(Burn::float_exp(others), 1));
        Burn::float_sub(mean(Burn::float_log(sum), images), mean(own, images))
    });
}

/// Anchor, positive and negative of each triplet that the miner selects; for all triplets, of those with a loss above 0.
fn mined(z: &[f32], groups: &[usize], margin: f64, miner: Miner) -> Vec<[usize; 3]> {
    let row = |i: usize| &z[i * PROJECTION..][..PROJECTION];
    let d = |i: usize, j: usize| row(i).iter().zip(row(j)).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
    let mut triplets = Vec::new();
    for a in 0..groups.len() {
        let of = |same: bool| -> Vec<usize> {
            (0..groups.len()).filter(|&o| o != a && (groups[o] == groups[a]) == same).collect()
        };
        let (positives, negatives) = (of(true), of(false));
        let nearest = |of: &[usize]| of.iter().copied().min_by(|&x, &y| d(a, x).total_cmp(&d(a, y)));
        let farthest = |of: &[usize]| of.iter().copied().max_by(|&x, &y| d(a, x).total_cmp(&d(a, y)));
        match miner {
            Miner::All => triplets.extend(
                (positives.iter().flat_map(|&p| negatives.iter().map(move |&n| [a, p, n])))
                    .filter(|&[a, p, n]| d(a, p) - d(a, n) + margin > 0.0),
            ),
            Miner::BatchHard => triplets.push([a, farthest(&positives).unwrap(), nearest(&negatives).unwrap()]),
            Miner::SemiHard => triplets.extend(positives.iter().map(|&p| {
                let beyond: Vec<usize> = negatives.iter().copied().filter(|&n| d(a, n) > d(a, p)).collect();
                [a, p, nearest(&beyond).or_else(|| farthest(&negatives)).unwrap()]
            })),
        }
    }
    triplets
}

#[test]
fn triplet() {
    let labels = [Some(0), Some(1), Some(0), Some(2), Some(1)];
    let groups: Vec<usize> = labels.iter().flat_map(|label| [label.unwrap(); 2]).collect();
    for miner in [Miner::All, Miner::BatchHard, Miner::SemiHard] {
        for margin in [0.2f32, 1.0] {
            let settings = Comparison { margin, miner, positives: Positives::Labels, ..projection(0.5) };
            check_objective(
                &format!("triplet, {miner:?} at {margin}"),
                &Triplet::new(&settings),
                groups.len(),
                &labels,
                &|leaves| {
                    let z = leaves.projected();
                    let triplets = mined(&numbers(Burn::inner(z.clone())), &groups, f64::from(margin), miner);
                    let rows = |role: usize| {
                        let one_hot = |t: &[usize; 3]| {
                            let chosen = t[role];
                            (0..groups.len()).map(move |i| f32::from(u8::from(i == chosen)))
                        };
                        let chosen: Vec<f32> = triplets.iter().flat_map(one_hot).collect();
                        Burn::float_matmul(tensor(&chosen, &[triplets.len(), groups.len()]), z.clone())
                    };
                    let apart = |role: usize| {
                        let difference = Burn::float_sub(rows(0), rows(role));
                        Burn::float_sum_dim(Burn::float_mul(difference.clone(), difference), 1)
                    };
                    let short = Burn::float_add_scalar(Burn::float_sub(apart(1), apart(2)), margin.into());
                    mean(Burn::relu(short), triplets.len())
                },
            );
        }
    }
}

#[test]
fn masked_patches() {
    // Two inputs of 6×6 pixels, two channels, in 3×3 patches of 2×2 pixels.
    let (inputs, channels, size, map) = (2, 2, 6, 3);
    let (patch, places) = (size / map, map * map);
    let mut rng = Rng::for_purpose(7, "images");
    let images = normal(&mut rng, inputs * size * size * channels);
    let mut masked = Masked::new(0.6, channels, size, map);
    let mut visible = images.clone();
    masked.encoder_input(&mut visible, Part::whole(inputs), &mut rng);
    let values = patch * patch * channels;
    let at = |place: usize, value: usize| {
        let (input, place) = (place / places, place % places);
        let (y, x) = (place / map * patch + value / channels / patch, place % map * patch + value / channels % patch);
        ((input * size + y) * size + x) * channels + value % channels
    };
    let pixel = |place: usize, value: usize| images[at(place, value)];
    // A masked patch is 0 where the encoder sees it.
    let hidden: Vec<usize> =
        (0..inputs * places).filter(|&place| (0..values).all(|value| visible[at(place, value)] == 0.0)).collect();
    assert_eq!(hidden.len(), inputs * 5, "5 of 9 patches");
    let pixels: Vec<f32> = hidden
        .iter()
        .flat_map(|&place| (0..values).map(move |value| (place, value)))
        .map(|(p, v)| pixel(p, v))
        .collect();
    let rows = inputs * places;
    check_objective("masked patches", &masked, rows, &[None; 2], &|leaves| {
        let chosen: Vec<f32> =
            hidden.iter().flat_map(|&at| (0..rows).map(move |i| f32::from(u8::from(i == at)))).collect();
        let features = Burn::float_matmul(tensor(&chosen, &[hidden.len(), rows]), leaves.features());
        let error = Burn::float_sub(leaves.linear("decoder", features), tensor(&pixels, &[hidden.len(), values]));
        mean(Burn::float_abs(error), pixels.len())
    });
}

#[test]
fn classifiers() {
    let labels: Vec<Option<usize>> = (0..6).map(|n| Some(n * n % 4)).collect();
    let targets: Vec<usize> = labels.iter().flatten().copied().collect();
    check_objective("supervised", &Supervised::new(4, 0.0), 6, &labels, &|leaves| {
        cross_entropy(leaves.linear("head", leaves.features()), &targets, 4, None)
    });
    let probe = Freeze { hidden: HIDDEN, layers: 2 };
    check_objective("shallow network", &Supervised::probe(4, probe, 0.0), 6, &labels, &|leaves| {
        let first = Burn::relu(leaves.linear("probe.0", leaves.features()));
        let second = Burn::relu(leaves.linear("probe.2", first));
        cross_entropy(leaves.linear("probe.4", second), &targets, 4, None)
    });
    // Four rotations of two images.
    let rotations: Vec<usize> = (0..8).map(|view| view % 4).collect();
    check_objective("rotation", &Rotation::new(0.0), 8, &[None; 2], &|leaves| {
        cross_entropy(leaves.linear("head", leaves.features()), &rotations, 4, None)
    });
}
