//! Settings of the training recipe: each gives the same bytes after any interruption.

mod stop_after;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use macula::encoder::{Algorithm, Preset};
use macula::nn::optimiser::OptimiserKind;
use macula::pretrain::{
    CHECKPOINT, CONFIG, Fitted, HealthGate, Keep, METRICS, Method, Options, Outcome, PretrainConfig, PretrainError,
    Run, RunFolder, Sampling, Silent, Validate, pretrain,
};
use macula::ranks::Ranks;
use stop_after::StopAfter;

const BEGIN: Options = Options {
    resume: false,
    strict: false,
    cache_bytes: 1 << 20,
    prefetch: 1,
    memory: None,
    ranks: Ranks::ONE,
    pictures: false,
};
const RESUME: Options = Options { resume: true, ..BEGIN };

/// A few steps of the smallest encoder, with checkpoints and metrics within epochs as well.
fn tiny(data: &str, method: Method) -> PretrainConfig {
    let mut config = PretrainConfig::new(data, method);
    (config.encoder, config.channels, config.size) = (Preset::Pico, 1, 16);
    (config.epochs, config.batch_size) = (2, 8);
    config.learning_rate = config.default_learning_rate();
    (config.checkpoint_steps, config.metrics_steps) = (2, 1);
    config.augmentation.crop_padding = 2;
    config.validate = Validate::Epoch;
    config
}

fn train(config: &PretrainConfig, out: &Path, options: Options) -> Result<Outcome, PretrainError> {
    let dataset = config.open_data(&config.data)?;
    pretrain(config, &dataset, out, options, &mut Silent, &AtomicBool::new(false))
}

fn result(out: &Path) -> [Vec<u8>; 3] {
    [CONFIG, METRICS, CHECKPOINT].map(|name| std::fs::read(out.join(name)).unwrap())
}

/// Trains `config` uninterrupted into `whole`, and stopped after each of `steps`; all end in the same bytes, with the
/// configuration that the uninterrupted run stored.
fn resumes(config: &PretrainConfig, whole: &Path, steps: std::ops::Range<u64>) {
    train(config, whole, BEGIN).unwrap();
    let stored = RunFolder::open(whole).unwrap().1;
    for after in steps {
        let folder = tempfile::tempdir().unwrap();
        let stop = AtomicBool::new(false);
        let mut observer = StopAfter { after, stop: &stop };
        let dataset = config.open_data(&config.data).unwrap();
        let outcome = pretrain(&stored, &dataset, folder.path(), BEGIN, &mut observer, &stop).unwrap();
        assert_eq!(outcome, Outcome::Interrupted { step: after });
        assert_ne!(result(folder.path())[2], result(whole)[2], "the run is not finished");
        train(&stored, folder.path(), RESUME).unwrap();
        assert!(result(folder.path()) == result(whole), "stopped after step {after}");
    }
}

#[test]
fn sampling_by_source_resumes_to_the_same_bytes_and_changes_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny("phantoms:16:40+phantoms:16:7+phantoms:20:9", Method::Simclr);
    (config.sampling, config.without) = (Sampling::Sqrt, vec!["phantoms:20:9".into()]);
    let [whole, uniform] = ["whole", "uniform"].map(|name| folder.path().join(name));
    resumes(&config, &whole, 1..10);
    let stored = RunFolder::open(&whole).unwrap().1;
    assert_eq!((stored.sampling, stored.without.len()), (Sampling::Sqrt, 1));
    let checkpoint = RunFolder::open(&whole).unwrap().0.checkpoint().unwrap().unwrap();
    // As many steps as without the setting.
    config.sampling = Sampling::Uniform;
    train(&config, &uniform, BEGIN).unwrap();
    let other = RunFolder::open(&uniform).unwrap().0.checkpoint().unwrap().unwrap();
    assert_eq!((checkpoint.progress.step, checkpoint.progress.images), (other.progress.step, other.progress.images));
    assert_ne!(result(&whole)[2], result(&uniform)[2]);
}

/// The encoder of the run is the average; the trained weights continue beside it and equal those of a run without average.
#[test]
fn the_average_of_weights_resumes_to_the_same_bytes_and_is_the_encoder() {
    for (method, optimiser) in [(Method::Simclr, OptimiserKind::SGD), (Method::Moco, OptimiserKind::LARS)] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = tiny("phantoms:16:30", method);
        config.optimiser = optimiser;
        config.weight_average = Some(0.9);
        let [whole, plain] = ["whole", "plain"].map(|name| folder.path().join(name));
        resumes(&config, &whole, 0..6);
        let checkpoint = |out: &Path| RunFolder::open(out).unwrap().0.checkpoint().unwrap().unwrap();
        let averaged = checkpoint(&whole);
        config.weight_average = None;
        train(&config, &plain, BEGIN).unwrap();
        let expected = checkpoint(&plain);
        let mut compared = 0;
        for tensor in &averaged.tensors {
            let Some(name) = tensor.name.strip_prefix("trained.") else { continue };
            assert_eq!(tensor.data, expected.tensor(name).unwrap().data, "{name}");
            compared += usize::from(averaged.tensor(name).unwrap().data != tensor.data);
        }
        assert!(compared > 10, "{compared} tensors differ from their average");
        let (run, other) = (Run::load(&whole).unwrap(), Run::load(&plain).unwrap());
        for tensor in run.network.to_named(&run.network.parameters) {
            assert_eq!(averaged.tensor(&tensor.name).unwrap().data, tensor.data, "{}", tensor.name);
        }
        assert_ne!(run.info.id, other.info.id);
    }
}

/// A budget and open settings are resolved before the first step: the stored configuration has neither and repeats the run.
#[test]
fn a_budget_becomes_epochs_and_small_sets_get_enough_steps() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny("phantoms:16:30", Method::Simclr);
    config.budget = Some("4s".parse().unwrap());
    let [whole, again] = ["whole", "again"].map(|name| folder.path().join(name));
    let begun = std::time::Instant::now();
    train(&config, &whole, BEGIN).unwrap();
    let stored = RunFolder::open(&whole).unwrap().1;
    assert_eq!(stored.budget, None);
    // Far from exact on a busy machine, but no run of two epochs and no endless one.
    assert!(stored.epochs > 2 && begun.elapsed().as_secs() < 60, "{} epochs", stored.epochs);
    let mut stored = PretrainConfig { epochs: 3, ..stored };
    train(&stored, &again, BEGIN).unwrap();
    let expected = PretrainConfig { budget: None, epochs: 3, ..config.clone() };
    let plain = folder.path().join("plain");
    train(&expected, &plain, BEGIN).unwrap();
    assert!(result(&again) == result(&plain), "timing changed the run");

    let run = Run::load(&plain).unwrap();
    stored.init =
        Some(macula::pretrain::Init { encoder: plain.display().to_string(), sha256: run.info.id.to_string() });
    (stored.batch_size, stored.fit) = (256, vec![Fitted::BatchSize, Fitted::Epochs]);
    stored.epochs = 20;
    let fitted = folder.path().join("fitted");
    train(&stored, &fitted, BEGIN).unwrap();
    let stored = RunFolder::open(&fitted).unwrap().1;
    // 24 training images are one step per epoch.
    assert_eq!((stored.batch_size, stored.epochs, stored.fit.len()), (32, 1_500, 0));
    assert_eq!(Run::load(&fitted).unwrap().step, 1_500);
}

/// With a rate that destroys the encoder, the initial weights stay; with a usual one a later epoch is kept. Both resume.
#[test]
fn the_best_epoch_is_kept_and_a_worse_encoder_never() {
    let folder = tempfile::tempdir().unwrap();
    let start = folder.path().join("start");
    let mut config = tiny("phantoms:16:60", Method::Simclr);
    (config.epochs, config.learning_rate) = (6, 0.05);
    // At a lower temperature the first run is so weak that the large rate does not harm it.
    config.comparison.temperature = 0.5;
    // What the quality of so short a run is depends on rounding.
    config.convolution = Algorithm::Direct;
    train(&config, &start, BEGIN).unwrap();
    let init = Run::load(&start).unwrap();
    config.init =
        Some(macula::pretrain::Init { encoder: start.display().to_string(), sha256: init.info.id.to_string() });
    config.keep = Keep::Best;
    (config.epochs, config.health) = (3, HealthGate::Never);
    for (name, rate, average) in [("worse", 3.0, None), ("better", 0.02, None), ("average", 0.02, Some(0.5))] {
        (config.learning_rate, config.weight_average) = (rate, average);
        let whole = folder.path().join(name);
        resumes(&config, &whole, 0..18);
        let (run_folder, _) = RunFolder::open(&whole).unwrap();
        let lines = run_folder.epochs().unwrap();
        let values: Vec<f64> = lines.iter().map(|line| line.quality.as_ref().unwrap().value()).collect();
        assert_eq!((lines[0].epoch, values.len()), (0, 4), "the initial encoder is measured");
        let kept = run_folder.checkpoint().unwrap().unwrap().progress.kept.unwrap();
        let best = values.iter().copied().fold(f64::MIN, f64::max);
        assert_eq!((kept.value, values[kept.epoch as usize]), (best, best), "{name}: {values:?}");
        let run = Run::load(&whole).unwrap();
        let is_initial = run.network.parameters == init.network.parameters;
        assert_eq!(is_initial, kept.epoch == 0, "{name}");
        assert!(name != "worse" || is_initial, "{values:?}");
    }
}
