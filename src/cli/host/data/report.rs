//! `macula data --report`: near-duplicates, suspicious labels and images unlike all others.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::care::{Findings, Subject, examine};
use crate::cli::preprocessing::PreprocessingArgs;
use crate::cli::progress::bar;
use crate::cli::trust::{KeyArgs, open_encoder};
use crate::data::decode::EncoderRange;
use crate::data::{self, Dataset, ImageFacts, Look};
use crate::encoder::HostEncoder;
use crate::encoders::{self, EncoderInput, OpenOptions, Stated};
use crate::files::{write_atomic, write_private};
use crate::report::care::{
    contact_sheet, group_line, groups_title, label_line, labels_title, unlike_line, unlike_title,
};
use crate::report::care_html::html;
use crate::report::sheet;
use crate::report::text::shown_path;

/// Side of the input of a baseline.
const BASELINE_SIDE: usize = 32;

/// Largest median side of images for the smaller shipped encoders.
const SMALL_SIDE: usize = 100;

/// Options of a report.
#[derive(clap::Args)]
pub struct ReportArgs {
    /// Compare the images by an encoder: near-duplicates, suspicious labels, images unlike all others. With a file, write them
    /// there as well: as HTML with pictures, as JSON, or as a contact sheet
    ///
    /// Nothing is removed or changed: the findings are for a person to look at. The contact sheet has a row per group of
    /// near-duplicates, then rows of suspicious labels, then rows of images unlike all others.
    #[arg(long, value_name = "FILE.html|FILE.json|FILE.png", num_args = 0..=1, value_parser = report_file)]
    report: Option<Option<PathBuf>>,
    /// Encoder of --report: a shipped model, FILE.macula, FILE.onnx, FILE.blob, an export or run folder, or a baseline [default:
    /// the shipped model that fits the images]
    #[arg(long, requires = "report")]
    encoder: Option<String>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    preprocessing: PreprocessingArgs,
}

/// A path whose ending is that of a report.
fn report_file(text: &str) -> Result<PathBuf, String> {
    match ending(Path::new(text)) {
        "html" | "json" | "png" => Ok(PathBuf::from(text)),
        _ => Err("the name of a report ends in .html, .json or .png; the dataset stands before --report".to_owned()),
    }
}

fn ending(path: &Path) -> &str {
    path.extension().and_then(|ending| ending.to_str()).unwrap_or_default()
}

impl ReportArgs {
    /// The file to write.
    pub fn file(&self) -> Option<&Path> {
        self.report.as_ref()?.as_deref()
    }

    /// The range of the images that the encoder was trained on.
    ///
    /// # Errors
    /// When the encoder cannot be opened.
    pub fn range(&self, seed: u64) -> anyhow::Result<EncoderRange> {
        let named = self.encoder.as_deref().filter(|name| !encoders::is_fitted(name));
        let range = named.map(|name| anyhow::Ok(self.open(name, None, seed)?.preprocessing().range)).transpose()?;
        Ok(EncoderRange::Known(range.flatten()))
    }

    /// Examines `dataset`, whose images can all be read, and writes the file. `None` if no report was asked for.
    ///
    /// * `facts`: of its images
    ///
    /// # Errors
    /// When an image cannot be encoded, or the file cannot be written.
    pub fn examine(
        &self,
        dataset: &mut Dataset,
        facts: &[ImageFacts],
        seed: u64,
        quiet: bool,
    ) -> anyhow::Result<Option<Findings>> {
        let Some(file) = &self.report else { return Ok(None) };
        let name = self.encoder.clone().unwrap_or_else(|| fitting(facts));
        dataset.keep_decoded(data::DECODED_BYTES_MAX);
        let dataset = &*dataset;
        let all = dataset.indices(None);
        let channels = encoders::channels_of(dataset, &all);
        let side = BASELINE_SIDE;
        let fit = EncoderInput { dataset, unlabelled: &all, channels, height: side, width: side };
        let encoder = self.open(&name, Some(fit), seed)?;
        let labelled = all.iter().filter(|&&index| dataset.records[index].label.is_some()).count();
        let steps = (2 * all.len() + labelled) as u64;
        let bar = bar(quiet, steps, "{msg} {bar:40} {pos}/{len} images, {rate}, {eta} left");
        bar.set_message("comparing");
        let count = |count: usize| bar.inc(count as u64);
        let looks: Vec<Look> = dataset.looks(&all, &count).into_iter().collect::<Result<_, _>>()?;
        let findings = examine(&Subject { dataset, looks: &looks, encoder: &*encoder }, &count)?;
        bar.finish_and_clear();
        if let Some(path) = file {
            write(path, &findings, dataset).with_context(|| format!("cannot write the report {}", shown_path(path)))?;
        }
        Ok(Some(findings))
    }

    fn open(&self, name: &str, fit: Option<EncoderInput<'_>>, seed: u64) -> anyhow::Result<Box<dyn HostEncoder>> {
        let trusted = self.keys.read()?;
        let range = fit.as_ref().and_then(|fit| fit.dataset.decode.range);
        let stated = self.preprocessing.stated()?.map(|stated| Stated { range, ..stated });
        let host = self.preprocessing.values.limits.host(None);
        let options =
            OpenOptions { host, trusted: &trusted, stated: stated.as_ref(), fit, seed, ..OpenOptions::default() };
        Ok(open_encoder(name, &options)?.encoder)
    }
}

/// The shipped encoder for images like `facts`.
fn fitting(facts: &[ImageFacts]) -> String {
    let colour = if facts.iter().all(|fact| fact.grey) { "grey" } else { "colour" };
    let mut sides: Vec<usize> = facts.iter().map(|fact| fact.width.min(fact.height)).collect();
    sides.sort_unstable();
    let side = sides.get(sides.len() / 2).copied().unwrap_or(0);
    format!("{colour}-{}", if side > SMALL_SIDE { 128 } else { 64 })
}

fn write(path: &Path, findings: &Findings, dataset: &Dataset) -> anyhow::Result<()> {
    match ending(path) {
        "html" => write_private(path, html(findings, dataset)?.as_bytes())?,
        "png" => sheet::write_png(path, &contact_sheet(findings, dataset)?)?,
        _ => write_atomic(path, (serde_json::to_string_pretty(findings)? + "\n").as_bytes())?,
    }
    Ok(())
}

/// Prints the first of each kind with `print_list`.
pub fn print(findings: &Findings, file: Option<&Path>, print_list: impl Fn(&str, &[String])) {
    println!("\nreport on {} images, by features of {}", findings.images, findings.encoder);
    if findings.splits_are_made {
        println!("no named splits: train and test are those that pretrain and eval make");
    }
    if findings.without_contrast > 0 {
        println!("without contrast, not compared for near-duplicates: {}", findings.without_contrast);
    }
    let lines: Vec<String> = findings.near_duplicates.iter().map(group_line).collect();
    print_list(&groups_title(findings), &lines);
    let labels = findings.labels.iter().flat_map(|labels| &labels.suspicious);
    print_list(&labels_title(findings), &labels.map(label_line).collect::<Vec<_>>());
    let lines: Vec<String> = findings.unlike.images.iter().map(unlike_line).collect();
    print_list(&unlike_title(findings), &lines);
    if let Some(path) = file {
        println!("\nreport: {}", shown_path(path));
    }
}
