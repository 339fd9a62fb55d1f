//! Errors of lessons.

use crate::data::DataError;
use crate::encoders::OpenError;
use crate::evaluate::EvaluateError;
use crate::files::WriteError;
use crate::pretrain::{PretrainError, RefitError, RunError};
use crate::report::chart::ChartError;
use crate::report::sheet::SheetError;

/// A lesson failed.
#[derive(Debug, thiserror::Error)]
pub enum ReproduceError {
    /// The name of the lesson is unknown.
    #[error("unknown lesson '{name}'; the lessons are {known}")]
    UnknownLesson {
        /// The name.
        name: String,
        /// Names of all lessons.
        known: String,
    },
    /// Real images are needed.
    #[error("the full form needs --data, a folder of datasets; --short uses phantoms instead")]
    NoData,
    /// A dataset has no training or no test images.
    #[error("{data}: a lesson needs images in the splits train and test")]
    NoParts {
        /// The dataset.
        data: String,
    },
    /// A split has too few images.
    #[error("{data}: {found} readable images in the split {part}; the lesson needs at least {needed}")]
    TooFewImages {
        /// The dataset.
        data: String,
        /// The split.
        part: &'static str,
        /// Readable images.
        found: usize,
        /// Images needed.
        needed: usize,
    },
    /// The run folder contains another run.
    #[error("{folder} contains a run with other settings; remove it or choose another folder")]
    OtherRun {
        /// The folder.
        folder: String,
    },
    /// The run is finished, but its epochs were not kept.
    #[error("{folder} contains a finished run without its epochs; remove it to train it again")]
    EpochsGone {
        /// The folder.
        folder: String,
    },
    /// An epoch of a run cannot be copied.
    #[error("{folder}: {source}")]
    Keep {
        /// The folder of the copy.
        folder: String,
        /// The reason.
        source: std::io::Error,
    },
    /// It was stopped.
    #[error("stopped; run the same command again to continue")]
    Interrupted,
    /// Training failed.
    #[error(transparent)]
    Pretrain(#[from] PretrainError),
    /// A run cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The features of a model cannot be measured.
    #[error(transparent)]
    Refit(#[from] RefitError),
    /// A baseline cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An evaluation failed.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// An image or a dataset cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A chart cannot be drawn.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// A picture cannot be written.
    #[error(transparent)]
    Sheet(#[from] SheetError),
}
