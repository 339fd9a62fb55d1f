//! `macula data`: checks a dataset.

mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};

use crate::care::{Findings, ImageName};
use crate::cli::Common;
use crate::cli::images::ImageArgs;
use crate::cli::overwrite::ForceArgs;
use crate::cli::progress::bar;
use crate::data::decode::RawFacts;
use crate::data::{self, Dataset, Duplicates, ImageFacts, RawSamples, Split};
use crate::report::care::named;
use crate::report::sheet;
use crate::report::text::{count, left, shown, shown_path, widest};
use report::ReportArgs;

/// Printed lines of a list; `--json` prints all.
const LINES_MAX: usize = 10;
/// Images per class on a contact sheet, and their size in pixels.
const SHEET_COLUMNS: usize = 10;
const SHEET_TILE_SIZE: usize = 64;

/// Arguments of `macula data`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  macula data phantoms\n  macula data chest-xrays --strict --sheet sheet.png\n  \
                        macula data chest-xrays --report report.html")]
pub struct Args {
    /// Dataset: a folder of images, MedMNIST .npz, CIFAR binary folder, IDX file, CSV manifest, or phantoms[:SIZE[:COUNT]]
    path: String,
    /// Write a contact sheet with a row of images per class
    #[arg(long, value_name = "FILE.png")]
    sheet: Option<PathBuf>,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    force: ForceArgs,
    #[command(flatten)]
    images: ImageArgs,
    #[command(flatten)]
    common: Common,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let quiet = args.common.quiet || args.common.json;
    args.sheet.as_deref().into_iter().chain(args.report.file()).try_for_each(|file| args.force.check(file))?;
    let mut dataset = data::open_named(&args.path, args.common.seed)?;
    args.images.prepare(&mut dataset, args.report.range(args.common.seed)?, quiet)?;
    let bar = bar(quiet, dataset.len() as u64, "{msg} {bar:40} {pos}/{len} images, {rate}, {eta} left");
    bar.set_message("reading");
    let facts = dataset.check(args.images.strict, &|_, _| bar.inc(1));
    bar.finish_and_clear();
    let facts = facts?;
    dataset.remarks.extend(dataset.raw_remarks());
    let raw = dataset.raw_samples();
    let duplicates = data::find_duplicates(&dataset, &facts);
    if let Some(path) = &args.sheet {
        let drawn = sheet::draw(&dataset, SHEET_COLUMNS, SHEET_TILE_SIZE, args.common.seed)?;
        sheet::write_png(path, &drawn).context("cannot write the contact sheet")?;
    }
    let findings = args.report.examine(&mut dataset, &facts, args.common.seed, quiet)?;
    if args.common.json {
        return crate::cli::print_json(&as_json(&dataset, &facts, &duplicates, &raw, findings.as_ref()));
    }
    print(&dataset, &facts, &duplicates, &raw);
    if let Some(findings) = &findings {
        report::print(findings, args.report.file(), print_list);
    }
    if let Some(path) = &args.sheet {
        let classes = dataset.class_names.join(", ");
        println!("\ncontact sheet: {}, one row per class, from the top: {}", shown_path(path), shown(&classes));
    }
    Ok(())
}

/// Column titles of [`counts`].
fn column_names() -> [&'static str; 4] {
    ["train", "val", "test", "no split"]
}

/// Images per class (rows; the last is unlabelled) and split (columns; the last is no split).
fn counts(dataset: &Dataset) -> Vec<(String, [usize; 4])> {
    let mut rows: Vec<(String, [usize; 4])> =
        dataset.class_names.iter().cloned().chain(["unlabelled".to_owned()]).map(|name| (name, [0; 4])).collect();
    for record in &dataset.records {
        let column = record.split.map_or(3, |split| Split::ALL.iter().position(|&other| other == split).unwrap_or(3));
        rows[record.label.unwrap_or(dataset.class_names.len())].1[column] += 1;
    }
    if rows.last().is_some_and(|row| row.1 == [0; 4]) {
        rows.pop();
    }
    rows
}

/// Minimum, median and maximum.
fn spread(mut numbers: Vec<usize>) -> [usize; 3] {
    numbers.sort_unstable();
    let at = |place: usize| numbers.get(place).copied().unwrap_or(0);
    [at(0), at(numbers.len() / 2), at(numbers.len().saturating_sub(1))]
}

fn group_names(dataset: &Dataset, group: &[usize]) -> Vec<String> {
    let name = |&index: &usize| named(&ImageName::new(dataset, index, dataset.records[index].split));
    group.iter().map(name).collect()
}

fn as_json(
    dataset: &Dataset,
    facts: &[ImageFacts],
    duplicates: &Duplicates,
    raw: &[RawSamples],
    findings: Option<&Findings>,
) -> Value {
    let named = |groups: &[Vec<usize>]| groups.iter().map(|group| group_names(dataset, group)).collect::<Vec<_>>();
    let classes: Vec<Value> = counts(dataset)
        .into_iter()
        .map(|(name, [train, val, test, none])| json!({"name": name, "train": train, "val": val, "test": test, "no_split": none}))
        .collect();
    let skipped: Vec<Value> =
        dataset.skipped.iter().map(|(name, reason)| json!({"name": name, "reason": reason})).collect();
    let mut report = json!({
        "name": dataset.name,
        "images": dataset.len(),
        "classes": classes,
        "width": spread(facts.iter().map(|fact| fact.width).collect()),
        "height": spread(facts.iter().map(|fact| fact.height).collect()),
        "grey": facts.iter().filter(|fact| fact.channels == 1).count(),
        "rgb": facts.iter().filter(|fact| fact.channels == 3).count(),
        "grey_in_rgb": facts.iter().filter(|fact| fact.channels == 3 && fact.grey).count(),
        "groups": group_count(dataset),
        "skipped": skipped,
        "raw": raw.iter().map(raw_as_json).collect::<Vec<_>>(),
        "range": dataset.decode.range,
        "remarks": dataset.remarks,
        "duplicates": named(&duplicates.groups),
        "leaks": named(&duplicates.leaks),
        "label_conflicts": named(&duplicates.conflicts),
        "divided_groups": divided_groups(dataset),
    });
    if let Some(findings) = findings {
        report["report"] = json!(findings);
    }
    report
}

fn group_count(dataset: &Dataset) -> usize {
    dataset.records.iter().filter_map(|record| record.group.as_deref()).collect::<std::collections::BTreeSet<_>>().len()
}

/// Names of groups with images in several splits.
fn divided_groups(dataset: &Dataset) -> Vec<&str> {
    let mut splits: BTreeMap<&str, (Option<Split>, bool)> = BTreeMap::new();
    for record in &dataset.records {
        if let Some(group) = &record.group {
            let (first, divided) = splits.entry(group).or_insert((record.split, false));
            *divided |= *first != record.split;
        }
    }
    splits.into_iter().filter(|(_, (_, divided))| *divided).map(|(group, _)| group).collect()
}

fn raw_as_json(raw: &RawSamples) -> Value {
    let RawFacts { low, high, .. } = raw.facts;
    json!({"samples": raw.facts.describe(), "low": low, "high": high, "images": raw.images})
}

fn print(dataset: &Dataset, facts: &[ImageFacts], duplicates: &Duplicates, raw: &[RawSamples]) {
    let (images, classes) = (count(dataset.len(), "image"), count(dataset.class_names.len(), "class"));
    println!("{}: {images}, {classes}", shown(&dataset.name));
    print_counts(&counts(dataset));
    let (width, height) =
        (spread(facts.iter().map(|f| f.width).collect()), spread(facts.iter().map(|f| f.height).collect()));
    println!("\n{:12} {:>8} {:>8} {:>8}", "size", "min", "median", "max");
    println!("{:12} {:>8} {:>8} {:>8}", "width", width[0], width[1], width[2]);
    println!("{:12} {:>8} {:>8} {:>8}", "height", height[0], height[1], height[2]);
    let grey = facts.iter().filter(|fact| fact.channels == 1).count();
    println!("channels     {grey} grey, {} RGB", facts.len() - grey);
    for RawSamples { facts, images } in raw {
        let images = count(*images, "image");
        println!("raw values   {} to {} in {images}, {}", facts.low, facts.high, facts.describe());
    }
    if group_count(dataset) > 0 {
        println!("groups       {}, of which {} in several splits", group_count(dataset), divided_groups(dataset).len());
    }
    if !dataset.remarks.is_empty() {
        println!();
        dataset.remarks.iter().for_each(|remark| println!("remark: {}", shown(&remark.to_string())));
    }
    let skipped: Vec<String> = dataset.skipped.iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
    print_list(&format!("{} skipped", skipped.len()), &skipped);
    let lines =
        |groups: &[Vec<usize>]| groups.iter().map(|group| group_names(dataset, group).join(" = ")).collect::<Vec<_>>();
    let (groups, leaks, conflicts) = (&duplicates.groups, &duplicates.leaks, &duplicates.conflicts);
    print_list(&format!("duplicates: {}", count(groups.len(), "group")), &lines(groups));
    print_list(&format!("leaks between splits: {}", count(leaks.len(), "group")), &lines(leaks));
    print_list(&format!("duplicates with different labels: {}", count(conflicts.len(), "group")), &lines(conflicts));
}

/// Prints the counts without columns that are all zero.
fn print_counts(rows: &[(String, [usize; 4])]) {
    let shown: Vec<usize> = (0..4).filter(|&column| rows.iter().any(|row| row.1[column] > 0)).collect();
    let name_width = widest(rows.iter().map(|row| row.0.as_str()), 12);
    let line = |name: &str, cells: &[String]| {
        let cells: String = cells.iter().map(|cell| format!(" {cell:>8}")).collect();
        println!("{}{cells}", left(name, name_width));
    };
    println!();
    line("class", &shown.iter().map(|&column| column_names()[column].to_owned()).collect::<Vec<_>>());
    for (name, counts) in rows {
        line(name, &shown.iter().map(|&column| counts[column].to_string()).collect::<Vec<_>>());
    }
    let total = |column: usize| rows.iter().map(|row| row.1[column]).sum::<usize>().to_string();
    line("all", &shown.iter().map(|&column| total(column)).collect::<Vec<_>>());
}

fn print_list(title: &str, lines: &[String]) {
    println!("\n{}", shown(title));
    lines.iter().take(LINES_MAX).for_each(|line| println!("  {}", shown(line)));
    if lines.len() > LINES_MAX {
        println!("  and {} more (all with --json)", lines.len() - LINES_MAX);
    }
}
