//! Trains an encoder for a few steps with an objective of our own, on phantoms, without labels.
//!
//! cargo run --release --example custom_objective
//!
//! The objective pulls the two views of an image together and spreads all views over the sphere (alignment and
//! uniformity). Wang and Isola 2020, arXiv:2005.10242, equations 2 and 3: with embeddings `z` of unit length,
//! `L = mean |z_i - z_p(i)|² + ln mean exp(-2 |z_i - z_j|²)`, the second mean over all pairs `i < j`.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use macula::augment::{Policy, Views};
use macula::data::{self, Preprocessing};
use macula::encoder::Network;
use macula::objective::{EmbeddingLoss, Head, Objective, StepOutput, Targets, contrastive_step};
use macula::pretrain::{Learner, Method, PretrainConfig};
use macula::rng::Rng;

const BATCH: usize = 16;

struct Spread {
    head: Head,
}

impl Objective for Spread {
    fn views(&self) -> Views {
        Views::Independent(2)
    }

    fn head(&self) -> &Head {
        &self.head
    }

    fn loss(&self, head: &[f32], features: &[f32], _targets: Targets<'_>) -> StepOutput {
        contrastive_step(&self.head, head, features, |z| spread_loss(z, self.head.outputs()))
    }
}

/// Loss of embeddings `z` `[2N, dim]` of unit length, the two views of an image adjacent, with its gradient.
fn spread_loss(z: &[f32], dim: usize) -> EmbeddingLoss {
    let views = z.len() / dim;
    let row = |i: usize| &z[i * dim..][..dim];
    let squared = |i: usize, j: usize| row(i).iter().zip(row(j)).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    let pairs = || (0..views).flat_map(|i| (0..i).map(move |j| (i, j)));
    let potential: f32 = pairs().map(|(i, j)| (-2.0 * squared(i, j)).exp()).sum();
    let alignment = (0..views).map(|i| squared(i, i ^ 1)).sum::<f32>() / views as f32;
    let mut dz = vec![0.0; z.len()];
    // The gradient of w |z_i - z_j|² is 2 w (z_i - z_j) at i and the opposite at j.
    for (i, j) in pairs() {
        let align = if i ^ 1 == j { 2.0 / views as f32 } else { 0.0 };
        let weight = align - 2.0 * (-2.0 * squared(i, j)).exp() / potential;
        for d in 0..dim {
            let pull = 2.0 * weight * (z[i * dim + d] - z[j * dim + d]);
            dz[i * dim + d] += pull;
            dz[j * dim + d] -= pull;
        }
    }
    let count = pairs().count() as f32;
    let nearest = |i| (0..views).filter(|&j| j != i).min_by(|&a, &b| squared(i, a).total_cmp(&squared(i, b)));
    EmbeddingLoss {
        loss: f64::from(alignment + (potential / count).ln()),
        dz,
        correct: (0..views).map(|i| nearest(i) == Some(i ^ 1)).collect(),
        measures: vec![("alignment", alignment.into())],
    }
}

/// Runs the example.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dataset = data::open_named("phantoms:32:64", 1)?;
    let preprocessing = Preprocessing::unit(1, 32, 32);
    let augmentation = Policy::Natural.augmentation(32);

    // The method only selects defaults, such as the optimiser; the objective is ours.
    let config = PretrainConfig { channels: 1, ..PretrainConfig::new(&dataset.name, Method::Simclr) };
    let objective = Spread { head: Head::mlp("projector", &[64], 32) };
    let mut learner = Learner::new(&config, Network::new(config.spec()?, config.seed)?, Box::new(objective));

    for step in 0..12 {
        let mut rng = Rng::for_item(config.seed, "example", step, 0);
        let mut input = Vec::new();
        for index in rng.sample(dataset.len(), BATCH) {
            let image = preprocessing.to_pixels(&dataset.load(index)?);
            for view in learner.objective.views().of(&image, &augmentation, &mut rng) {
                input.extend(preprocessing.normalise(&view.pixels));
            }
        }
        let output = learner.step(&mut input, Targets::labels(&[None; BATCH]), 0.05, step);
        println!("step {step}: loss {:.4}, alignment {:.4}", output.loss, output.measures[0].1);
    }
    Ok(())
}
