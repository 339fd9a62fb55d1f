//! Errors of sweeps.

use crate::benchmark::BenchmarkError;
use crate::data::DataError;
use crate::encoders::OpenError;
use crate::files::{ReadError, WriteError};
use crate::pretrain::{ConfigError, PretrainError, RunError};

/// A sweep cannot be read or run.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The sweep file is invalid.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// The reason.
        reason: String,
    },
    /// A setting of a run is invalid.
    #[error("run {run}: {source}")]
    Config {
        /// The name of the run.
        run: String,
        /// The reason.
        source: ConfigError,
    },
    /// Two runs have the same name.
    #[error("two runs are called '{name}'; give each [[run]] its own name")]
    SameName {
        /// The name.
        name: String,
    },
    /// There are more runs than allowed.
    #[error("the file describes {found} runs, at most {limit} are allowed")]
    TooManyRuns {
        /// Settings times seeds.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// No task is for development.
    #[error(
        "{path}: no task has the role development; its {found} tasks ({names}) are for reports, and settings are not chosen on them"
    )]
    NoDevelopmentTask {
        /// The file of tasks.
        path: String,
        /// Number of tasks.
        found: usize,
        /// Their names.
        names: String,
    },
    /// A run folder has another configuration than its name says.
    #[error("{folder} contains a run with other settings; remove it")]
    OtherRun {
        /// The folder.
        folder: String,
    },
    /// It was stopped.
    #[error("stopped; run the same command again to continue")]
    Interrupted,
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A dataset cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An encoder cannot be opened.
    #[error(transparent)]
    Encoder(#[from] OpenError),
    /// Training failed.
    #[error(transparent)]
    Pretrain(#[from] PretrainError),
    /// A run cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The tasks cannot be read or measured.
    #[error(transparent)]
    Benchmark(#[from] BenchmarkError),
}
