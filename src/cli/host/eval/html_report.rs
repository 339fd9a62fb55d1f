//! `--report`: the evaluation as an HTML document.

use std::path::PathBuf;

use super::comparison::Comparison;
use super::images::Images;
use super::table::Report;
use crate::cli::overwrite::ForceArgs;
use crate::evaluate::{ConfusionMatrix, FewShotResult, Mistake, Predictions, ProbeResult};
use crate::files::write_private;
use crate::report::evaluation::{Evaluation, MISTAKES_MAX, Mistaken, Rates, Subject};
use crate::report::sheet::shrunk;
use crate::report::text::{count, shown_path};

/// Largest side of a picture of a mistake, in pixels.
const SIDE_MAX: usize = 96;

/// Most probabilities of single predictions that are kept.
const PROBABILITIES_MAX: usize = 2_000_000;

/// Options of evaluations that predict single images.
#[derive(clap::Args)]
pub struct ReportArgs {
    /// Write a report with confusion matrix, ROC curves, calibration and the worst mistakes as pictures; it contains test images
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArgs,
}

impl ReportArgs {
    /// Refuses an existing file.
    pub fn check(&self) -> anyhow::Result<()> {
        self.report.iter().try_for_each(|path| self.force.check(path))
    }

    /// Episodes of which single predictions are kept, if there is a report: `episodes` at most.
    ///
    /// * `per_episode`: predictions per episode
    pub fn episodes_kept(&self, episodes: usize, per_episode: usize, num_classes: usize) -> usize {
        let limit = PROBABILITIES_MAX / per_episode.saturating_mul(num_classes).max(1);
        if self.report.is_some() { episodes.min(limit.max(1)) } else { 0 }
    }

    /// The classifier of a probe.
    pub fn of_probe(&self, images: &Images, name: &str, result: &ProbeResult) -> anyhow::Result<Option<Subject>> {
        let predictions = result.predictions.clone();
        let area = result.area_under_roc.map(|area| format!("{area:.3}"));
        self.subject(images, name, (&result.confusion, Rates::OfImages, area), predictions, String::new())
    }

    /// The classifier of few-shot episodes.
    ///
    /// * `episodes`: kept episodes, and all
    pub fn of_few_shot(
        &self,
        images: &Images,
        name: &str,
        result: &FewShotResult,
        predictions: Predictions,
        (kept, episodes): (usize, usize),
    ) -> anyhow::Result<Option<Subject>> {
        let (sensitivity, specificity) = (result.recall_intervals.clone(), result.specificity_intervals.clone());
        let rates = Rates::OfEpisodes { sensitivity, specificity };
        let remark = format!(
            "Predictions of {} together{}; an image in several episodes counts each time.",
            count(kept, "episode"),
            if kept < episodes { format!(", the first of {episodes}") } else { String::new() }
        );
        let area = result.area_under_roc.map(|area| format!("{area}, the mean over episodes"));
        self.subject(images, name, (&result.confusion, rates, area), predictions, remark)
    }

    fn subject(
        &self,
        images: &Images,
        name: &str,
        (confusion, rates, area): (&ConfusionMatrix, Rates, Option<String>),
        predictions: Predictions,
        remark: String,
    ) -> anyhow::Result<Option<Subject>> {
        if self.report.is_none() {
            return Ok(None);
        }
        let mistakes = predictions.mistakes(MISTAKES_MAX);
        let mistakes = mistakes.iter().map(|mistake| mistaken(images, mistake)).collect::<anyhow::Result<_>>()?;
        let (name, confusion) = (name.to_owned(), confusion.clone());
        Ok(Some(Subject { name, confusion, rates, area, predictions, remark, mistakes }))
    }

    /// Writes the report, readable by its owner alone: it contains images.
    pub fn write(&self, report: &Report, subjects: Vec<Subject>, quiet: bool) -> anyhow::Result<()> {
        let Some(path) = &self.report else { return Ok(()) };
        let encoder = report.rows.first().map_or("", |row| &row.encoder);
        let evaluation = Evaluation {
            title: format!("Evaluation of {encoder}"),
            lead: format!("{}.", report.lead()),
            remarks: report.remarks.clone(),
            table: report.table(),
            comparisons: report.comparison.iter().map(Comparison::sentence).collect(),
            by_shots: report.by_shots(),
            class_names: report.class_names.clone(),
            subjects,
        };
        write_private(path, evaluation.html().as_bytes())?;
        if !quiet {
            eprintln!("report: {}", shown_path(path));
        }
        Ok(())
    }
}

fn mistaken(images: &Images, mistake: &Mistake) -> anyhow::Result<Mistaken> {
    let (dataset, index) = (&images.dataset, images.test[mistake.image]);
    let names = &dataset.class_names;
    let times = match mistake.times {
        1 => String::new(),
        times => format!(" in {} of {times} episodes", mistake.votes[mistake.predicted()]),
    };
    let caption = format!(
        "{}: {}, predicted as {}{times}; probability of {} {:.2}",
        dataset.records[index].name,
        names[mistake.truth],
        names[mistake.predicted()],
        names[mistake.truth],
        mistake.of_truth
    );
    Ok(Mistaken { image: shrunk(&dataset.load(index)?, SIDE_MAX), caption })
}
