//! `macula bench … --compare`: Macula and its peers, each in a process of its own, in turn.
//!
//! A peer is measured by a Python script of `benches/peers/`, which prints a report with the same keys as Macula's own. Other
//! load on the machine affects all of a round alike, so that the ratio is worth more than the figures.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::device::bench::measure::count_to;
use crate::cli::isolation::own_program;
use crate::cli::print_json;
use crate::report::table::Table;

/// The scripts, which import one another.
const SCRIPTS: [(&str, &str); 10] = [
    ("augment.py", include_str!("../../../../benches/peers/augment.py")),
    ("convert.py", include_str!("../../../../benches/peers/convert.py")),
    ("convert_litert.py", include_str!("../../../../benches/peers/convert_litert.py")),
    ("convert_ncnn.py", include_str!("../../../../benches/peers/convert_ncnn.py")),
    ("data.py", include_str!("../../../../benches/peers/data.py")),
    ("encoder.py", include_str!("../../../../benches/peers/encoder.py")),
    ("head.py", include_str!("../../../../benches/peers/head.py")),
    ("measured.py", include_str!("../../../../benches/peers/measured.py")),
    ("runtimes.py", include_str!("../../../../benches/peers/runtimes.py")),
    ("train.py", include_str!("../../../../benches/peers/train.py")),
];

/// The exit code of a script whose peer is not installed (`benches/peers/measured.py`).
const MISSING: i32 = 3;

/// Options of a comparison.
#[derive(clap::Args, Clone, Debug)]
pub struct CompareArgs {
    /// Also measure the peers that PYTHON has installed, in turn with Macula
    #[arg(long)]
    pub compare: bool,
    /// Python with the peers; benches/peers has their versions
    #[arg(long, value_name = "PYTHON", requires = "compare", default_value = "python3")]
    python: PathBuf,
    /// Rounds of a comparison; figures are medians over them
    #[arg(long, value_name = "N", requires = "compare", default_value_t = 3, value_parser = count_to(1000))]
    rounds: usize,
}

/// Scale of a column of bytes that is printed in MiB.
pub const MIB: f64 = 1.0 / (1 << 20) as f64;

/// A figure of a report.
pub struct Column {
    /// Title in the table.
    pub title: &'static str,
    /// Where it is in the report: a JSON pointer (RFC 6901).
    pub pointer: &'static str,
    /// Factor of the printed value.
    pub scale: f64,
}

/// What the ratio of the first column means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ratio {
    /// Of durations: the peer's by Macula's.
    Time,
    /// Of rates: Macula's by the peer's.
    Rate,
}

/// Options with a number each, as given to Macula.
pub fn options(numbers: &[(&str, usize)]) -> Vec<OsString> {
    numbers.iter().flat_map(|(name, number)| [OsString::from(name), number.to_string().into()]).collect()
}

/// The numbers of these options, as given to a script.
pub fn values(numbers: &[(&str, usize)]) -> Vec<OsString> {
    numbers.iter().map(|(_, number)| number.to_string().into()).collect()
}

/// A comparison.
pub struct Comparison<'a> {
    /// What is measured, the heading of the table.
    pub title: String,
    /// Macula's runs: a name, and arguments after `macula bench`. The first is what peers are compared with.
    pub ours: Vec<(String, Vec<OsString>)>,
    /// Script of the peers.
    pub script: &'static str,
    /// Names of the peers, each the first argument of the script.
    pub peers: &'a [&'static str],
    /// Further arguments, given the folder for files that a script keeps between rounds.
    pub args: &'a dyn Fn(&Path) -> Vec<OsString>,
    /// Columns; the ratio is that of the first.
    pub columns: &'a [Column],
    /// What the ratio means.
    pub ratio: Ratio,
}

#[derive(Serialize)]
struct Report<'a> {
    title: &'a str,
    rounds: usize,
    rows: Vec<Row>,
    /// Peers without a figure, and why.
    missing: Vec<(String, String)>,
}

/// The figures of one runtime, medians over the rounds, by column.
#[derive(Serialize)]
struct Row {
    name: String,
    figures: Vec<Option<f64>>,
    /// Above 1: Macula is faster.
    ratio: Option<f64>,
}

/// One runtime of a comparison.
struct Contender {
    name: String,
    reports: Vec<Value>,
    failure: Option<String>,
}

/// Measures and prints the table, or JSON.
///
/// # Errors
/// When Macula itself fails, or Python does not start.
pub fn compare(args: &CompareArgs, json: bool, comparison: &Comparison<'_>) -> anyhow::Result<()> {
    let folder = TempDir::new().context("cannot create a temporary folder")?;
    for (name, script) in SCRIPTS {
        std::fs::write(folder.path().join(name), script).context("cannot write to the temporary folder")?;
    }
    let contender = |name: &str| Contender { name: name.to_owned(), reports: Vec::new(), failure: None };
    let mut ours: Vec<Contender> = comparison.ours.iter().map(|(name, _)| contender(name)).collect();
    let mut peers: Vec<Contender> = comparison.peers.iter().map(|name| contender(name)).collect();
    let peer_args = (comparison.args)(folder.path());
    for _ in 0..args.rounds {
        for (contender, (name, given)) in ours.iter_mut().zip(&comparison.ours) {
            let outcome = run(Command::new(own_program()).arg("bench").args(given).args(["--json", "--quiet"]))?;
            contender.reports.push(outcome.map_err(|reason| anyhow::anyhow!("{name}: {reason}"))?);
        }
        for peer in peers.iter_mut().filter(|peer| peer.failure.is_none()) {
            let mut command = Command::new(&args.python);
            command.arg(folder.path().join(comparison.script)).arg(&peer.name).args(&peer_args);
            match run(&mut command)? {
                Ok(report) => peer.reports.push(report),
                Err(reason) => peer.failure = Some(reason),
            }
        }
    }
    let base = ours[0].median(&comparison.columns[0]);
    let mut missing = Vec::new();
    let mut rows = Vec::new();
    for contender in ours.into_iter().chain(peers) {
        match contender.failure {
            Some(reason) => missing.push((contender.name, reason)),
            None => rows.push(contender.row(comparison, base)),
        }
    }
    let report = Report { title: &comparison.title, rounds: args.rounds, rows, missing };
    if json {
        return print_json(&report);
    }
    print(&report, comparison);
    Ok(())
}

/// The JSON object on the last line that `command` prints, or why there is none.
fn run(command: &mut Command) -> anyhow::Result<Result<Value, String>> {
    let program = PathBuf::from(command.get_program());
    let done = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}; --python names a Python with the peers", program.display()))?;
    let text = String::from_utf8_lossy(&done.stderr);
    let reason = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given").trim().to_owned();
    if done.status.code() == Some(MISSING) {
        return Ok(Err(format!("not installed ({reason})")));
    }
    if !done.status.success() {
        return Ok(Err(format!("failed, {}: {reason}", done.status)));
    }
    let printed = String::from_utf8_lossy(&done.stdout);
    let last = printed.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    Ok(serde_json::from_str(last).map_err(|_| "printed no report".to_owned()))
}

impl Contender {
    /// The median over the rounds, if every report has the figure.
    fn median(&self, column: &Column) -> Option<f64> {
        let mut values = self
            .reports
            .iter()
            .map(|report| report.pointer(column.pointer).and_then(Value::as_f64))
            .collect::<Option<Vec<f64>>>()?;
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(median * column.scale)
    }

    fn row(self, comparison: &Comparison<'_>, base: Option<f64>) -> Row {
        let figures: Vec<Option<f64>> = comparison.columns.iter().map(|column| self.median(column)).collect();
        let ratio = base.zip(figures[0]).map(|(ours, theirs)| match comparison.ratio {
            Ratio::Time => theirs / ours,
            Ratio::Rate => ours / theirs,
        });
        // A peer's report says its version.
        let name = self.reports[0].get("peer").and_then(Value::as_str).map_or(self.name, str::to_owned);
        Row { name, figures, ratio }
    }
}

fn print(report: &Report<'_>, comparison: &Comparison<'_>) {
    let rounds = if report.rounds == 1 { "one round".to_owned() } else { format!("{} rounds", report.rounds) };
    println!("{}, median of {rounds}, in turn\n", report.title);
    let titles = ["runtime"].into_iter().chain(comparison.columns.iter().map(|column| column.title));
    let mut table = Table::new(&titles.chain(["ratio"]).collect::<Vec<_>>());
    for row in &report.rows {
        let mut cells = vec![row.name.clone()];
        cells.extend(row.figures.iter().map(|figure| figure.map_or_else(|| "-".to_owned(), number)));
        cells.push(row.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2} ×")));
        table.push(cells);
    }
    print!("{}", table.text());
    for (name, reason) in &report.missing {
        println!("{name}: {reason}");
    }
}

/// Three or four digits.
fn number(value: f64) -> String {
    match value.abs() {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMN: Column = Column { title: "p50 ms", pointer: "/image_ms/p50", scale: 2.0 };

    fn contender(values: &[f64]) -> Contender {
        let reports = values.iter().map(|p50| json!({"peer": "torch 2", "image_ms": {"p50": p50}})).collect();
        Contender { name: "torch".to_owned(), reports, failure: None }
    }

    #[test]
    fn a_figure_is_the_median_over_rounds() {
        assert_eq!(contender(&[3.0, 1.0, 2.0]).median(&COLUMN), Some(4.0));
        assert_eq!(contender(&[3.0, 1.0]).median(&COLUMN), Some(4.0));
        assert_eq!(contender(&[3.0]).median(&Column { pointer: "/load_ms", ..COLUMN }), None);
    }

    #[test]
    fn a_ratio_above_one_means_that_macula_is_faster() {
        let comparison = |ratio| Comparison {
            title: String::new(),
            ours: Vec::new(),
            script: "encoder.py",
            peers: &[],
            args: &|_| Vec::new(),
            columns: &[COLUMN],
            ratio,
        };
        let row = contender(&[3.0]).row(&comparison(Ratio::Time), Some(2.0));
        assert_eq!((row.name.as_str(), row.ratio), ("torch 2", Some(3.0)));
        assert_eq!(contender(&[1.0]).row(&comparison(Ratio::Rate), Some(6.0)).ratio, Some(3.0));
    }
}
