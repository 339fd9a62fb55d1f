//! What a handful of labels is worth: every objective, pretrained on the task's own images and on photographs, SimCLR also
//! for longer and on the one after the other, beside raw pixels, colour statistics, a random encoder and training from
//! scratch.

use super::from_scratch::{Setting, from_scratch};
use super::lab::{Images, Lab, recipe};
use super::tasks::{self, Task};
use super::{Findings, ReproduceError, Scale, share};
use crate::encoder::HostEncoder;
use crate::evaluate::{
    EpisodePool, EpisodeSettings, FewShotResult, HeadKind, corpus_statistics, embed_dataset, few_shot,
};
use crate::pretrain::{Init, Method, PretrainConfig, Run};
use crate::report::chart::{Axis, Chart, Series};
use crate::report::table::Table;

/// Images a class that are asked about.
const QUERIES: usize = 30;

/// Drawn tasks; of training from scratch fewer, because each is a run of its own.
const EPISODES: usize = 200;
const EPISODES_FROM_SCRATCH: usize = 30;

/// Passes of the longer run of SimCLR over the photographs, and how many times as many as others the run that goes on from
/// there has over the task's own images.
const LONGER_EPOCHS: u64 = 40;
const AFTER_TIMES: u64 = 2;

/// Shots at which training from scratch is measured, and a gain is claimed.
const CLAIMED: [usize; 2] = [5, 20];

/// The heads that every encoder may take the better of.
const HEADS: [HeadKind; 3] = [HeadKind::Prototype, HeadKind::Logistic, HeadKind::Auto];

/// Supports up to which the device's own head is among them: its time grows with their third power, and it is for a
/// handful.
const AUTO_SUPPORTS_MAX: usize = 150;

/// Points that the best objective shall be ahead of the best head on raw pixels.
const GAIN: f64 = 0.05;
const GAIN_ON_PHOTOGRAPHS: f64 = 0.20;

/// One encoder's row.
pub(super) struct Judged {
    name: String,
    /// Whether an objective made it.
    pretrained: bool,
    /// Whether labels of this very task went into it.
    saw_labels: bool,
    /// One a number of shots.
    pub best: Vec<(HeadKind, FewShotResult)>,
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
        let judged = judge_all(lab, task, &images, &photographs)?;
        for judged in &judged {
            push_rows(&mut table, task, judged, lab.number(EPISODES, 20), &lab.few_shots());
        }
        push_scratch(lab, &mut table, task, &images)?;
        sentences.extend(claim(&mut claims, task, &judged, &lab.few_shots()));
        charts.push((task.name, chart(task, &judged, &lab.few_shots())));
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

/// Encoders of the photographs: another data set than the task's, but where photographs are the task.
struct Photographs {
    task: Task,
    /// One of each objective, the longer one last.
    runs: Vec<(String, Run)>,
    /// The longer one, which the task's own images go on from.
    start: Init,
}

impl Photographs {
    fn trained(lab: &mut Lab<'_>, task: Task, images: &Images) -> Result<Self, ReproduceError> {
        let mut runs = Vec::new();
        for &method in Method::ALL {
            runs.push((method.name().to_owned(), lab.run_of(&task, images, method)?));
        }
        let (method, folder) = (Method::Simclr, format!("{}-simclr-longer", task.name));
        let config = PretrainConfig { epochs: lab.number(LONGER_EPOCHS, 3), ..lab.config(&task, method)? };
        let name = format!("{} of {} epochs", method.name(), config.epochs);
        runs.push((name, lab.run(&folder, &config, images)?));
        Ok(Self { task, runs, start: Init::of(&lab.folder(&folder))? })
    }
}

/// Every encoder on one task.
fn judge_all(
    lab: &mut Lab<'_>,
    task: &Task,
    images: &Images,
    photographs: &Photographs,
) -> Result<Vec<Judged>, ReproduceError> {
    let (pixels, colours) = (lab.raw_pixels(task, images)?, lab.colour_statistics(task, images)?);
    let random = lab.random(task, images)?;
    let mut judged = Vec::new();
    for (name, encoder) in
        [("raw pixels", &pixels as &dyn HostEncoder), ("colour statistics", &colours), ("random nano", &random)]
    {
        judged.push(judge(lab, name.to_owned(), encoder, images, (false, false))?);
    }
    for &method in Method::ALL {
        let run = lab.run_of(task, images, method)?;
        let labelled = run.config.needs_labels();
        judged.push(judge(lab, format!("{}, own images", method.name()), &run, images, (true, labelled))?);
    }
    let are_own = *task == photographs.task;
    // Those of each objective are above, where the photographs are the task's own.
    let skipped = if are_own { Method::ALL.len() } else { 0 };
    for (name, run) in &photographs.runs[skipped..] {
        let whose = if are_own { "own images" } else { "photographs" };
        judged.push(judge(lab, format!("{name}, {whose}"), run, images, (true, false))?);
    }
    if !are_own || lab.scale == Scale::Short {
        let own = lab.config(task, Method::Simclr)?;
        let (channels, epochs) = (photographs.task.channels, AFTER_TIMES * own.epochs);
        let config = PretrainConfig { channels, epochs, init: Some(photographs.start.clone()), ..own };
        let run = lab.run(&format!("{}-simclr-after-photographs", task.name), &config, images)?;
        judged.push(judge(lab, "simclr, photographs, then own images".to_owned(), &run, images, (true, false))?);
    }
    Ok(judged)
}

/// The best head at each number of shots.
pub(super) fn judge(
    lab: &Lab<'_>,
    name: String,
    encoder: &dyn HostEncoder,
    images: &Images,
    (pretrained, saw_labels): (bool, bool),
) -> Result<Judged, ReproduceError> {
    (lab.say)(&format!("{}: episodes of {name}", images.dataset.name));
    let corpus = corpus_statistics(encoder, &images.dataset, &images.train, &|_| ())?;
    let mut features = embed_dataset(encoder, &images.dataset, &images.test, &|_| ())?;
    features.standardise(&corpus);
    let classes = images.dataset.class_names.len();
    let mut best = Vec::new();
    for shots in lab.few_shots() {
        if lab.stop.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(ReproduceError::Interrupted);
        }
        let pool = pool(lab, images, shots)?;
        let mut winner: Option<(HeadKind, FewShotResult)> = None;
        for head in HEADS {
            if head == HeadKind::Auto && classes * shots > AUTO_SUPPORTS_MAX {
                continue;
            }
            let result = few_shot(&features, classes, &pool, lab.number(EPISODES, 20), head, &|_| ())?;
            let better =
                winner.as_ref().is_none_or(|(_, best)| result.balanced_accuracy.mean > best.balanced_accuracy.mean);
            if better {
                winner = Some((head, result));
            }
        }
        best.extend(winner);
    }
    Ok(Judged { name, pretrained, saw_labels, best })
}

fn push_rows(table: &mut Table, task: &Task, judged: &Judged, episodes: usize, shots: &[usize]) {
    for ((head, result), shots) in judged.best.iter().zip(shots) {
        let recalls = result.recalls.iter().map(|recall| recall.map_or("-".into(), |value| format!("{value:.2}")));
        table.push(vec![
            task.name.into(),
            judged.name.clone(),
            shots.to_string(),
            share(result.balanced_accuracy.mean),
            result.balanced_accuracy.width_text(),
            head.to_string(),
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
        (lab.say)(&format!("{}: training from scratch on {shots} images a class", images.dataset.name));
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

/// How far the best objective is ahead of the best head on raw pixels, and whether that is as far as it shall be.
fn claim(table: &mut Table, task: &Task, judged: &[Judged], shots: &[usize]) -> Vec<String> {
    let needed = if task.name == tasks::CIFAR_10.name { GAIN_ON_PHOTOGRAPHS } else { GAIN };
    let mut sentences = Vec::new();
    for (at, &shots) in shots.iter().enumerate().filter(|(_, shots)| CLAIMED.contains(shots)) {
        let mean = |judged: &Judged| judged.best[at].1.balanced_accuracy.mean;
        let pixels = judged.iter().find(|judged| !judged.pretrained).map_or(0.0, mean);
        let best = |of: &dyn Fn(&&Judged) -> bool| {
            let candidates = judged.iter().filter(|judged| judged.pretrained).filter(of);
            candidates.max_by(|a, b| mean(a).total_cmp(&mean(b))).map(|best| (best.name.clone(), mean(best)))
        };
        let (Some(unlabelled), Some(any)) = (best(&|judged| !judged.saw_labels), best(&|_| true)) else { continue };
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
        let verdict = if gain(&unlabelled) >= needed { "as it shall" } else { "less than it shall" };
        sentences.push(format!(
            "{}, {shots} shots: {} is {:.1} points ahead of raw pixels, {verdict} ({:.0}).",
            task.name,
            unlabelled.0,
            100.0 * gain(&unlabelled),
            100.0 * needed
        ));
    }
    sentences
}

fn chart(task: &Task, judged: &[Judged], shots: &[usize]) -> Chart {
    let series = judged.iter().filter(|judged| !judged.name.ends_with(", photographs")).map(|judged| Series {
        name: judged.name.clone(),
        points: (shots.iter().zip(&judged.best))
            .map(|(&shots, (_, result))| (shots as f64, result.balanced_accuracy.mean))
            .collect(),
    });
    Chart {
        title: format!("{}: what a handful of labels is worth", task.name),
        x: Axis::logarithmic("labels a class"),
        y: Axis::linear("balanced accuracy"),
        series: series.collect(),
    }
}
