//! Complete pretraining runs on phantoms: the same bytes however they are computed, and the errors.

mod stop_after;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use macula::data::{self, Dataset};
use macula::encoder::{HostEncoder, Preset};
use macula::nn::optimiser::OptimiserKind;
use macula::pretrain::{
    CHECKPOINT, CONFIG, Checkpoint, EpochLine, Event, METRICS, Method, Observer, Options, Outcome, PretrainConfig,
    PretrainError, Run, RunError, RunFolder, Silent, TIMINGS, Validate, pretrain,
};
use macula::ranks::Ranks;
use stop_after::StopAfter;

const PHANTOMS: &str = "phantoms:16:48";
const RESUME: Options = Options {
    resume: true,
    strict: false,
    cache_bytes: 1 << 20,
    prefetch: 1,
    memory: None,
    ranks: Ranks::ONE,
    pictures: false,
};
const BEGIN: Options = Options { resume: false, ..RESUME };

/// A few steps of the smallest encoder, with checkpoints and metrics within epochs as well.
fn tiny(method: Method) -> PretrainConfig {
    let mut config = PretrainConfig::new(PHANTOMS, method);
    (config.encoder, config.channels, config.size) = (Preset::Pico, 1, 16);
    (config.epochs, config.batch_size, config.limit) = (2, 8, Some(29));
    (config.checkpoint_steps, config.metrics_steps) = (2, 1);
    config.augmentation.crop_padding = 2;
    config.validate = Validate::Epoch;
    config
}

fn phantoms() -> Dataset {
    data::open_named(PHANTOMS, 1).unwrap()
}

fn train(config: &PretrainConfig, out: &Path, options: Options) -> Result<Outcome, PretrainError> {
    pretrain(config, &phantoms(), out, options, &mut Silent, &AtomicBool::new(false))
}

/// The files by which runs are compared.
fn result(out: &Path) -> [Vec<u8>; 3] {
    [CONFIG, METRICS, CHECKPOINT].map(|name| std::fs::read(out.join(name)).unwrap())
}

fn same(found: &[Vec<u8>; 3], expected: &[Vec<u8>; 3], how: &str) {
    for (file, (found, expected)) in [CONFIG, METRICS, CHECKPOINT].iter().zip(found.iter().zip(expected)) {
        assert!(found == expected, "{how}: {file} differs");
    }
}

/// Copies the folder at every event, as it would be after a power cut there.
struct CutEverywhere<'a> {
    run: &'a Path,
    copies: Vec<tempfile::TempDir>,
}

impl Observer for CutEverywhere<'_> {
    fn event(&mut self, _event: Event<'_>) {
        let copy = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(self.run).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
        self.copies.push(copy);
    }
}

#[test]
fn threads_do_not_change_a_byte() {
    let folder = tempfile::tempdir().unwrap();
    let results = [1, 2, 3].map(|threads| {
        let out = folder.path().join(threads.to_string());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| train(&tiny(Method::Rotation), &out, BEGIN)).unwrap();
        result(&out)
    });
    same(&results[1], &results[0], "2 threads");
    same(&results[2], &results[0], "3 threads");
    let mut other = tiny(Method::Rotation);
    other.seed = 2;
    let out = folder.path().join("seed");
    train(&other, &out, BEGIN).unwrap();
    assert_ne!(result(&out)[2], results[0][2], "another seed gives another encoder");
}

/// Tiles are the same from memory, from the temporary file and after a resume, and are others than whole images.
#[test]
fn random_tiles_are_trained_on_to_the_same_bytes() {
    let mut config = tiny(Method::Rotation);
    (config.data, config.tiles, config.tiles_per_image) = ("phantoms:40:48".to_owned(), "1+2".parse().ok(), 3);
    let dataset = data::open_named(&config.data, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, config: &PretrainConfig, options: Options, stop_after: Option<u64>| {
        let (out, stop) = (folder.path().join(name), AtomicBool::new(false));
        let mut observer = StopAfter { after: stop_after.unwrap_or(u64::MAX), stop: &stop };
        pretrain(config, &dataset, &out, options, &mut observer, &stop).unwrap();
        result(&out)
    };
    let whole = run("whole", &config, BEGIN, None);
    let metrics = String::from_utf8_lossy(&whole[1]);
    assert!(metrics.contains("\"step\":20,"), "29 images of 3 tiles in batches of 8 are 10 steps per epoch: {metrics}");
    let in_file = Options { cache_bytes: 4_000, ..BEGIN };
    same(&run("file", &config, in_file, None), &whole, "two images in memory");
    run("cut", &config, BEGIN, Some(7));
    same(&run("cut", &config, RESUME, None), &whole, "resumed");
    let images = PretrainConfig { tiles: None, tiles_per_image: 1, ..config.clone() };
    assert_ne!(run("images", &images, BEGIN, None)[2], whole[2]);
    let refused = PretrainConfig { tiles: "1,overlap=0.5".parse().ok(), ..config };
    assert!(refused.check().unwrap_err().to_string().contains("tiles"));
}

#[test]
fn resume_after_any_step_gives_the_same_bytes() {
    for (method, optimiser) in [
        (Method::Rotation, OptimiserKind::SGD),
        (Method::Supervised, OptimiserKind::ADAM_W),
        (Method::Simclr, OptimiserKind::SGD),
        (Method::Triplet, OptimiserKind::SGD),
        (Method::Moco, OptimiserKind::SGD),
        (Method::Masked, OptimiserKind::ADAM_W),
    ] {
        let mut config = tiny(method);
        config.optimiser = optimiser;
        config.learning_rate = config.default_learning_rate();
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("whole");
        train(&config, &whole, BEGIN).unwrap();
        for after in 0..6 {
            let out = folder.path().join(after.to_string());
            let stop = AtomicBool::new(false);
            let mut observer = StopAfter { after, stop: &stop };
            let outcome = pretrain(&config, &phantoms(), &out, BEGIN, &mut observer, &stop).unwrap();
            assert_eq!(outcome, Outcome::Interrupted { step: after });
            assert_ne!(result(&out)[2], result(&whole)[2], "the run is not finished");
            let outcome = train(&config, &out, RESUME).unwrap();
            assert!(matches!(outcome, Outcome::Finished { last: Some(EpochLine { step: 6, .. }), skipped: 0 }));
            same(&result(&out), &result(&whole), &format!("{method:?} stopped after step {after}"));
        }
        assert_eq!(train(&config, &whole, RESUME).unwrap(), Outcome::Finished { last: None, skipped: 0 });
    }
}

#[test]
fn resume_after_a_kill_gives_the_same_bytes() {
    let config = tiny(Method::Rotation);
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let mut cuts = CutEverywhere { run: &whole, copies: Vec::new() };
    pretrain(&config, &phantoms(), &whole, BEGIN, &mut cuts, &AtomicBool::new(false)).unwrap();
    assert!(cuts.copies.len() >= 10, "{} copies", cuts.copies.len());
    let lines = |out: &Path| std::fs::read_to_string(out.join(METRICS)).unwrap_or_default().lines().count();
    let counts: Vec<usize> = cuts.copies.iter().map(|copy| lines(copy.path())).collect();
    assert!(counts.contains(&0) && counts.contains(&3) && counts.contains(&8), "{counts:?}");
    for (cut, copy) in cuts.copies.iter().enumerate() {
        train(&config, copy.path(), RESUME).unwrap();
        same(&result(copy.path()), &result(&whole), &format!("killed at event {cut}"));
    }
}

#[test]
fn training_lowers_the_loss_and_gives_an_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = tiny(Method::Supervised);
    (config.epochs, config.limit) = (12, None);
    config.augmentation = macula::augment::Augmentation::NONE;
    let out = folder.path().join("run");
    train(&config, &out, BEGIN).unwrap();
    let text = std::fs::read_to_string(out.join(METRICS)).unwrap();
    let epochs: Vec<EpochLine> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(epochs.len(), 12);
    let (first, last) = (&epochs[0].train, &epochs[11].train);
    assert!(last.loss < 0.7 * first.loss && last.balanced_accuracy > first.balanced_accuracy, "{first:?} {last:?}");
    assert_eq!(std::fs::read_to_string(out.join(TIMINGS)).unwrap().lines().count(), 12);

    let run = Run::load(&out).unwrap();
    assert!(run.finished && run.step == epochs[11].step && run.config == config);
    let dataset = phantoms();
    let pixels = |index| run.preprocessing().to_pixels(&dataset.load(index).unwrap()).pixels;
    let features = run.encode_batch(&(0..48).flat_map(pixels).collect::<Vec<u8>>()).unwrap();
    assert_eq!(features.len(), 48 * run.feature_dim());
    let alone = run.encode_batch(&pixels(5)).unwrap();
    for (a, b) in alone.iter().zip(&features[5 * run.feature_dim()..]) {
        assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "the feature of one image depends on others: {a} {b}");
    }
    let corpus = run.corpus().unwrap();
    assert!(corpus.mean.len() == run.feature_dim() && corpus.std.len() == run.feature_dim());
    assert!(corpus.std.iter().any(|&std| std > 0.0));
    assert_eq!(run.id(), Run::load(&out).unwrap().id());
    let mut other = config.clone();
    other.seed = 2;
    train(&other, &folder.path().join("other"), BEGIN).unwrap();
    assert_ne!(run.id(), Run::load(&folder.path().join("other")).unwrap().id());
}

/// A checkpoint with one NaN, as after a divergence.
#[test]
fn a_loss_that_is_not_finite_stops_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let stop = AtomicBool::new(false);
    let mut observer = StopAfter { after: 2, stop: &stop };
    pretrain(&tiny(Method::Rotation), &phantoms(), &out, BEGIN, &mut observer, &stop).unwrap();
    let mut checkpoint = Checkpoint::read(&out.join(CHECKPOINT)).unwrap();
    checkpoint.tensors.iter_mut().find(|t| t.name == "head.bias").unwrap().data[0] = f32::NAN;
    std::fs::write(out.join(CHECKPOINT), checkpoint.to_bytes()).unwrap();
    let error = train(&tiny(Method::Rotation), &out, RESUME).unwrap_err();
    let PretrainError::NotFinite { step: 3, learning_rate, .. } = error else { panic!("{error}") };
    assert_eq!(learning_rate, tiny(Method::Rotation).learning_rate);
}

#[test]
fn resume_needs_the_same_images_and_undamaged_files() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let config = tiny(Method::Rotation);
    train(&config, &out, BEGIN).unwrap();
    let resume = |data: &str| {
        let dataset = data::open_named(data, 1).unwrap();
        pretrain(&config, &dataset, &out, RESUME, &mut Silent, &AtomicBool::new(false))
    };
    assert!(resume(PHANTOMS).is_ok());
    assert!(matches!(resume("phantoms:16:96").unwrap_err(), PretrainError::OtherImages { .. }));
    let refused = train(&config, &out, BEGIN).unwrap_err();
    assert!(matches!(refused, PretrainError::Run(RunError::NotEmpty { .. })), "{refused}");
    std::fs::write(out.join(METRICS), "").unwrap();
    let short = resume(PHANTOMS).unwrap_err().to_string();
    assert!(short.contains("metrics.jsonl") && short.contains("0 bytes"), "{short}");
    let mut bytes = std::fs::read(out.join(CHECKPOINT)).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(out.join(CHECKPOINT), bytes).unwrap();
    assert!(matches!(resume(PHANTOMS).unwrap_err(), PretrainError::Run(RunError::Damaged { .. })));
    assert!(matches!(Run::load(&out).unwrap_err(), RunError::Damaged { .. }));
}

/// Grey PNG of noise-like texture.
fn write_png(path: &Path, seed: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixel = |x: u32, y: u32| image::Luma([(x * 7 + y * 13 * seed + x * y) as u8]);
    image::GrayImage::from_fn(16, 16, pixel).save(path).unwrap();
}

#[test]
fn broken_images_are_skipped_or_an_error_if_strict() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    for index in 0..12 {
        write_png(&images.join(["cat", "dog"][index % 2]).join(format!("{index}.png")), index as u32 + 1);
    }
    let whole = std::fs::read(images.join("cat/0.png")).unwrap();
    std::fs::write(images.join("cat/broken.png"), &whole[..whole.len() / 2]).unwrap();
    let mut config = tiny(Method::Supervised);
    (config.data, config.limit) = (images.display().to_string(), None);
    let dataset = data::open(&images).unwrap();
    let go = |out: &Path, strict| {
        let options = Options { strict, ..BEGIN };
        pretrain(&config, &dataset, out, options, &mut Silent, &AtomicBool::new(false))
    };
    let outcome = go(&folder.path().join("run"), false).unwrap();
    assert!(matches!(outcome, Outcome::Finished { skipped: 1, .. }), "{outcome:?}");
    let error = go(&folder.path().join("strict"), true).unwrap_err();
    let PretrainError::Unreadable { count: 1, name, .. } = error else { panic!("{error}") };
    assert!(name.contains("broken.png"), "{name}");
    assert!(!folder.path().join("strict").exists(), "a run that never started leaves nothing");
}

#[test]
fn unusable_data_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let refused = |change: fn(&mut Dataset), method| {
        let mut dataset = phantoms();
        change(&mut dataset);
        let result = pretrain(&tiny(method), &dataset, &out, BEGIN, &mut Silent, &AtomicBool::new(false));
        assert!(!out.exists(), "a run that never started leaves nothing");
        result.unwrap_err()
    };
    let without_images = |d: &mut Dataset| d.class_names.push("unicorn".into());
    let error = refused(without_images, Method::Supervised);
    assert!(matches!(&error, PretrainError::EmptyClass { class, .. } if class == "unicorn"), "{error}");
    let error = refused(|d| d.records.iter_mut().for_each(|r| r.label = None), Method::Supervised);
    assert!(matches!(error, PretrainError::Unlabelled { .. }), "{error}");
    let only_test = |d: &mut Dataset| d.records.iter_mut().for_each(|r| r.split = Some(data::Split::Test));
    assert!(matches!(refused(only_test, Method::Rotation), PretrainError::NoImages { .. }));

    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let error = train(&tiny(Method::Rotation), &file.join("run"), BEGIN).unwrap_err().to_string();
    assert!(error.contains("file/run"), "{error}");
    let error = train(&tiny(Method::Rotation), &folder.path().join("absent"), RESUME).unwrap_err();
    assert!(matches!(&error, PretrainError::Run(RunError::NoRun { path }) if path.ends_with("absent")), "{error}");
    assert!(RunFolder::open(&file).is_err());
}

#[cfg(feature = "cli")]
#[test]
fn a_default_seed_does_not_conflict_with_a_resumed_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut config = tiny(Method::Rotation);
    // Settings that are accepted end at missing data.
    (config.seed, config.data) = (7, "nowhere".into());
    RunFolder::create(&out, &config).unwrap();
    for (seed, is_accepted) in [(None, true), (Some("7"), true), (Some("1"), false)] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_macula"));
        command.args(["pretrain", "--resume", "--out"]).arg(&out);
        let output = command.args(seed.map(|seed| format!("--seed={seed}"))).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert_eq!(message.contains("nowhere"), is_accepted, "seed {seed:?}: {message}");
    }
}
