//! `macula bench encoder --compare`: the same encoder on other runtimes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use macula_edge::encoder::Arithmetic;
use tempfile::TempDir;

use crate::cli::host::bench::compare::{Column, CompareArgs, Comparison, MIB, Ratio, compare};
use crate::cli::isolation::own_program;
use crate::encoders::{blob_arithmetic, onnx_file};
use crate::models;

/// Options of the comparison.
#[derive(clap::Args, Clone, Debug)]
pub struct PeersArgs {
    #[command(flatten)]
    pub compare: CompareArgs,
    /// The ONNX file of the same encoder, for peers, if --encoder is a blob; beside an int8 blob they quantise it
    #[arg(long, value_name = "FILE.onnx", requires = "compare")]
    peer_onnx: Option<PathBuf>,
}

const COLUMNS: [Column; 6] = [
    Column { title: "p50 ms", pointer: "/image_ms/p50", scale: 1.0 },
    Column { title: "p95 ms", pointer: "/image_ms/p95", scale: 1.0 },
    Column { title: "p99 ms", pointer: "/image_ms/p99", scale: 1.0 },
    Column { title: "load ms", pointer: "/load_ms", scale: 1.0 },
    Column { title: "batch, images/s", pointer: "/images_per_second", scale: 1.0 },
    Column { title: "peak MiB", pointer: "/peak_memory_bytes", scale: MIB },
];

impl PeersArgs {
    /// Whether peers are measured as well.
    pub fn is_wanted(&self) -> bool {
        self.compare.compare
    }
}

/// What is compared, of the options of `macula bench encoder`.
pub struct Given<'a> {
    /// Name of the encoder.
    pub encoder: &'a str,
    /// Images per batch.
    pub batch_size: usize,
    /// Threads.
    pub threads: usize,
    /// Options that state preprocessing.
    pub preprocessing: Vec<String>,
    /// Whether to print JSON.
    pub json: bool,
}

/// Runs the comparison.
pub fn run(args: &Given<'_>, options: &PeersArgs) -> anyhow::Result<()> {
    let PeersArgs { compare: comparison, peer_onnx: onnx } = options;
    let (batch, threads) = (args.batch_size.to_string(), args.threads.to_string());
    let own = |encoder: &Path, runtime: Option<&str>| -> Vec<OsString> {
        let mut own: Vec<OsString> = vec!["encoder".into(), "--encoder".into(), encoder.into()];
        own.extend(["--batch-size", &batch, "--threads", &threads].map(OsString::from));
        own.extend(runtime.into_iter().flat_map(|runtime| ["--runtime".into(), runtime.into()]));
        own.extend(args.preprocessing.iter().map(OsString::from));
        own
    };
    let folder = TempDir::new().context("cannot create a temporary folder")?;
    let is_blob = Path::new(args.encoder).extension().is_some_and(|extension| extension == "blob");
    let (file, ours, arithmetic) = if is_blob {
        let Some(onnx) = onnx else {
            anyhow::bail!(
                "{}: peers do not read blobs; --peer-onnx names the ONNX file of the same encoder",
                args.encoder
            );
        };
        let arithmetic = match blob_arithmetic(args.encoder)? {
            Arithmetic::Int8 => "int8",
            Arithmetic::F16 => "f32",
        };
        (onnx.clone(), vec![("Macula".to_owned(), own(args.encoder.as_ref(), None))], arithmetic)
    } else {
        ensure!(onnx.is_none(), "--peer-onnx goes with a blob; {} is none", args.encoder);
        let file = onnx_of(args.encoder, folder.path())?;
        // A foreign file, whose preprocessing is stated, runs on tract only.
        let is_own = args.preprocessing.is_empty();
        let runtimes: &[&str] = if is_own { &["native", "tract"] } else { &["tract"] };
        let ours = runtimes.iter().map(|runtime| (format!("Macula, {runtime}"), own(&file, Some(runtime)))).collect();
        (file, ours, "f32")
    };
    ensure!(file.is_file(), "{}: no such file", file.display());
    let script_args = |folder: &Path| -> Vec<OsString> {
        vec![file.clone().into(), folder.into(), arithmetic.into(), batch.clone().into(), threads.clone().into()]
    };
    compare(
        comparison,
        args.json,
        &Comparison {
            title: format!("{}, {arithmetic}, threads {threads}, batches of {batch}", args.encoder),
            ours,
            script: "encoder.py",
            peers: &["onnxruntime", "openvino", "ncnn", "MNN", "LiteRT", "torch"],
            args: &script_args,
            columns: &COLUMNS,
            ratio: Ratio::Time,
        },
    )
}

/// The ONNX file of the encoder `name`; a shipped model is exported to `folder`.
fn onnx_of(name: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    if models::find(name).is_none() {
        return Ok(onnx_file(name)?);
    }
    let done = Command::new(own_program()).args(["export", name, "--quiet", "--force", "--out"]).arg(folder).output();
    let done = done.with_context(|| format!("cannot export {name}"))?;
    ensure!(done.status.success(), "cannot export {name}: {}", String::from_utf8_lossy(&done.stderr).trim());
    Ok(folder.join("encoder.onnx"))
}
