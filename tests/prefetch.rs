//! Prefetching changes no byte and no error of a run.

mod stop_after;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use macula::augment::Policy;
use macula::data::{self, DataError};
use macula::encoder::Preset;
use macula::pretrain::{
    CHECKPOINT, Event, METRICS, Method, Observer, Options, Outcome, PretrainConfig, PretrainError, Silent, TIMINGS,
    pretrain,
};
use stop_after::StopAfter;

/// Reads every image again in every epoch.
const OPTIONS: Options = Options {
    resume: false,
    strict: false,
    cache_bytes: 0,
    prefetch: 0,
    memory: None,
    ranks: macula::ranks::Ranks::ONE,
    pictures: false,
};

const IMAGES: usize = 29;

/// A folder of PNG files with a texture each.
fn images() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..IMAGES as u32 {
        let pixel = |x: u32, y: u32| image::Luma([(x * 7 + y * 13 * (index + 1) + x * y) as u8]);
        image::GrayImage::from_fn(20, 16, pixel).save(file(folder.path(), index as usize)).unwrap();
    }
    folder
}

fn file(images: &Path, index: usize) -> PathBuf {
    images.join(format!("{index:02}.png"))
}

fn tiny(images: &Path, method: Method) -> PretrainConfig {
    let mut config = PretrainConfig::new(&images.display().to_string(), method);
    (config.encoder, config.channels, config.size) = (Preset::Pico, 1, 16);
    (config.epochs, config.batch_size) = (2, 8);
    (config.checkpoint_steps, config.metrics_steps) = (2, 1);
    config.augmentation = Policy::Natural.augmentation(16);
    config
}

fn train(
    config: &PretrainConfig,
    out: &Path,
    (options, threads): (Options, usize),
    observer: &mut (dyn Observer + Send),
    stop: &AtomicBool,
) -> Result<Outcome, PretrainError> {
    let dataset = data::open(Path::new(&config.data)).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| pretrain(config, &dataset, out, options, observer, stop))
}

fn result(out: &Path) -> [Vec<u8>; 2] {
    [METRICS, CHECKPOINT].map(|name| std::fs::read(out.join(name)).unwrap())
}

#[test]
fn prefetching_does_not_change_a_byte() {
    let (images, folder) = (images(), tempfile::tempdir().unwrap());
    for method in [Method::Simclr, Method::Masked] {
        let config = tiny(images.path(), method);
        let train = |prefetch, threads| {
            let out = folder.path().join(format!("{method:?}-{prefetch}-{threads}"));
            let options = Options { prefetch, ..OPTIONS };
            train(&config, &out, (options, threads), &mut Silent, &AtomicBool::new(false)).unwrap();
            result(&out)
        };
        let plain = train(0, 1);
        for (prefetch, threads) in [(0, 2), (1, 1), (1, 2), (2, 2), (100, 3)] {
            assert!(train(prefetch, threads) == plain, "{method:?}, prefetch {prefetch}, {threads} threads");
        }
    }
}

#[test]
fn an_interrupted_run_ends_in_the_same_bytes_with_and_without_prefetching() {
    let (images, folder) = (images(), tempfile::tempdir().unwrap());
    let config = tiny(images.path(), Method::Simclr);
    let whole = folder.path().join("whole");
    train(&config, &whole, (OPTIONS, 2), &mut Silent, &AtomicBool::new(false)).unwrap();
    for (after, before_stop, after_stop) in [(0, 2, 0), (1, 2, 2), (2, 2, 0), (3, 0, 2)] {
        let out = folder.path().join(after.to_string());
        let stop = AtomicBool::new(false);
        let options = Options { prefetch: before_stop, ..OPTIONS };
        let stopped = train(&config, &out, (options, 2), &mut StopAfter { after, stop: &stop }, &stop).unwrap();
        assert_eq!(stopped, Outcome::Interrupted { step: after });
        let options = Options { prefetch: after_stop, resume: true, ..OPTIONS };
        train(&config, &out, (options, 2), &mut Silent, &AtomicBool::new(false)).unwrap();
        assert!(result(&out) == result(&whole), "stopped after step {after}");
    }
}

/// Removes a file when training starts, and counts the steps.
struct Removes {
    file: PathBuf,
    steps: u64,
}

impl Observer for Removes {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Started { .. } => std::fs::remove_file(&self.file).unwrap(),
            Event::Step(line) => self.steps = line.step,
            _ => {}
        }
    }
}

#[test]
fn an_image_that_is_lost_is_an_error_of_the_step_that_needs_it() {
    let mut steps_of = Vec::new();
    for prefetch in [0, 2] {
        for index in [0, 7, 20] {
            let (images, folder) = (images(), tempfile::tempdir().unwrap());
            let mut observer = Removes { file: file(images.path(), index), steps: 0 };
            let (config, options) = (tiny(images.path(), Method::Simclr), Options { prefetch, ..OPTIONS });
            let stop = AtomicBool::new(false);
            let error = train(&config, &folder.path().join("run"), (options, 2), &mut observer, &stop).unwrap_err();
            let PretrainError::Data(DataError::Io { path, .. }) = error else { panic!("{error}") };
            assert_eq!(path, observer.file.display().to_string());
            steps_of.push(observer.steps);
        }
    }
    assert_eq!(steps_of[..3], steps_of[3..], "steps before the error, without and with prefetching");
    assert!(steps_of[..3].iter().any(|&steps| steps > 0), "{steps_of:?}");
}

#[test]
fn timings_have_the_share_of_time_that_steps_waited_for_input() {
    let (images, folder) = (images(), tempfile::tempdir().unwrap());
    let out = folder.path().join("run");
    train(&tiny(images.path(), Method::Simclr), &out, (OPTIONS, 1), &mut Silent, &AtomicBool::new(false)).unwrap();
    let text = std::fs::read_to_string(out.join(TIMINGS)).unwrap();
    assert_eq!(text.lines().count(), 2);
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let share = line["input_share"].as_f64().unwrap();
        assert!(share > 0.0 && share < 1.0, "{line}");
    }
    let metrics = std::fs::read_to_string(out.join(METRICS)).unwrap();
    assert!(!metrics.contains("input_share"), "metrics are the same for equal runs");
}
