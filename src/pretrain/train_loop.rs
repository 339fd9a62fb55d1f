//! The loop: shuffle, step, measure, checkpoint, until done or told to stop.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;

use super::batch::Recipe;
use super::checkpoint::{Checkpoint, Progress, corpus_tensors};
use super::config::{PretrainConfig, Validate};
use super::error::PretrainError;
use super::extend::learning_rate;
use super::frozen::Frozen;
use super::health::{self, Health, HealthGate, Sample};
use super::learner::Learner;
use super::metrics::{EpochLine, Lines, Score, StepLine, Tally};
use super::observer::{Event, Observer};
use super::plain::{EMBED_TOGETHER, corpus_statistics};
use super::run::network_of;
use super::run_error::RunError;
use super::run_folder::{CHECKPOINT, METRICS, RunFolder, TIMINGS};
use super::training_images::TrainingImages;
use super::training_set::{ImageSet, held_out_indices, training_indices};
use super::transfer::starting_network;
use crate::augment::Augmentation;
use crate::data::{Dataset, Preprocessing};
use crate::encoder::{CorpusStatistics, Network};
use crate::files::write_atomic;
use crate::objective::Objective;
use crate::rng::Rng;

/// What does not change the result of a run, or where it may start.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Continues the run in the folder.
    pub resume: bool,
    /// An unreadable image is an error.
    pub strict: bool,
    /// Most bytes of resized pixels kept in memory.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { resume: false, strict: false, cache_bytes: 512 << 20 }
    }
}

/// How pretraining ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All steps are done.
    Finished {
        /// The last epoch; none when the run had been finished before.
        last: Option<EpochLine>,
        /// Images left out because they cannot be read.
        skipped: usize,
    },
    /// `stop` was raised; resuming ends in the same bytes.
    Interrupted {
        /// Steps done.
        step: u64,
    },
}

impl Outcome {
    /// The last epoch's score on held-out images, where this call came to it and it was measured.
    pub fn held_out(&self) -> Option<&Score> {
        match self {
            Self::Finished { last, .. } => last.as_ref().and_then(|line| line.held_out.as_ref()),
            Self::Interrupted { .. } => None,
        }
    }
}

/// Trains `config` on `dataset` into the folder `out`.
///
/// `config` is the stored one when resuming ([`RunFolder::open`]); only its `health` may be another. After `stop` is raised the current
/// step is ended and a checkpoint written. The last short batch of an epoch is left out, unless it is the
/// only one: batch norm's statistics over few images would be noise, and shuffling leaves out others
/// in every epoch.
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
    config.check()?;
    if dataset.decode.range != config.range {
        return Err(PretrainError::OtherRange { dataset: dataset.decode.range, run: config.range });
    }
    let folder = if options.resume { RunFolder::open(out)?.0 } else { RunFolder::create(out, config)? };
    let prepared = Trainer::prepare(config, dataset, &folder, options, observer, stop);
    match prepared {
        Ok(Some(mut trainer)) => trainer.run(observer, stop),
        Ok(None) => {
            let step = folder.checkpoint()?.map_or(0, |checkpoint| checkpoint.progress.step);
            Ok(Outcome::Interrupted { step })
        }
        Err(error) => {
            if !options.resume {
                folder.discard();
            }
            Err(error)
        }
    }
}

/// A line of `timings.jsonl`.
#[derive(Serialize)]
struct TimingLine {
    step: u64,
    epoch: u64,
    seconds: f64,
    images_per_second: f64,
}

struct Trainer<'a> {
    folder: &'a RunFolder,
    training: ImageSet<'a>,
    held_out: Option<ImageSet<'a>>,
    learner: Learner,
    progress: Progress,
    corpus: Option<CorpusStatistics>,
    /// Of an encoder that stays as it is.
    frozen: Option<Frozen>,
    /// What health is looked at on.
    sample: Sample,
    metrics: Lines,
    timings: Lines,
    skipped: usize,
    input: Vec<f32>,
}

impl<'a> Trainer<'a> {
    fn prepare(
        config: &PretrainConfig,
        dataset: &'a Dataset,
        folder: &'a RunFolder,
        options: Options,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Option<Self>, PretrainError> {
        // What lies in the checkpoint is read before anything that takes long.
        let checkpoint = if options.resume { folder.checkpoint()? } else { None };
        // A run of a program that did not divide goes on with all images.
        let divides =
            !dataset.has_splits() && checkpoint.as_ref().is_none_or(|found| found.progress.pixels_sha256.is_some());
        let mut indices = dataset.train_indices();
        if !divides {
            indices = training_indices(config, dataset, indices)?;
        }
        let Some(mut training) = ImageSet::read(config, dataset, indices, options.cache_bytes, observer, stop) else {
            return Ok(None);
        };
        let mut test = dataset.validation_indices();
        if divides {
            let division = training.divided(dataset);
            training.keep(&training_indices(config, dataset, division.train)?);
            test = division.test;
        }
        let mut skipped = dataset.skipped.clone();
        skipped.extend_from_slice(&training.skipped);
        let mut held_out = None;
        if config.validate != Validate::Never {
            let indices = held_out_indices(config, dataset, test);
            // Held-out images are read once more when they are used; that is once a run, or once an epoch.
            let Some(set) = ImageSet::read(config, dataset, indices, options.cache_bytes / 4, observer, stop) else {
                return Ok(None);
            };
            skipped.extend_from_slice(&set.skipped);
            held_out = Some(set).filter(|set| !set.readable.is_empty());
        }
        if let (true, Some((name, reason))) = (options.strict, skipped.first()) {
            let (data, name, reason) = (config.data.clone(), name.clone(), reason.clone());
            return Err(PretrainError::Unreadable { data, count: skipped.len(), name, reason });
        }
        training.check(config, dataset)?;
        for remark in dataset.raw_remarks() {
            observer.event(Event::Warning(&remark.to_string()));
        }
        let sets = (training, held_out, skipped.len());
        let mut trainer = match checkpoint {
            Some(mut checkpoint) => {
                checkpoint.progress.config.health = config.health;
                if checkpoint.progress.pixels_sha256.is_none() {
                    observer.event(Event::Warning("the run has no record of its pixels: names alone are compared"));
                }
                Self::continued(checkpoint, dataset, folder, sets)?
            }
            None => Self::started(config, dataset, folder, sets)?,
        };
        let ready = config.freeze.is_none() || trainer.progress.finished;
        let ready = ready || trainer.freeze(observer, stop)?;
        Ok(ready.then_some(trainer))
    }

    /// What an encoder that stays as it is gives once and for all. Whether it came to an end before `stop` was raised.
    fn freeze(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<bool, PretrainError> {
        if self.corpus.is_none() {
            self.corpus = Some(self.corpus_statistics()?);
        }
        let (network, preprocessing) = (&self.learner.network, &self.progress.preprocessing);
        let config = &self.progress.config;
        let training = (config.augmentation == Augmentation::NONE).then_some(&self.training);
        let held_out = self.held_out.as_ref().filter(|_| config.validate == Validate::Epoch);
        self.frozen = Frozen::of(network, preprocessing, (training, held_out), observer, stop)?;
        self.learner.frozen.clone_from(&self.corpus);
        Ok(self.frozen.is_some())
    }

    fn started(
        config: &PretrainConfig,
        dataset: &Dataset,
        folder: &'a RunFolder,
        sets: (ImageSet<'a>, Option<ImageSet<'a>>, usize),
    ) -> Result<Self, PretrainError> {
        let indices = sets.0.readable_indices();
        let (network, preprocessing) = starting_network(config)?;
        let measured = || Preprocessing::for_corpus(dataset, &indices, config.channels, config.size, config.size);
        let preprocessing = preprocessing.map_or_else(measured, Ok)?;
        let mut progress = Progress::start(config, preprocessing);
        progress.images = indices.len();
        progress.images_sha256 = sets.0.sha256(dataset);
        let start = config.init.as_ref().map(|init| Path::new(&init.encoder));
        let record = TrainingImages::new(sets.0.digests(), config.needs_labels(), start)?;
        record.write(folder.path())?;
        progress.pixels_sha256 = Some(record.sha256().to_owned());
        progress.class_names = dataset.class_names.clone();
        progress.tally = Tally::new(config.objective(dataset.class_names.len()).num_classes());
        Self::assembled(network, progress, folder, sets)
    }

    fn continued(
        checkpoint: Checkpoint,
        dataset: &Dataset,
        folder: &'a RunFolder,
        sets: (ImageSet<'a>, Option<ImageSet<'a>>, usize),
    ) -> Result<Self, PretrainError> {
        let (found, expected) = (sets.0.readable.len(), checkpoint.progress.images);
        if found != expected || sets.0.sha256(dataset) != checkpoint.progress.images_sha256 {
            let data = checkpoint.progress.config.data.clone();
            return Err(PretrainError::OtherImages { data, found, expected });
        }
        if let Some(expected) = &checkpoint.progress.pixels_sha256 {
            sets.0.require_pixels(expected, &checkpoint.progress.config.data, dataset, folder)?;
        }
        let path = folder.file(CHECKPOINT);
        let network = network_of(&checkpoint, &path)?;
        let mut trainer = Self::assembled(network, checkpoint.progress.clone(), folder, sets)?;
        let steps = checkpoint.progress.step;
        trainer.learner.restore(&checkpoint, steps).map_err(RunError::tensors(&path))?;
        trainer.corpus = checkpoint.corpus();
        Ok(trainer)
    }

    fn assembled(
        network: Network,
        progress: Progress,
        folder: &'a RunFolder,
        (training, held_out, skipped): (ImageSet<'a>, Option<ImageSet<'a>>, usize),
    ) -> Result<Self, PretrainError> {
        let objective = progress.config.objective(progress.class_names.len());
        let learner = Learner::new(&progress.config, network, objective);
        let sample = Sample::draw(&training, learner.objective.views(), progress.config.seed);
        let (metrics_path, timings_path) = (folder.file(METRICS), folder.file(TIMINGS));
        Ok(Self {
            metrics: Lines::open(&metrics_path, Some(progress.metrics_bytes)).map_err(RunError::io(&metrics_path))?,
            timings: Lines::open(&timings_path, None).map_err(RunError::io(&timings_path))?,
            corpus: None,
            frozen: None,
            sample,
            input: Vec::new(),
            folder,
            training,
            held_out,
            learner,
            progress,
            skipped,
        })
    }

    fn batch_size(&self) -> usize {
        self.progress.config.batch_size.min(self.training.readable.len())
    }

    fn steps_per_epoch(&self) -> u64 {
        (self.training.readable.len() / self.batch_size()) as u64
    }

    fn run(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome, PretrainError> {
        let (per_epoch, epochs) = (self.steps_per_epoch(), self.progress.config.epochs);
        let (images, batch_size) = (self.training.readable.len(), self.batch_size());
        let step = self.progress.step;
        observer.event(Event::Started { step, steps: per_epoch * epochs, images, batch_size });
        if let Some(warning) =
            health::too_little(&self.progress.config, images, batch_size, self.progress.class_names.len())
        {
            observer.event(Event::Warning(&warning));
        }
        let mut last = None;
        while !self.progress.finished {
            let epoch = self.progress.step / per_epoch;
            let mut order = self.training.readable.clone();
            Rng::for_item(self.progress.config.seed, "shuffle", epoch, 0).shuffle(&mut order);
            let (started, first) = (Instant::now(), self.progress.step);
            for batch in order.chunks_exact(batch_size).skip((first % per_epoch) as usize) {
                if stop.load(Ordering::Relaxed) {
                    self.save()?;
                    return Ok(Outcome::Interrupted { step: self.progress.step });
                }
                let line = self.step(batch, epoch)?;
                let config = &self.progress.config;
                if line.step.checked_rem(config.metrics_steps) == Some(0) {
                    self.metrics.push(&line).map_err(RunError::io(&self.folder.file(METRICS)))?;
                }
                let save = line.step.checked_rem(config.checkpoint_steps) == Some(0) && line.step % per_epoch != 0;
                observer.event(Event::Step(&line));
                if save {
                    self.save()?;
                }
            }
            let line = self.end_epoch(epoch + 1, per_epoch * epochs)?;
            self.time(started, self.progress.step - first, epoch + 1)?;
            observer.event(Event::Epoch(&line));
            self.judge(&line, observer)?;
            last = Some(line);
        }
        Ok(Outcome::Finished { last, skipped: self.skipped })
    }

    /// Warns of mining that gives nothing more to learn, and ends a run whose encoder collapsed.
    fn judge(&self, line: &EpochLine, observer: &mut dyn Observer) -> Result<(), PretrainError> {
        let config = &self.progress.config;
        let sign = line.health.as_ref().and_then(|health| health::collapse(health, &line.train));
        if let Some(sign) = sign {
            return Err(PretrainError::Collapsed { epoch: line.epoch, sign, advice: health::advice(config) });
        }
        if let Some(warning) = health::stuck_at_margin(config, &line.train) {
            observer.event(Event::Warning(&warning));
        }
        Ok(())
    }

    /// One step on the images at `batch`.
    fn step(&mut self, batch: &[usize], epoch: u64) -> Result<StepLine, PretrainError> {
        let config = &self.progress.config;
        let known = self.frozen.as_ref().and_then(|frozen| frozen.training.as_ref());
        if known.is_none() {
            let recipe = Recipe {
                objective: &*self.learner.objective,
                augmentation: config.augmentation,
                preprocessing: &self.progress.preprocessing,
                seed: config.seed,
            };
            recipe.fill(&mut self.input, &self.training, batch, epoch)?;
        }
        let labels: Vec<Option<usize>> = batch.iter().map(|&position| self.training.labels[position]).collect();

        let learning_rate = learning_rate(config, self.progress.step, self.steps_per_epoch());
        let verdict = match (known, config.freeze) {
            (Some(features), _) => self.learner.step_head(features.select(batch).rows, &labels, learning_rate),
            (None, Some(_)) => self.learner.step_head(self.learner.network.embed(&self.input), &labels, learning_rate),
            (None, None) => self.learner.step(&self.input, &labels, learning_rate, self.progress.step),
        };
        if !verdict.loss.is_finite() {
            let (step, learning_rate) = (self.progress.step + 1, config.learning_rate);
            return Err(PretrainError::NotFinite { loss: verdict.loss, step, learning_rate });
        }

        self.progress.tally.add(&verdict);
        self.progress.step += 1;
        Ok(StepLine { step: self.progress.step, epoch: epoch + 1, loss: verdict.loss, learning_rate })
    }

    /// Measures, writes the epoch's line, ends the run after the last epoch, saves.
    fn end_epoch(&mut self, epoch: u64, steps: u64) -> Result<EpochLine, PretrainError> {
        let is_last = self.progress.step == steps;
        let config = &self.progress.config;
        let wanted = config.validate == Validate::Epoch || config.validate == Validate::End && is_last;
        let held_out = self.held_out.as_ref().filter(|_| wanted).map(|set| self.measure(set)).transpose()?.flatten();
        let learning_rate = learning_rate(config, self.progress.step - 1, self.steps_per_epoch());
        let train = self.progress.tally.score();
        let health = self.examine()?.map(Box::new);
        let line = EpochLine { step: self.progress.step, epoch, train, held_out, learning_rate, health };
        self.metrics.push(&line).map_err(RunError::io(&self.folder.file(METRICS)))?;
        self.progress.tally = Tally::new(self.learner.objective.num_classes());
        if is_last {
            self.corpus = Some(self.corpus_statistics()?);
            self.progress.finished = true;
        }
        self.save()?;
        Ok(line)
    }

    /// The encoder as it is now, where the run asks for it.
    fn examine(&self) -> Result<Option<Health>, PretrainError> {
        let config = &self.progress.config;
        // An encoder that stays as it is cannot collapse.
        if config.health == HealthGate::Never || config.freeze.is_some() {
            return Ok(None);
        }
        let (network, preprocessing) = (&self.learner.network, &self.progress.preprocessing);
        let on = (&self.training, &self.sample);
        let classes = self.progress.class_names.len();
        let found = health::examine(network, preprocessing, config.augmentation, config.seed, on, classes)?;
        found.transpose().map_err(|value| self.not_finite(value))
    }

    /// The score on `set`, not augmented, with the running statistics; none where the objective has none outside of training.
    fn measure(&self, set: &ImageSet<'_>) -> Result<Option<Score>, PretrainError> {
        let objective = &*self.learner.objective;
        let mut tally = Tally::new(objective.num_classes());
        let known = self.frozen.as_ref().and_then(|frozen| frozen.held_out.as_ref());
        let mut input = Vec::new();
        for positions in set.readable.chunks((EMBED_TOGETHER / objective.views()).max(1)) {
            let labels: Vec<Option<usize>> = positions.iter().map(|&position| set.labels[position]).collect();
            let features = match known {
                Some(features) => features.select(positions).rows,
                None if self.learner.can_measure() => {
                    self.fill_plain(&mut input, set, positions, objective)?;
                    self.learner.network.embed(&input)
                }
                None => return Ok(None),
            };
            let Some(verdict) = self.learner.measure(features, &labels) else { return Ok(None) };
            tally.add(&verdict);
        }
        Ok(Some(tally.score()))
    }

    /// Network inputs that are not augmented.
    fn fill_plain(
        &self,
        input: &mut Vec<f32>,
        set: &ImageSet<'_>,
        positions: &[usize],
        objective: &dyn Objective,
    ) -> Result<(), PretrainError> {
        let (preprocessing, seed) = (&self.progress.preprocessing, self.progress.config.seed);
        let recipe = Recipe { objective, augmentation: Augmentation::NONE, preprocessing, seed };
        Ok(recipe.fill(input, set, positions, 0)?)
    }

    fn corpus_statistics(&self) -> Result<CorpusStatistics, PretrainError> {
        let (network, preprocessing) = (&self.learner.network, &self.progress.preprocessing);
        corpus_statistics(network, preprocessing, &self.training)?.map_err(|value| self.not_finite(value))
    }

    fn not_finite(&self, loss: f64) -> PretrainError {
        let (step, learning_rate) = (self.progress.step, self.progress.config.learning_rate);
        PretrainError::NotFinite { loss, step, learning_rate }
    }

    /// Writes a checkpoint, after the metrics it counts on.
    fn save(&mut self) -> Result<(), PretrainError> {
        self.metrics.sync().map_err(RunError::io(&self.folder.file(METRICS)))?;
        self.progress.metrics_bytes = self.metrics.bytes;
        let mut tensors = self.learner.tensors();
        tensors.extend(self.corpus.iter().flat_map(corpus_tensors));
        let checkpoint = Checkpoint { progress: self.progress.clone(), tensors };
        Ok(write_atomic(&self.folder.file(CHECKPOINT), &checkpoint.to_bytes())?)
    }

    fn time(&mut self, started: Instant, steps: u64, epoch: u64) -> Result<(), PretrainError> {
        let seconds = started.elapsed().as_secs_f64();
        let images_per_second = (steps * self.batch_size() as u64) as f64 / seconds;
        let line = TimingLine { step: self.progress.step, epoch, seconds, images_per_second };
        Ok(self.timings.push(&line).map_err(RunError::io(&self.folder.file(TIMINGS)))?)
    }
}
