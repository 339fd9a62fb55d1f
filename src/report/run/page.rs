//! The report of one run.

use std::path::Path;

use super::pictures::{Map, Sheet};
use super::plots::plots;
use super::record::{Parity, RunRecord};
use crate::data::short_name;
use crate::report::chart::{Group, Scatter};
use crate::report::html::{Document, Html, cards, details, figures, listed, note, picture, preformatted, table, text};
use crate::report::table::Table;
use crate::report::text::{count, rate};

/// Most groups of a map; the other classes are one group.
const GROUPS_MAX: usize = 24;

/// The report of `run` as the bytes of an HTML file.
pub fn report(run: &RunRecord) -> String {
    let config = &run.config;
    let has_pictures = run.pictures.views.is_some() || run.pictures.neighbours.is_some();
    let state = match (run.is_finished(), run.epochs_done()) {
        (true, done) => format!("finished after {}", count(done, "epoch")),
        (false, done) => format!("{done} of {} so far", count(config.epochs, "epoch")),
    };
    let lead = format!(
        "Training of the encoder {} by {} on {}: {state}.",
        config.encoder.name(),
        config.method.name(),
        short_name(&config.data)
    );
    let mut lead = text(&lead);
    if has_pictures {
        lead = lead.then(note("This file contains training images. Treat it as you treat the images themselves."));
    }
    let mut document = Document::new(&format!("Run {}", folder_name(&run.name)), lead);
    document.section("Last figures", cards(&last_figures(run)));
    document.section("Remarks", listed(&run.remarks));
    let charts = plots(run);
    let charts = charts.iter().filter_map(|plot| Some((plot.title.clone(), plot.remark.clone(), plot.part()?)));
    document.section("Course of training", figures(&charts.collect::<Vec<_>>()));
    if let Some(sheet) = &run.pictures.views {
        let about = "Each row: a training image, then views of it as the objective sees them.";
        document.section("Augmented views", text(about).then(of_sheet("Training images and their views", sheet)));
    }
    if let Some(sheet) = &run.pictures.neighbours {
        let about =
            "Each row: a training image, then the images with the most similar features, of up to 400 training images.";
        document.section(
            "Nearest neighbours",
            text(about).then(of_sheet("Training images and their nearest neighbours", sheet)),
        );
    }
    if let Some(map) = &run.pictures.map {
        document.section("Map of the features", of_map(map));
    }
    if let Some(parity) = &run.parity {
        document.section("Parity of the exported files", of_parity(parity));
    }
    let settings = preformatted("Configuration", &config.to_toml());
    document.section("Settings", details("config.toml", settings));
    document.html()
}

/// The last component of the path of a run.
pub(super) fn folder_name(path: &str) -> String {
    Path::new(path).file_name().map_or(path.to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Names, values and remarks of the last figures.
pub(super) fn last_figures(run: &RunRecord) -> Vec<(String, String, String)> {
    let Some(last) = run.epochs.iter().rev().find(|line| line.epoch > 0) else { return Vec::new() };
    let mut found = Vec::new();
    let mut add = |name: &str, value: String, remark: &str| found.push((name.to_owned(), value, remark.to_owned()));
    add("Epochs", format!("{} of {}", last.epoch, run.config.epochs), "");
    add("Steps", last.step.to_string(), "");
    add("Loss", format!("{:.4}", last.train.loss), "training images, lower is better");
    if let Some(score) = &last.held_out {
        add("Loss, held out", format!("{:.4}", score.loss), "lower is better");
        if score.recall.iter().flatten().count() > 1 {
            add("Balanced accuracy, held out", format!("{:.4}", score.balanced_accuracy), "higher is better");
        }
    }
    if let Some(health) = &last.health {
        if let Some(knn) = health.knn {
            add("k-NN", format!("{knn:.4}"), "balanced accuracy, higher is better");
        }
        add("Effective rank", format!("{:.1}", health.effective_rank), "higher is better");
        add("Uniformity", format!("{:.3}", health.uniformity), "lower is better");
    }
    if let Some(quality) = &last.quality {
        add("Retrieval", format!("{:.4}", quality.retrieval), "higher is better");
    }
    if let Some(timing) = run.timings.last() {
        add("Images per second", rate(timing.images_per_second), "last epoch");
        add("Waiting for images", format!("{:.1} %", 100.0 * timing.input_share), "last epoch");
        let seconds: f64 = run.timings.iter().map(|line| line.seconds).sum();
        add("Time", duration(seconds), "all epochs");
        if let Some(bytes) = timing.peak_memory_bytes {
            add("Memory", format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20)), "at most");
        }
    }
    found
}

/// Seconds as hours and minutes.
fn duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 120.0 => format!("{seconds:.1} s"),
        seconds if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}

fn of_sheet(description: &str, sheet: &Sheet) -> Html {
    let drawn = picture(description, "", &sheet.picture, sheet.width);
    let captions = sheet.captions.iter().enumerate().map(|(row, caption)| format!("Row {}: {caption}", row + 1));
    let captions: Vec<String> = captions.collect();
    if captions.is_empty() { drawn } else { drawn.then(details("Classes", listed(&captions))) }
}

fn of_map(map: &Map) -> Html {
    let maps = [
        (
            "Principal components",
            format!(
                "The two directions of largest variance: {:.0} % and {:.0} % of it.",
                100.0 * map.shares[0],
                100.0 * map.shares[1]
            ),
            &map.principal,
        ),
        (
            "t-SNE",
            "Near points are similar images. Distances between clusters and their sizes say nothing.".to_owned(),
            &map.tsne,
        ),
    ];
    let charts = maps.into_iter().filter_map(|(title, remark, points)| {
        let groups = groups(map, points);
        let svg = Scatter { title: title.to_owned(), x: String::new(), y: String::new(), groups }.part().ok()?;
        Some((title.to_owned(), remark, svg))
    });
    let about = format!(
        "Features of {} by the finished encoder. Training does not use the classes shown, unless it is supervised.",
        count(map.labels.len(), "training image")
    );
    text(&about).then(figures(&charts.collect::<Vec<_>>()))
}

/// The points by class: classes with most images first, unlabelled images last.
fn groups(map: &Map, points: &[[f64; 2]]) -> Vec<Group> {
    let classes = map.class_names.len();
    let mut by_class: Vec<(usize, Vec<(f64, f64)>)> = (0..=classes).map(|class| (class, Vec::new())).collect();
    for (label, point) in map.labels.iter().zip(points) {
        by_class[label.unwrap_or(classes)].1.push((point[0], point[1]));
    }
    by_class.retain(|(_, points)| !points.is_empty());
    let name = |class: usize| map.class_names.get(class).map_or("unlabelled", String::as_str).to_owned();
    if by_class.len() <= GROUPS_MAX {
        return by_class.into_iter().map(|(class, points)| Group { name: name(class), points }).collect();
    }
    // Stable, so that classes of equal size keep their order.
    by_class.sort_by_key(|(_, points)| std::cmp::Reverse(points.len()));
    let rest = by_class.split_off(GROUPS_MAX - 1);
    let others = format!("{} other classes", rest.len());
    let rest = rest.into_iter().flat_map(|(_, points)| points).collect();
    let shown = by_class.into_iter().map(|(class, points)| Group { name: name(class), points });
    shown.chain([Group { name: others, points: rest }]).collect()
}

fn of_parity(parity: &Parity) -> Html {
    let mut rows = Table::new(&["file", "largest error", "allowed", "least cosine", "changed nearest", "passed"]);
    for step in &parity.steps {
        rows.push(vec![
            step.file.clone(),
            format!("{:.1e}", step.max_error),
            format!("{:.1e}", step.tolerance),
            format!("{:.6}", step.min_cosine),
            format!("{} of {}", step.flips, parity.images),
            if step.passed { "yes" } else { "no" }.to_owned(),
        ]);
    }
    let about =
        "Features of the exported files beside those of the trained encoder, relative to the length of a feature.";
    text(about).then(table("Parity of the exported files", &rows, |_, _| 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_has_at_most_24_groups_and_all_points() {
        let classes = 40;
        let labels: Vec<Option<usize>> = (0..200).map(|at| Some(at % classes).filter(|&label| label != 3)).collect();
        let points = vec![[0.5, 1.0]; 200];
        let map = Map {
            class_names: (0..classes).map(|class| class.to_string()).collect(),
            labels,
            principal: points.clone(),
            shares: [0.5, 0.1],
            tsne: Vec::new(),
        };
        let found = groups(&map, &points);
        assert_eq!((found.len(), found.iter().map(|group| group.points.len()).sum::<usize>()), (24, 200));
        assert_eq!(found.last().unwrap().name, "17 other classes");
    }

    #[test]
    fn durations_have_a_readable_unit() {
        assert_eq!([3.21, 600.0, 9000.0].map(duration), ["3.2 s", "10 min", "2.5 h"]);
    }
}
