//! What becomes of an encoder in a process of its own.

use std::io;
use std::time::Duration;

use crate::encoder::EncodeError;
use crate::runtime::RuntimeError;

/// An ONNX encoder cannot be opened or run.
#[derive(Debug, thiserror::Error)]
pub enum IsolatedError {
    /// The file is no encoder, found in this process.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The file is no encoder, found in the child.
    #[error("{message}")]
    Refused {
        /// What the child said.
        message: String,
    },
    /// The encoder failed on the image it is tried with.
    #[error("it fails on the image it is tried with: {0}")]
    Trial(EncodeError),
    /// No process can be started.
    #[error("{encoder}: cannot start a process for it, {program}: {source}")]
    Start {
        /// Name of the encoder.
        encoder: String,
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// The process ended.
    #[error("{encoder}: {how}")]
    Died {
        /// Name of the encoder.
        encoder: String,
        /// By which signal or exit code, and what it said last.
        how: String,
    },
    /// The process took too long and was ended.
    #[error("{encoder}: {what} took longer than {} s", limit.as_secs_f64())]
    TimedOut {
        /// Name of the encoder.
        encoder: String,
        /// `loading` or `an image`.
        what: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// This program was asked to stop meanwhile.
    #[error("{encoder}: stopped")]
    Stopped {
        /// Name of the encoder.
        encoder: String,
    },
    /// The process said something that makes no sense.
    #[error("{encoder}: its process gave a reply that cannot be read")]
    Reply {
        /// Name of the encoder.
        encoder: String,
    },
    /// The file is another one than when it was opened.
    #[error("{encoder}: the file has changed since it was opened")]
    Changed {
        /// Name of the encoder.
        encoder: String,
    },
}
