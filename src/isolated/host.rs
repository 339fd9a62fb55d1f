//! Where an ONNX encoder runs.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::memory;

/// What the child process is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkerLimits {
    /// Bytes of memory for the encoder, beside those of the program.
    pub memory_bytes: u64,
    /// Time to open the encoder.
    pub load: Duration,
    /// Time for one image.
    pub image: Duration,
    /// Time for all golden images of a bundle.
    pub golden: Duration,
}

impl Default for WorkerLimits {
    /// Three quarters of this machine's memory and at most 4 GiB, a minute to load, half a minute for an image,
    /// two minutes for golden images.
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

/// How the process of an encoder is started.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The program, which serves frames on its standard input and output when it is given [`Self::argument`].
    pub program: OsString,
    /// The one argument of the program.
    pub argument: &'static str,
    /// What it is given.
    pub limits: WorkerLimits,
    /// Ends every wait for it.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Worker {
    /// Whether this program was asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }
}

/// Where ONNX encoders run.
#[derive(Clone, Debug, Default)]
pub enum OnnxHost {
    /// In this process, behind the checks of `runtime`: what a panic, a lack of memory or a graph without end does to
    /// it is the caller's concern.
    #[default]
    InProcess,
    /// In a child process each, but for files of the form that `export` writes.
    Child(Worker),
}

impl OnnxHost {
    /// The time that golden images of a bundle may take; none where nothing is limited.
    pub fn golden_limit(&self) -> Option<Duration> {
        match self {
            Self::InProcess => None,
            Self::Child(worker) => Some(worker.limits.golden),
        }
    }

    /// Whether this program was asked to stop.
    pub fn is_stopped(&self) -> bool {
        match self {
            Self::InProcess => false,
            Self::Child(worker) => worker.is_stopped(),
        }
    }
}
