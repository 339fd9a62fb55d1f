//! Errors of an ONNX encoder in this process or in a child.

use std::io;
use std::time::Duration;

use crate::encoder::EncodeError;
use crate::runtime::RuntimeError;

/// An ONNX encoder could not be opened or run.
#[derive(Debug, thiserror::Error)]
pub enum IsolatedError {
    /// The file is not an encoder; found in this process.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The file is not an encoder; found in the child.
    #[error("{message}")]
    Refused {
        /// The child's message.
        message: String,
    },
    /// The encoder failed on a test image.
    #[error("it fails on a test image: {0}")]
    Trial(EncodeError),
    /// The native engine was asked for, and the file is not an encoder of our own.
    #[error("{encoder}: the native engine runs encoders that Macula exported, and this file has another form")]
    NotNative {
        /// Name of the encoder.
        encoder: String,
    },
    /// The child process could not be started.
    #[error("{encoder}: cannot start its process {program}: {source}")]
    Start {
        /// Name of the encoder.
        encoder: String,
        /// The program.
        program: String,
        /// The reason.
        source: io::Error,
    },
    /// The process ended.
    #[error("{encoder}: {how}")]
    Died {
        /// Name of the encoder.
        encoder: String,
        /// The signal or exit code, and the end of its standard error.
        how: String,
    },
    /// The process took too long and was killed.
    #[error("{encoder}: {what} took longer than {} s", limit.as_secs_f64())]
    TimedOut {
        /// Name of the encoder.
        encoder: String,
        /// `loading` or `an image`.
        what: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// This program was stopped.
    #[error("{encoder}: stopped")]
    Stopped {
        /// Name of the encoder.
        encoder: String,
    },
    /// The process sent an invalid reply.
    #[error("{encoder}: its process sent an invalid reply")]
    Reply {
        /// Name of the encoder.
        encoder: String,
    },
    /// The file has changed since it was opened.
    #[error("{encoder}: the file has changed since it was opened")]
    Changed {
        /// Name of the encoder.
        encoder: String,
    },
}
