//! `macula eval abstention`: coverage of conformal prediction sets, and out-of-distribution detection.

use std::num::NonZeroUsize;

use super::comparison::{self, Candidate, Comparison, is_floor};
use super::probe_args::ProbeArgs;
use crate::data::{SplitLeaks, evenly_spread};
use crate::encoder::CorpusStatistics;
use crate::evaluate::{
    self, AbstentionResult, AbstentionTask, DeviceFeatures, Features, GateResult, Interval, PairedDifference,
    SetsResult,
};
use crate::report::text::{left, shown, widest};

/// The figure that is compared with the floors.
const ONE_RIGHT_CLASS: &str = "answered with only the correct class";

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    shared: ProbeArgs,
    /// Shots: labelled images per class
    #[arg(long, value_delimiter = ',', default_value = "20")]
    shots: Vec<NonZeroUsize>,
    /// Error rates of the conformal prediction sets in percent, 0.1 to 99.9
    #[arg(long, alias = "error-rates", value_delimiter = ',', default_value = "5,10,20", value_parser = permille)]
    error_rate: Vec<u16>,
    /// Dataset of out-of-distribution images, which a device should call unknown
    #[arg(long, value_name = "DATA")]
    unknown: Option<String>,
    /// Query images per class
    #[arg(long, default_value = "30")]
    queries: NonZeroUsize,
    /// Number of episodes
    #[arg(long, default_value = "200")]
    episodes: NonZeroUsize,
}

/// An error rate in percent, as thousandths.
pub fn permille(text: &str) -> Result<u16, String> {
    let percent: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let permille = (percent * 10.0).round();
    match (1.0..=999.0).contains(&permille) {
        true => Ok(permille as u16),
        false => Err("must be 0.1 to 99.9 percent".to_owned()),
    }
}

#[derive(serde::Serialize)]
struct Row {
    encoder: String,
    shots: usize,
    #[serde(flatten)]
    result: AbstentionResult,
}

#[derive(serde::Serialize)]
struct Report {
    probe: &'static str,
    data: String,
    unknown: Option<String>,
    split: String,
    episodes: usize,
    seed: u64,
    class_names: Vec<String>,
    split_leaks: SplitLeaks,
    remarks: Vec<String>,
    rows: Vec<Row>,
    comparison: Vec<Comparison>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let shared = &args.shared;
    let mut images = shared.images()?;
    let ways = images.classes_to_draw(&shared.split)?;
    let ood = args.unknown.as_deref().map(|name| shared.open(name)).transpose()?;
    let ood = match ood {
        Some(dataset) => {
            let (readable, skipped) = evaluate::readable(&dataset, &dataset.indices(None));
            if let Some((name, reason)) = skipped.first() {
                images
                    .remarks
                    .push(format!("{} unreadable images in --unknown, the first {name}: {reason}", skipped.len()));
            }
            anyhow::ensure!(!readable.is_empty(), "{}: no image can be read", args.unknown.as_deref().unwrap_or(""));
            Some((dataset, evenly_spread(&readable, CorpusStatistics::IMAGES_MAX)))
        }
        None => None,
    };
    let pools = images.pools(&args.shots, ways, args.queries, shared.common.seed)?;
    let mut rows = Vec::new();
    for encoder in shared.encoders(&images)? {
        let corpus = shared.corpus(&*encoder, &images)?;
        let on_device = |mut features: Features| {
            features.standardise(&corpus);
            DeviceFeatures::new(&features)
        };
        let of_images = |indices: &[usize]| anyhow::Ok(on_device(shared.embed(&*encoder, &images, indices)?)?);
        let embed = |dataset, indices: &[usize]| {
            let bar = shared.bar(indices.len(), &format!("{}: features", encoder.name()));
            let features = evaluate::embed_dataset(&*encoder, dataset, indices, &|count| bar.inc(count as u64))?;
            bar.finish_and_clear();
            on_device(features)
        };
        let length_max = of_images(&evenly_spread(&images.train, CorpusStatistics::IMAGES_MAX))?.length_max();
        let known = of_images(&images.test)?;
        let ood = ood.as_ref().map(|(dataset, indices)| embed(dataset, indices)).transpose()?;
        let error_permilles = &args.error_rate;
        let task = AbstentionTask { known: &known, ood: ood.as_ref(), length_max, error_permilles };
        for (shots, pool) in &pools {
            let bar = shared.bar(args.episodes.get(), &format!("{}: {shots} shots", encoder.name()));
            let count = |count| bar.inc(count as u64);
            let result = evaluate::abstention(&task, pool, args.episodes.get(), &count)?;
            bar.finish_and_clear();
            rows.push(Row { encoder: encoder.name().to_owned(), shots: *shots, result });
        }
    }
    let report = Report {
        comparison: compare(&rows),
        probe: "abstention",
        data: shared.data.clone(),
        unknown: args.unknown.clone(),
        split: shared.split.clone(),
        episodes: args.episodes.get(),
        seed: shared.common.seed,
        class_names: images.dataset.class_names,
        split_leaks: images.leaks,
        remarks: images.remarks,
        rows,
    };
    match shared.common.json {
        true => crate::cli::print_json(&report),
        false => {
            print(&report, shared.common.quiet);
            Ok(())
        }
    }
}

/// Compares with each floor how often a set is the correct class alone. Coverage is equal for all encoders; a better encoder
/// gives smaller sets.
fn compare(rows: &[Row]) -> Vec<Comparison> {
    let Some(own) = rows.first().map(|row| &row.encoder).filter(|own| !is_floor(own)) else { return Vec::new() };
    let mut comparisons = Vec::new();
    for own in rows.iter().filter(|row| row.encoder == *own) {
        let floors = rows.iter().filter(|row| is_floor(&row.encoder) && row.shots == own.shots);
        for floor in floors {
            for (sets, others) in own.result.sets.iter().zip(&floor.result.sets) {
                let paired = PairedDifference::of_episodes(&sets.single_right, &others.single_right);
                let [own_side, other_side] = [(own, sets), (floor, others)]
                    .map(|(row, sets)| Candidate { encoder: &row.encoder, value: Interval::of(&sets.single_right) });
                let comparison = Comparison::new(ONE_RIGHT_CLASS, &own_side, &other_side, paired);
                comparisons.push(comparison.with_shots(own.shots).with_error_rate(sets.error_permille));
            }
        }
    }
    comparisons
}

fn print(report: &Report, quiet: bool) {
    if !quiet {
        report.remarks.iter().for_each(|remark| eprintln!("note: {}", shown(remark)));
    }
    println!("abstention, {} of {}, seed {}, {} episodes", report.split, report.data, report.seed, report.episodes);
    println!("coverage of: {}", shown(&report.class_names.join(", ")));
    let encoder = widest(report.rows.iter().map(|row| row.encoder.as_str()), 7);
    println!(
        "{:encoder$}  shots  error rate  coverage       nominal  per class             classes in set  single  correct  empty",
        "encoder"
    );
    for row in &report.rows {
        for sets in &row.result.sets {
            print_sets(row, sets, encoder);
        }
    }
    println!(
        "accepted as in-distribution, at a threshold that accepts 95 % of the unlabelled images; out-of-distribution: {}",
        report.unknown.as_deref().unwrap_or("none; pass --unknown")
    );
    println!("{:encoder$}  shots  in             out            by support: in   out", "encoder");
    for row in &report.rows {
        let GateResult { true_accept, false_accept, true_accept_by_support, false_accept_by_support } =
            &row.result.gate;
        let optional = |share: &Option<Interval>| share.as_ref().map_or("-".to_owned(), Interval::to_string);
        println!(
            "{}  {:<5}  {:13}  {:13}  {:15}  {}",
            left(&row.encoder, encoder),
            row.shots,
            true_accept,
            optional(false_accept),
            true_accept_by_support,
            optional(false_accept_by_support),
        );
    }
    comparison::print(&report.comparison, report.rows.first().map_or("", |row| &row.encoder));
}

fn print_sets(row: &Row, sets: &SetsResult, encoder: usize) {
    let ways: Vec<String> = sets.coverage_of_ways.iter().map(|share| format!("{:.2}", share.mean)).collect();
    println!(
        "{}  {:<5}  {:<10}  {:13}  {:<7.3}  {:20}  {:<14.2}  {:<6.3}  {:7}  {:.3}{}",
        left(&row.encoder, encoder),
        row.shots,
        format!("{} %", f64::from(sets.error_permille) / 10.0),
        sets.coverage,
        sets.nominal,
        ways.join(" "),
        sets.size.mean,
        sets.single.mean,
        sets.accuracy_of_single.map_or("-".to_owned(), |share| format!("{share:.3}")),
        sets.empty.mean,
        if sets.enough { "" } else { "  too few shots to exclude a class" },
    );
}
