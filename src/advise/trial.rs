//! How fast training is on this machine, and whether a short training on the images helps.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::AdviseError;
use crate::data::{Dataset, Split};
use crate::encoders::open_run;
use crate::evaluate::PairedDifference;
use crate::pretrain::{
    Event, HealthGate, Init, Method, Observer, Options, Outcome, PretrainConfig, PretrainError, Validate, pretrain,
};

/// Largest batch: that of contrastive methods by default.
const BATCH_MAX: usize = 256;
/// Smallest batch: contrastive methods need other images to compare with.
const BATCH_MIN: usize = 16;

/// Steps that are timed, after those that warm up.
const TIMED_STEPS: usize = 3;
const WARM_UP_STEPS: usize = 1;

/// Fewest steps of a trial: fewer say nothing.
const TRIAL_STEPS_MIN: u64 = 20;

/// Measured speed of training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Speed {
    /// Images per step.
    pub batch_size: usize,
    /// Median seconds per step, with augmentation.
    pub seconds_per_step: f64,
}

/// A short training from an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// Steps trained.
    pub steps: u64,
    /// Images trained on.
    pub images: usize,
    /// Few-shot accuracy after it less that before, on the same episodes.
    pub change: PairedDifference,
}

/// A batch for `images` training images: at least four steps per epoch where the images allow it.
pub fn batch_size(images: usize) -> usize {
    let quarter = images / 4;
    (BATCH_MIN..=BATCH_MAX).rev().find(|size| size.is_power_of_two() && *size <= quarter).unwrap_or(BATCH_MIN)
}

/// The configuration of going on with the encoder `name` on `images` training images of `data`.
///
/// # Errors
/// When the encoder cannot be read.
pub fn config(name: &str, data: &str, images: usize, seed: u64) -> Result<PretrainConfig, AdviseError> {
    let run = open_run(name)?;
    let input = run.network.spec().input;
    let mut config = PretrainConfig::new(data, Method::Simclr);
    (config.encoder, config.channels, config.size) = (run.config.encoder, input.channels, input.height);
    config.batch_size = batch_size(images);
    config.learning_rate = config.default_learning_rate();
    config.augmentation = crate::augment::Policy::Natural.augmentation(config.size);
    config.init = Some(Init { encoder: name.to_owned(), sha256: run.info.id.to_string() });
    config.range = run.info.preprocessing.range;
    (config.health, config.validate, config.seed) = (HealthGate::Never, Validate::Never, seed);
    Ok(config)
}

/// Keeps the images `training` of `dataset`, all to train on, so that the trial reads no others.
pub fn only(dataset: &mut Dataset, training: &[usize]) {
    dataset.keep(training);
    dataset.records.iter_mut().for_each(|record| record.split = Some(Split::Train));
}

/// Times the steps of `config` on `dataset`, in the empty folder `folder`; `None` if there was no time for a step.
///
/// # Errors
/// When training fails.
pub fn speed(
    config: &PretrainConfig,
    dataset: &Dataset,
    folder: &Path,
    clock: &dyn Fn() -> Duration,
    stop_all: &AtomicBool,
) -> Result<Option<Speed>, AdviseError> {
    let stop = AtomicBool::new(false);
    let mut observer =
        StepTimes { times: Vec::new(), clock, stop: &stop, stop_all, enough: WARM_UP_STEPS + TIMED_STEPS };
    let config = PretrainConfig { epochs: 1_000, ..config.clone() };
    pretrain(&config, dataset, folder, Options::default(), &mut observer, &stop)?;
    if stop_all.load(Ordering::Relaxed) {
        return Err(AdviseError::Interrupted);
    }
    let mut seconds: Vec<f64> =
        observer.times.windows(2).skip(WARM_UP_STEPS - 1).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(seconds.len() / 2).copied();
    Ok(median.map(|seconds_per_step| Speed { batch_size: config.batch_size.min(dataset.len()), seconds_per_step }))
}

/// Trains `config` for about `seconds` in the empty folder `folder`, with its whole schedule. Returns the steps, or `None` if
/// the time allows too few or training diverged.
///
/// # Errors
/// When training fails otherwise.
pub fn train(
    config: &PretrainConfig,
    dataset: &Dataset,
    folder: &Path,
    (speed, seconds): (Speed, f64),
    stop: &AtomicBool,
) -> Result<Option<u64>, AdviseError> {
    let per_epoch = (dataset.len() / config.batch_size).max(1) as u64;
    let steps = (seconds / speed.seconds_per_step) as u64;
    if steps < TRIAL_STEPS_MIN.max(per_epoch) {
        return Ok(None);
    }
    let config = PretrainConfig { epochs: steps / per_epoch, ..config.clone() };
    let trained = pretrain(&config, dataset, folder, Options::default(), &mut crate::pretrain::Silent, stop);
    match trained {
        Ok(Outcome::Finished { .. }) => Ok(Some(config.epochs * per_epoch)),
        Ok(Outcome::Interrupted { .. }) => Err(AdviseError::Interrupted),
        Err(PretrainError::NotFinite { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Notes when each step ends, and stops after enough of them.
struct StepTimes<'a> {
    times: Vec<Duration>,
    clock: &'a dyn Fn() -> Duration,
    stop: &'a AtomicBool,
    stop_all: &'a AtomicBool,
    enough: usize,
}

impl Observer for StepTimes<'_> {
    fn event(&mut self, event: Event<'_>) {
        if matches!(event, Event::Step(_)) {
            self.times.push((self.clock)());
        }
        if self.times.len() > self.enough || self.stop_all.load(Ordering::Relaxed) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_batch_allows_four_steps_per_epoch() {
        for (images, expected) in [(8, 16), (64, 16), (127, 16), (128, 32), (436, 64), (1024, 256), (1_000_000, 256)] {
            assert_eq!(batch_size(images), expected, "{images} images");
        }
    }
}
