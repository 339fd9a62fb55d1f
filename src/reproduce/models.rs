//! The shipped models, trained again from their seed: the weights must be those shipped, byte for byte.
//!
//! A training gives several models: a colour encoder also takes grey images and larger ones ([`Run::with_input`]).

use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::ReproduceError;
use super::findings::Findings;
use super::lab::{Images, Lab, Scale};
use crate::augment::Policy;
use crate::data::Dataset;
use crate::encoder::{Algorithm, InputShape, Pooling, Preset, Readout};
use crate::models;
use crate::pretrain::{HealthGate, Method, PretrainConfig, Run, Sampling, Validate};
use crate::report::table::Table;
use crate::report::text::hexadecimal;

/// A training, and the models that it gives.
struct Recipe {
    /// Name of the run.
    run: &'static str,
    encoder: Preset,
    size: usize,
    epochs: u64,
    batch_size: usize,
    /// The images, as a path in the folder of datasets.
    data: &'static str,
    /// Sources of them that are left out.
    without: &'static [&'static str],
    /// Name and input of each model.
    models: &'static [(&'static str, InputShape)],
}

const fn input(channels: usize, side: usize) -> InputShape {
    InputShape { channels, height: side, width: side }
}

const RECIPES: [Recipe; 1] = [Recipe {
    run: "nano-64",
    encoder: Preset::Nano,
    size: 64,
    epochs: 120,
    batch_size: 256,
    // Open images of many kinds, a folder per source.
    data: "corpus/*",
    // Share-alike, or of the modality of a task that the models are evaluated on.
    without: &[
        "mednist_abdomenct",
        "mednist_headct",
        "mednist_chestct",
        "mednist_breastmri",
        "mednist_hand",
        "idrid_retina",
    ],
    models: &[
        ("grey-64", input(1, 64)),
        ("colour-64", input(3, 64)),
        ("grey-128", input(1, 128)),
        ("colour-128", input(3, 128)),
    ],
}];

/// The short form: nothing of it is shipped.
const SHORT: [Recipe; 1] = [Recipe {
    run: "nano-16",
    encoder: Preset::Nano,
    size: 16,
    epochs: 1,
    batch_size: 32,
    data: "phantoms:24:96",
    without: &[],
    models: &[("colour-16", input(3, 16)), ("grey-24", input(1, 24))],
}];

/// The readout of all shipped models, chosen on the tasks for development (`docs/lessons/readout.csv`).
const READOUT: Readout = Readout { pooling: Pooling::Grid, dim: None, whiten: false };

pub(super) fn reproduce(lab: &mut Lab<'_>) -> Result<Findings, ReproduceError> {
    let mut table =
        Table::new(&["model", "encoder", "input", "epochs", "images", "bytes", "sha256", "equals the shipped file"]);
    let mut sentences = Vec::new();
    let recipes = if lab.scale == Scale::Full { &RECIPES[..] } else { &SHORT[..] };
    for recipe in recipes {
        let config = config(recipe, &lab.path(recipe.data)?, lab.seed);
        let dataset = config.open_data(&config.data)?;
        let images = Images { train: dataset.train_indices(), dataset, test: Vec::new() };
        lab.run(recipe.run, &config, &images)?;
        let fitted_to = Run::refit_images(&images.dataset);
        for &(name, input) in recipe.models {
            (lab.say)(&format!("features of {name}"));
            let weights = weights(&lab.folder(recipe.run), input, &images.dataset, &fitted_to)?;
            let shipped = models::find(name).map(|model| model.checkpoint == weights);
            table.push(vec![
                name.into(),
                recipe.encoder.name().into(),
                input.to_string(),
                recipe.epochs.to_string(),
                images.train.len().to_string(),
                weights.len().to_string(),
                hexadecimal(&Sha256::digest(&weights)),
                shipped.map_or("-", |equal| if equal { "yes" } else { "no" }).into(),
            ]);
            sentences.extend(shipped.map(|equal| {
                let verb = if equal { "equal" } else { "differ from" };
                format!("The weights of {name} {verb} those shipped.")
            }));
        }
    }
    Ok(Findings { tables: vec![("", table)], sentences, ..Findings::default() })
}

/// The configuration of `recipe` on its images, whose path is `data`.
fn config(recipe: &Recipe, data: &str, seed: u64) -> PretrainConfig {
    let mut config = PretrainConfig::new(data, Method::Simclr);
    config.encoder = recipe.encoder;
    // The released weights were trained so, and are repeated to the byte.
    config.convolution = Algorithm::Direct;
    config.channels = 3;
    config.size = recipe.size;
    config.epochs = recipe.epochs;
    config.batch_size = recipe.batch_size;
    config.learning_rate = config.default_learning_rate();
    config.seed = seed;
    // As in the files: the weights do not depend on it.
    config.checkpoint_steps = 500;
    // Weights do not depend on the readout, which is fitted for each input afterwards.
    config.readout = Readout::default();
    config.without = recipe.without.iter().map(ToString::to_string).collect();
    config.sampling = Sampling::Sqrt;
    config.augmentation = Policy::Natural.augmentation(recipe.size);
    config.validate = Validate::Never;
    config.health = HealthGate::Never;
    config
}

/// The weights of the run in `folder` at `input`, as they are shipped; their features are measured on the images `indices`.
fn weights(folder: &Path, input: InputShape, dataset: &Dataset, indices: &[usize]) -> Result<Vec<u8>, ReproduceError> {
    let mut run = Run::load(folder)?.with_input(input)?;
    run.refit(READOUT, dataset, indices)?;
    Ok(run.encoder_checkpoint(folder, run.info.corpus.as_ref())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_model_has_a_recipe_which_its_file_states() {
        let named: Vec<&str> = RECIPES.iter().flat_map(|recipe| recipe.models).map(|(name, _)| *name).collect();
        let shipped: Vec<&str> = models::MODELS.iter().map(|model| model.name).collect();
        let sorted = |mut names: Vec<_>| {
            names.sort_unstable();
            names
        };
        assert_eq!(sorted(named), sorted(shipped));
        for (recipe, (name, input)) in
            RECIPES.iter().flat_map(|recipe| recipe.models.iter().map(move |model| (recipe, model)))
        {
            let run = Run::load(name.as_ref()).unwrap();
            assert_eq!(run.network.spec().input, *input, "{name}");
            // The file states the last component of the data.
            let expected = PretrainConfig { readout: READOUT, ..config(recipe, &run.config.data, run.config.seed) };
            assert_eq!(run.config, expected, "{name}");
        }
    }
}
