//! The figures of `macula eval` as a table: balanced accuracy and recall first, then accuracy, then the comparisons with
//! the floors.

use super::comparison::{self, Candidate, Comparison};
use crate::data::SplitLeaks;
use crate::encoder::HostEncoder;
use crate::evaluate::{ConfusionMatrix, FewShotResult, HeadKind, Interval, Outcome, ProbeResult};
use crate::report::chart::Series;
use crate::report::table::Table;
use crate::report::text::{left, shown, widest};

/// Largest number of classes for which every recall is shown; above, only the worst and the best.
const RECALLS_SHOWN: usize = 12;

/// The result of an evaluation.
#[derive(serde::Serialize)]
pub struct Report {
    pub probe: String,
    pub data: String,
    pub split: String,
    pub train_images: usize,
    pub test_images: usize,
    pub seed: u64,
    pub class_names: Vec<String>,
    pub split_leaks: SplitLeaks,
    pub remarks: Vec<String>,
    pub rows: Vec<Row>,
    /// Comparisons with each floor, per head and number of shots; none for a floor.
    pub comparison: Vec<Comparison>,
}

impl Report {
    /// What was evaluated on which images.
    pub fn lead(&self) -> String {
        format!(
            "{}, {} split of {}: {} training images, {} test images, seed {}",
            self.probe, self.split, self.data, self.train_images, self.test_images, self.seed
        )
    }

    /// The figures, without columns that are empty.
    pub fn table(&self) -> Table {
        let lines: Vec<Vec<String>> = self.rows.iter().map(Row::cells).collect();
        let used: Vec<usize> =
            (0..HEADER.len()).filter(|&column| lines.iter().any(|line| !line[column].is_empty())).collect();
        let mut table = Table::new(&used.iter().map(|&column| HEADER[column]).collect::<Vec<_>>());
        lines.iter().for_each(|line| table.push(used.iter().map(|&column| line[column].clone()).collect()));
        table
    }

    /// Balanced accuracy by shots of each encoder and head.
    pub fn by_shots(&self) -> Vec<Series> {
        let several_heads = self.rows.iter().any(|row| row.head != self.rows[0].head);
        let mut lines: Vec<Series> = Vec::new();
        for row in &self.rows {
            let Some(shots) = row.shots else { continue };
            let name = if several_heads { format!("{}, {}", row.encoder, row.head) } else { row.encoder.clone() };
            let point = (shots as f64, row.balanced_accuracy.mean);
            match lines.iter_mut().find(|line| line.name == name) {
                Some(line) => line.points.push(point),
                None => lines.push(Series::new(name, vec![point])),
            }
        }
        lines
    }
}

/// Columns of the table.
const HEADER: [&str; 9] = [
    "encoder",
    "input",
    "head",
    "shots",
    "balanced accuracy",
    "recall per class",
    "accuracy",
    "ROC AUC",
    "sensitivity at 95 % specificity",
];

/// An encoder with a head.
#[derive(serde::Serialize)]
pub struct Row {
    pub encoder: String,
    input: String,
    feature_dim: usize,
    pub head: String,
    pub shots: Option<usize>,
    episodes: Option<usize>,
    balanced_accuracy: Interval,
    recalls: Vec<Option<f64>>,
    accuracy: f64,
    area_under_roc: Option<f64>,
    /// Of two classes, over episodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    sensitivity_at_95_specificity: Option<Interval>,
    confusion: ConfusionMatrix,
    fit: Option<Outcome>,
}

impl Row {
    /// The row of a k-NN or linear probe.
    pub fn of_probe(encoder: &dyn HostEncoder, head: &str, result: ProbeResult) -> Self {
        Self {
            encoder: encoder.name().to_owned(),
            input: input(encoder),
            feature_dim: encoder.feature_dim(),
            head: head.to_owned(),
            shots: None,
            episodes: None,
            balanced_accuracy: result.balanced_accuracy,
            recalls: result.recalls,
            accuracy: result.accuracy,
            area_under_roc: result.area_under_roc,
            sensitivity_at_95_specificity: None,
            confusion: result.confusion,
            fit: result.fit,
        }
    }

    /// The row of few-shot episodes.
    pub fn of_few_shot(
        encoder: &dyn HostEncoder,
        head: HeadKind,
        shots: usize,
        episodes: usize,
        result: FewShotResult,
    ) -> Self {
        Self {
            encoder: encoder.name().to_owned(),
            input: input(encoder),
            feature_dim: encoder.feature_dim(),
            head: head.to_string(),
            shots: Some(shots),
            episodes: Some(episodes),
            balanced_accuracy: result.balanced_accuracy,
            recalls: result.recalls,
            accuracy: result.accuracy,
            area_under_roc: result.area_under_roc.map(|area| area.mean),
            sensitivity_at_95_specificity: result.sensitivity_at_95_specificity,
            confusion: result.confusion,
            fit: None,
        }
    }

    /// The values for a comparison.
    pub fn candidate(&self) -> Candidate<'_> {
        Candidate { encoder: &self.encoder, value: self.balanced_accuracy }
    }

    fn cells(&self) -> Vec<String> {
        let optional = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.3}"));
        vec![
            self.encoder.clone(),
            self.input.clone(),
            self.head.clone(),
            self.shots.map_or(String::new(), |shots| shots.to_string()),
            self.balanced_accuracy.to_string(),
            recalls(&self.recalls),
            format!("{:.3}", self.accuracy),
            optional(self.area_under_roc),
            self.sensitivity_at_95_specificity.map_or(String::new(), |interval| interval.to_string()),
        ]
    }
}

fn input(encoder: &dyn HostEncoder) -> String {
    let recipe = encoder.preprocessing();
    format!("{}×{}×{}", recipe.channels, recipe.height, recipe.width)
}

fn recalls(recalls: &[Option<f64>]) -> String {
    let text = |recall: &Option<f64>| recall.map_or("-".to_owned(), |recall| format!("{recall:.2}"));
    if recalls.len() <= RECALLS_SHOWN {
        return recalls.iter().map(text).collect::<Vec<_>>().join(" ");
    }
    let present = || recalls.iter().flatten().copied();
    format!("{:.2} to {:.2}", present().fold(1.0, f64::min), present().fold(0.0, f64::max))
}

/// Prints the table to standard output, and the remarks to standard error unless `quiet`.
pub fn print(report: &Report, quiet: bool) {
    if !quiet {
        report.remarks.iter().for_each(|remark| eprintln!("note: {}", shown(remark)));
        let unfinished = report.rows.iter().filter_map(|row| Some((row, row.fit?))).filter(|(_, fit)| !fit.converged);
        for (row, fit) in unfinished {
            eprintln!(
                "note: the fit for {} stopped after {} steps, gradient {:.1e}",
                row.encoder, fit.iterations, fit.gradient_max
            );
        }
    }
    println!("{}", report.lead());
    println!("recall of: {}", shown(&report.class_names.join(", ")));
    let table = report.table();
    let widths: Vec<usize> = (0..table.columns.len())
        .map(|column| widest(table.rows.iter().chain([&table.columns]).map(|line| line[column].as_str()), 0))
        .collect();
    for line in std::iter::once(&table.columns).chain(&table.rows) {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, &width)| left(cell, width)).collect();
        println!("{}", cells.join("  ").trim_end());
    }
    comparison::print(&report.comparison, report.rows.first().map_or("", |row| &row.encoder));
}
