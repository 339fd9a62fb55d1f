//! `macula eval operating-point`: what a threshold from leave-one-out scores attains on new images.

use std::num::NonZeroUsize;

use super::comparison::{self, Candidate, Comparison, is_floor};
use super::probe_args::ProbeArgs;
use crate::cli::failure::Kind;
use crate::cli::operating_point::{parse_target, target_text};
use crate::data::SplitLeaks;
use crate::evaluate::{
    self, DeviceFeatures, Interval, OperatingPointTask, OperatingPointsResult, PairedDifference, PointResult,
};
use crate::link::Target;
use crate::report::text::{left, shown, widest};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    shared: ProbeArgs,
    /// Class whose images are positive; those of all other classes are negative
    #[arg(long, value_name = "CLASS")]
    positive: String,
    /// Operating points: sensitivity=SHARE, specificity=SHARE or costs=MISSED:FALSE_ALARM
    #[arg(long, value_name = "TARGET,…", value_delimiter = ',', default_value = "sensitivity=0.95", value_parser = parse_target)]
    operating_point: Vec<Target>,
    /// Shots: labelled images per class
    #[arg(long, value_delimiter = ',', default_value = "20")]
    shots: Vec<NonZeroUsize>,
    /// Query images per class
    #[arg(long, default_value = "30")]
    queries: NonZeroUsize,
    /// Number of episodes
    #[arg(long, default_value = "200")]
    episodes: NonZeroUsize,
}

#[derive(serde::Serialize)]
struct Row {
    encoder: String,
    shots: usize,
    #[serde(flatten)]
    result: OperatingPointsResult,
}

#[derive(serde::Serialize)]
struct Report {
    probe: &'static str,
    data: String,
    split: String,
    positive: String,
    /// Of the points of each row.
    targets: Vec<String>,
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
    let names = &images.dataset.class_names;
    let positive = names.iter().position(|name| *name == args.positive).ok_or_else(|| {
        let known = names.join(", ");
        Kind::UnknownClass.error(format!("{}: no class '{}'; its classes are: {known}", shared.data, args.positive))
    })?;
    let pools = images.pools(&args.shots, ways, args.queries, shared.common.seed)?;
    let mut rows = Vec::new();
    for encoder in shared.encoders(&images)? {
        let corpus = shared.corpus(&*encoder, &images)?;
        let mut features = shared.embed(&*encoder, &images, &images.test)?;
        features.standardise(&corpus);
        let known = DeviceFeatures::new(&features)?;
        let task = OperatingPointTask { known: &known, positive, targets: &args.operating_point };
        for (shots, pool) in &pools {
            let bar = shared.bar(args.episodes.get(), &format!("{}: {shots} shots", encoder.name()));
            let count = |count| bar.inc(count as u64);
            let result = evaluate::operating_points(&task, pool, args.episodes.get(), &count)?;
            bar.finish_and_clear();
            rows.push(Row { encoder: encoder.name().to_owned(), shots: *shots, result });
        }
    }
    let report = Report {
        comparison: compare(&rows, &args.operating_point),
        probe: "operating-point",
        data: shared.data.clone(),
        split: shared.split.clone(),
        positive: args.positive.clone(),
        targets: args.operating_point.iter().copied().map(target_text).collect(),
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

/// Compares with each floor what is paid: all encoders attain the target, and a better one pays less for it.
fn compare(rows: &[Row], targets: &[Target]) -> Vec<Comparison> {
    let Some(own) = rows.first().map(|row| &row.encoder).filter(|own| !is_floor(own)) else { return Vec::new() };
    let mut comparisons = Vec::new();
    for own in rows.iter().filter(|row| row.encoder == *own) {
        for floor in rows.iter().filter(|row| is_floor(&row.encoder) && row.shots == own.shots) {
            for (place, &target) in targets.iter().enumerate() {
                let paid = |row: &Row| row.result.points[place].paid.clone();
                let paired = PairedDifference::of_episodes(&paid(own), &paid(floor));
                let [own_side, other_side] =
                    [own, floor].map(|row| Candidate { encoder: &row.encoder, value: Interval::of(&paid(row)) });
                let measure = match target {
                    Target::Sensitivity { .. } => "specificity",
                    Target::Specificity { .. } => "sensitivity",
                    Target::Costs { .. } => "mean of sensitivity and specificity",
                };
                let comparison = Comparison::new(measure, &own_side, &other_side, paired);
                comparisons.push(comparison.with_shots(own.shots).with_target(target_text(target)));
            }
        }
    }
    comparisons
}

fn print(report: &Report, quiet: bool) {
    if !quiet {
        report.remarks.iter().for_each(|remark| eprintln!("note: {}", shown(remark)));
    }
    println!(
        "operating points, {} of {}, seed {}, {} episodes",
        report.split, report.data, report.seed, report.episodes
    );
    println!("positive: {} of {}", shown(&report.positive), shown(&report.class_names.join(", ")));
    let encoder = widest(report.rows.iter().map(|row| row.encoder.as_str()), 7);
    let target = widest(report.targets.iter().map(String::as_str), "most probable class".len());
    println!(
        "{:encoder$}  shots  {:target$}  {:13}  {:13}  {:9}  {:8}  expected of samples left out",
        "encoder", "target", "sensitivity", "specificity", "low tenth", "promised"
    );
    for row in &report.rows {
        let OperatingPointsResult { points, default_sensitivity, default_specificity } = &row.result;
        let name = left(&row.encoder, encoder);
        println!(
            "{name}  {:<5}  {:target$}  {default_sensitivity:13}  {default_specificity:13}  {:<9}  {:<8}  -",
            row.shots, "most probable class", "-", "-"
        );
        for (text, point) in report.targets.iter().zip(points) {
            let PointResult { sensitivity, specificity, expected_sensitivity, expected_specificity, .. } = point;
            let promised =
                point.promise_permille.map_or("-".to_owned(), |share| format!("{:.3}", f64::from(share) / 1000.0));
            println!(
                "{name}  {:<5}  {text:target$}  {sensitivity:13}  {specificity:13}  {:<9.3}  {promised:8}  {:.3} {:.3}{}",
                row.shots,
                point.low_tenth,
                expected_sensitivity.mean,
                expected_specificity.mean,
                if point.enough { "" } else { "  too few shots for the target" },
            );
        }
    }
    comparison::print(&report.comparison, report.rows.first().map_or("", |row| &row.encoder));
}
