//! Many runs, one call each: a table that was stopped goes on where it was.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::config::PretrainConfig;
use super::error::PretrainError;
use super::metrics::EpochLine;
use super::observer::Observer;
use super::prepare::{Options, pretrain};
use super::run_folder::RunFolder;
use super::train_loop::Outcome;
use crate::data::Dataset;

/// The epochs of the run `config` in `out`: begun, continued, or read where it was finished before. None when `stop` was
/// raised. With [`super::Validate::Epoch`] each tells its held-out score, so the last one's
/// `held_out.balanced_accuracy` is what the run comes to.
///
/// `options.resume` is not looked at.
///
/// # Errors
/// As [`pretrain`]; and a folder with a run of other settings.
pub fn trained(
    config: &PretrainConfig,
    dataset: &Dataset,
    out: &Path,
    options: Options,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Option<Vec<EpochLine>>, PretrainError> {
    let resume = out.join(super::CONFIG).exists();
    if resume && RunFolder::open(out)?.1 != *config {
        return Err(PretrainError::OtherSettings { path: out.display().to_string() });
    }
    match pretrain(config, dataset, out, Options { resume, ..options }, observer, stop)? {
        Outcome::Interrupted { .. } => Ok(None),
        Outcome::Finished { .. } => Ok(Some(RunFolder::open(out)?.0.epochs()?)),
    }
}
