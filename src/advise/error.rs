//! Errors of advice.

use crate::data::DataError;
use crate::encoders::OpenError;
use crate::evaluate::EvaluateError;
use crate::pretrain::{ConfigError, PretrainError, RunError};

/// No advice could be given.
#[derive(Debug, thiserror::Error)]
pub enum AdviseError {
    /// There are too few images to measure anything.
    #[error("{data}: {found} readable images were sampled; advice needs at least {needed}")]
    TooFewImages {
        /// The dataset.
        data: String,
        /// Readable images in the sample.
        found: usize,
        /// The least number.
        needed: usize,
    },
    /// It was stopped.
    #[error("stopped")]
    Interrupted,
    /// A folder for the trial cannot be made.
    #[error("cannot create a temporary folder: {0}")]
    Folder(std::io::Error),
    /// The images cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An encoder cannot be opened.
    #[error(transparent)]
    Encoder(#[from] OpenError),
    /// An encoder cannot be evaluated.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// The settings of a training are invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The trial failed.
    #[error(transparent)]
    Pretrain(#[from] PretrainError),
    /// A shipped encoder or the trial cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
}
