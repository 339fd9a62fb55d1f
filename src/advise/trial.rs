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
    Event, HealthGate, Method, Observer, Options, Outcome, PretrainConfig, PretrainError, Settings, Silent, Validate,
    fit, pretrain,
};

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

/// The configuration of going on with the encoder `name` on `data`, as `pretrain --init` makes it. Batch and epochs are not
/// fitted to the images yet.
///
/// # Errors
/// When the encoder cannot be read.
pub fn config(name: &str, data: &str, seed: u64) -> Result<PretrainConfig, AdviseError> {
    let mut settings = Settings::default();
    settings.set("data", &data);
    settings.set("method", &Method::Simclr);
    settings.set("seed", &seed);
    settings.start_from(name, &open_run(name)?);
    Ok(settings.new_run()?)
}

/// `config` without measurements of its own.
fn quietly(config: PretrainConfig) -> PretrainConfig {
    PretrainConfig { health: HealthGate::Never, validate: Validate::Never, ..config }
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
    let (fitted, _) = fit(config, dataset.len());
    let config = PretrainConfig { epochs: 1_000, ..quietly(fitted) };
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
    let (fitted, _) = fit(config, dataset.len());
    let per_epoch = (dataset.len() / fitted.batch_size).max(1) as u64;
    let steps = (seconds / speed.seconds_per_step) as u64;
    if steps < TRIAL_STEPS_MIN.max(per_epoch) {
        return Ok(None);
    }
    let config = PretrainConfig { epochs: steps / per_epoch, ..quietly(fitted) };
    let trained = pretrain(&config, dataset, folder, Options::default(), &mut Silent, stop);
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
