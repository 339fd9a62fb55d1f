//! The loop: shuffle, step, measure, checkpoint, until done or told to stop.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;

use super::batch::Recipe;
use super::checkpoint::{Checkpoint, Progress};
use super::config::{ConfigError, PretrainConfig, Validate};
use super::learner::Learner;
use super::metrics::{EpochLine, Lines, Score, StepLine, Tally};
use super::run::{CHECKPOINT, METRICS, RunError, RunFolder, TIMINGS, network_of};
use super::training_set::{ImageSet, held_out_indices, training_indices};
use crate::augment::Augmentation;
use crate::data::{DataError, Dataset, Preprocessing};
use crate::encoder::{CorpusStatistics, NamedTensor, Network, SpecError};
use crate::files::{WriteError, write_whole};
use crate::nn::schedule::learning_rate_at;
use crate::objective::Objective;
use crate::rng::Rng;

/// Images the statistics of the features are measured on: enough that their sampling error is a
/// fiftieth of the deviation.
const CORPUS_IMAGES_MAX: usize = 2_000;

/// Network inputs that are embedded together outside of training.
const EMBED_TOGETHER: usize = 256;

/// Pretraining could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum PretrainError {
    /// A setting is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The run folder is at fault.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// An image could not be read although it could be at the start, or none could.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The encoder does not take this input.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// There is nothing to train on.
    #[error("{data}: no image to train on ({skipped} unreadable)")]
    NoImages {
        /// The data set.
        data: String,
        /// Images that could not be read.
        skipped: usize,
    },
    /// `strict` was asked for and an image is broken.
    #[error("{data}: {count} unreadable images, the first is {name}: {reason}")]
    Unreadable {
        /// The data set.
        data: String,
        /// How many.
        count: usize,
        /// Name of the first.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A method that learns from labels needs them all.
    #[error("{data}: {unlabelled} of {images} training images have no label; this method needs all")]
    Unlabelled {
        /// The data set.
        data: String,
        /// Images without a label.
        unlabelled: usize,
        /// All training images.
        images: usize,
    },
    /// A class could never be learnt.
    #[error("{data}: class '{class}' has 0 training images; this method needs at least 1")]
    EmptyClass {
        /// The data set.
        data: String,
        /// The class.
        class: String,
    },
    /// A resumed run found other images.
    #[error("{data}: its training images are not those of the run ({found} now, {expected} then, or other names)")]
    OtherImages {
        /// The data set.
        data: String,
        /// Number of images now.
        found: usize,
        /// Number of images when the run began.
        expected: usize,
    },
    /// Training went astray.
    #[error("the loss is {loss} at step {step}: training diverged; try a learning rate below {learning_rate}")]
    NotFinite {
        /// What was found.
        loss: f64,
        /// The step, counted from 1.
        step: u64,
        /// The largest learning rate of the run.
        learning_rate: f32,
    },
}

/// What the loop tells while it works. Nothing in the library prints.
#[derive(Debug)]
pub enum Event<'a> {
    /// Images read before training.
    Reading {
        /// So far.
        done: usize,
        /// In all.
        of: usize,
    },
    /// An image cannot be read and is left out.
    Skipped {
        /// The image.
        name: &'a str,
        /// What is wrong with it.
        reason: &'a str,
    },
    /// Training begins or goes on.
    Started {
        /// Steps done before.
        step: u64,
        /// Steps in all.
        steps: u64,
        /// Images trained on.
        images: usize,
        /// Images a step.
        batch_size: usize,
    },
    /// A step is done.
    Step(&'a StepLine),
    /// An epoch is done.
    Epoch(&'a EpochLine),
}

/// Is told what happens.
pub trait Observer {
    /// Something happened.
    fn event(&mut self, event: Event<'_>);
}

/// Does not listen.
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _event: Event<'_>) {}
}

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

/// Trains `config` on `dataset` into the folder `out`.
///
/// `config` is the stored one when resuming ([`RunFolder::open`]). After `stop` is raised the current
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
    corpus: Vec<NamedTensor>,
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
        let indices = training_indices(config, dataset);
        let Some(training) = ImageSet::read(config, dataset, indices, options.cache_bytes, observer, stop) else {
            return Ok(None);
        };
        let mut skipped = dataset.skipped.clone();
        skipped.extend_from_slice(&training.skipped);
        let mut held_out = None;
        if config.validate != Validate::Never {
            let indices = held_out_indices(config, dataset);
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
        let sets = (training, held_out, skipped.len());
        let trainer = match checkpoint {
            Some(checkpoint) => Self::continued(checkpoint, dataset, folder, sets)?,
            None => Self::started(config, dataset, folder, sets)?,
        };
        Ok(Some(trainer))
    }

    fn started(
        config: &PretrainConfig,
        dataset: &Dataset,
        folder: &'a RunFolder,
        sets: (ImageSet<'a>, Option<ImageSet<'a>>, usize),
    ) -> Result<Self, PretrainError> {
        let indices = sets.0.readable_indices();
        let preprocessing = Preprocessing::for_corpus(dataset, &indices, config.channels, config.size, config.size)?;
        let mut progress = Progress::start(config, preprocessing);
        progress.images = indices.len();
        progress.images_sha256 = sets.0.sha256(dataset);
        progress.class_names = dataset.class_names.clone();
        progress.tally = Tally::new(config.objective(dataset.class_names.len()).num_classes());
        let network = Network::new(config.spec()?, config.seed)?;
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
        let path = folder.file(CHECKPOINT);
        let network = network_of(&checkpoint, &path)?;
        let mut trainer = Self::assembled(network, checkpoint.progress.clone(), folder, sets)?;
        let steps = checkpoint.progress.step;
        trainer.learner.restore(&checkpoint, steps).map_err(RunError::tensors(&path))?;
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
        let (metrics_path, timings_path) = (folder.file(METRICS), folder.file(TIMINGS));
        Ok(Self {
            metrics: Lines::open(&metrics_path, Some(progress.metrics_bytes)).map_err(RunError::io(&metrics_path))?,
            timings: Lines::open(&timings_path, None).map_err(RunError::io(&timings_path))?,
            corpus: Vec::new(),
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
                let line = self.step(batch, epoch, per_epoch * epochs)?;
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
            last = Some(line);
        }
        Ok(Outcome::Finished { last, skipped: self.skipped })
    }

    /// One step on the images at `batch`.
    fn step(&mut self, batch: &[usize], epoch: u64, steps: u64) -> Result<StepLine, PretrainError> {
        let config = &self.progress.config;
        let recipe = Recipe {
            objective: &*self.learner.objective,
            augmentation: config.augmentation,
            preprocessing: &self.progress.preprocessing,
            seed: config.seed,
        };
        recipe.fill(&mut self.input, &self.training, batch, epoch)?;
        let labels: Vec<Option<usize>> = batch.iter().map(|&position| self.training.labels[position]).collect();

        let warmup = (f64::from(config.warmup_fraction) * steps as f64).round() as u64;
        let learning_rate = learning_rate_at(self.progress.step, steps, warmup, config.learning_rate);
        let verdict = self.learner.step(&self.input, &labels, learning_rate, self.progress.step);
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
        let warmup = (f64::from(config.warmup_fraction) * steps as f64).round() as u64;
        let learning_rate = learning_rate_at(self.progress.step - 1, steps, warmup, config.learning_rate);
        let train = self.progress.tally.score();
        let line = EpochLine { step: self.progress.step, epoch, train, held_out, learning_rate };
        self.metrics.push(&line).map_err(RunError::io(&self.folder.file(METRICS)))?;
        self.progress.tally = Tally::new(self.learner.objective.num_classes());
        if is_last {
            self.corpus = self.corpus_statistics()?;
            self.progress.finished = true;
        }
        self.save()?;
        Ok(line)
    }

    /// The score on `set`, not augmented, with the running statistics; none where the objective has none outside of training.
    fn measure(&self, set: &ImageSet<'_>) -> Result<Option<Score>, PretrainError> {
        let objective = &*self.learner.objective;
        let mut tally = Tally::new(objective.num_classes());
        let mut input = Vec::new();
        for positions in set.readable.chunks((EMBED_TOGETHER / objective.views()).max(1)) {
            self.fill_plain(&mut input, set, positions, objective)?;
            let labels: Vec<Option<usize>> = positions.iter().map(|&position| set.labels[position]).collect();
            let Some(verdict) = self.learner.measure(&input, &labels) else { return Ok(None) };
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

    /// What the features over training images spread evenly look like, as `corpus.mean`, `corpus.std`, `corpus.length_max`.
    fn corpus_statistics(&self) -> Result<Vec<NamedTensor>, PretrainError> {
        let readable = &self.training.readable;
        let count = readable.len().min(CORPUS_IMAGES_MAX);
        let positions: Vec<usize> = (0..count).map(|i| readable[i * readable.len() / count]).collect();
        let dim = self.learner.network.spec().feature_dim();
        let (mut sums, mut squares) = (vec![0.0f64; dim], vec![0.0f64; dim]);
        let (mut input, mut features) = (Vec::new(), Vec::with_capacity(count * dim));
        // One upright view an image, whatever the objective: that is what the encoder will be asked for.
        let upright = crate::objective::Supervised::new(1, 0.0);
        for positions in positions.chunks(EMBED_TOGETHER) {
            self.fill_plain(&mut input, &self.training, positions, &upright)?;
            let start = features.len();
            features.extend(self.learner.network.embed(&input));
            for feature in features[start..].chunks_exact(dim) {
                for ((sum, square), &value) in sums.iter_mut().zip(&mut squares).zip(feature) {
                    *sum += f64::from(value);
                    *square += f64::from(value).powi(2);
                }
            }
        }
        let mean: Vec<f64> = sums.iter().map(|sum| sum / count as f64).collect();
        let std = (squares.iter().zip(&mean)).map(|(square, m)| (square / count as f64 - m * m).max(0.0).sqrt());
        let std: Vec<f64> = std.collect();
        if let Some(&loss) = mean.iter().chain(&std).find(|value| !value.is_finite()) {
            let (step, learning_rate) = (self.progress.step, self.progress.config.learning_rate);
            return Err(PretrainError::NotFinite { loss, step, learning_rate });
        }
        let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
        let statistics = CorpusStatistics { mean: narrow(&mean), std: narrow(&std), length_max: None };
        // Features that cannot be scaled have no length; whoever quantises them will say so.
        let length_max = statistics.clone().with_lengths_of(&features).ok().and_then(|known| known.length_max);
        let named = |name: &str, data: Vec<f32>| NamedTensor { name: name.to_owned(), shape: vec![data.len()], data };
        let mut tensors = vec![named("corpus.mean", statistics.mean), named("corpus.std", statistics.std)];
        tensors.extend(length_max.map(|max| named("corpus.length_max", vec![f32::from(max)])));
        Ok(tensors)
    }

    /// Writes a checkpoint, after the metrics it counts on.
    fn save(&mut self) -> Result<(), PretrainError> {
        self.metrics.sync().map_err(RunError::io(&self.folder.file(METRICS)))?;
        self.progress.metrics_bytes = self.metrics.bytes;
        let mut tensors = self.learner.tensors();
        tensors.extend(self.corpus.iter().cloned());
        let checkpoint = Checkpoint { progress: self.progress.clone(), tensors };
        Ok(write_whole(&self.folder.file(CHECKPOINT), &checkpoint.to_bytes())?)
    }

    fn time(&mut self, started: Instant, steps: u64, epoch: u64) -> Result<(), PretrainError> {
        let seconds = started.elapsed().as_secs_f64();
        let images_per_second = (steps * self.batch_size() as u64) as f64 / seconds;
        let line = TimingLine { step: self.progress.step, epoch, seconds, images_per_second };
        Ok(self.timings.push(&line).map_err(RunError::io(&self.folder.file(TIMINGS)))?)
    }
}
