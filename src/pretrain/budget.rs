//! `budget`: the epochs that fit in a time on this machine.
//!
//! A few steps are timed on a copy of the learner and discarded, so the run itself starts at its first step. The number of
//! epochs that they allow becomes a setting of the run, and the budget none: the stored configuration, resumed or repeated on
//! another machine, gives the same bytes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::config::{EPOCHS_MAX, Validate};
use super::error::PretrainError;
use super::learner::Learner;
use super::observer::{Event, Observer};
use super::train_loop::Trainer;

/// Most time for timing, as a share of the budget, and in all.
const TIMING_SHARE: f64 = 0.02;
const TIMING_MAX: Duration = Duration::from_secs(20);
/// Fewest and most steps that are timed, after one that is not: it fills caches and allocates.
const STEPS: std::ops::RangeInclusive<usize> = 3..=50;

/// Seconds of the parts of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Times {
    step: f64,
    /// Measurements after an epoch.
    measured: f64,
}

/// Gives a run that has a budget the number of epochs that fit in what is left of it; `started` is when the run began.
pub(super) fn resolve_budget(
    trainer: &mut Trainer<'_>,
    started: Instant,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<(), PretrainError> {
    let Some(budget) = trainer.progress.config.budget.take() else { return Ok(()) };
    let times = time(trainer, budget.time(), stop)?;
    let per_epoch = trainer.steps_per_epoch();
    let left = budget.time().saturating_sub(started.elapsed()).as_secs_f64();
    let epochs = trainer.ranks.from_first(|| Ok::<_, PretrainError>(epochs_in(left, times, per_epoch)))?;
    trainer.progress.config.epochs = epochs;
    let budget = String::from(budget);
    let (step, steps) = (times.step, epochs * per_epoch);
    observer.event(Event::Remark(&format!(
        "budget {budget}: {left:.0} s left at {step:.3} s per step are {epochs} epochs ({steps} steps)"
    )));
    let epoch = per_epoch as f64 * times.step + times.measured;
    if epoch > left {
        observer.event(Event::Warning(&format!("one epoch takes about {epoch:.0} s, more than the budget")));
    }
    Ok(())
}

/// Whole epochs in `seconds`, at least one.
fn epochs_in(seconds: f64, times: Times, per_epoch: u64) -> u64 {
    let epoch = per_epoch as f64 * times.step + times.measured;
    ((seconds / epoch) as u64).clamp(1, EPOCHS_MAX)
}

/// Times steps and measurements on a copy of the learner; nothing of the run changes.
fn time(trainer: &mut Trainer<'_>, budget: Duration, stop: &AtomicBool) -> Result<Times, PretrainError> {
    let config = &trainer.progress.config;
    let objective = config.objective(trainer.progress.class_names.len());
    let mut copy = Learner::new(config, trainer.learner.network.clone(), objective);
    copy.frozen.clone_from(&trainer.learner.frozen);
    copy.set_schedule(trainer.learner.schedule());
    let (learner, progress) = (std::mem::replace(&mut trainer.learner, copy), trainer.progress.clone());
    let times = time_copy(trainer, budget, stop);
    (trainer.learner, trainer.progress) = (learner, progress);
    times
}

fn time_copy(trainer: &mut Trainer<'_>, budget: Duration, stop: &AtomicBool) -> Result<Times, PretrainError> {
    let limit = budget.mul_f64(TIMING_SHARE).min(TIMING_MAX);
    let visits = trainer.sampler.epoch(0);
    let mut batches = visits.chunks_exact(trainer.batch_size()).cycle();
    let mut step = |trainer: &mut Trainer<'_>| batches.next().map(|batch| trainer.step(batch, 0)).transpose();
    step(trainer)?;
    let (started, mut steps) = (Instant::now(), 0);
    let ranks = trainer.ranks;
    // The clock of the first rank decides for all.
    let goes_on = |steps| steps < *STEPS.start() || started.elapsed() < limit && steps < *STEPS.end();
    while ranks.any(ranks.is_first() && goes_on(steps)) {
        // The first step of the run then ends it.
        if ranks.any(stop.load(Ordering::Relaxed)) {
            break;
        }
        step(trainer)?;
        steps += 1;
    }
    let step = started.elapsed().as_secs_f64() / steps.max(1) as f64;
    let started = Instant::now();
    let measured = if ranks.is_first() { measure(trainer) } else { Ok(()) };
    ranks.agree(measured)?;
    Ok(Times { step, measured: started.elapsed().as_secs_f64() })
}

/// The measurements after an epoch.
fn measure(trainer: &Trainer<'_>) -> Result<(), PretrainError> {
    trainer.examine()?;
    trainer.quality()?;
    if trainer.progress.config.validate == Validate::Epoch {
        trainer.held_out.as_ref().map(|set| trainer.measure(set)).transpose()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_epochs_are_counted_with_their_measurements() {
        let times = Times { step: 0.5, measured: 5.0 };
        assert_eq!(epochs_in(3600.0, times, 110), 60, "60 s per epoch");
        assert_eq!(epochs_in(3599.0, times, 110), 59);
        assert_eq!(epochs_in(1.0, times, 110), 1);
        assert_eq!(epochs_in(1e9, Times { step: 1e-9, measured: 0.0 }, 1), EPOCHS_MAX);
    }
}
