//! Runs that start from the encoder of another run: what they take over, what is frozen, and what does not fit.

mod stop_after;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use macula::augment::Augmentation;
use macula::data::{self, Dataset};
use macula::encoder::{NamedTensor, Preset};
use macula::pretrain::{
    CHECKPOINT, CONFIG, Checkpoint, EpochLine, Freeze, Init, METRICS, Method, Options, Outcome, PretrainConfig,
    PretrainError, Run, RunError, RunFolder, Silent, Validate, pretrain,
};
use macula::ranks::Ranks;
use stop_after::StopAfter;

const PHANTOMS: &str = "phantoms:16:96";
const OPTIONS: Options = Options {
    resume: false,
    strict: false,
    cache_bytes: 1 << 20,
    prefetch: 1,
    memory: None,
    ranks: Ranks::ONE,
    pictures: false,
};

fn phantoms() -> Dataset {
    data::open_named(PHANTOMS, 1).unwrap()
}

/// A short run of the smallest encoder.
fn tiny(method: Method) -> PretrainConfig {
    let mut config = PretrainConfig::new(PHANTOMS, method);
    (config.encoder, config.channels, config.size) = (Preset::Pico, 1, 16);
    (config.epochs, config.batch_size, config.validate) = (2, 8, Validate::Epoch);
    config.augmentation.crop_padding = 2;
    config
}

/// The epochs of the run in `out`, which is started or resumed.
fn train(config: &PretrainConfig, out: &Path) -> Result<Vec<EpochLine>, PretrainError> {
    let options = Options { resume: out.join(CONFIG).exists(), ..OPTIONS };
    pretrain(config, &phantoms(), out, options, &mut Silent, &AtomicBool::new(false))?;
    Ok(RunFolder::open(out)?.0.epochs()?)
}

/// Rotation in `folder/source`, and a supervised run that starts from it.
fn source(folder: &Path) -> PretrainConfig {
    let source = folder.join("source");
    train(&tiny(Method::Rotation), &source).unwrap();
    PretrainConfig { init: Some(Init::of(&source).unwrap()), ..tiny(Method::Supervised) }
}

/// Weights and running statistics of the encoder alone.
fn encoder_of(out: &Path) -> Vec<NamedTensor> {
    let run = Run::load(out).unwrap();
    [run.network.to_named(&run.network.parameters), run.network.statistics()].concat()
}

fn bytes_of(out: &Path) -> [Vec<u8>; 3] {
    [CONFIG, METRICS, CHECKPOINT].map(|name| std::fs::read(out.join(name)).unwrap())
}

#[test]
fn fine_tuning_starts_from_the_weights_and_changes_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = source(folder.path());
    let out = folder.path().join("tuned");
    // At this learning rate no weight changes, so the result shows the initial weights.
    (config.learning_rate, config.epochs, config.weight_decay) = (1e-30, 1, 0.0);
    train(&config, &out).unwrap();
    let start = folder.path().join("source");
    let weights = |out: &Path| Run::load(out).unwrap().network.parameters;
    assert_eq!(weights(&out), weights(&start));
    let (found, expected) =
        (Run::load(&out).unwrap().info.preprocessing, Run::load(&start).unwrap().info.preprocessing);
    assert_eq!(found, expected, "mean and deviation belong to the weights");
    let moved = folder.path().join("moved");
    config.learning_rate = config.default_learning_rate();
    train(&config, &moved).unwrap();
    assert_ne!(weights(&moved), weights(&start));
    // The size may differ: no weight depends on it.
    let larger = folder.path().join("larger");
    (config.size, config.augmentation) = (24, Augmentation::NONE);
    train(&config, &larger).unwrap();
    assert_eq!(Run::load(&larger).unwrap().info.preprocessing.height, 24);
}

#[test]
fn a_frozen_encoder_does_not_change() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = source(folder.path());
    (config.freeze, config.epochs, config.batch_size) = (Some(Freeze::default()), 12, 16);
    let expected = encoder_of(&folder.path().join("source"));
    for (name, augmentation) in [("augmented", config.augmentation), ("plain", Augmentation::NONE)] {
        config.augmentation = augmentation;
        let out = folder.path().join(name);
        let epochs = train(&config, &out).unwrap();
        assert_eq!(encoder_of(&out), expected, "{name}");
        let checkpoint = Checkpoint::read(&out.join(CHECKPOINT)).unwrap();
        for (layer, shape) in
            [("probe.0.weight", [200, 240]), ("probe.2.weight", [200, 200]), ("probe.4.weight", [6, 200])]
        {
            assert_eq!(checkpoint.tensor(layer).unwrap().shape, shape, "{layer}");
        }
        assert_eq!(epochs.len(), 12);
        let (first, last) = (&epochs[0], &epochs[11]);
        assert!(last.train.loss < 0.8 * first.train.loss, "{name}: {first:?} {last:?}");
        assert!(last.held_out.as_ref().unwrap().balanced_accuracy > 1.5 / 6.0, "{name}: chance is 1 of 6: {last:?}");
        assert!(last.health.is_none(), "a frozen encoder cannot collapse");
        assert_eq!(train(&config, &out).unwrap(), epochs, "a finished run is read, not trained again");
    }
}

#[test]
fn resume_gives_the_same_bytes_without_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let mut tuned = source(folder.path());
    tuned.limit = Some(29);
    let plain = PretrainConfig { freeze: Some(Freeze::default()), augmentation: Augmentation::NONE, ..tuned.clone() };
    let augmented = PretrainConfig { freeze: Some(Freeze { hidden: 5, layers: 1 }), ..tuned.clone() };
    let configs = [("tuned", tuned), ("plain", plain), ("augmented", augmented)];
    let part = |name: &str| folder.path().join(format!("{name} in parts"));
    for (name, config) in &configs {
        train(config, &folder.path().join(name)).unwrap();
        let stop = AtomicBool::new(false);
        let mut observer = StopAfter { after: 2, stop: &stop };
        let stopped = pretrain(config, &phantoms(), &part(name), OPTIONS, &mut observer, &stop).unwrap();
        assert_eq!(stopped, Outcome::Interrupted { step: 2 });
    }
    std::fs::remove_dir_all(folder.path().join("source")).unwrap();
    for (name, config) in &configs {
        train(config, &part(name)).unwrap();
        assert!(bytes_of(&part(name)) == bytes_of(&folder.path().join(name)), "{name}");
    }
}

#[test]
fn images_per_class_are_drawn_by_seed() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny(Method::Supervised);
    (config.validate, config.epochs) = (Validate::Never, 1);
    let mut images = |count, seed| {
        (config.per_class, config.seed) = (Some(count), seed);
        let out = folder.path().join(format!("{count}-{seed}"));
        train(&config, &out).unwrap();
        let progress = Checkpoint::read(&out.join(CHECKPOINT)).unwrap().progress;
        (progress.images, progress.images_sha256)
    };
    assert_eq!([images(2, 1).0, images(5, 1).0], [12, 30]);
    assert_ne!(images(2, 1).1, images(2, 2).1, "another seed draws others");
    config.per_class = Some(1000);
    let error = train(&config, &folder.path().join("many")).unwrap_err();
    assert!(matches!(error, PretrainError::TooFewLabelled { needed: 1000, .. }), "{error}");
}

#[test]
fn an_encoder_that_does_not_fit_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let config = source(folder.path());
    let out = folder.path().join("run");
    let refused = |change: &dyn Fn(&mut PretrainConfig)| {
        let mut config = config.clone();
        change(&mut config);
        let error = pretrain(&config, &phantoms(), &out, OPTIONS, &mut Silent, &AtomicBool::new(false)).unwrap_err();
        assert!(!out.exists(), "a run that never started leaves nothing");
        error
    };
    let error = refused(&|c| c.channels = 3);
    assert!(matches!(error, PretrainError::InitChannels { found: 1, expected: 3, .. }), "{error}");
    let error = refused(&|c| c.encoder = Preset::Nano);
    assert!(matches!(error, PretrainError::InitPreset { found: "pico", expected: "nano", .. }), "{error}");
    let error = refused(&|c| c.init.as_mut().unwrap().encoder = "nowhere".into());
    assert!(matches!(&error, PretrainError::Run(RunError::NoRun { path }) if path == "nowhere"), "{error}");
    let error = refused(&|c| c.init.as_mut().unwrap().sha256 = "ab".into());
    assert!(matches!(&error, PretrainError::OtherInit { stored, .. } if stored == "ab"), "{error}");
}

#[cfg(feature = "cli")]
#[test]
fn the_command_takes_preset_channels_and_size_from_the_source() {
    let folder = tempfile::tempdir().unwrap();
    source(folder.path());
    let [start, out] = ["source", "probe"].map(|name| folder.path().join(name));
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_macula"));
        command.args(["pretrain", "--quiet", "--out"]).arg(&out).args(arguments).arg("--init").arg(&start);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let begin = ["--data", PHANTOMS, "--method", "supervised", "--freeze", "--epochs", "2", "--policy", "none"];
    assert_eq!(run(&begin), (Some(0), String::new()));
    let config = RunFolder::open(&out).unwrap().1;
    assert_eq!((config.encoder, config.channels, config.size), (Preset::Pico, 1, 16));
    assert_eq!((config.freeze, config.init), (Some(Freeze::default()), Some(Init::of(&start).unwrap())));
    // Resuming accepts the same encoder, and no other.
    assert_eq!(run(&["--resume"]).0, Some(0));
    std::fs::remove_dir_all(&start).unwrap();
    train(&PretrainConfig { seed: 2, ..tiny(Method::Rotation) }, &start).unwrap();
    assert_eq!(run(&["--resume"]).0, Some(2));
}
