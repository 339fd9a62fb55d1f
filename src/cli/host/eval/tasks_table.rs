//! The table of `macula eval tasks`: encoders by tasks, one part per number of shots, then the cost of each encoder.

use crate::benchmark::{Average, EncoderCost, Row, Seen, Settings};
use crate::evaluate::Interval;
use crate::report::table::Table;
use crate::report::text::shown;

/// All figures.
#[derive(serde::Serialize)]
pub struct Report {
    head: String,
    queries: usize,
    episodes: usize,
    seed: u64,
    images_per_split: Option<usize>,
    against: Option<String>,
    rows: Vec<Row>,
    averages: Vec<Average>,
    costs: Vec<EncoderCost>,
    remarks: Vec<String>,
}

impl Report {
    /// The figures measured with `settings`.
    pub fn new(
        settings: &Settings,
        against: Option<String>,
        rows: Vec<Row>,
        averages: Vec<Average>,
        costs: Vec<EncoderCost>,
        remarks: Vec<String>,
    ) -> Self {
        let Settings { queries, episodes, seed, images_per_split, head, .. } = *settings;
        let head = head.to_string();
        Self { head, queries, episodes, seed, images_per_split, against, rows, averages, costs, remarks }
    }
}

/// Prints the table to standard output, and the remarks to standard error unless `quiet`.
pub fn print(report: &Report, quiet: bool) {
    if !quiet {
        report.remarks.iter().for_each(|remark| eprintln!("note: {}", shown(remark)));
    }
    let limit = report.images_per_split.map_or("all images".to_owned(), |count| format!("at most {count} images"));
    println!(
        "few-shot, head {}, {} queries per class, {} episodes, seed {}, {limit} per split",
        report.head, report.queries, report.episodes, report.seed
    );
    println!(
        "balanced accuracy ± its 95 % interval, and points ahead of the better of raw pixels and colour statistics"
    );
    let mut shots: Vec<usize> = report.rows.iter().map(|row| row.shots).collect();
    shots.sort_unstable();
    shots.dedup();
    for shots in shots {
        println!("\n{shots} shots");
        print!("{}", part(report, shots).text());
    }
    println!("\nmean over tasks");
    print!("{}", means(report).text());
    println!("\ncost of one image, and of one support on a device's flash; ms: measured on one thread of this machine");
    print!("{}", costs(report).text());
    println!(
        "\n* trained on images of the task's training split, without labels; ! also on test images; ? not recorded"
    );
}

/// Encoders by tasks.
fn part(report: &Report, shots: usize) -> Table {
    let rows = || report.rows.iter().filter(|row| row.shots == shots);
    let tasks = distinct(rows().map(|row| (row.task.as_str(), row.role.name())));
    let header: Vec<String> = tasks.iter().map(|(task, role)| format!("{task} ({role})")).collect();
    let columns: Vec<&str> = std::iter::once("encoder").chain(header.iter().map(String::as_str)).collect();
    let mut table = Table::new(&columns);
    for encoder in distinct(rows().map(|row| row.encoder.as_str())) {
        let of = |task: &str| rows().find(|row| row.encoder == encoder && row.task == task);
        let cells = tasks.iter().map(|(task, _)| of(task).map_or("-".to_owned(), cell));
        table.push(std::iter::once(encoder.to_owned()).chain(cells).collect());
    }
    table
}

fn cell(row: &Row) -> String {
    let points = row.difference.as_ref().map_or(String::new(), |one| format!(" {}", points(one.paired.difference)));
    let mark = match row.seen {
        None => "?",
        Some(Seen { test: 1.., .. }) => "!",
        Some(Seen { train: 1.., .. }) => "*",
        Some(_) => "",
    };
    format!("{}{points}{mark}", row.balanced_accuracy)
}

fn points(fraction: f64) -> String {
    format!("{:+.1}", 100.0 * fraction)
}

/// Encoders by groups of tasks and numbers of shots.
fn means(report: &Report) -> Table {
    let groups = distinct(report.averages.iter().map(|one| (one.over.clone(), one.shots)));
    let name = |over: &str, shots: usize| {
        let tasks = report.averages.iter().find(|one| one.over == over).map_or(0, |one| one.tasks);
        format!("{over} ({tasks}), {shots} shots")
    };
    let against = report.against.as_ref().map(|label| format!("ahead of {label}"));
    let columns = ["over (tasks), shots", "encoder", "mean", "ahead of floors", "tasks below its floor"];
    let mut table = Table::new(&columns.into_iter().chain(against.as_deref()).collect::<Vec<_>>());
    let ahead = |difference: Option<Interval>| {
        difference.map_or(String::new(), |difference| {
            let half = difference.half_width_95.map_or(String::new(), |half| format!(" ± {:.1}", 100.0 * half));
            points(difference.mean) + &half
        })
    };
    for (over, shots) in &groups {
        for one in report.averages.iter().filter(|one| one.over == *over && one.shots == *shots) {
            let below = one.difference.map_or(String::new(), |_| one.below_floor.to_string());
            let accuracy = one.balanced_accuracy.to_string();
            let mut row = vec![name(over, *shots), one.encoder.clone(), accuracy, ahead(one.difference), below];
            row.extend(against.iter().map(|_| ahead(one.reference)));
            table.push(row);
        }
    }
    table
}

fn costs(report: &Report) -> Table {
    let mut table = Table::new(&[
        "encoder",
        "input",
        "MMAC",
        "parameters",
        "KiB of activations",
        "ms per image",
        "feature",
        "bytes per support",
    ]);
    for cost in &report.costs {
        let optional = |value: Option<String>| value.unwrap_or("-".to_owned());
        let [channels, height, width] = cost.input;
        table.push(vec![
            cost.encoder.clone(),
            format!("{channels}×{height}×{width}"),
            optional(cost.multiply_accumulates.map(|products| format!("{:.2}", products as f64 / 1e6))),
            optional(cost.parameters.map(|parameters| parameters.to_string())),
            optional(cost.activation_bytes.map(|bytes| format!("{:.0}", bytes as f64 / 1024.0))),
            format!("{:.2}", cost.milliseconds),
            cost.feature_dim.to_string(),
            cost.support_bytes.to_string(),
        ]);
    }
    table
}

fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}
