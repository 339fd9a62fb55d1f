//! Extension of a finished run by more epochs, and the learning rate schedule over all of its parts.
//!
//! The cosine of a run ends at zero after the last epoch. Added epochs are a part with its own warm-up and cosine, which ends
//! at the new last epoch (warm restarts, Loshchilov and Hutter 2017, arXiv:1608.03983). `extended_at` in the configuration
//! lists the ends of the parts, so the run stays a function of its configuration: a new run with the same `extended_at`
//! ends in the same weights.

use std::path::Path;

use super::config::PretrainConfig;
use super::error::PretrainError;
use super::run_error::RunError;
use super::run_folder::{CHECKPOINT, CONFIG, RunFolder};
use crate::files::write_atomic;
use crate::nn::schedule::learning_rate_at;

/// The learning rate after `step` steps.
///
/// * `per_epoch`: steps per epoch
pub(super) fn learning_rate(config: &PretrainConfig, step: u64, per_epoch: u64) -> f32 {
    let ends = || config.extended_at.iter().copied().chain([config.epochs]).map(|epoch| epoch * per_epoch);
    let start = ends().take_while(|&end| end <= step).last().unwrap_or(0);
    let end = ends().find(|&end| end > step).unwrap_or(start);
    let steps = end - start;
    let warmup = (f64::from(config.warmup_fraction) * steps as f64).round() as u64;
    learning_rate_at(step - start, steps, warmup, config.learning_rate)
}

/// Extends the finished run in `out` to `epochs` epochs, which a resume then trains. Returns the new configuration. Repeating
/// the call changes nothing.
///
/// # Errors
/// When the run is not finished or has more epochs, or its files cannot be read or written.
pub fn extend(out: &Path, epochs: u64) -> Result<PretrainConfig, PretrainError> {
    let (folder, _) = RunFolder::open(out)?;
    let path = folder.file(CHECKPOINT);
    let none = || RunError::NoCheckpoint { path: path.display().to_string() };
    let mut checkpoint = folder.checkpoint()?.ok_or_else(none)?;
    let progress = &mut checkpoint.progress;
    let known = progress.config.epochs;
    if known != epochs {
        if !progress.finished || epochs < known {
            let (path, step) = (out.display().to_string(), progress.step);
            return Err(PretrainError::NotExtended { path, step, epochs: known, requested: epochs });
        }
        progress.config.extended_at.push(known);
        progress.config.epochs = epochs;
        progress.config.check()?;
        progress.finished = false;
        if progress.config.freeze.is_none() {
            // They belong to the encoder before the extension; the last epoch measures them again.
            let stale = |name: &str| name.starts_with("corpus.") || name.starts_with("readout.");
            checkpoint.tensors.retain(|tensor| !stale(&tensor.name));
        }
        write_atomic(&path, &checkpoint.to_bytes())?;
    }
    // After the checkpoint: if this call is interrupted here, repeating it finds the checkpoint extended.
    let config = checkpoint.progress.config;
    write_atomic(&folder.file(CONFIG), config.to_toml().as_bytes())?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::Method;

    #[test]
    fn each_part_has_its_own_schedule() {
        let mut config = PretrainConfig::new("phantoms", Method::Rotation);
        (config.learning_rate, config.warmup_fraction, config.epochs) = (0.4, 0.1, 2);
        let before: Vec<f32> = (0..20).map(|step| learning_rate(&config, step, 10)).collect();
        (config.epochs, config.extended_at) = (6, vec![2]);
        let after: Vec<f32> = (0..60).map(|step| learning_rate(&config, step, 10)).collect();
        assert_eq!(before, after[..20], "the first part does not change");
        assert_eq!((after[20], after[23], after[24]), (0.1, 0.4, 0.4), "4 of 40 steps warm up");
        assert!(after[25..].windows(2).all(|pair| pair[1] < pair[0]) && after[59] > 0.0);
        assert_eq!(learning_rate(&config, 60, 10), 0.0);
    }
}
