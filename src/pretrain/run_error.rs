//! Errors of run folders.

use std::io;
use std::path::Path;

use crate::encoder::{InputError, SpecError, TensorError};
use crate::files::WriteError;

/// A run folder cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file cannot be read or appended to.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The reason.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The folder for a new run is not empty.
    #[error("{path} is not empty; choose another folder, or continue the run in it with --resume")]
    NotEmpty {
        /// The folder.
        path: String,
    },
    /// The folder contains no run.
    #[error("{path} is not a run folder: it has no config.toml")]
    NoRun {
        /// The folder.
        path: String,
    },
    /// The run has no checkpoint yet.
    #[error("{path} does not exist: the run has no checkpoint yet; continue the run with --resume")]
    NoCheckpoint {
        /// The file.
        path: String,
    },
    /// The configuration is invalid.
    #[error("{path}: {reason}")]
    Config {
        /// The file.
        path: String,
        /// The reason.
        reason: String,
    },
    /// The file is not a checkpoint of a pretraining run.
    #[error("{path} is not a checkpoint of a pretraining run: {reason}")]
    NotACheckpoint {
        /// The file.
        path: String,
        /// The reason.
        reason: String,
    },
    /// The file is not a record of training images.
    #[error("{path} is not a record of training images: {reason}")]
    NotARecord {
        /// The file.
        path: String,
        /// The reason.
        reason: String,
    },
    /// The checkpoint is damaged.
    #[error("{path} is damaged: its SHA-256 is {computed}, expected {stored}")]
    Damaged {
        /// The file.
        path: String,
        /// SHA-256 in the header.
        stored: String,
        /// SHA-256 of the content.
        computed: String,
    },
    /// The tensors of the checkpoint do not fit its network.
    #[error("{path}: {source}")]
    Tensors {
        /// The file.
        path: String,
        /// Which tensor, and why.
        source: TensorError,
    },
    /// A line of the metrics is invalid.
    #[error("{path}, line {line}: {reason}")]
    Metrics {
        /// The file.
        path: String,
        /// Line number, counted from 1.
        line: usize,
        /// The reason.
        reason: String,
    },
    /// The checkpoint has an invalid network.
    #[error("{path}: {source}")]
    Spec {
        /// The file.
        path: String,
        /// The reason.
        source: SpecError,
    },
    /// The encoder does not take the input that is requested or stored.
    #[error("{path}: {source}")]
    Input {
        /// The file or run.
        path: String,
        /// The reason.
        source: InputError,
    },
}

impl RunError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { path, source }
    }

    pub(super) fn input(path: &Path) -> impl Fn(InputError) -> Self {
        let path = path.display().to_string();
        move |source| Self::Input { path: path.clone(), source }
    }

    pub(super) fn tensors(path: &Path) -> impl Fn(TensorError) -> Self {
        let path = path.display().to_string();
        move |source| Self::Tensors { path: path.clone(), source }
    }
}
