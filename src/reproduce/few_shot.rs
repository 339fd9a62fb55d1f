//! Few-shot accuracy of every objective, pretrained on the task's own images and on photographs, and of SimCLR trained for
//! longer and on both in turn. Baselines are raw pixels, colour statistics, a random encoder and training from scratch.

use super::error::ReproduceError;
use super::findings::{Findings, share};
use super::from_scratch::{Setting, from_scratch};
use super::lab::{Images, Lab, Scale, recipe};
use super::tasks::{self, Task};
use crate::encoder::HostEncoder;
use crate::evaluate::{
    EpisodePool, EpisodeSettings, FewShotResult, HeadKind, corpus_statistics, embed_dataset, few_shot,
};
use crate::pretrain::{Init, Method, PretrainConfig, Run};
use crate::report::chart::{Axis, Chart, Series};
use crate::report::table::Table;

/// Queries per class.
const QUERIES: usize = 30;

/// Episodes. Training from scratch has fewer, because each episode is a training run.
const EPISODES: usize = 200;
const EPISODES_FROM_SCRATCH: usize = 30;

/// Epochs of the longer run of SimCLR on photographs, and the factor by which the run that continues on the task's own images
/// has more epochs than the other runs.
const LONGER_EPOCHS: u64 = 40;
const AFTER_TIMES: u64 = 2;

/// Shots at which training from scratch is measured and gains are reported.
const CLAIMED: [usize; 2] = [5, 20];

/// The head of every encoder: the default of a device, chosen before anything was measured. The best of several heads on
/// the test episodes would be a choice on the test images.
const HEAD: HeadKind = HeadKind::Auto;

/// Expected gain of the best objective over raw pixels.
const GAIN: f64 = 0.05;
const GAIN_ON_PHOTOGRAPHS: f64 = 0.20;

/// Results of one encoder.
pub(super) struct Evaluated {
    name: String,
    /// Whether the encoder is pretrained.
    pretrained: bool,
    /// Whether pretraining used labels of this task.
    used_labels: bool,
    /// One result per number of shots.
    pub results: Vec<FewShotResult>,
}

pub(super) fn reproduce(lab: &mut Lab<'_>) -> Result<Findings, ReproduceError> {
    let photographs = lab.task(tasks::CIFAR_10);
    let photograph_images = lab.images(&photographs)?;
    let photographs = Photographs::trained(lab, photographs, &photograph_images)?;
    let mut table = Table::new(&[
        "task",
        "encoder",
        "shots",
        "balanced accuracy",
        "±",
        "head",
        "episodes",
        "recall of each class",
        "AUC",
    ]);
    let mut claims = Table::new(&[
        "task",
        "shots",
        "raw pixels",
        "best without the task's labels",
        "",
        "gain",
        "best of all",
        " ",
        "gain ",
    ]);
    let (mut charts, mut sentences) = (Vec::new(), Vec::new());
    let all = if lab.scale == Scale::Full { tasks::ALL.to_vec() } else { vec![tasks::PHANTOMS] };
    for task in &all {
        let images = lab.images(task)?;
        let evaluated = evaluate_all(lab, task, &images, &photographs)?;
        for evaluated in &evaluated {
            push_rows(&mut table, task, evaluated, lab.number(EPISODES, 20), &lab.few_shots());
        }
        push_scratch(lab, &mut table, task, &images)?;
        sentences.extend(claim(&mut claims, task, &evaluated, &lab.few_shots()));
        charts.push((task.name, chart(task, &evaluated, &lab.few_shots())));
    }
    sentences.push(
        "PneumoniaMNIST with all 4,708 labels, published: ResNet-18 at 28 pixels, AUC 0.944, accuracy 0.854."
            .to_owned(),
    );
    Ok(Findings { tables: vec![("", table), ("gain", claims)], charts, sentences, ..Findings::default() })
}

fn pool(lab: &Lab<'_>, images: &Images, shots: usize) -> Result<EpisodePool, ReproduceError> {
    let ways = images.dataset.class_names.len();
    let settings = EpisodeSettings { ways, shots, queries: lab.number(QUERIES, 10), seed: lab.seed };
    Ok(EpisodePool::new(&images.dataset, &images.test, settings)?)
}

/// Encoders pretrained on photographs, which is another dataset than the task's unless photographs are the task.
struct Photographs {
    task: Task,
    /// One run per objective, then the longer run.
    runs: Vec<(String, Run)>,
    /// The longer run, from which training on the task's own images continues.
    start: Init,
}

impl Photographs {
    fn trained(lab: &mut Lab<'_>, task: Task, images: &Images) -> Result<Self, ReproduceError> {
        let mut runs = Vec::new();
        for method in Method::without_teachers() {
            runs.push((method.name().to_owned(), lab.run_of(&task, images, method)?));
        }
        let (method, folder) = (Method::Simclr, format!("{}-simclr-longer", task.name));
        let config = PretrainConfig { epochs: lab.number(LONGER_EPOCHS, 3), ..lab.config(&task, method)? };
        let name = format!("{} of {} epochs", method.name(), config.epochs);
        runs.push((name, lab.run(&folder, &config, images)?));
        Ok(Self { task, runs, start: Init::of(&lab.folder(&folder))? })
    }
}

/// Evaluates every encoder on one task.
fn evaluate_all(
    lab: &mut Lab<'_>,
    task: &Task,
    images: &Images,
    photographs: &Photographs,
) -> Result<Vec<Evaluated>, ReproduceError> {
    let (pixels, colours) = (lab.raw_pixels(task, images)?, lab.colour_statistics(task, images)?);
    let random = lab.random(task, images)?;
    let mut evaluated = Vec::new();
    for (name, encoder) in [("raw pixels", &*pixels), ("colour statistics", &*colours), ("random nano", &*random)] {
        evaluated.push(evaluate(lab, name.to_owned(), encoder, images, (false, false))?);
    }
    for method in Method::without_teachers() {
        let run = lab.run_of(task, images, method)?;
        let labelled = run.config.needs_labels();
        evaluated.push(evaluate(lab, format!("{}, own images", method.name()), &run, images, (true, labelled))?);
    }
    let are_own = *task == photographs.task;
    // If photographs are the task, the run of each objective is already included.
    let skipped = if are_own { Method::without_teachers().count() } else { 0 };
    for (name, run) in &photographs.runs[skipped..] {
        let images_of = if are_own { "own images" } else { "photographs" };
        evaluated.push(evaluate(lab, format!("{name}, {images_of}"), run, images, (true, false))?);
    }
    if !are_own || lab.scale == Scale::Short {
        let own = lab.config(task, Method::Simclr)?;
        let (channels, epochs) = (photographs.task.channels, AFTER_TIMES * own.epochs);
        let config = PretrainConfig { channels, epochs, init: Some(photographs.start.clone()), ..own };
        let run = lab.run(&format!("{}-simclr-after-photographs", task.name), &config, images)?;
        evaluated.push(evaluate(lab, "simclr, photographs, then own images".to_owned(), &run, images, (true, false))?);
    }
    Ok(evaluated)
}

/// Evaluates the device's default head for each number of shots.
pub(super) fn evaluate(
    lab: &Lab<'_>,
    name: String,
    encoder: &dyn HostEncoder,
    images: &Images,
    (pretrained, used_labels): (bool, bool),
) -> Result<Evaluated, ReproduceError> {
    (lab.say)(&format!("{}: episodes of {name}", images.dataset.name));
    let corpus = corpus_statistics(encoder, &images.dataset, &images.train, &|_| ())?;
    let mut features = embed_dataset(encoder, &images.dataset, &images.test, &|_| ())?;
    features.standardise(&corpus);
    let classes = images.dataset.class_names.len();
    let mut results = Vec::new();
    for shots in lab.few_shots() {
        if lab.stop.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(ReproduceError::Interrupted);
        }
        let pool = pool(lab, images, shots)?;
        results.push(few_shot(&features, classes, &pool, lab.number(EPISODES, 20), HEAD, &|_| ())?);
    }
    Ok(Evaluated { name, pretrained, used_labels, results })
}

fn push_rows(table: &mut Table, task: &Task, evaluated: &Evaluated, episodes: usize, shots: &[usize]) {
    for (result, shots) in evaluated.results.iter().zip(shots) {
        let recalls = result.recalls.iter().map(|recall| recall.map_or("-".into(), |value| format!("{value:.2}")));
        table.push(vec![
            task.name.into(),
            evaluated.name.clone(),
            shots.to_string(),
            share(result.balanced_accuracy.mean),
            result.balanced_accuracy.width_text(),
            HEAD.to_string(),
            episodes.to_string(),
            recalls.collect::<Vec<String>>().join(" "),
            result.area_under_roc.map_or("-".into(), |area| share(area.mean)),
        ]);
    }
}

fn push_scratch(lab: &Lab<'_>, table: &mut Table, task: &Task, images: &Images) -> Result<(), ReproduceError> {
    let recipe = recipe(images, task.channels, task.size)?;
    let setting = Setting { task, dataset: &images.dataset, recipe: &recipe, test: &images.test };
    for shots in CLAIMED.into_iter().filter(|claimed| lab.few_shots().contains(claimed)) {
        (lab.say)(&format!("{}: training from scratch on {shots} images per class", images.dataset.name));
        let episodes = lab.number(EPISODES_FROM_SCRATCH, 2);
        let result = from_scratch(&setting, &pool(lab, images, shots)?, episodes, lab.seed)?;
        table.push(vec![
            task.name.into(),
            "from scratch".into(),
            shots.to_string(),
            share(result.mean),
            result.width_text(),
            "its own".into(),
            episodes.to_string(),
            "-".into(),
            "-".into(),
        ]);
    }
    Ok(())
}

/// Adds the gain of the best objective over raw pixels, and whether it is as large as expected.
fn claim(table: &mut Table, task: &Task, evaluated: &[Evaluated], shots: &[usize]) -> Vec<String> {
    let needed = if task.name == tasks::CIFAR_10.name { GAIN_ON_PHOTOGRAPHS } else { GAIN };
    let mut sentences = Vec::new();
    for (at, &shots) in shots.iter().enumerate().filter(|(_, shots)| CLAIMED.contains(shots)) {
        let mean = |evaluated: &Evaluated| evaluated.results[at].balanced_accuracy.mean;
        let pixels = evaluated.iter().find(|evaluated| !evaluated.pretrained).map_or(0.0, mean);
        let best = |of: &dyn Fn(&&Evaluated) -> bool| {
            let candidates = evaluated.iter().filter(|evaluated| evaluated.pretrained).filter(of);
            candidates.max_by(|a, b| mean(a).total_cmp(&mean(b))).map(|best| (best.name.clone(), mean(best)))
        };
        let (Some(unlabelled), Some(any)) = (best(&|evaluated| !evaluated.used_labels), best(&|_| true)) else {
            continue;
        };
        let gain = |(_, mean): &(String, f64)| mean - pixels;
        table.push(vec![
            task.name.into(),
            shots.to_string(),
            share(pixels),
            unlabelled.0.clone(),
            share(unlabelled.1),
            share(gain(&unlabelled)),
            any.0.clone(),
            share(any.1),
            share(gain(&any)),
        ]);
        let comparison = if gain(&unlabelled) >= needed { "at least" } else { "less than" };
        sentences.push(format!(
            "{}, {shots} shots: {} is {:.1} points ahead of raw pixels, {comparison} the expected {:.0}.",
            task.name,
            unlabelled.0,
            100.0 * gain(&unlabelled),
            100.0 * needed
        ));
    }
    sentences
}

fn chart(task: &Task, evaluated: &[Evaluated], shots: &[usize]) -> Chart {
    let series = evaluated.iter().filter(|evaluated| !evaluated.name.ends_with(", photographs")).map(|evaluated| {
        let points = shots.iter().zip(&evaluated.results);
        let points = points.map(|(&shots, result)| (shots as f64, result.balanced_accuracy.mean));
        Series::new(&*evaluated.name, points.collect())
    });
    Chart {
        title: format!("{}: few-shot accuracy", task.name),
        x: Axis::logarithmic("labels per class"),
        y: Axis::linear("balanced accuracy"),
        series: series.collect(),
    }
}
