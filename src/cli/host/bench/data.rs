//! `macula bench data`: measures reading, decoding and resizing of a dataset's images.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use rayon::prelude::*;
use serde::Serialize;

use super::compare::{Column, CompareArgs, Comparison, MIB, Ratio, compare, options, values};
use crate::cli::device::bench::measure::{Percentiles, count_to, mib, thread_pool, timed};
use crate::cli::images::{EncoderRange, ImageArgs};
use crate::cli::{Common, print_json};
use crate::data::{Dataset, Preprocessing};
use crate::memory;
use crate::rng::Rng;

/// Arguments of `macula bench data`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula bench data --data SLIDES --size 64 --count 500\n\n\
    Images are read once before the measurement. --compare runs Pillow and OpenCV on the same files.")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Dataset; for --compare a folder of image files
    #[arg(long, value_name = "DATA")]
    data: String,
    /// Channels that images are converted to: 1 (grey) or 3 (colour)
    #[arg(long, default_value_t = 3)]
    channels: usize,
    /// Side of the square that images are resized to, in pixels
    #[arg(long, default_value_t = 64, value_parser = count_to(4096))]
    size: usize,
    /// Images, drawn by seed
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = count_to(1_000_000))]
    count: usize,
    /// Threads of the rate; percentiles are of one
    #[arg(long, default_value_t = 1, value_parser = count_to(256))]
    threads: usize,
    #[command(flatten)]
    images: ImageArgs,
    #[command(flatten)]
    comparison: CompareArgs,
}

#[derive(Serialize)]
struct Report {
    data: String,
    images: usize,
    channels: usize,
    size: usize,
    /// Reading and decoding of one image.
    decode_ms: Percentiles,
    /// Resizing of one image.
    resize_ms: Percentiles,
    /// Both.
    image_ms: Percentiles,
    threads: usize,
    images_per_second: f64,
    peak_memory_bytes: Option<u64>,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    ensure!([1, 3].contains(&args.channels), "--channels is {}; use 1 or 3", args.channels);
    let quiet = args.common.quiet || args.common.json;
    let dataset = args.images.open(&args.data, args.common.seed, EncoderRange::Irrelevant, quiet)?;
    ensure!(!dataset.is_empty(), "{}: no images", args.data);
    let mut drawn: Vec<usize> = (0..dataset.len()).collect();
    Rng::for_purpose(args.common.seed, "bench").shuffle(&mut drawn);
    drawn.truncate(args.count);
    if args.comparison.compare {
        return compare_readers(args, &dataset, &drawn);
    }
    let report = thread_pool(args.threads)?.install(|| measure(args, &dataset, &drawn))?;
    if args.common.json {
        return print_json(&report);
    }
    print(&report);
    Ok(())
}

fn measure(args: &Args, dataset: &Dataset, drawn: &[usize]) -> anyhow::Result<Report> {
    let Args { channels, size, threads, .. } = *args;
    let target = Preprocessing::unit(channels, size, size);
    let read = |&index: &usize| dataset.load(index).map(|image| target.to_pixels(&image));
    // Fills the cache of the operating system.
    drawn.par_iter().try_for_each(|index| read(index).map(drop))?;
    let mut durations: [Vec<Duration>; 3] = Default::default();
    for &index in drawn {
        let (decode, image) = timed(|| dataset.load(index));
        let image = image?;
        let (resize, _) = timed(|| target.to_pixels(&image));
        durations.iter_mut().zip([decode, resize, decode + resize]).for_each(|(all, one)| all.push(one));
    }
    let (total, done) = timed(|| drawn.par_iter().try_for_each(|index| read(index).map(drop)));
    done?;
    let [decode_ms, resize_ms, image_ms] = durations.map(|durations| Percentiles::ms(&durations));
    Ok(Report {
        data: args.data.clone(),
        images: drawn.len(),
        channels,
        size,
        decode_ms,
        resize_ms,
        image_ms,
        threads,
        images_per_second: drawn.len() as f64 / total.as_secs_f64(),
        peak_memory_bytes: memory::peak_bytes(),
    })
}

/// Beside Pillow and OpenCV, on one thread.
fn compare_readers(args: &Args, dataset: &Dataset, drawn: &[usize]) -> anyhow::Result<()> {
    let Args { channels, size, .. } = *args;
    let root = Path::new(&args.data);
    let files: Vec<PathBuf> = drawn.iter().map(|&index| root.join(&dataset.records[index].name)).collect();
    if let Some(missing) = files.iter().find(|file| !file.is_file()) {
        anyhow::bail!("--compare needs a folder of image files; {} is none", missing.display());
    }
    let list = tempfile::NamedTempFile::new().context("cannot create a temporary file")?;
    serde_json::to_writer(list.as_file(), &files).context("cannot write the list of files")?;
    let sizes = [("--size", size), ("--channels", channels)];
    let mut ours: Vec<OsString> = ["data", "--data", &args.data].map(OsString::from).to_vec();
    ours.extend(options(&sizes));
    ours.extend(options(&[("--count", args.count)]));
    ours.extend(["--seed".into(), args.common.seed.to_string().into()]);
    compare(
        &args.comparison,
        args.common.json,
        &Comparison {
            title: format!("{}: {} images to {channels}×{size}×{size}, one thread", args.data, drawn.len()),
            ours: vec![("Macula".to_owned(), ours)],
            script: "data.py",
            peers: &["pillow", "opencv"],
            args: &|_| [vec![list.path().into()], values(&sizes)].concat(),
            columns: &[
                Column { title: "images/s", pointer: "/images_per_second", scale: 1.0 },
                Column { title: "p50 ms", pointer: "/image_ms/p50", scale: 1.0 },
                Column { title: "p95 ms", pointer: "/image_ms/p95", scale: 1.0 },
                Column { title: "p99 ms", pointer: "/image_ms/p99", scale: 1.0 },
                Column { title: "peak MiB", pointer: "/peak_memory_bytes", scale: MIB },
            ],
            ratio: Ratio::Rate,
        },
    )
}

fn print(report: &Report) {
    let Report { data, images, channels, size, threads, images_per_second, .. } = report;
    println!("{data}, {images} images to {channels}×{size}×{size}\n");
    println!("{:<16} {:>9} {:>9} {:>9}", "", "p50 ms", "p95 ms", "p99 ms");
    let rows = [("read and decode", report.decode_ms), ("resize", report.resize_ms), ("both", report.image_ms)];
    for (name, Percentiles { p50, p95, p99 }) in rows {
        println!("{name:<16} {p50:>9.3} {p95:>9.3} {p99:>9.3}");
    }
    println!("\n{images_per_second:.0} images/s, threads {threads}, peak memory {} MiB", mib(report.peak_memory_bytes));
}
