//! Limits of a foreign ONNX encoder, and the process that it runs in.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::isolated::{OnnxHost, Runtime, Worker, WorkerLimits};

pub(super) const HEADING: &str = "Limits of a foreign ONNX encoder";

/// Hidden subcommand of the process of an encoder.
pub const WORKER_COMMAND: &str = "encode-worker";

/// Limits of a foreign ONNX encoder, which runs in a separate process. An encoder exported by Macula runs in this one.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct LimitArgs {
    /// Limit of the time to load it, in seconds [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, help_heading = HEADING, hide_short_help = true)]
    load_seconds: Option<Duration>,
    /// Limit of the time per image, in seconds [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, help_heading = HEADING, hide_short_help = true)]
    image_seconds: Option<Duration>,
    /// Limit of its memory in MiB [default: 3/4 of this machine's memory, at most 4096]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 20), help_heading = HEADING, hide_short_help = true)]
    encoder_memory: Option<u64>,
    /// What computes an ONNX encoder: the native engine if Macula exported it, else tract (auto); or one of them [default: auto]
    #[arg(long, value_name = "RUNTIME", help_heading = HEADING, hide_short_help = true)]
    runtime: Option<Runtime>,
}

impl ValueEnum for Runtime {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::Native, Self::Tract]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Tract => "tract",
        }))
    }
}

impl LimitArgs {
    /// Where ONNX encoders run. Raising `stop` ends every wait for them.
    pub fn host(&self, stop: Option<&Arc<AtomicBool>>) -> OnnxHost {
        let usual = WorkerLimits::default();
        let limits = WorkerLimits {
            memory_bytes: self.encoder_memory.map_or(usual.memory_bytes, |mebibytes| mebibytes << 20),
            load: self.load_seconds.unwrap_or(usual.load),
            image: self.image_seconds.unwrap_or(usual.image),
            golden: usual.golden,
        };
        OnnxHost::Child(Worker {
            program: own_program(),
            argument: WORKER_COMMAND,
            limits,
            runtime: self.runtime.unwrap_or_default(),
            stop: stop.cloned(),
        })
    }
}

/// This program, even if its file was replaced since the start.
pub(super) fn own_program() -> OsString {
    let own = Path::new("/proc/self/exe");
    match own.exists() {
        true => own.into(),
        // If it is unknown, starting the process fails with an error.
        false => std::env::current_exe().unwrap_or_default().into(),
    }
}

pub(super) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match (0.001..=86_400.0).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err("must be 0.001 to 86400 seconds".to_owned()),
    }
}

/// Serves the parent process until it has no more work.
#[cfg(feature = "onnx")]
pub fn run_worker() -> anyhow::Result<()> {
    Ok(crate::isolated::serve_worker(std::io::stdin(), &mut std::io::stdout().lock())?)
}

/// Fails: this program has no ONNX.
#[cfg(not(feature = "onnx"))]
pub fn run_worker() -> anyhow::Result<()> {
    anyhow::bail!("this program was built without ONNX: build with `--features onnx`")
}
