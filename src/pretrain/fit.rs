//! Batch and epochs of a run that states neither, fitted to the number of its images.
//!
//! With the default batch of 256, 436 images are one step per epoch: 20 steps with statistics of batch norm that hardly
//! moved, which makes an encoder worse. A small set therefore gets a smaller batch, and enough epochs for a number of steps
//! that changes an encoder for the better.

use super::config::PretrainConfig;
use super::observer::FewSteps;
use super::resolved::Fitted;

/// Steps per epoch below which the batch is made smaller.
const STEPS_PER_EPOCH: usize = 20;
/// The smallest batch that is chosen: 62 negatives for each view in NT-Xent.
const BATCH_MIN: usize = 32;
/// Steps of a contrastive run from random weights.
const STEPS_FROM_SCRATCH: u64 = 1_000;
/// Steps from the weights of another run: fewer unsettle them and do not settle them again. With 300 images, 306 steps cost
/// 1.5 points on x-rays at 20 shots and gained 3 on photographs; 1,440 cost 0.4 and gained 5.
const STEPS_FROM_INIT: u64 = 1_500;

/// `config` with all settings resolved that depend on the number of training images, and what was chosen instead of the
/// defaults.
pub fn fit(config: &PretrainConfig, images: usize) -> (PretrainConfig, Option<String>) {
    let is_open = |setting| config.fit.contains(&setting);
    let mut fitted = PretrainConfig { fit: Vec::new(), ..config.clone() };
    if is_open(Fitted::BatchSize) && config.freeze.is_none() {
        fitted.batch_size = batch_for(images, config.batch_size);
        if is_open(Fitted::LearningRate) {
            fitted.learning_rate = fitted.default_learning_rate();
        }
    }
    let per_epoch = steps_per_epoch(images, fitted.batch_size);
    if is_open(Fitted::Epochs) && config.budget.is_none() {
        fitted.epochs = config.epochs.max(least_steps(config).div_ceil(per_epoch));
    }
    let PretrainConfig { batch_size, epochs, learning_rate, .. } = fitted;
    let is_changed = (batch_size, epochs) != (config.batch_size, config.epochs);
    let remark = is_changed.then(|| {
        format!(
            "fitted to {images} training images: batch {batch_size}, learning rate {learning_rate}, {epochs} epochs \
             ({} steps); --batch-size and --epochs choose others",
            epochs * per_epoch
        )
    });
    (fitted, remark)
}

/// The steps of a contrastive run, if they are so few that the run may make an encoder worse.
pub(super) fn few_steps(config: &PretrainConfig, images: usize, batch_size: usize) -> Option<FewSteps> {
    let per_epoch = steps_per_epoch(images, batch_size);
    let (steps, least) = (per_epoch * config.epochs, least_steps(config));
    (steps < least).then_some(FewSteps { steps, per_epoch, least })
}

/// Steps of an epoch; the last short batch is left out.
fn steps_per_epoch(images: usize, batch_size: usize) -> u64 {
    (images / batch_size.min(images).max(1)).max(1) as u64
}

/// Fewest steps of a run with fitted epochs.
fn least_steps(config: &PretrainConfig) -> u64 {
    match config {
        PretrainConfig { freeze: Some(_), .. } => 0,
        _ if !config.method.is_contrastive() => 0,
        PretrainConfig { init: Some(_), .. } => STEPS_FROM_INIT,
        _ => STEPS_FROM_SCRATCH,
    }
}

/// The largest power of two that gives [`STEPS_PER_EPOCH`], at least [`BATCH_MIN`]; `default` if that gives enough.
fn batch_for(images: usize, default: usize) -> usize {
    let most = images / STEPS_PER_EPOCH;
    if most >= default || default <= BATCH_MIN {
        return default;
    }
    let power = most.checked_ilog2().map_or(1, |log| 1 << log);
    power.clamp(BATCH_MIN, default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::Method;
    use crate::pretrain::config::Init;

    fn open(method: Method) -> PretrainConfig {
        let fit = vec![Fitted::BatchSize, Fitted::LearningRate, Fitted::Epochs];
        PretrainConfig { fit, ..PretrainConfig::new("x", method) }
    }

    fn chosen(config: &PretrainConfig, images: usize) -> (usize, u64) {
        let (fitted, remark) = fit(config, images);
        let chosen = (fitted.batch_size, fitted.epochs);
        assert_eq!(remark.is_some(), chosen != (config.batch_size, config.epochs));
        assert!(fitted.fit.is_empty());
        chosen
    }

    #[test]
    fn small_sets_get_a_smaller_batch_and_enough_steps() {
        let config = open(Method::Simclr);
        // 436 images: 13 steps of 32 per epoch.
        assert_eq!(chosen(&config, 436), (32, 77));
        assert_eq!(chosen(&config, 1_500), (64, 44));
        assert_eq!(chosen(&config, 4_000), (128, 33));
        assert_eq!(chosen(&config, 50_000), (256, 20));
        assert_eq!(chosen(&config, 5), (32, 1_000));
        let rate = |images| fit(&config, images).0.learning_rate;
        assert!((rate(436) - config.learning_rate / 8.0).abs() < 1e-7, "in proportion to the batch: {}", rate(436));
        let init = Some(Init { encoder: "run".into(), sha256: String::new() });
        assert_eq!(chosen(&PretrainConfig { init, ..config }, 436), (32, 116));
        assert_eq!(chosen(&open(Method::Rotation), 436), (32, 20));
    }

    #[test]
    fn stated_settings_stay_and_few_steps_are_a_warning() {
        let stated = PretrainConfig { fit: Vec::new(), ..open(Method::Simclr) };
        assert_eq!(fit(&stated, 436), (stated.clone(), None));
        assert_eq!(few_steps(&stated, 436, 256), Some(FewSteps { steps: 20, per_epoch: 1, least: 1_000 }));
        assert_eq!(few_steps(&stated, 50_000, 256), None);
        assert_eq!(few_steps(&PretrainConfig { fit: Vec::new(), ..open(Method::Rotation) }, 436, 128), None);
        let batch = PretrainConfig { fit: vec![Fitted::Epochs], ..open(Method::Simclr) };
        assert_eq!(chosen(&batch, 436), (256, 1_000));
        let budget = PretrainConfig { budget: Some("1h".parse().unwrap()), ..open(Method::Simclr) };
        assert_eq!(chosen(&budget, 436), (32, 20));
    }
}
