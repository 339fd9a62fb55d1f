//! The training loop: shuffle, step, measure, write a checkpoint, until all steps are done or it is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::batch::Recipe;
use super::checkpoint::{Checkpoint, Kept, Progress, corpus_tensors};
use super::collapse::{advice, collapse, too_little};
use super::config::{HealthGate, Keep, PretrainConfig, Validate};
use super::error::PretrainError;
use super::extend::learning_rate;
use super::features::{Embed, Extractor, FeatureError};
use super::fit::few_steps;
use super::health::{self, Sample};
use super::learner::Learner;
use super::limits::EMBED_TOGETHER;
use super::memory::TrainingMemory;
use super::metrics::{EpochLine, Health, Lines, Quality, Score, StepLine, Tally, TimingLine};
use super::observer::{Embedded, Event, Observer, SlowInput};
use super::prefetch::Prefetch;
use super::quality::quality;
use super::run_error::RunError;
use super::run_folder::{CHECKPOINT, METRICS, RunFolder, TIMINGS};
use super::sampling::{Sampler, Visit};
use super::teacher::TeacherTargets;
use super::training_set::ImageSet;
use crate::augment::Augmentation;
use crate::data::evenly_spread;
use crate::encoder::{CorpusStatistics, Network};
use crate::files::write_atomic;
use crate::measure::Features;
use crate::memory;
use crate::objective::Targets;
use crate::ranks::Ranks;

/// How pretraining ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All steps are completed.
    Finished {
        /// The last epoch; `None` if the run was finished before.
        last: Option<EpochLine>,
        /// Images skipped because they cannot be read.
        skipped: usize,
    },
    /// `stop` was raised; a resume ends in the same bytes.
    Interrupted {
        /// Completed steps.
        step: u64,
    },
}

impl Outcome {
    /// The score of the last epoch on held-out images, if it was measured by this call.
    pub fn held_out(&self) -> Option<&Score> {
        match self {
            Self::Finished { last, .. } => last.as_ref().and_then(|line| line.held_out.as_ref()),
            Self::Interrupted { .. } => None,
        }
    }
}

/// Training images whose views are reported, and views of each at least.
const IMAGES_SHOWN: usize = 6;
const VIEWS_SHOWN: usize = 5;

/// Training images whose features are reported.
const FEATURES_SHOWN: usize = 400;

/// A share of time that steps wait for input from which on it is reported.
const SLOW_INPUT: f64 = 0.1;

/// A run that is ready to train.
pub(super) struct Trainer<'a> {
    pub folder: &'a RunFolder,
    pub training: Arc<ImageSet<'a>>,
    pub sampler: Sampler,
    pub held_out: Option<ImageSet<'a>>,
    /// The targets of distillation.
    pub teachers: Option<TeacherTargets>,
    pub learner: Learner,
    pub progress: Progress,
    pub corpus: Option<CorpusStatistics>,
    /// Features of a frozen encoder by position, not standardised; of training images only without augmentation.
    pub training_features: Option<Features>,
    pub held_out_features: Option<Features>,
    /// The images that health is measured on.
    pub sample: Sample,
    pub metrics: Lines,
    pub timings: Lines,
    /// Images skipped because they cannot be read.
    pub skipped: usize,
    pub input: Vec<f32>,
    pub prefetch: Arc<Prefetch>,
    /// What training is expected to need.
    pub memory: Option<TrainingMemory>,
    /// Time that the steps of this epoch waited for input.
    pub input_time: Duration,
    /// The processes that train together. The first one measures, writes and reports.
    pub ranks: Ranks,
    /// Whether to report views and features of some training images.
    pub pictures: bool,
}

impl Trainer<'_> {
    pub fn batch_size(&self) -> usize {
        self.progress.config.batch_size.min(self.training.visits())
    }

    pub fn steps_per_epoch(&self) -> u64 {
        (self.training.visits() / self.batch_size()) as u64
    }

    /// Trains until all steps are done or `stop` is raised.
    pub fn run(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome, PretrainError> {
        let (per_epoch, epochs) = (self.steps_per_epoch(), self.progress.config.epochs);
        let (images, batch_size) = (self.training.visits(), self.batch_size());
        let step = self.progress.step;
        observer.event(Event::Started { step, steps: per_epoch * epochs, images, batch_size });
        if let Some(warning) = too_little(&self.progress.config, images, batch_size, self.progress.class_names.len()) {
            observer.event(Event::Warning(&warning));
        }
        if let Some(few) = few_steps(&self.progress.config, images, batch_size) {
            observer.event(Event::FewSteps(few));
        }
        if let Some(remark) = self.sampler.remark() {
            observer.event(Event::Remark(&remark));
        }
        self.begin_keeping()?;
        self.report_views(observer);
        let outcome = self.prefetching(|trainer| trainer.epochs(observer, stop))?;
        if let (Some(Kept { epoch, value }), Outcome::Finished { last: Some(_), .. }) = (self.progress.kept, &outcome) {
            observer.event(Event::Remark(&format!(
                "kept the weights of epoch {epoch}, whose measure is best ({value:.4})"
            )));
        }
        if let Outcome::Finished { last: Some(_), .. } = &outcome {
            self.report_features(observer);
        }
        Ok(outcome)
    }

    /// Reports the first views of some training images. They are drawn again when their steps come, so this changes nothing.
    fn report_views(&self, observer: &mut dyn Observer) {
        // Features that are known have no views.
        if !self.pictures || self.progress.finished || self.training_features.is_some() {
            return;
        }
        let recipe = self.recipe(self.progress.config.augmentation);
        let (mut images, mut views) = (Vec::new(), Vec::new());
        let mut seen = Vec::new();
        for Visit { position, number } in self.sampler.epoch(0) {
            if seen.len() == IMAGES_SHOWN {
                break;
            }
            if seen.contains(&position) {
                continue;
            }
            seen.push(position);
            let visits = (number..).take(VIEWS_SHOWN.div_ceil(recipe.views.count()));
            let made = visits.map(|number| recipe.views_of(&self.training, Visit { position, number }));
            // An image that cannot be read any more is an error of its step.
            let (Ok(image), Ok(made)) = (self.training.loader.pixels(position), made.collect::<Result<Vec<_>, _>>())
            else {
                continue;
            };
            images.push((*image).clone());
            views.push(made.concat());
        }
        observer.event(Event::Views { images: &images, views: &views });
    }

    /// Reports features of some training images. The run is complete: an error does not make it fail.
    fn report_features(&self, observer: &mut dyn Observer) {
        if !self.pictures {
            return;
        }
        let positions = evenly_spread(&self.training.readable, FEATURES_SHOWN);
        let Ok(rows) = self.extractor().features(&self.training, &positions, Network::embed) else { return };
        let features = Features { dim: self.extractor().network.feature_dim(), rows };
        let labels: Vec<Option<usize>> = positions.iter().map(|&position| self.training.labels[position]).collect();
        // What the feature was computed from: of a run on tiles a tile.
        let plain = self.extractor().plain();
        let load = |index: usize| {
            let visit = Visit { position: *positions.get(index)?, number: 0 };
            plain.views_of(&self.training, visit).ok()?.pop()
        };
        let class_names = &self.progress.class_names;
        observer.event(Event::Embedded(Embedded { features: &features, labels: &labels, class_names, load: &load }));
    }

    /// Runs `steps` while the views of the images that they plan are made ahead.
    fn prefetching<T>(&mut self, steps: impl FnOnce(&mut Self) -> T) -> T {
        let (prefetch, training) = (Arc::clone(&self.prefetch), Arc::clone(&self.training));
        let preprocessing = self.progress.preprocessing.clone();
        let Recipe { views, augmentation, seed, order, .. } = self.recipe(self.progress.config.augmentation);
        let recipe = Recipe { views, augmentation, preprocessing: &preprocessing, seed, order };
        std::thread::scope(|scope| {
            let _running = prefetch.start(scope, recipe, &training);
            steps(self)
        })
    }

    /// The visits of the steps of `epoch` from step `first` on, which counts over all epochs.
    fn plan(&self, epoch: u64, first: u64) {
        let (batch_size, per_epoch) = (self.batch_size(), self.steps_per_epoch());
        // Features that are known need no images.
        if self.training_features.is_none() {
            let (order, steps) = (self.sampler.epoch(epoch), per_epoch as usize);
            let batches = order.chunks_exact(batch_size).take(steps).skip((first % per_epoch) as usize);
            // Of each batch the images that this rank takes.
            let own: Vec<Visit> =
                batches.flat_map(|batch| &batch[self.ranks.part(batch.len()).range()]).copied().collect();
            self.prefetch.plan(&own);
        }
    }

    /// Trains epoch by epoch.
    fn epochs(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome, PretrainError> {
        let (per_epoch, epochs, batch_size) = (self.steps_per_epoch(), self.progress.config.epochs, self.batch_size());
        let mut last = None;
        if !self.progress.finished {
            self.plan(self.progress.step / per_epoch, self.progress.step);
        }
        while !self.progress.finished {
            let epoch = self.progress.step / per_epoch;
            let order = self.sampler.epoch(epoch);
            let (started, first) = (Instant::now(), self.progress.step);
            self.input_time = Duration::ZERO;
            for batch in order.chunks_exact(batch_size).skip((first % per_epoch) as usize) {
                if self.ranks.any(stop.load(Ordering::Relaxed)) {
                    self.save()?;
                    return Ok(Outcome::Interrupted { step: self.progress.step });
                }
                let line = self.step(batch, epoch)?;
                let PretrainConfig { metrics_steps, checkpoint_steps, .. } = self.progress.config;
                if line.step.checked_rem(metrics_steps) == Some(0) {
                    self.write_metrics(&line)?;
                }
                let save = line.step.checked_rem(checkpoint_steps) == Some(0) && line.step % per_epoch != 0;
                observer.event(Event::Step(&line));
                if save {
                    self.save()?;
                }
            }
            let input_share = self.input_time.as_secs_f64() / started.elapsed().as_secs_f64();
            if epoch + 1 < epochs {
                self.plan(epoch + 1, 0);
            }
            let line = self.end_epoch(epoch + 1, per_epoch * epochs)?;
            self.time(started, self.progress.step - first, epoch + 1, input_share)?;
            observer.event(Event::Epoch(&line));
            if input_share >= SLOW_INPUT {
                let prefetches = self.prefetch.is_used();
                let cache_bytes = self.training.cache_bytes_missing();
                observer.event(Event::SlowInput(SlowInput { share: input_share, prefetches, cache_bytes }));
            }
            self.check_health(&line, observer)?;
            last = Some(line);
        }
        Ok(Outcome::Finished { last, skipped: self.skipped })
    }

    /// Ends a run whose encoder collapsed, and passes on the objective's warning.
    fn check_health(&self, line: &EpochLine, observer: &mut dyn Observer) -> Result<(), PretrainError> {
        let (config, objective) = (&self.progress.config, &*self.learner.objective);
        let sign = line.health.as_ref().and_then(|health| collapse(health, &line.train));
        if let Some(sign) = sign {
            return Err(PretrainError::Collapsed { epoch: line.epoch, sign, advice: advice(config, objective) });
        }
        if let Some(warning) = objective.warning(line.train.loss, &line.train.measures) {
            let warning = format!("{warning}; try {}", advice(config, objective));
            observer.event(Event::Warning(&warning));
        }
        Ok(())
    }

    /// One step on the images of `batch`, of which this rank reads and augments its part.
    pub fn step(&mut self, batch: &[Visit], epoch: u64) -> Result<StepLine, PretrainError> {
        let config = &self.progress.config;
        let part = self.ranks.part(batch.len());
        let batch = &batch[part.range()];
        if self.training_features.is_none() {
            let started = Instant::now();
            let mut input = std::mem::take(&mut self.input);
            let slots = self.prefetch.take(batch);
            let filled = self.recipe(config.augmentation).fill_slots(&mut input, &self.training, &slots);
            self.ranks.agree(filled.map_err(PretrainError::from))?;
            self.input = input;
            self.input_time += started.elapsed();
        }
        let positions: Vec<usize> = batch.iter().map(|visit| visit.position).collect();
        let labels: Vec<Option<usize>> = positions.iter().map(|&position| self.training.labels[position]).collect();

        let teachers = self.teachers.as_ref();
        let taught = teachers.map(|teachers| teachers.of_batch(batch, &self.training.indices));
        let targets = Targets { labels: &labels, teachers: taught.as_deref().unwrap_or_default(), part };
        let learning_rate = learning_rate(config, self.progress.step, self.steps_per_epoch());
        let output = match (&self.training_features, config.freeze) {
            (Some(features), _) => self.learner.step_head(features.select(&positions).rows, targets, learning_rate),
            (None, Some(_)) => self.learner.step_head(self.learner.network.embed(&self.input), targets, learning_rate),
            (None, None) => self.learner.step(&mut self.input, targets, learning_rate, self.progress.step),
        };
        if !output.loss.is_finite() {
            let (step, learning_rate) = (self.progress.step + 1, config.learning_rate);
            return Err(PretrainError::NotFinite { loss: output.loss, step, learning_rate });
        }

        self.progress.tally.add(&output);
        self.progress.step += 1;
        Ok(StepLine { step: self.progress.step, epoch: epoch + 1, loss: output.loss, learning_rate })
    }

    /// Measures the encoder, writes the line of the epoch and a checkpoint, and finishes the run after the last epoch.
    fn end_epoch(&mut self, epoch: u64, steps: u64) -> Result<EpochLine, PretrainError> {
        let is_last = self.progress.step == steps;
        let config = &self.progress.config;
        let wanted = config.validate == Validate::Epoch || config.validate == Validate::End && is_last;
        let learning_rate = learning_rate(config, self.progress.step - 1, self.steps_per_epoch());
        let train = self.progress.tally.score();
        let measure = || {
            let held_out = self.held_out.as_ref().filter(|_| wanted).map(|set| self.measure(set)).transpose()?;
            Ok::<_, PretrainError>((held_out.flatten(), self.examine()?.map(Box::new), self.quality()?.map(Box::new)))
        };
        let (held_out, health, quality) = self.ranks.from_first(measure)?;
        let line = EpochLine { step: self.progress.step, epoch, train, held_out, learning_rate, health, quality };
        self.keep_if_best(&line);
        self.write_metrics(&line)?;
        self.progress.tally = Tally::new(self.learner.objective.num_classes());
        if is_last {
            let completed = if self.ranks.is_first() { self.complete() } else { Ok(()) };
            self.ranks.agree(completed)?;
            self.progress.finished = true;
        }
        self.save()?;
        Ok(line)
    }

    /// Computes what a finished encoder has besides its weights.
    fn complete(&mut self) -> Result<(), PretrainError> {
        self.fit_readout()?;
        self.corpus = Some(self.corpus_statistics()?);
        Ok(())
    }

    fn write_metrics(&mut self, line: &impl Serialize) -> Result<(), PretrainError> {
        let written = self.metrics.push(line).map_err(RunError::io(&self.folder.file(METRICS)));
        self.ranks.agree(written.map_err(PretrainError::from))
    }

    /// Fits the linear map of the readout. A frozen encoder brings its own.
    fn fit_readout(&mut self) -> Result<(), PretrainError> {
        let Progress { config: PretrainConfig { readout, freeze: None, .. }, .. } = &self.progress else {
            return Ok(());
        };
        let readout = *readout;
        let map = self.extractor().linear_map(&self.training, readout)?;
        Ok(self.learner.encoder_mut().set_readout(readout, map)?)
    }

    /// The health of the encoder, if the run measures it.
    pub fn examine(&self) -> Result<Option<Health>, PretrainError> {
        let config = &self.progress.config;
        // A frozen encoder cannot collapse.
        if config.health == HealthGate::Never || config.freeze.is_some() {
            return Ok(None);
        }
        let num_classes = self.progress.class_names.len();
        let found = health::examine(self.current(), config, &self.training, &self.sample, num_classes);
        found.map_err(|error| self.feature_error(error))
    }

    /// The quality of the current encoder, if the run keeps the best.
    pub fn quality(&self) -> Result<Option<Quality>, PretrainError> {
        let config = &self.progress.config;
        if config.keep == Keep::Last {
            return Ok(None);
        }
        let set = self.held_out.as_ref().unwrap_or(&self.training);
        quality(self.current(), config, set).map_err(|error| self.feature_error(error))
    }

    /// Keeps the current encoder if its quality is higher than that of the kept one.
    fn keep_if_best(&mut self, line: &EpochLine) {
        let Some(quality) = &line.quality else { return };
        let kept = Kept { epoch: line.epoch, value: quality.value() };
        if self.progress.kept.is_none_or(|best| kept.value > best.value) {
            self.progress.kept = Some(kept);
            self.learner.keep();
        }
    }

    /// Measures the encoder that the run goes on with, which is kept unless an epoch is better.
    fn begin_keeping(&mut self) -> Result<(), PretrainError> {
        let Progress { config, kept, step: 0, .. } = &self.progress else { return Ok(()) };
        if config.keep == Keep::Last || config.init.is_none() || kept.is_some() {
            return Ok(());
        }
        let train = Tally::new(self.learner.objective.num_classes()).score();
        let measure = || Ok::<_, PretrainError>((self.examine()?.map(Box::new), self.quality()?.map(Box::new)));
        let (health, quality) = self.ranks.from_first(measure)?;
        let line = EpochLine { step: 0, epoch: 0, train, held_out: None, learning_rate: 0.0, health, quality };
        self.write_metrics(&line)?;
        self.keep_if_best(&line);
        Ok(())
    }

    /// The score on `set`, not augmented, from the running statistics; `None` for an objective without a held-out loss.
    pub fn measure(&self, set: &ImageSet<'_>) -> Result<Option<Score>, PretrainError> {
        let objective = &*self.learner.objective;
        if !objective.has_held_out_loss() {
            return Ok(None);
        }
        let mut tally = Tally::new(objective.num_classes());
        let frozen = self.progress.config.freeze.is_some();
        let embed: Embed = if frozen { Network::embed } else { Network::embed_trained };
        let recipe = self.recipe(Augmentation::NONE);
        for positions in set.readable.chunks((EMBED_TOGETHER / recipe.views.count()).max(1)) {
            let labels: Vec<Option<usize>> = positions.iter().map(|&position| set.labels[position]).collect();
            let features = match &self.held_out_features {
                Some(features) => features.select(positions).rows,
                None => self.current().embed(recipe, set, positions, 0, embed)?,
            };
            self.learner.held_out_loss(features, Targets::labels(&labels)).iter().for_each(|output| tally.add(output));
        }
        Ok(Some(tally.score()))
    }

    /// How this run makes network inputs of images.
    fn recipe(&self, augmentation: Augmentation) -> Recipe<'_> {
        let Progress { preprocessing, config, .. } = &self.progress;
        // Held-out images are not augmented and have no numbered views.
        let order = self.teachers.as_ref().and_then(|teachers| teachers.order);
        Recipe { views: self.learner.objective.views(), augmentation, preprocessing, seed: config.seed, order }
    }

    pub fn extractor(&self) -> Extractor<'_> {
        Extractor { network: self.learner.encoder(), preprocessing: &self.progress.preprocessing }
    }

    /// The encoder after this step, which is measured.
    fn current(&self) -> Extractor<'_> {
        Extractor { network: self.learner.current(), preprocessing: &self.progress.preprocessing }
    }

    pub fn corpus_statistics(&self) -> Result<CorpusStatistics, PretrainError> {
        self.extractor().corpus_statistics(&self.training).map_err(|error| self.feature_error(error))
    }

    fn feature_error(&self, error: FeatureError) -> PretrainError {
        match error {
            FeatureError::Data(error) => error.into(),
            FeatureError::NotFinite(loss) => {
                let (step, learning_rate) = (self.progress.step, self.progress.config.learning_rate);
                PretrainError::NotFinite { loss, step, learning_rate }
            }
        }
    }

    /// Writes a checkpoint. All ranks call it, the first one writes.
    fn save(&mut self) -> Result<(), PretrainError> {
        self.check_equal()?;
        let written = if self.ranks.is_first() { self.write_checkpoint() } else { Ok(()) };
        self.ranks.agree(written)
    }

    /// Writes a checkpoint, after the metrics that it counts.
    fn write_checkpoint(&mut self) -> Result<(), PretrainError> {
        self.metrics.sync().map_err(RunError::io(&self.folder.file(METRICS)))?;
        self.progress.metrics_bytes = self.metrics.bytes;
        let mut tensors = self.learner.tensors();
        tensors.extend(self.corpus.iter().flat_map(corpus_tensors));
        let checkpoint = Checkpoint { progress: self.progress.clone(), tensors };
        Ok(write_atomic(&self.folder.file(CHECKPOINT), &checkpoint.to_bytes())?)
    }

    fn time(&mut self, started: Instant, steps: u64, epoch: u64, input_share: f64) -> Result<(), PretrainError> {
        let seconds = started.elapsed().as_secs_f64();
        let images_per_second = (steps * self.batch_size() as u64) as f64 / seconds;
        let line = TimingLine {
            step: self.progress.step,
            epoch,
            seconds,
            images_per_second,
            input_share,
            peak_memory_bytes: memory::peak_bytes(),
            expected_memory_bytes: self.memory.map(|memory| memory.total()),
        };
        let written = self.timings.push(&line).map_err(RunError::io(&self.folder.file(TIMINGS)));
        self.ranks.agree(written.map_err(PretrainError::from))
    }
}
