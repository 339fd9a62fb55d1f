//! Distillation on phantoms: a student learns its teacher's features, whose file is used again, completed and repaired.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use macula::data::{self, Dataset, Preprocessing};
use macula::encoder::{EncodeError, HostEncoder, HostEncoderInfo, Preset, Readout};
use macula::evaluate::RandomEncoder;
use macula::measure::{Features, nearest};
use macula::pretrain::{
    CHECKPOINT, CONFIG, Event, METRICS, Method, Observer, OpenFailure, Options, Outcome, PretrainConfig, PretrainError,
    Run, RunFolder, Silent, Teacher, TeacherError, TeacherView, Teachers, Validate, pretrain, pretrain_taught,
};
use macula::ranks::Ranks;

const IMAGES: usize = 150;
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

fn phantoms() -> Dataset {
    data::open_named(&format!("phantoms:32:{IMAGES}"), 1).unwrap()
}

/// An encoder that counts its inputs.
struct Counted {
    encoder: Box<dyn HostEncoder>,
    inputs: AtomicUsize,
}

impl Counted {
    /// Random weights, at twice the student's side.
    fn random(seed: u64) -> Self {
        let (dataset, preprocessing) = (phantoms(), Preprocessing::unit(1, 32, 32));
        let unlabelled = dataset.train_indices();
        let encoder = RandomEncoder::new(Preset::Pico, preprocessing, &dataset, &unlabelled, seed).unwrap();
        Self { encoder: Box::new(encoder), inputs: AtomicUsize::new(0) }
    }

    fn teacher(&self) -> Teacher {
        let (sha256, dim) = (self.encoder.id().to_string(), self.encoder.feature_dim());
        Teacher { encoder: self.encoder.name().to_owned(), sha256, dim, preprocessing: None }
    }
}

/// A teacher in a box, as commands open it.
struct Borrowed(&'static Counted);

impl HostEncoder for Borrowed {
    fn info(&self) -> &HostEncoderInfo {
        self.0.encoder.info()
    }

    fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError> {
        self.0.inputs.fetch_add(pixels.len() / self.preprocessing().input_len(), Ordering::Relaxed);
        self.0.encoder.encode_batch(pixels)
    }
}

fn leaked(seed: u64) -> &'static Counted {
    Box::leak(Box::new(Counted::random(seed)))
}

/// A short run of the smallest encoder, taught by `teachers`.
fn config(teachers: &[&'static Counted]) -> PretrainConfig {
    let mut config = PretrainConfig::new("phantoms", Method::Distill);
    (config.encoder, config.channels, config.size) = (Preset::Pico, 1, 16);
    (config.epochs, config.batch_size, config.validate) = (2, 32, Validate::Never);
    // What the student is trained on.
    config.readout = Readout::default();
    config.augmentation = macula::augment::Policy::Medical.augmentation(16);
    config.comparison.queue = 64;
    let distill = config.distill.as_mut().unwrap();
    (distill.teacher_views, distill.teacher_dim, distill.teacher_hidden) = (2, 16, 32);
    distill.teachers = teachers.iter().map(|teacher| teacher.teacher()).collect();
    config
}

fn train(
    config: &PretrainConfig,
    out: &Path,
    options: Options,
    teachers: &[&'static Counted],
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Outcome, PretrainError> {
    let open = |wanted: &Teacher| -> Result<Box<dyn HostEncoder>, OpenFailure> {
        let index = config.distill.iter().flat_map(|distill| &distill.teachers).position(|teacher| teacher == wanted);
        match index.and_then(|index| teachers.get(index)) {
            Some(&teacher) => Ok(Box::new(Borrowed(teacher))),
            None => Err("there is no such teacher".into()),
        }
    };
    pretrain_taught(config, &phantoms(), out, options, Teachers { open: &open }, observer, stop)
}

fn run(config: &PretrainConfig, out: &Path, teachers: &[&'static Counted]) -> Result<Outcome, PretrainError> {
    train(config, out, BEGIN, teachers, &mut Silent, &AtomicBool::new(false))
}

fn result(out: &Path) -> [Vec<u8>; 3] {
    [CONFIG, METRICS, CHECKPOINT].map(|name| std::fs::read(out.join(name)).unwrap())
}

/// The files of teacher features in `folder`.
fn feature_files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "f16"));
    found.sort();
    found
}

/// Share of the five nearest neighbours of an image by `encoder` that are among its five nearest by `teacher`.
fn agreement(encoder: &dyn HostEncoder, teacher: &dyn HostEncoder) -> f64 {
    let dataset = phantoms();
    let neighbours = [encoder, teacher].map(|encoder| {
        let pixels = |index| encoder.preprocessing().to_pixels(&dataset.load(index).unwrap()).pixels;
        let pixels: Vec<u8> = (0..dataset.len()).flat_map(pixels).collect();
        let rows = encoder.encode_batch(&pixels).unwrap();
        let dim = encoder.feature_dim();
        let mean = macula::measure::corpus_of(&Features { dim, rows: rows.clone() }).mean;
        let centred = rows.iter().zip(mean.iter().cycle()).map(|(value, mean)| value - mean).collect();
        let features = Features { dim, rows: centred };
        nearest(&features, &features, 6)
    });
    let shared = |(ours, theirs): (&Vec<usize>, &Vec<usize>)| {
        ours[1..].iter().filter(|index| theirs[1..].contains(index)).count()
    };
    let total: usize = neighbours[0].iter().zip(&neighbours[1]).map(shared).sum();
    total as f64 / (5 * dataset.len()) as f64
}

/// An encoder that was trained with labels: its neighbours are images of the same class, not of the same pixels.
fn trained(folder: &Path) -> &'static Counted {
    let mut config = PretrainConfig::new("phantoms", Method::Supervised);
    (config.encoder, config.channels, config.size) = (Preset::Pico, 1, 32);
    (config.epochs, config.batch_size, config.validate) = (20, 16, Validate::Never);
    // What the labels were read from; earlier stages and cells hold more of the pixels.
    config.readout = Readout::default();
    let out = folder.join("teacher");
    pretrain(&config, &phantoms(), &out, BEGIN, &mut Silent, &AtomicBool::new(false)).unwrap();
    let encoder = Box::new(Run::load(&out).unwrap());
    Box::leak(Box::new(Counted { encoder, inputs: AtomicUsize::new(0) }))
}

#[test]
fn a_student_comes_near_its_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = trained(folder.path());
    for view in [TeacherView::Same, TeacherView::Plain] {
        let mut config = config(&[teacher]);
        config.batch_size = 16;
        config.distill.as_mut().unwrap().teacher_view = view;
        let [early, late] = [1, 25].map(|epochs| {
            let out = folder.path().join(format!("{view:?}{epochs}"));
            config.epochs = epochs;
            run(&config, &out, &[teacher]).unwrap();
            let lines = RunFolder::open(&out).unwrap().0.epochs().unwrap();
            let agreement = agreement(&Run::load(&out).unwrap(), &*teacher.encoder);
            (lines[0].train.loss, lines[lines.len() - 1].train.clone(), agreement)
        });
        let (loss, train, agreement) = &late;
        assert!(train.loss < 0.7 * loss, "{view:?}: loss {loss} to {}", train.loss);
        assert!(train.measures["cosine"] > 0.5, "{view:?}: {:?}", train.measures);
        assert!(*agreement > early.2 + 0.05, "{view:?}: agreement {} to {agreement}", early.2);
    }
}

/// Stops at an event.
struct StopAt<'a> {
    stop: &'a AtomicBool,
    at: fn(&Event<'_>) -> bool,
    warnings: usize,
}

impl Observer for StopAt<'_> {
    fn event(&mut self, event: Event<'_>) {
        self.warnings += usize::from(matches!(event, Event::Warning(_)));
        self.stop.fetch_or((self.at)(&event), Ordering::Relaxed);
    }
}

#[test]
fn an_interrupted_run_ends_in_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let teachers = [leaked(7), leaked(8)];
    let mut config = config(&teachers);
    let distill = config.distill.as_mut().unwrap();
    (distill.seed_weight, distill.simclr_weight) = (0.5, 0.3);
    let whole = folder.path().join("whole");
    run(&config, &whole, &teachers).unwrap();
    let computed = teachers.map(|teacher| teacher.inputs.swap(0, Ordering::Relaxed));
    assert!(computed[0] > 2 * IMAGES / 2 && computed[0] == computed[1], "{computed:?}");

    let stops: [fn(&Event<'_>) -> bool; 3] = [
        |event| matches!(event, Event::Teaching { done: 64, .. }),
        |event| matches!(event, Event::Step(line) if line.step == 2),
        |event| matches!(event, Event::Epoch(line) if line.epoch == 1),
    ];
    for (number, at) in stops.into_iter().enumerate() {
        let (out, stop) = (folder.path().join(number.to_string()), AtomicBool::new(false));
        let mut observer = StopAt { stop: &stop, at, warnings: 0 };
        let outcome = train(&config, &out, BEGIN, &teachers, &mut observer, &stop).unwrap();
        assert!(matches!(outcome, Outcome::Interrupted { .. }), "stop {number}: {outcome:?}");
        train(&config, &out, RESUME, &teachers, &mut Silent, &AtomicBool::new(false)).unwrap();
        assert!(result(&out) == result(&whole), "stop {number}");
        let found = teachers.map(|teacher| teacher.inputs.swap(0, Ordering::Relaxed));
        assert_eq!(found, computed, "stop {number}: no feature is computed twice");
    }
}

#[test]
fn damaged_features_are_computed_again_and_complete_ones_need_no_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let (teacher, cache) = (leaked(7), folder.path().join("cache"));
    let mut config = config(&[teacher]);
    config.distill.as_mut().unwrap().teacher_cache = Some(cache.display().to_string());
    run(&config, &folder.path().join("first"), &[teacher]).unwrap();
    let [file] = &feature_files(&cache)[..] else { panic!("one teacher") };
    let whole = std::fs::read(file).unwrap();
    run(&config, &folder.path().join("second"), &[]).unwrap();
    let checkpoint = |name: &str| std::fs::read(folder.path().join(name).join(CHECKPOINT)).unwrap();
    assert_eq!(checkpoint("first"), checkpoint("second"));

    let flip = |at: usize| {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        damaged
    };
    let spoiled = [flip(3), flip(20), flip(whole.len() / 2), flip(whole.len() - 1), whole[..whole.len() - 5].to_vec()];
    for (number, spoiled) in spoiled.into_iter().enumerate() {
        std::fs::write(file, &spoiled).unwrap();
        let out = folder.path().join(format!("without teacher {number}"));
        let error = run(&config, &out, &[]).unwrap_err();
        assert!(matches!(error, PretrainError::Teacher(TeacherError::Open { .. })), "{number}: {error}");
        std::fs::write(file, &spoiled).unwrap();
        let (out, stop) = (folder.path().join(format!("repaired {number}")), AtomicBool::new(false));
        let mut observer = StopAt { stop: &stop, at: |_| false, warnings: 0 };
        train(&config, &out, BEGIN, &[teacher], &mut observer, &stop).unwrap();
        assert_eq!(observer.warnings > 0, number < 4, "{number}: a truncated file looks like an interrupted one");
        assert!(std::fs::read(file).unwrap() == whole, "{number}");
        assert_eq!(checkpoint(&format!("repaired {number}")), checkpoint("first"));
    }
}

#[test]
fn another_teacher_view_or_image_has_other_features_and_a_changed_teacher_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (teacher, other, cache) = (leaked(7), leaked(8), folder.path().join("cache"));
    let mut first = config(&[teacher]);
    first.epochs = 1;
    first.distill.as_mut().unwrap().teacher_cache = Some(cache.display().to_string());
    let changes: [fn(&mut PretrainConfig); 5] = [
        |_| {},
        |config| config.seed = 2,
        |config| config.limit = Some(70),
        |config| config.augmentation.crop_area_min = 0.7,
        |config| config.distill.as_mut().unwrap().teacher_view = TeacherView::Plain,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut config = first.clone();
        change(&mut config);
        run(&config, &folder.path().join(number.to_string()), &[teacher]).unwrap();
        assert_eq!(feature_files(&cache).len(), number + 1);
    }
    // The configuration has the identity of the one, the name opens the other.
    first.seed = 3;
    let error = run(&first, &folder.path().join("changed"), &[other]).unwrap_err();
    assert!(matches!(error, PretrainError::Teacher(TeacherError::Changed { .. })), "{error}");
}
