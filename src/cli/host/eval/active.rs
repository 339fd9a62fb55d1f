//! `macula eval active`: labels that a device asks for, against labels in random order.

use std::num::NonZeroUsize;

use super::probe_args::ProbeArgs;
use crate::data::SplitLeaks;
use crate::evaluate::{
    self, ActiveResult, ActiveSettings, DeviceFeatures, EpisodePool, EpisodeSettings, PairedDifference,
};
use crate::report::text::{left, shown, widest};

/// Arguments of `macula eval active`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    shared: ProbeArgs,
    /// Images without a label to ask about, drawn without regard to their class
    #[arg(long, default_value = "200")]
    pool: NonZeroUsize,
    /// Labels in each run; the first are one per class
    #[arg(long, default_value = "60")]
    labels: NonZeroUsize,
    /// Error rate of the conformal prediction sets in percent, 0.1 to 99.9
    #[arg(long, default_value = "10", value_parser = super::abstention::permille)]
    error_rate: u16,
    /// Query images per class
    #[arg(long, default_value = "30")]
    queries: NonZeroUsize,
    /// Number of runs
    #[arg(long, default_value = "100")]
    episodes: NonZeroUsize,
}

#[derive(serde::Serialize)]
struct Row {
    encoder: String,
    #[serde(flatten)]
    result: ActiveResult,
}

#[derive(serde::Serialize)]
struct Report {
    probe: &'static str,
    data: String,
    split: String,
    pool: usize,
    episodes: usize,
    seed: u64,
    class_names: Vec<String>,
    split_leaks: SplitLeaks,
    remarks: Vec<String>,
    rows: Vec<Row>,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let shared = &args.shared;
    let mut images = shared.images()?;
    let ways = images.classes_to_draw(&shared.split)?;
    let settings = EpisodeSettings { ways, shots: 1, queries: args.queries.get(), seed: shared.common.seed };
    let pool = EpisodePool::new(&images.dataset, &images.test, settings)?;
    let labels = evaluate::labels(&images.dataset, &images.test)?;
    let settings = ActiveSettings {
        pool: args.pool.get(),
        labels: args.labels.get(),
        error_permille: args.error_rate,
        runs: args.episodes.get(),
        seed: shared.common.seed,
    };
    let mut rows = Vec::new();
    for encoder in shared.encoders(&images)? {
        let corpus = shared.corpus(&*encoder, &images)?;
        let mut features = shared.embed(&*encoder, &images, &images.test)?;
        features.standardise(&corpus);
        let features = DeviceFeatures::new(&features)?;
        let bar = shared.bar(settings.runs, &format!("{}: runs", encoder.name()));
        let count = |count| bar.inc(count as u64);
        let result = evaluate::active_learning(&features, &labels, &pool, &settings, &count)?;
        bar.finish_and_clear();
        rows.push(Row { encoder: encoder.name().to_owned(), result });
    }
    let report = Report {
        probe: "active",
        data: shared.data.clone(),
        split: shared.split.clone(),
        pool: settings.pool,
        episodes: settings.runs,
        seed: settings.seed,
        class_names: images.dataset.class_names,
        split_leaks: images.leaks,
        remarks: images.remarks,
        rows,
    };
    if shared.common.json {
        return crate::cli::print_json(&report);
    }
    print(&report, shared.common.quiet);
    Ok(())
}

fn print(report: &Report, quiet: bool) {
    if !quiet {
        report.remarks.iter().for_each(|remark| eprintln!("note: {}", shown(remark)));
    }
    let Report { data, split, pool, episodes, seed, .. } = report;
    println!("active learning, {split} of {data}, pools of {pool}, seed {seed}, {episodes} runs; balanced accuracy");
    let encoder = widest(report.rows.iter().map(|row| row.encoder.as_str()), 7);
    println!(
        "{:encoder$}  labels  random         asked          difference               labels asked to random",
        "encoder"
    );
    for row in &report.rows {
        let last = row.result.points.len().saturating_sub(1);
        for (index, point) in row.result.points.iter().enumerate() {
            if point.labels % 10 != 0 && index != last {
                continue;
            }
            let asked = point.asked_labels.map_or("-".to_owned(), |labels| labels.to_string());
            println!(
                "{}  {:<6}  {:13}  {:13}  {:23}  {asked}",
                left(&row.encoder, encoder),
                point.labels,
                point.random,
                point.asked,
                difference(&point.difference),
            );
        }
        println!("{}  mean over all labels: {}", left(&row.encoder, encoder), difference(&row.result.area));
    }
}

fn difference(paired: &PairedDifference) -> String {
    let interval = paired.interval.map_or(String::new(), |[low, high]| format!(" ({low:+.3} to {high:+.3})"));
    format!("{:+.3}{interval}", paired.difference)
}
