//! The figures of `macula eval` as a table: balanced accuracy and recall first, then accuracy, then the comparisons with
//! the floors.

use super::comparison::{self, Candidate, Comparison};
use crate::encoder::HostEncoder;
use crate::evaluate::{ConfusionMatrix, FewShotResult, HeadKind, Interval, Outcome, ProbeResult};
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
    pub remarks: Vec<String>,
    pub rows: Vec<Row>,
    /// Comparisons with each floor, per head and number of shots; none for a floor.
    pub comparison: Vec<Comparison>,
}

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
    println!(
        "{}, {} split of {}: {} training images, {} test images, seed {}",
        report.probe, report.split, report.data, report.train_images, report.test_images, report.seed
    );
    println!("recall of: {}", shown(&report.class_names.join(", ")));
    let header = ["encoder", "input", "head", "shots", "balanced accuracy", "recall per class", "accuracy", "ROC AUC"];
    let lines: Vec<Vec<String>> =
        std::iter::once(header.map(str::to_owned).to_vec()).chain(report.rows.iter().map(Row::cells)).collect();
    let used: Vec<usize> =
        (0..header.len()).filter(|&column| lines[1..].iter().any(|line| !line[column].is_empty())).collect();
    let width = |column: usize| widest(lines.iter().map(|line| line[column].as_str()), 0);
    for line in &lines {
        let cells: Vec<String> = used.iter().map(|&column| left(&line[column], width(column))).collect();
        println!("{}", cells.join("  ").trim_end());
    }
    comparison::print(&report.comparison, report.rows.first().map_or("", |row| &row.encoder));
}
