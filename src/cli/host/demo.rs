//! `macula demo`: runs the whole workflow on generated images.

mod power;
mod store;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, ensure};
use indicatif::ProgressBar;

use crate::cli::atomic::atomically;
use crate::cli::classes::ClassNames;
use crate::cli::device::learn;
use crate::cli::failure::check_failed;
use crate::cli::overwrite::ForceArgs;
use crate::cli::progress::bar;
use crate::cli::trust::open_encoder;
use crate::cli::{Common, print_json, samples};
use crate::data::{Dataset, Split, open_named};
use crate::device::source_of;
use crate::encoder::HostEncoder;
use crate::encoders::{EncoderInput, OpenOptions, Opened};
use crate::evaluate::{self, ConfusionMatrix, EpisodePool, EpisodeSettings, HeadKind as ProbeHead, Interval};
use crate::link::{Client, PredictOptions, Sample};
use crate::pretrain::{Event, Init, Method, Observer, Options, PretrainConfig, Run, pretrain};
use crate::report::sheet;
use store::with_encoder;

/// Enough phantoms for episodes with 30 queries for each of six classes.
const DATA: &str = "phantoms:32:1800";
const CHANNELS: usize = 1;
const SIDE: usize = 64;
/// The shipped model that training starts from.
const START: &str = "grey-64";
const EPOCHS: u64 = 8;
const SHOTS: [usize; 2] = [1, 5];
const EPISODES: usize = 200;
/// Examples per class for the head.
const EXAMPLES: usize = 5;

/// Arguments of `macula demo`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula demo --sheet phantoms.png")]
pub struct Args {
    /// Keep run, store and, if the program has ONNX, the exported encoder in this new or empty folder
    #[arg(long)]
    out: Option<PathBuf>,
    /// Write a contact sheet of the images to this PNG file
    #[arg(long, alias = "picture", value_name = "FILE.png")]
    sheet: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArgs,
    #[command(flatten)]
    common: Common,
}

/// Few-shot figures of an encoder.
#[derive(serde::Serialize)]
struct Row {
    encoder: String,
    /// One per entry of `SHOTS`.
    balanced_accuracy: Vec<Interval>,
}

#[derive(serde::Serialize)]
struct Report {
    data: &'static str,
    seed: u64,
    shots: [usize; 2],
    episodes: usize,
    few_shot: Vec<Row>,
    encoder_in_use: String,
    taught_balanced_accuracy: f64,
    taught_recalls: Vec<(String, Option<f64>)>,
    forgetting_is_exact: bool,
    power_cuts: usize,
    changes_between_power_cuts: usize,
    seconds: f64,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let start = Instant::now();
    let temporary = tempfile::tempdir().context("cannot create a temporary folder")?;
    let folder = args.out.clone().unwrap_or_else(|| temporary.path().to_owned());
    let dataset = open_named(DATA, args.common.seed)?;
    if let Some(path) = &args.sheet {
        args.force.check(path)?;
        sheet::write_png(path, &sheet::draw(&dataset, 12, 64, args.common.seed)?)?;
    }
    let say = |text: &str| {
        if !args.common.json && !args.common.quiet {
            println!("{text}");
        }
    };
    let train = dataset.train_indices();
    say(&format!("1. train `{START}` further on {} images without labels, by predicting their rotation", train.len()));
    let run = pretrain_on(&dataset, &folder.join("run"), &args.common)?;

    say("2. export the encoder, and compare it with the trained one");
    let (shipped, encoder_in_use) = ship(&run, &dataset, &folder)?;
    say(&format!("   {encoder_in_use}"));

    say(&format!("3. evaluate {EXAMPLES} examples per class, with this encoder and with the baselines"));
    let few_shot = few_shot(&*shipped.encoder, &dataset, &train, args.common.seed)?;
    if !args.common.json {
        print_table(&few_shot);
    }
    say(&format!(
        "4. teach a device {EXAMPLES} examples per class, forget two, cut its power {} times, learn them again",
        power::CUTS
    ));
    let (counts, changes_between_power_cuts) =
        teach_and_forget(&shipped, &dataset, &folder.join("demo.store"), args.common.seed)?;
    let report = Report {
        data: DATA,
        seed: args.common.seed,
        shots: SHOTS,
        episodes: EPISODES,
        few_shot,
        encoder_in_use,
        taught_balanced_accuracy: counts.balanced_accuracy(),
        taught_recalls: dataset.class_names.iter().cloned().zip(counts.recalls()).collect(),
        forgetting_is_exact: true,
        power_cuts: power::CUTS,
        changes_between_power_cuts,
        seconds: start.elapsed().as_secs_f64(),
    };
    if args.common.json {
        return print_json(&report);
    }
    println!("   balanced accuracy {:.3} on {} test images; recall:", report.taught_balanced_accuracy, counts.total());
    for (class, recall) in &report.taught_recalls {
        println!("   {class:<14} {:.3}", recall.unwrap_or(0.0));
    }
    println!(
        "   {changes_between_power_cuts} changes were acknowledged between {} power cuts; none was lost",
        power::CUTS
    );
    println!("   after forgetting and learning again the state of the device is the same, byte for byte");
    println!("done in {:.0} s", report.seconds);
    Ok(())
}

/// Moves a progress bar.
struct Bar(ProgressBar);

impl Observer for Bar {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Started { steps, .. } => self.0.set_length(steps),
            Event::Step(_) => self.0.inc(1),
            _ => {}
        }
    }
}

fn pretrain_on(dataset: &Dataset, folder: &Path, common: &Common) -> anyhow::Result<Run> {
    let mut config = PretrainConfig::new(DATA, Method::Rotation);
    config.seed = common.seed;
    config.channels = CHANNELS;
    config.size = SIDE;
    config.epochs = EPOCHS;
    config.init = Some(Init::of(Path::new(START))?);
    // Small batches give more steps from few images.
    config.batch_size = 32;
    config.learning_rate = config.default_learning_rate();
    // A line per step moves the bar.
    config.metrics_steps = 1;
    let mut observer = Bar(bar(common.quiet || common.json, 0, "   {bar:30} {pos}/{len} steps, {rate}, {eta} left"));
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot create folder {}", parent.display()))?;
    }
    pretrain(&config, dataset, folder, Options::default(), &mut observer, &AtomicBool::new(false))?;
    observer.0.finish_and_clear();
    Ok(Run::load(folder)?)
}

/// Exports the run and opens the f16 file, as a device does. Returns a line on the result.
#[cfg(feature = "onnx")]
fn ship(run: &Run, dataset: &Dataset, folder: &Path) -> anyhow::Result<(Opened, String)> {
    use crate::data::evenly_spread;
    use crate::export::{F16_FILE, Sample, Tolerances, export};

    let folder = folder.join("export");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create folder {}", folder.display()))?;
    let test = dataset.indices(Some(Split::Test));
    let sample = Sample::load(dataset, &evenly_spread(&test, 100), &run.info.preprocessing)?;
    let metadata = super::export::metadata(run)?;
    let exported = export(run, &run.network.folded(), &metadata, &[], &sample, Tolerances::default(), &folder)?;
    if !exported.parity.passed {
        return Err(check_failed("the exported encoder differs from the trained encoder"));
    }
    let worst: Vec<String> =
        exported.parity.steps.iter().map(|step| format!("{} {:.1e}", step.file, step.max_error)).collect();
    let opened = open_encoder(&folder.join(F16_FILE).to_string_lossy(), &OpenOptions::default())?;
    let says = format!(
        "in use: {F16_FILE} ({}); largest error of a feature: {}",
        opened.encoder.info().arithmetic,
        worst.join(", ")
    );
    Ok((opened, says))
}

/// Without ONNX the trained network is used.
#[cfg(not(feature = "onnx"))]
fn ship(_: &Run, _: &Dataset, folder: &Path) -> anyhow::Result<(Opened, String)> {
    let opened = open_encoder(&folder.join("run").to_string_lossy(), &OpenOptions::default())?;
    Ok((opened, "in use: the trained network, because this build lacks the feature `onnx`".to_owned()))
}

/// Episodes on the test split with the device's Gaussian head. Features are standardised by the unlabelled split.
fn few_shot(encoder: &dyn HostEncoder, dataset: &Dataset, train: &[usize], seed: u64) -> anyhow::Result<Vec<Row>> {
    let test = dataset.indices(Some(Split::Test));
    let input = EncoderInput { dataset, unlabelled: train, channels: CHANNELS, height: SIDE, width: SIDE };
    let options = OpenOptions { fit: Some(input), seed, ..OpenOptions::default() };
    let random = open_encoder("random:nano", &options)?.encoder;
    let pixels = open_encoder("raw-pixels", &options)?.encoder;
    let mut rows = Vec::new();
    for (name, encoder) in [("pretrained nano", encoder), ("random nano", &*random), ("raw pixels", &*pixels)] {
        let corpus = evaluate::corpus_statistics(encoder, dataset, train, &|_| ())?;
        let mut features = evaluate::embed_dataset(encoder, dataset, &test, &|_| ())?;
        features.standardise(&corpus);
        let mut balanced_accuracy = Vec::new();
        for shots in SHOTS {
            let settings = EpisodeSettings { ways: dataset.class_names.len(), shots, queries: 30, seed };
            let pool = EpisodePool::new(dataset, &test, settings)?;
            let classes = dataset.class_names.len();
            let result = evaluate::few_shot(&features, classes, &pool, EPISODES, ProbeHead::Gaussian, &|_| ())?;
            balanced_accuracy.push(result.balanced_accuracy);
        }
        rows.push(Row { encoder: name.to_owned(), balanced_accuracy });
    }
    Ok(rows)
}

fn print_table(rows: &[Row]) {
    println!("   {:<16} {:>17} {:>17}", "balanced accuracy", "1 shot", "5 shots");
    for row in rows {
        let cells: Vec<String> = row.balanced_accuracy.iter().map(Interval::to_string).collect();
        println!("   {:<17} {:>16} {:>17}", row.encoder, cells[0], cells[1]);
    }
    println!("   6 classes, {EPISODES} episodes, 95 % intervals; chance is 0.167");
}

/// Teaches a device from the training split and evaluates it on the test split. Then checks that its state is the same after
/// forgetting two samples, power cuts while learning and forgetting them, and learning them again. Returns the number of
/// changes that were acknowledged between the power cuts.
fn teach_and_forget(
    encoder: &Opened,
    dataset: &Dataset,
    store: &Path,
    seed: u64,
) -> anyhow::Result<(ConfusionMatrix, usize)> {
    let drawn = samples::draw_shots(dataset, Some(Split::Train), EXAMPLES, seed, true)?;
    let learned_state = with_encoder(store, encoder, |client| {
        atomically(client, false, |client, changes| {
            drawn.iter().try_for_each(|(class, images)| learn::learn(client, changes, class, images, 0).map(drop))
        })?;
        Ok(client.state_sha256()?)
    })?;
    let (confusion, forgotten) = with_encoder(store, encoder, |client| {
        let (confusion, state) = (classify(client, dataset)?, client.export()?);
        let mut forgotten = Vec::new();
        for (class, images) in drawn.iter().take(2) {
            let source = source_of(&images[0].image);
            let support = state.supports.iter().find(|support| support.from.source == source);
            forgotten.push((class.as_str(), support.context("the device has lost a sample")?.clone()));
            client.forget(source)?;
        }
        Ok((confusion, forgotten))
    })?;
    let [(first_class, first), (second_class, second)] = &forgotten[..] else {
        return Err(check_failed("fewer than two classes have samples"));
    };
    let changes = power::cut(store, encoder, [(first_class, first), (second_class, second)], seed)?;
    with_encoder(store, encoder, |client| {
        if client.state_sha256()? == learned_state {
            return Err(check_failed("forgetting two samples did not change the device"));
        }
        for (class, support) in &forgotten {
            client.merge(class, support)?;
        }
        match client.state_sha256()? == learned_state {
            true => Ok((confusion, changes)),
            false => Err(check_failed("forgetting and learning again changed the state of the device")),
        }
    })
}

/// Classifies the test split on the device.
fn classify(client: &mut Client<'_>, dataset: &Dataset) -> anyhow::Result<ConfusionMatrix> {
    let names = ClassNames::of(client)?;
    // Classes get slots in the order of teaching, which is that of the dataset.
    let known = names.0.iter().map(|class| class.name.clone()).collect::<Vec<_>>();
    ensure!(known == dataset.class_names, "the classes of the device differ from those of the dataset");
    let test = dataset.indices(Some(Split::Test));
    let options = PredictOptions { head: 0, error_rate_permille: 100, point: None };
    let mut predicted = Vec::new();
    for (_, named) in samples::load_readable(dataset, &test, true, true)? {
        predicted.push(usize::from(client.predict(Sample::Image(&named.image), options)?.slot));
    }
    Ok(ConfusionMatrix::of(dataset.class_names.len(), &evaluate::labels(dataset, &test)?, &predicted))
}
