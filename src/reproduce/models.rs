//! The encoders that come with the program, and what they are worth on a set that they never saw: each is trained again
//! without one of its sets and taught on that one.

use super::few_shot::{Judged, judge};
use super::lab::{Images, Lab};
use super::tasks::{self, Task};
use super::{Findings, ReproduceError, Scale, share};
use crate::augment::Policy;
use crate::data::open_named;
use crate::encoder::HostEncoder;
use crate::pretrain::{HealthGate, Method, PretrainConfig, Run, Validate};
use crate::report::table::Table;

/// What a model is trained on, and how.
struct Recipe {
    name: &'static str,
    channels: usize,
    size: usize,
    views: Policy,
    /// Sets below the folder of data sets; of those that are tasks, their training parts.
    sets: &'static [Set],
}

struct Set {
    path: &'static str,
    /// What can be asked of an encoder that was trained without it.
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

/// What stands for them in the short form.
const SHORT: [Recipe; 1] = [Recipe {
    name: "phantom-16",
    channels: 1,
    size: 16,
    views: Policy::Natural,
    sets: &[Set { path: "phantoms:32:900", task: Some(tasks::PHANTOMS) }],
}];

/// Images seen, each as two views, in a whole run: sets of any size are trained on for about as long.
const IMAGES_SEEN: usize = 250_000;

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
            let mut rows = vec![("yes", judge_one(lab, &model, &images)?)];
            if !others.is_empty() {
                let name = format!("model-{}-without-{}", recipe.name, task.name);
                let without = train(lab, recipe, &name, &others)?;
                rows.push(("no", judge_one(lab, &without, &images)?));
            }
            let (pixels, random) = (lab.raw_pixels(&task, &images)?, lab.random(&task, &images)?);
            let floors = [judge_one(lab, &pixels, &images)?, judge_one(lab, &random, &images)?];
            for (seen, judged) in &rows {
                push(&mut table, recipe, &task, (seen, judged), &floors, &lab.few_shots());
            }
            if let Some((_, without)) = rows.get(1) {
                let at = |judged: &Judged| judged.best[0].1.balanced_accuracy.mean;
                sentences.push(format!(
                    "{} on {}, {} shots: {} when it was pretrained on that set too, {} when it never saw it, raw pixels {}.",
                    recipe.name,
                    task.name,
                    lab.few_shots()[0],
                    share(at(&rows[0].1)),
                    share(at(without)),
                    share(at(&floors[0]))
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
    config.epochs = (lab.number(IMAGES_SEEN, 600) as u64).div_ceil(train.len() as u64);
    if lab.scale == Scale::Short {
        config.batch_size = 64;
        config.learning_rate = config.usual_learning_rate();
    }
    let images = Images { dataset, train, test: Vec::new() };
    lab.run(name, &config, &images)
}

fn judge_one(lab: &Lab<'_>, encoder: &dyn HostEncoder, images: &Images) -> Result<Judged, ReproduceError> {
    judge(lab, encoder.name().to_owned(), encoder, images, (true, false))
}

fn push(
    table: &mut Table,
    recipe: &Recipe,
    task: &Task,
    (seen, judged): (&str, &Judged),
    floors: &[Judged; 2],
    shots: &[usize],
) {
    for (at, shots) in shots.iter().enumerate() {
        let accuracy = |judged: &Judged| judged.best[at].1.balanced_accuracy;
        table.push(vec![
            recipe.name.into(),
            task.name.into(),
            seen.into(),
            shots.to_string(),
            share(accuracy(judged).mean),
            accuracy(judged).width_text(),
            share(accuracy(&floors[0]).mean),
            share(accuracy(&floors[1]).mean),
        ]);
    }
}
