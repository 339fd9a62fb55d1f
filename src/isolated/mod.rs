//! Runs foreign ONNX encoders in a child process with limits on memory and time.
//!
//! A foreign graph may panic, run out of memory or never end, and the build for devices cannot catch a panic.
//! [`OnnxHost`] decides where a file runs: in this process if it has exactly the form that `export` writes, otherwise in a
//! child, which is this program started as `macula encode-worker`. A crash of the child is an error of one request; the
//! next request starts a new child.

#[cfg(all(feature = "onnx", unix))]
mod child; //   one child process: frames with a deadline
#[cfg(all(feature = "onnx", not(unix)))]
#[path = "no_child.rs"]
mod child;
#[cfg(feature = "onnx")]
mod encoder; // the encoder in a child, restarted after a crash
#[cfg(feature = "onnx")]
mod error; //   errors
#[cfg(feature = "onnx")]
mod frame; //   messages over the pipes
mod host; //    where an encoder runs
#[cfg(feature = "onnx")]
mod hosted; //  an encoder in this process or in a child
#[cfg(feature = "onnx")]
mod worker; //  the child's side

pub use host::{OnnxHost, Runtime, Worker, WorkerLimits};
#[cfg(feature = "onnx")]
pub use {
    encoder::{IsolatedEncoder, OnnxSource},
    error::IsolatedError,
    hosted::{HostedEncoder, NativeOnnx},
    worker::serve_worker,
};
