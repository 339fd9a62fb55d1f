//! Where an ONNX encoder runs.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::memory;

/// Limits of a child process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkerLimits {
    /// Bytes of memory for the encoder, in addition to the program's own.
    pub memory_bytes: u64,
    /// Time to open the encoder.
    pub load: Duration,
    /// Time for one image.
    pub image: Duration,
    /// Time for all golden images of a bundle.
    pub golden: Duration,
}

impl Default for WorkerLimits {
    /// Three quarters of the machine's memory and at most 4 GiB; 60 s to load, 30 s per image, 120 s for golden images.
    fn default() -> Self {
        let machine = memory::total_bytes().map_or(u64::MAX, |bytes| bytes / 4 * 3);
        let memory_bytes = machine.min(4 << 30).min(usize::MAX as u64 / 4);
        Self {
            memory_bytes,
            load: Duration::from_secs(60),
            image: Duration::from_secs(30),
            golden: Duration::from_secs(120),
        }
    }
}

/// What computes an encoder of our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runtime {
    /// The native engine for files that `export` wrote, tract for others.
    #[default]
    Auto,
    /// The native engine; files that `export` did not write are refused.
    Native,
    /// tract, the reference.
    Tract,
}

/// How to start the child process of an encoder.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The program. With [`Self::argument`] it serves frames on standard input and output.
    pub program: OsString,
    /// The program's only argument.
    pub argument: &'static str,
    /// Its limits.
    pub limits: WorkerLimits,
    /// What computes encoders that need no process of their own.
    pub runtime: Runtime,
    /// Ends every wait for the child when set.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Worker {
    /// Whether a stop was requested.
    pub fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

/// Where ONNX encoders run.
#[derive(Clone, Debug, Default)]
pub enum OnnxHost {
    /// In this process, after the checks of `runtime`. A panic, lack of memory or endless graph affects the caller.
    #[default]
    InProcess,
    /// In one child process per encoder, except files of the form that `export` writes.
    Child(Worker),
}

impl OnnxHost {
    /// The time limit for the golden images of a bundle, if there is one.
    pub fn golden_limit(&self) -> Option<Duration> {
        match self {
            Self::InProcess => None,
            Self::Child(worker) => Some(worker.limits.golden),
        }
    }

    /// What computes encoders of our own.
    pub fn runtime(&self) -> Runtime {
        match self {
            Self::InProcess => Runtime::Auto,
            Self::Child(worker) => worker.runtime,
        }
    }

    /// Whether a stop was requested.
    pub fn is_stopped(&self) -> bool {
        match self {
            Self::InProcess => false,
            Self::Child(worker) => worker.is_stopped(),
        }
    }
}
