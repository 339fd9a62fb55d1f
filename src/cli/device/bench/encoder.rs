//! `macula bench encoder`: measures latency of one image, rate of a batch, time to load.

#[cfg(feature = "host")]
mod peers;

use std::time::Duration;

use rayon::prelude::*;
use serde::Serialize;

use super::measure::{Percentiles, count_to, mib, random_values, repeat, thread_pool, timed};
use crate::cli::preprocessing::PreprocessingArgs;
use crate::cli::trust::{KeyArgs, open_encoder};
use crate::cli::{Common, print_json};
use crate::data::Preprocessing;
use crate::encoder::{HostEncoder, InputShape};
use crate::encoders::OpenOptions;
use crate::kernel::Isa;
use crate::memory;

/// Time spent on the latency; the rate takes as long.
const BUDGET: Duration = Duration::from_secs(2);

/// Arguments of `macula bench encoder`.
#[derive(clap::Args)]
#[cfg_attr(
    feature = "host",
    command(
        after_help = "Examples:\n  macula bench encoder --encoder random:nano --threads 2\n  macula bench encoder --encoder grey-64 \
                      --compare --rounds 1\n\n--compare runs ONNX Runtime, OpenVINO, ncnn, MNN, LiteRT and PyTorch on the same ONNX file, and \
                      Macula on its engine and on tract."
    )
)]
#[cfg_attr(
    not(feature = "host"),
    command(after_help = "Example:\n  macula bench encoder --encoder FILE.macula --threads 2")
)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Encoder: random:PRESET, FILE.macula, FILE.onnx, FILE.blob, an export or run folder, a shipped model or a baseline
    #[cfg_attr(feature = "host", arg(long, default_value = "random:nano"))]
    #[cfg_attr(not(feature = "host"), arg(long))]
    encoder: String,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    preprocessing: PreprocessingArgs,
    /// Images per batch
    #[arg(long, alias = "batch", default_value_t = 128, value_parser = count_to(65_536))]
    batch_size: usize,
    /// Threads per batch
    #[arg(long, default_value_t = 1, value_parser = count_to(256))]
    threads: usize,
    #[cfg(feature = "host")]
    #[command(flatten)]
    comparison: peers::PeersArgs,
}

#[derive(Serialize)]
struct Report {
    encoder: String,
    input: InputShape,
    feature_dim: usize,
    /// Instruction set of Macula's kernels. An ONNX file runs on those of tract.
    isa: &'static str,
    load_ms: f64,
    image_ms: Percentiles,
    batch: usize,
    threads: usize,
    /// At the median batch time.
    images_per_second: f64,
    peak_memory_bytes: Option<u64>,
}

fn open(args: &Args) -> anyhow::Result<Box<dyn HostEncoder>> {
    let (trusted, stated) = (args.keys.read()?, args.preprocessing.stated()?);
    let options = OpenOptions {
        host: args.preprocessing.values.limits.host(None),
        trusted: &trusted,
        stated: stated.as_ref(),
        uncalibrated: true,
        seed: args.common.seed,
        ..OpenOptions::default()
    };
    Ok(open_encoder(&args.encoder, &options)?.encoder)
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    #[cfg(feature = "host")]
    if args.comparison.is_wanted() {
        let given = peers::Given {
            encoder: &args.encoder,
            batch_size: args.batch_size,
            threads: args.threads,
            preprocessing: args.preprocessing.given(),
            json: args.common.json,
        };
        return peers::run(&given, &args.comparison);
    }
    let report = thread_pool(args.threads)?.install(|| measure(args))?;
    if args.common.json {
        return print_json(&report);
    }
    print(&report);
    Ok(())
}

fn measure(args: &Args) -> anyhow::Result<Report> {
    let (load, encoder) = timed(|| open(args));
    let encoder = encoder?;
    let Preprocessing { channels, height, width, .. } = *encoder.preprocessing();
    let image_len = encoder.preprocessing().input_len();
    let values = random_values(args.batch_size * image_len, args.common.seed);
    let images: Vec<u8> = values.into_iter().map(|value| (128.0 + 48.0 * value) as u8).collect();
    let embed_one = || {
        let (duration, feature) = timed(|| encoder.encode_batch(&images[..image_len]));
        feature.map(|_| duration)
    };
    let image_ms = Percentiles::ms(&repeat(BUDGET, embed_one)?);

    // Each thread takes one share of the batch, as when a dataset is embedded.
    let share = args.batch_size.div_ceil(args.threads) * image_len;
    let embed_batch = || {
        let (duration, features) =
            timed(|| images.par_chunks(share).map(|share| encoder.encode_batch(share)).collect::<Result<Vec<_>, _>>());
        features.map(|_| duration)
    };
    let batch_ms = Percentiles::ms(&repeat(BUDGET, embed_batch)?);
    Ok(Report {
        encoder: args.encoder.clone(),
        input: InputShape { channels, height, width },
        feature_dim: encoder.feature_dim(),
        isa: Isa::selected().name(),
        load_ms: load.as_secs_f64() * 1e3,
        image_ms,
        batch: args.batch_size,
        threads: args.threads,
        images_per_second: 1e3 * args.batch_size as f64 / batch_ms.p50,
        peak_memory_bytes: memory::peak_bytes(),
    })
}

fn print(report: &Report) {
    let InputShape { channels, height, width } = report.input;
    let Percentiles { p50, p95, p99 } = report.image_ms;
    println!("{}, input {channels}×{height}×{width}, {} dimensions", report.encoder, report.feature_dim);
    println!("load        {:.2} ms", report.load_ms);
    println!("one image   p50 {p50:.3} ms, p95 {p95:.3} ms, p99 {p99:.3} ms");
    println!(
        "batch       {:.0} images/s ({} images, threads {})",
        report.images_per_second, report.batch, report.threads
    );
    println!("peak memory {} MiB", mib(report.peak_memory_bytes));
}
