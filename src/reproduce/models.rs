//! The shipped models, and their few-shot accuracy on datasets that they were not trained on: each model is trained again
//! without one of its datasets and evaluated on it.

use super::error::ReproduceError;
use super::few_shot::{Evaluated, evaluate};
use super::findings::{Findings, share};
use super::lab::{Images, Lab, Scale};
use super::tasks::{self, Task};
use crate::augment::Policy;
use crate::data::open_named;
use crate::encoder::HostEncoder;
use crate::pretrain::{HealthGate, Method, PretrainConfig, Run, Validate};
use crate::report::table::Table;

/// How a model is trained.
struct Recipe {
    name: &'static str,
    channels: usize,
    size: usize,
    views: Policy,
    /// Its datasets, of which the training splits are used.
    sets: &'static [Set],
}

struct Set {
    path: &'static str,
    /// The task to evaluate on the dataset, if it has one.
    task: Option<Task>,
}

const RECIPES: [Recipe; 3] = [
    Recipe {
        name: "grey-28",
        channels: 1,
        size: 28,
        views: Policy::Natural,
        sets: &[Set { path: "cifar10", task: None }, Set { path: "pneumoniamnist", task: Some(tasks::PNEUMONIA) }],
    },
    Recipe {
        name: "grey-64",
        channels: 1,
        size: 64,
        views: Policy::Natural,
        sets: &[
            Set { path: "cifar10", task: None },
            Set { path: "kermany-cxr/kermany-3class.csv", task: Some(tasks::KERMANY) },
            Set { path: "busi/busi-malignant.csv", task: Some(tasks::BUSI) },
            Set { path: "bccd/JPEGImages", task: None },
        ],
    },
    Recipe {
        name: "colour-32",
        channels: 3,
        size: 32,
        views: Policy::Natural,
        sets: &[
            Set { path: "cifar10", task: Some(tasks::CIFAR_10) },
            Set { path: "drive-patches", task: Some(tasks::DRIVE) },
        ],
    },
];

/// The short form of the recipes.
const SHORT: [Recipe; 1] = [Recipe {
    name: "phantom-16",
    channels: 1,
    size: 16,
    views: Policy::Natural,
    sets: &[Set { path: "phantoms:32:900", task: Some(tasks::PHANTOMS) }],
}];

/// Images per run over all epochs, so that training takes about as long for any size of the datasets.
const IMAGES_PER_RUN: usize = 250_000;

pub(super) fn reproduce(lab: &mut Lab<'_>) -> Result<Findings, ReproduceError> {
    let mut table = Table::new(&[
        "model",
        "task",
        "task's images in pretraining",
        "shots",
        "balanced accuracy",
        "±",
        "raw pixels",
        "random nano",
    ]);
    let mut sentences = Vec::new();
    let recipes = if lab.scale == Scale::Full { &RECIPES[..] } else { &SHORT[..] };
    for recipe in recipes {
        let all: Vec<&Set> = recipe.sets.iter().collect();
        let model = train(lab, recipe, &format!("model-{}", recipe.name), &all)?;
        for left_out in recipe.sets {
            let Some(task) = left_out.task.map(|task| lab.task(task)) else { continue };
            let images = lab.images(&task)?;
            let others: Vec<&Set> = recipe.sets.iter().filter(|set| set.path != left_out.path).collect();
            let mut rows = vec![("yes", evaluate_one(lab, &model, &images)?)];
            if !others.is_empty() {
                let name = format!("model-{}-without-{}", recipe.name, task.name);
                let without = train(lab, recipe, &name, &others)?;
                rows.push(("no", evaluate_one(lab, &without, &images)?));
            }
            let (pixels, random) = (lab.raw_pixels(&task, &images)?, lab.random(&task, &images)?);
            let baselines = [evaluate_one(lab, &*pixels, &images)?, evaluate_one(lab, &*random, &images)?];
            for (included, evaluated) in &rows {
                push(&mut table, recipe, &task, (included, evaluated), &baselines, &lab.few_shots());
            }
            if let Some((_, without)) = rows.get(1) {
                let at = |evaluated: &Evaluated| evaluated.results[0].balanced_accuracy.mean;
                sentences.push(format!(
                    "{} on {}, {} shots: {} if pretraining includes this dataset, {} if not, raw pixels {}.",
                    recipe.name,
                    task.name,
                    lab.few_shots()[0],
                    share(at(&rows[0].1)),
                    share(at(without)),
                    share(at(&baselines[0]))
                ));
            }
        }
    }
    Ok(Findings { tables: vec![("", table)], sentences, ..Findings::default() })
}

fn train(lab: &mut Lab<'_>, recipe: &Recipe, name: &str, sets: &[&Set]) -> Result<Run, ReproduceError> {
    let paths = sets.iter().map(|set| lab.path(set.path)).collect::<Result<Vec<_>, _>>()?;
    let data = paths.join("+");
    let dataset = open_named(&data, lab.seed)?;
    let train = dataset.train_indices();
    let mut config = PretrainConfig::new(&data, Method::Simclr);
    config.channels = recipe.channels;
    config.size = recipe.size;
    config.seed = lab.seed;
    config.augmentation = recipe.views.augmentation(recipe.size);
    config.validate = Validate::Never;
    config.health = HealthGate::Never;
    config.epochs = (lab.number(IMAGES_PER_RUN, 600) as u64).div_ceil(train.len() as u64);
    if lab.scale == Scale::Short {
        config.batch_size = 64;
        config.learning_rate = config.default_learning_rate();
    }
    let images = Images { dataset, train, test: Vec::new() };
    lab.run(name, &config, &images)
}

fn evaluate_one(lab: &Lab<'_>, encoder: &dyn HostEncoder, images: &Images) -> Result<Evaluated, ReproduceError> {
    evaluate(lab, encoder.name().to_owned(), encoder, images, (true, false))
}

fn push(
    table: &mut Table,
    recipe: &Recipe,
    task: &Task,
    (included, evaluated): (&str, &Evaluated),
    baselines: &[Evaluated; 2],
    shots: &[usize],
) {
    for (at, shots) in shots.iter().enumerate() {
        let accuracy = |evaluated: &Evaluated| evaluated.results[at].balanced_accuracy;
        table.push(vec![
            recipe.name.into(),
            task.name.into(),
            included.into(),
            shots.to_string(),
            share(accuracy(evaluated).mean),
            accuracy(evaluated).width_text(),
            share(accuracy(&baselines[0]).mean),
            share(accuracy(&baselines[1]).mean),
        ]);
    }
}
