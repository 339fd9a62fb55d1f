//! `macula bench augment`: measures the rate of views of random images on one thread.

use std::hint::black_box;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::compare::{Column, CompareArgs, Comparison, Ratio, compare, options, values};
use crate::augment::Policy;
use crate::cli::device::bench::measure::{Percentiles, count_to, random_image, timed};
use crate::cli::{Common, print_json};
use crate::data::Image;
use crate::rng::Rng;

/// Batches of the warm-up.
const BATCHES_WARM_UP: usize = 3;

/// Arguments of `macula bench augment`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula bench augment --policy natural --size 32")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Augmentation policy
    #[arg(long, default_value = "natural")]
    policy: Policy,
    /// Channels: 1 (grey) or 3 (colour)
    #[arg(long, default_value_t = 3)]
    channels: usize,
    /// Side of the images in pixels
    #[arg(long, default_value_t = 32, value_parser = count_to(4096))]
    size: usize,
    /// Images per batch
    #[arg(long, alias = "batch", default_value_t = 256, value_parser = count_to(65_536))]
    batch_size: usize,
    /// Batches to measure, after a warm-up of 3
    #[arg(long, default_value_t = 500, value_parser = count_to(1_000_000))]
    batches: usize,
    #[command(flatten)]
    comparison: CompareArgs,
}

#[derive(Serialize)]
struct Report {
    policy: String,
    channels: usize,
    size: usize,
    batch: usize,
    batches: usize,
    batch_ms: Percentiles,
    /// At the median batch time.
    images_per_second: f64,
    /// Over all batches, in CPU time of the thread, which does not depend on the load of the machine.
    images_per_cpu_second: Option<f64>,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let Args { policy, channels, size, batch_size: batch, batches, .. } = *args;
    anyhow::ensure!([1, 3].contains(&channels), "--channels is {channels}; use 1 or 3");
    if args.comparison.compare {
        return compare_views(args);
    }
    let augmentation = policy.augmentation(size);
    let images: Vec<Image> = (0..batch as u64)
        .map(|index| random_image(size, channels, &mut Rng::for_item(args.common.seed, "bench", 0, index)))
        .collect();
    let views = |epoch: u64| {
        for (index, image) in images.iter().enumerate() {
            let mut rng = Rng::for_item(args.common.seed, "augment", epoch, index as u64);
            black_box(augmentation.apply(image, &mut rng));
        }
    };
    (0..BATCHES_WARM_UP as u64).for_each(views);
    let before = thread_cpu_time();
    let durations: Vec<Duration> = (0..batches as u64).map(|epoch| timed(|| views(epoch)).0).collect();
    let cpu = thread_cpu_time().zip(before).map(|(after, before)| after.saturating_sub(before));
    let batch_ms = Percentiles::ms(&durations);
    let report = Report {
        policy: policy.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned()),
        channels,
        size,
        batch,
        batches,
        batch_ms,
        images_per_second: 1e3 * batch as f64 / batch_ms.p50,
        images_per_cpu_second: cpu.filter(|cpu| !cpu.is_zero()).map(|cpu| (batch * batches) as f64 / cpu.as_secs_f64()),
    };
    if args.common.json {
        return print_json(&report);
    }
    print(&report);
    Ok(())
}

/// Beside torchvision and kornia.
fn compare_views(args: &Args) -> anyhow::Result<()> {
    let Args { policy, channels, size, batch_size, batches, .. } = *args;
    anyhow::ensure!(
        policy == Policy::Natural && channels == 3,
        "--compare knows the policy natural on 3 channels only; leave --policy and --channels out"
    );
    let sizes = [("--size", size), ("--batch-size", batch_size), ("--batches", batches)];
    compare(
        &args.comparison,
        args.common.json,
        &Comparison {
            title: format!("views at 3×{size}×{size}, policy natural, batch {batch_size}, one thread"),
            ours: vec![("Macula".to_owned(), [vec!["augment".into()], options(&sizes)].concat())],
            script: "augment.py",
            peers: &["torchvision-tensor", "torchvision-pil", "torchvision-batch", "kornia-batch"],
            args: &|_| values(&sizes[..2]),
            columns: &[Column { title: "images/CPU s", pointer: "/images_per_cpu_second", scale: 1.0 }],
            ratio: Ratio::Rate,
        },
    )
}

fn print(report: &Report) {
    let Report { policy, channels, size, batch, batch_ms, images_per_second, .. } = report;
    println!("views, one thread, batch {batch}\n");
    println!("{:<8} {:<9} {:>9} {:>9} {:>9} {:>12}", "policy", "input", "p50 ms", "p95 ms", "images/s", "images/CPU s");
    let input = format!("{channels}×{size}×{size}");
    let cpu = report.images_per_cpu_second.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}"));
    let Percentiles { p50, p95, .. } = batch_ms;
    println!("{policy:<8} {input:<9} {p50:>9.3} {p95:>9.3} {images_per_second:>9.0} {cpu:>12}");
}

/// CPU time of this thread, to a few milliseconds, if the system reports it.
fn thread_cpu_time() -> Option<Duration> {
    on_processor(&std::fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

/// Parses the first of three numbers, in nanoseconds.
fn on_processor(schedstat: &str) -> Option<Duration> {
    Some(Duration::from_nanos(schedstat.split_whitespace().next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_on_the_processor_is_read_or_unknown() {
        assert_eq!(on_processor("2500000000 7 42\n"), Some(Duration::from_millis(2500)));
        assert_eq!(on_processor("-"), None);
    }
}
