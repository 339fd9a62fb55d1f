//! The shipped models, trained again from their seed: the weights must be those shipped, byte for byte.
//!
//! A training gives several models: a colour encoder also takes grey images and larger ones ([`Run::with_input`]).

use sha2::{Digest, Sha256};

use super::error::ReproduceError;
use super::findings::Findings;
use super::lab::{Images, Lab, Scale};
use crate::augment::Policy;
use crate::data::{Dataset, Split};
use crate::encoder::{InputShape, Pooling, Preset, Readout};
use crate::measure::FIT_IMAGES_MAX;
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
    models: &[("colour-16", input(3, 16)), ("grey-24", input(1, 24))],
}];

/// Open images of many kinds, a folder per source.
const DATA: &str = "corpus/*";

/// Sources that are share-alike, or of the modality of a task that the models are evaluated on.
const WITHOUT: [&str; 6] =
    ["mednist_abdomenct", "mednist_headct", "mednist_chestct", "mednist_breastmri", "mednist_hand", "idrid_retina"];

/// The readout of all shipped models, chosen on the tasks for development (`docs/lessons/readout.csv`).
const READOUT: Readout = Readout { pooling: Pooling::Grid, dim: None, whiten: false };

pub(super) fn reproduce(lab: &mut Lab<'_>) -> Result<Findings, ReproduceError> {
    let mut table =
        Table::new(&["model", "encoder", "input", "epochs", "images", "bytes", "sha256", "equals the shipped file"]);
    let mut sentences = Vec::new();
    let recipes = if lab.scale == Scale::Full { &RECIPES[..] } else { &SHORT[..] };
    for recipe in recipes {
        let config = config(lab, recipe)?;
        let dataset = config.open_data(&config.data)?;
        let images = Images { train: dataset.train_indices(), dataset, test: Vec::new() };
        lab.run(recipe.run, &config, &images)?;
        for &(name, input) in recipe.models {
            (lab.say)(&format!("features of {name}"));
            let weights = weights(lab, recipe.run, input, &images.dataset)?;
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

fn config(lab: &Lab<'_>, recipe: &Recipe) -> Result<PretrainConfig, ReproduceError> {
    let is_short = lab.scale == Scale::Short;
    let data = if is_short { "phantoms:24:96".to_owned() } else { lab.path(DATA)? };
    let mut config = PretrainConfig::new(&data, Method::Simclr);
    config.encoder = recipe.encoder;
    config.channels = 3;
    config.size = recipe.size;
    config.epochs = recipe.epochs;
    config.seed = lab.seed;
    // Weights do not depend on the readout, which is fitted for each input afterwards.
    config.readout = Readout::default();
    config.sampling = Sampling::Sqrt;
    config.augmentation = Policy::Natural.augmentation(recipe.size);
    config.validate = Validate::Never;
    config.health = HealthGate::Never;
    if is_short {
        config.batch_size = 32;
        config.learning_rate = config.default_learning_rate();
    } else {
        config.without = WITHOUT.map(str::to_owned).to_vec();
    }
    Ok(config)
}

/// The weights of the run `name` at `input`, as they are shipped.
fn weights(lab: &Lab<'_>, name: &str, input: InputShape, dataset: &Dataset) -> Result<Vec<u8>, ReproduceError> {
    let folder = lab.folder(name);
    let mut run = Run::load(&folder)?.with_input(input)?;
    let train = dataset.readable_spread(&dataset.split_or_all(Split::Train), FIT_IMAGES_MAX).0;
    run.refit(READOUT, dataset, &train)?;
    Ok(run.encoder_checkpoint(&folder, run.info.corpus.as_ref())?)
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
            let stop = std::sync::atomic::AtomicBool::new(false);
            let lab = Lab {
                data: Some("data".into()),
                out: "out".into(),
                scale: Scale::Full,
                seed: run.config.seed,
                stop: &stop,
                observer: &mut crate::pretrain::Silent,
                say: &|_| {},
            };
            // The file states the last component of the data, and not the health gate, which does not change weights.
            let expected =
                PretrainConfig { data: run.config.data.clone(), readout: READOUT, ..config(&lab, recipe).unwrap() };
            assert_eq!(run.config, expected, "{name}");
        }
    }
}
