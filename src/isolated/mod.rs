//! Runs an ONNX encoder where it can fail alone: in a child process with limits of memory and time.
//!
//! A graph from elsewhere may panic, run out of memory or never end, and the program of a device cannot catch a panic.
//! [`OnnxHost`] decides: a file of the very form that `export` writes runs in this process, any other in a child, which
//! is this program started as `macula encode-worker`. What happens to the child is an error of one request.

#[cfg(all(feature = "onnx", unix))]
mod child; //   one child process: frames with a deadline
#[cfg(all(feature = "onnx", not(unix)))]
#[path = "no_child.rs"]
mod child;
#[cfg(feature = "onnx")]
mod encoder; // the encoder in it, which is started again after a death
#[cfg(feature = "onnx")]
mod error; //   what became of it
#[cfg(feature = "onnx")]
mod frame; //   what goes over the pipes
mod host; //    where an encoder runs
#[cfg(feature = "onnx")]
mod hosted; //  an encoder, wherever it runs
#[cfg(feature = "onnx")]
mod worker; //  the child's side

pub use host::{OnnxHost, Worker, WorkerLimits};
#[cfg(feature = "onnx")]
pub use {
    encoder::{IsolatedEncoder, OnnxSource},
    error::IsolatedError,
    hosted::HostedEncoder,
    worker::serve_worker,
};
