//! Training from scratch on the supports of an episode, without pretraining.

use super::error::ReproduceError;
use super::tasks::Task;
use crate::augment::{Augmentation, Views};
use crate::data::{Dataset, Preprocessing};
use crate::encoder::Network;
use crate::evaluate::{ConfusionMatrix, EpisodePool, Interval};
use crate::nn::schedule::learning_rate_at;
use crate::objective::{Supervised, Targets};
use crate::pretrain::{Learner, Method, PretrainConfig};
use crate::rng::Rng;

/// Steps per episode. More change little, because the network then fits the supports.
const STEPS: u64 = 60;

/// Largest batch, in views of the supports.
const BATCH_MAX: usize = 64;

/// The same for all batch sizes: a batch has few images in many views.
const LEARNING_RATE: f32 = 0.05;

/// A task and its images.
pub struct Setting<'a> {
    /// The task.
    pub task: &'a Task,
    /// Its images.
    pub dataset: &'a Dataset,
    /// Its preprocessing.
    pub recipe: &'a Preprocessing,
    /// Indices into the dataset of the pool's positions.
    pub test: &'a [usize],
}

/// Balanced accuracy on the queries of `nano` trained on the supports, over `episodes` episodes.
pub fn from_scratch(
    setting: &Setting<'_>,
    pool: &EpisodePool,
    episodes: usize,
    seed: u64,
) -> Result<Interval, ReproduceError> {
    let values: Vec<f64> = (0..episodes).map(|index| episode(setting, pool, index, seed)).collect::<Result<_, _>>()?;
    Ok(Interval::of(&values))
}

fn episode(setting: &Setting<'_>, pool: &EpisodePool, index: usize, seed: u64) -> Result<f64, ReproduceError> {
    let drawn = pool.draw(index)?;
    let classes = drawn.classes.len();
    let mut config: PretrainConfig = setting.task.config("episode", Method::Supervised, seed);
    config.learning_rate = LEARNING_RATE;
    let objective = Supervised::new(classes, 0.0);
    let network = Network::new(config.spec().map_err(crate::evaluate::EvaluateError::from)?, seed + index as u64)
        .map_err(crate::evaluate::EvaluateError::from)?;
    let mut learner = Learner::new(&config, network, Box::new(objective));
    let shots = drawn.supports.len() / classes;
    let image = |position: usize| Ok(setting.recipe.to_pixels(&setting.dataset.load(setting.test[position])?));
    let supports = drawn.supports.iter().map(|&at| image(at)).collect::<Result<Vec<_>, ReproduceError>>()?;
    let mut input = Vec::new();
    for step in 0..STEPS {
        let mut rng = Rng::for_item(seed, "from scratch", step, index as u64);
        let chosen = batch(supports.len(), &mut rng);
        input.clear();
        for &support in &chosen {
            for view in Views::Independent(1).of(&supports[support], &config.augmentation, &mut rng) {
                input.extend(setting.recipe.normalise(&view.pixels));
            }
        }
        let labels: Vec<Option<usize>> = chosen.iter().map(|&support| Some(support / shots)).collect();
        learner.step(&mut input, Targets::labels(&labels), learning_rate_at(step, STEPS, 0, LEARNING_RATE), step);
    }
    let mut input = Vec::new();
    for &query in &drawn.queries {
        let plain = Augmentation::NONE.apply(&image(query)?, &mut Rng::for_purpose(seed, "plain"));
        input.extend(setting.recipe.normalise(&plain.pixels));
    }
    let queries = drawn.queries.len() / classes;
    let labels: Vec<Option<usize>> = (0..drawn.queries.len()).map(|query| Some(query / queries)).collect();
    let output = learner.held_out_loss(learner.network.embed_trained(&input), Targets::labels(&labels));
    Ok(output
        .map_or(0.0, |output| ConfusionMatrix::of(classes, &output.targets, &output.predictions).balanced_accuracy()))
}

/// All supports in random order, repeated to fill the batch, so that every batch has views of each.
fn batch(supports: usize, rng: &mut Rng) -> Vec<usize> {
    let mut all: Vec<usize> = (0..BATCH_MAX.max(supports).min(2 * BATCH_MAX)).map(|at| at % supports).collect();
    if supports > 2 * BATCH_MAX {
        all = rng.sample(supports, BATCH_MAX);
    }
    rng.shuffle(&mut all);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_every_support_if_they_fit() {
        let mut rng = Rng::for_purpose(1, "test");
        for supports in [2, 10, 64, 100] {
            let batch = batch(supports, &mut rng);
            assert!((0..supports).all(|support| batch.contains(&support)), "{supports}");
            assert!(batch.len() <= 2 * BATCH_MAX && batch.iter().all(|&at| at < supports));
        }
        assert_eq!(batch(500, &mut rng).len(), BATCH_MAX);
    }
}
