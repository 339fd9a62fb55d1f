//! Preparation of a run: its images, its starting weights, and the state it resumes from.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use base16ct::lower::encode_string as hex;
use sha2::{Digest, Sha256};

use super::budget::resolve_budget;
use super::checkpoint::{Checkpoint, Progress};
use super::config::{PretrainConfig, Validate};
use super::error::PretrainError;
use super::fit::fit;
use super::health::Sample;
use super::learner::Learner;
use super::limits::{cache_bytes, images_ahead};
use super::memory::MemoryModel;
use super::metrics::{Lines, Tally};
use super::observer::{Event, Observer};
use super::options::Options;
use super::prefetch::Prefetch;
use super::rank_checks::check_batch;
use super::run::network_of;
use super::run_error::RunError;
use super::run_folder::{CHECKPOINT, METRICS, RunFolder, TIMINGS};
use super::sampling::Sampler;
use super::teacher::{Lesson, Teachers};
use super::train_loop::{Outcome, Trainer};
use super::training_images::TrainingImages;
use super::training_set::{ImageSet, held_out_indices, training_indices};
use super::transfer::starting_network;
use crate::augment::Augmentation;
use crate::data::{Dataset, Preprocessing};
use crate::encoder::{Network, Precision};
use crate::kernel::{Bf16Kernel, Isa};
use crate::ranks::Ranks;

/// Trains `config` on `dataset` into the folder `out`.
///
/// When resuming, `config` is the stored one ([`RunFolder::open`]); only its `health`, `teacher_cache` and the names of teachers may differ. After `stop` is raised the
/// current step is completed and a checkpoint is written. The last short batch of an epoch is left out, unless it is the
/// only one: batch norm's statistics over few images would be noise, and shuffling leaves out others in every epoch.
///
/// # Errors
/// See [`PretrainError`]. A new run that fails before its first step leaves no files.
pub fn pretrain(
    config: &PretrainConfig,
    dataset: &Dataset,
    out: &Path,
    options: Options,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Outcome, PretrainError> {
    pretrain_taught(config, dataset, out, options, Teachers::NONE, observer, stop)
}

/// [`pretrain`] with the teachers that distillation needs.
///
/// A new run that fails after features of a teacher were computed is kept, so that a resume uses them.
///
/// # Errors
/// As [`pretrain`].
pub fn pretrain_taught(
    config: &PretrainConfig,
    dataset: &Dataset,
    out: &Path,
    options: Options,
    teachers: Teachers<'_>,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Outcome, PretrainError> {
    config.check()?;
    if dataset.decode.range != config.range {
        return Err(PretrainError::OtherRange { dataset: dataset.decode.range, run: config.range });
    }
    let ranks = options.ranks;
    require_same(config, dataset, ranks)?;
    let folder = match (ranks.is_first(), options.resume) {
        (true, true) => RunFolder::open(out).map(|(folder, _)| folder),
        (true, false) => RunFolder::create(out, config),
        (false, _) => Ok(RunFolder::of_other_rank(out)),
    };
    let folder = ranks.agree(folder.map_err(PretrainError::from))?;
    match prepare(config, dataset, (&folder, teachers), options, observer, stop) {
        Ok(Some(mut trainer)) => trainer.run(observer, stop),
        Ok(None) if !ranks.is_first() => Ok(Outcome::Interrupted { step: 0 }),
        Ok(None) => {
            let step = folder.checkpoint()?.map_or(0, |checkpoint| checkpoint.progress.step);
            Ok(Outcome::Interrupted { step })
        }
        Err(error) => {
            if !options.resume && ranks.is_first() {
                folder.discard();
            }
            Err(error)
        }
    }
}

/// Checks that all ranks compute the same: the program, the settings, and the images of the dataset by name and label.
fn require_same(config: &PretrainConfig, dataset: &Dataset, ranks: Ranks) -> Result<(), PretrainError> {
    if ranks.is_one() {
        return Ok(());
    }
    let isa = Isa::selected();
    let bf16 = Bf16Kernel::for_isa(isa).filter(|_| config.precision == Precision::Bf16);
    let sets = [Some(isa.name()), bf16.map(Bf16Kernel::name)].into_iter().flatten().collect::<Vec<_>>().join(" and ");
    let program = format!("{} for {sets}", env!("CARGO_PKG_VERSION"));
    ranks.require_same("the program's version and instruction set (variable MACULA_ISA)", &program)?;
    ranks.require_same("the configuration", &config.to_toml())?;
    let mut hash = Sha256::new();
    dataset.records.iter().for_each(|record| hash.update(format!("{}\n{:?}\n", record.name, record.label)));
    let indices = [dataset.train_indices(), dataset.validation_indices()];
    let list = format!("{:?} images, SHA-256 {}", indices.map(|indices| indices.len()), hex(&hash.finalize()));
    Ok(ranks.require_same(&format!("the list of images of {}", config.data), &list)?)
}

/// The images of a run.
struct Images<'a> {
    training: ImageSet<'a>,
    held_out: Option<ImageSet<'a>>,
    /// Images left out because they cannot be read.
    skipped: usize,
}

/// Prepares the first step; `None` if `stop` was raised meanwhile.
fn prepare<'a>(
    config: &PretrainConfig,
    dataset: &'a Dataset,
    (folder, teachers): (&'a RunFolder, Teachers<'_>),
    options: Options,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Option<Trainer<'a>>, PretrainError> {
    let started = Instant::now();
    if config.freeze.is_some() && !options.ranks.is_one() {
        return Err(PretrainError::FrozenOnRanks { ranks: options.ranks.size() });
    }
    // The checkpoint is read first: reading the images takes long.
    let ranks = options.ranks;
    let checkpoint = if options.resume { stored_checkpoint(folder, ranks)? } else { None };
    // A run of an older version, which did not split the dataset, continues with all images.
    let splits =
        !dataset.has_splits() && checkpoint.as_ref().is_none_or(|found| found.progress.pixels_sha256.is_some());
    let Some(images) = read_images(config, dataset, splits, options, observer, stop)? else { return Ok(None) };
    images.training.check(config, dataset)?;
    for remark in dataset.raw_remarks() {
        observer.event(Event::Warning(&remark.to_string()));
    }
    let mut trainer = match checkpoint {
        Some(mut checkpoint) => {
            checkpoint.progress.config.health = config.health;
            if checkpoint.progress.pixels_sha256.is_none() {
                observer.event(Event::Warning("the run has no record of its pixels: only names are compared"));
            }
            resume(checkpoint, dataset, folder, images, ranks)?
        }
        None => {
            let (fitted, remark) = fit(config, images.training.visits());
            if let Some(remark) = remark {
                observer.event(Event::Remark(&remark));
            }
            start(&fitted, dataset, folder, images, ranks)?
        }
    };
    let image_bytes = trainer.learner.objective.views().count() * trainer.progress.preprocessing.input_len();
    let ahead = images_ahead(options.prefetch, trainer.batch_size(), image_bytes, options.memory);
    trainer.prefetch = Arc::new(Prefetch::new(ahead));
    trainer.pictures = options.pictures && ranks.is_first();
    let ready = config.freeze.is_none() || trainer.progress.finished;
    let ready = ready || freeze(&mut trainer, observer, stop)?;
    let ready = ready && teach(&mut trainer, (config, teachers), dataset, observer, stop)?;
    if ready {
        fit_memory(&mut trainer, options, observer)?;
        resolve_budget(&mut trainer, started, observer, stop)?;
        if trainer.progress.config != *config && trainer.progress.step == 0 {
            let stored = if ranks.is_first() { folder.store(&trainer.progress.config) } else { Ok(()) };
            ranks.agree(stored.map_err(PretrainError::from))?;
        }
    }
    Ok(ready.then_some(trainer))
}

/// Chooses the values that steps keep, so that the run stays within the limit of its memory.
fn fit_memory(trainer: &mut Trainer<'_>, options: Options, observer: &mut dyn Observer) -> Result<(), PretrainError> {
    let config = &trainer.progress.config;
    if config.freeze.is_some() || trainer.progress.finished {
        return Ok(());
    }
    let images = trainer.ranks.part(trainer.batch_size()).images;
    let learner = &trainer.learner;
    // Held-out images are few.
    let held_out = trainer.held_out.as_ref().map_or(0, |set| set.cache_bytes_used());
    let kept = trainer.training.cache_bytes_used() + held_out;
    let model = MemoryModel {
        config,
        network: &learner.network,
        objective: &*learner.objective,
        images,
        prefetch: options.prefetch,
        process: MemoryModel::process_now().saturating_sub(kept),
        images_kept: [kept, trainer.training.cache_bytes_wanted(options.cache_bytes) + held_out],
        limit: options.memory,
    };
    let (schedule, memory) = trainer.ranks.agree(model.schedule(model.fixed()).map_err(PretrainError::from))?;
    let macs = learner.network.spec().cost()?.macs;
    let recomputed = schedule.recomputed_macs() as f64 / macs as f64;
    trainer.learner.set_schedule(schedule);
    trainer.memory = Some(memory);
    observer.event(Event::Memory { memory: &memory, recomputed });
    Ok(())
}

/// The newest checkpoint, which rank 0 reads.
fn stored_checkpoint(folder: &RunFolder, ranks: Ranks) -> Result<Option<Checkpoint>, PretrainError> {
    if ranks.is_one() {
        return Ok(folder.checkpoint()?);
    }
    let bytes = ranks.bytes_from_first(|| {
        Ok::<_, PretrainError>(folder.checkpoint()?.map_or(Vec::new(), |checkpoint| checkpoint.to_bytes()))
    })?;
    Ok((!bytes.is_empty()).then(|| Checkpoint::from_bytes(&folder.file(CHECKPOINT), &bytes)).transpose()?)
}

/// Reads or computes the targets of distillation; false if `stop` was raised meanwhile.
fn teach(
    trainer: &mut Trainer<'_>,
    (config, teachers): (&PretrainConfig, Teachers<'_>),
    dataset: &Dataset,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<bool, PretrainError> {
    // The given configuration, not that of the checkpoint: teachers and their features may have moved.
    let Some(settings) = config.distill.as_ref().filter(|_| !trainer.progress.finished) else { return Ok(true) };
    let folder = settings.teacher_cache.as_deref().map_or(trainer.folder.path(), Path::new);
    let lesson = Lesson { config, settings, dataset, training: &trainer.training, folder, ranks: trainer.ranks };
    let each = trainer.learner.objective.views().count();
    trainer.teachers = lesson.targets(teachers, each, observer, stop)?;
    Ok(trainer.teachers.is_some())
}

/// Reads all images once. `splits` says whether the dataset is to be split here.
fn read_images<'a>(
    config: &PretrainConfig,
    dataset: &'a Dataset,
    splits: bool,
    options: Options,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Option<Images<'a>>, PretrainError> {
    let options = Options { cache_bytes: cache_bytes(options.cache_bytes, options.memory), ..options };
    let mut indices = dataset.train_indices();
    if !splits {
        indices = training_indices(config, dataset, indices)?;
    }
    let Some(mut training) = ImageSet::read(config, dataset, indices, options, observer, stop) else {
        return Ok(None);
    };
    let mut test = dataset.validation_indices();
    if splits {
        let division = training.divided(dataset);
        training.keep(&training_indices(config, dataset, division.train)?);
        test = division.test;
    }
    let mut skipped = dataset.skipped.clone();
    skipped.extend_from_slice(&training.skipped);
    let mut held_out = None;
    if config.validate != Validate::Never {
        let indices = held_out_indices(config, dataset, test);
        // A small cache: held-out images are read again once per run or once per epoch.
        let options = Options { cache_bytes: options.cache_bytes / 4, ..options };
        let Some(set) = ImageSet::read(config, dataset, indices, options, observer, stop) else {
            return Ok(None);
        };
        skipped.extend_from_slice(&set.skipped);
        held_out = Some(set).filter(|set| !set.readable.is_empty());
    }
    if let (true, Some((name, reason))) = (options.strict, skipped.first()) {
        let (data, name, reason) = (config.data.clone(), name.clone(), reason.clone());
        return Err(PretrainError::Unreadable { data, count: skipped.len(), name, reason });
    }
    Ok(Some(Images { training, held_out, skipped: skipped.len() }))
}

/// A new run.
fn start<'a>(
    config: &PretrainConfig,
    dataset: &Dataset,
    folder: &'a RunFolder,
    images: Images<'a>,
    ranks: Ranks,
) -> Result<Trainer<'a>, PretrainError> {
    let begin = || begin(config, dataset, folder, &images.training);
    if ranks.is_one() {
        let (network, progress) = begin()?;
        return assemble(network, progress, dataset, folder, images, ranks);
    }
    let state = |(network, progress): (Network, Progress)| {
        let tensors = [network.to_named(&network.parameters), network.statistics()].concat();
        Checkpoint { progress, tensors }.to_bytes()
    };
    let (path, state) = (folder.file(CHECKPOINT), ranks.bytes_from_first(|| begin().map(state))?);
    let checkpoint = Checkpoint::from_bytes(&path, &state)?;
    assemble(network_of(&checkpoint, &path)?, checkpoint.progress, dataset, folder, images, ranks)
}

/// The network and the progress of a new run; writes the record of its images.
fn begin(
    config: &PretrainConfig,
    dataset: &Dataset,
    folder: &RunFolder,
    training: &ImageSet<'_>,
) -> Result<(Network, Progress), PretrainError> {
    let indices = training.readable_indices();
    let (network, preprocessing) = starting_network(config)?;
    let measured = || Preprocessing::for_corpus(dataset, &indices, config.channels, config.size, config.size);
    let mut progress = Progress::start(config, preprocessing.map_or_else(measured, Ok)?);
    progress.images = indices.len();
    progress.images_sha256 = training.sha256(dataset);
    let initial = config.init.as_ref().map(|init| Path::new(&init.encoder));
    let record = TrainingImages::new(training.digests(), config.needs_labels(), initial)?;
    record.write(folder.path())?;
    progress.pixels_sha256 = Some(record.sha256().to_owned());
    progress.class_names = dataset.class_names.clone();
    progress.tally = Tally::new(config.objective(dataset.class_names.len()).num_classes());
    Ok((network, progress))
}

/// The run that `checkpoint` was written by.
fn resume<'a>(
    checkpoint: Checkpoint,
    dataset: &Dataset,
    folder: &'a RunFolder,
    images: Images<'a>,
    ranks: Ranks,
) -> Result<Trainer<'a>, PretrainError> {
    let (training, data) = (&images.training, &checkpoint.progress.config.data);
    let (found, expected) = (training.readable.len(), checkpoint.progress.images);
    if found != expected || training.sha256(dataset) != checkpoint.progress.images_sha256 {
        return Err(PretrainError::OtherImages { data: data.clone(), found, expected });
    }
    if let Some(expected) = &checkpoint.progress.pixels_sha256 {
        training.require_pixels(expected, data, dataset, folder)?;
    }
    let path = folder.file(CHECKPOINT);
    let network = network_of(&checkpoint, &path)?;
    let mut trainer = assemble(network, checkpoint.progress.clone(), dataset, folder, images, ranks)?;
    let steps = checkpoint.progress.step;
    trainer.learner.restore(&checkpoint.tensors, steps).map_err(RunError::tensors(&path))?;
    trainer.corpus = checkpoint.corpus();
    Ok(trainer)
}

fn assemble<'a>(
    mut network: Network,
    progress: Progress,
    dataset: &Dataset,
    folder: &'a RunFolder,
    images: Images<'a>,
    ranks: Ranks,
) -> Result<Trainer<'a>, PretrainError> {
    check_batch(&progress.config, images.training.visits(), ranks)?;
    let objective = progress.config.objective(progress.class_names.len());
    let sample = Sample::draw(&images.training, objective.views().count(), progress.config.seed);
    if progress.config.sync_batch_norm {
        network.synchronise(ranks);
    }
    let lines = |name, bytes| match ranks.is_first() {
        true => Lines::open(&folder.file(name), bytes).map_err(RunError::io(&folder.file(name))),
        false => Ok(Lines::nowhere()),
    };
    Ok(Trainer {
        metrics: ranks.agree(lines(METRICS, Some(progress.metrics_bytes)).map_err(PretrainError::from))?,
        timings: ranks.agree(lines(TIMINGS, None).map_err(PretrainError::from))?,
        learner: Learner::new(&progress.config, network, objective),
        corpus: None,
        training_features: None,
        held_out_features: None,
        sample,
        sampler: Sampler::new(&progress.config, dataset, &images.training),
        input: Vec::new(),
        prefetch: Arc::new(Prefetch::new(0)),
        memory: None,
        input_time: Duration::ZERO,
        folder,
        training: Arc::new(images.training),
        held_out: images.held_out,
        teachers: None,
        progress,
        skipped: images.skipped,
        ranks,
        pictures: false,
    })
}

/// Computes the features of a frozen encoder; false if `stop` was raised meanwhile.
fn freeze(trainer: &mut Trainer<'_>, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<bool, PretrainError> {
    if trainer.corpus.is_none() {
        trainer.corpus = Some(trainer.corpus_statistics()?);
    }
    let config = &trainer.progress.config;
    let training = (config.augmentation == Augmentation::NONE).then_some(&trainer.training);
    let held_out = trainer.held_out.as_ref().filter(|_| config.validate == Validate::Epoch);
    let mut found = [None, None];
    for (features, set) in found.iter_mut().zip([training.map(|set| &**set), held_out]) {
        let Some(set) = set else { continue };
        *features = trainer.extractor().all_features(set, observer, stop)?;
        if features.is_none() {
            return Ok(false);
        }
    }
    [trainer.training_features, trainer.held_out_features] = found;
    trainer.learner.frozen.clone_from(&trainer.corpus);
    Ok(true)
}
