//! Why a run folder could not be read or written.

use std::io;
use std::path::Path;

use crate::encoder::{SpecError, TensorError};
use crate::files::WriteError;

/// A run folder could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file could not be read or appended to.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// A file could not be written whole.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The folder is taken.
    #[error("{path} exists and is not empty: choose another folder, or continue the run in it with --resume")]
    NotEmpty {
        /// The folder.
        path: String,
    },
    /// The folder holds no run.
    #[error("{path} is no run folder: it has no config.toml")]
    NoRun {
        /// The folder.
        path: String,
    },
    /// The run has not come to its first checkpoint.
    #[error("{path} does not exist: the run has no checkpoint yet; continue it with --resume")]
    NoCheckpoint {
        /// The file.
        path: String,
    },
    /// The configuration cannot be understood.
    #[error("{path}: {reason}")]
    Config {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// Something else lies in the checkpoint's place.
    #[error("{path} is no checkpoint of a pretraining run: {reason}")]
    NotACheckpoint {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The record of the training images cannot be understood.
    #[error("{path} is no record of a run's training images: {reason}")]
    NotARecord {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The checkpoint's content is not what was written.
    #[error("{path} is damaged: its SHA-256 is {computed}, {stored} was written")]
    Damaged {
        /// The file.
        path: String,
        /// What it says of itself.
        stored: String,
        /// What it is.
        computed: String,
    },
    /// The checkpoint's tensors do not fit the network it names.
    #[error("{path}: {source}")]
    Tensors {
        /// The file.
        path: String,
        /// Which one and why.
        source: TensorError,
    },
    /// A line of the metrics cannot be understood.
    #[error("{path}, line {line}: {reason}")]
    Metrics {
        /// The file.
        path: String,
        /// Its number, counted from 1.
        line: usize,
        /// Why not.
        reason: String,
    },
    /// The checkpoint names a network that does not exist.
    #[error("{path}: {source}")]
    Spec {
        /// The file.
        path: String,
        /// Why not.
        source: SpecError,
    },
}

impl RunError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { path, source }
    }

    pub(super) fn tensors(path: &Path) -> impl Fn(TensorError) -> Self {
        let path = path.display().to_string();
        move |source| Self::Tensors { path: path.clone(), source }
    }
}
