//! The curves of a run over its epochs.

use super::record::RunRecord;
use crate::pretrain::{EpochLine, Health, Quality, Score, TimingLine};
use crate::report::chart::{Axis, Chart, Series};

/// A chart of one quantity.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    /// The quantity.
    pub title: String,
    /// What it says, and which direction is better.
    pub remark: String,
    /// Its axis.
    pub y: Axis,
    /// Name and values by epoch; the name is empty if there is one.
    pub curves: Vec<(String, Vec<(f64, f64)>)>,
}

impl Plot {
    /// The SVG of the chart; `None` without a value. Values that are not finite are left out.
    pub fn part(&self) -> Option<String> {
        let series = self.curves.iter().map(|(name, points)| {
            let on_axes = |&&(x, y): &&(f64, f64)| x.is_finite() && y.is_finite() && (!self.y.logarithmic || y > 0.0);
            Series::new(&**name, points.iter().filter(on_axes).copied().collect())
        });
        let series = series.filter(|series| !series.points.is_empty()).collect();
        Chart { title: self.title.clone(), x: Axis::whole("epoch"), y: self.y.clone(), series }.part().ok()
    }
}

/// A further metric of an objective: name in a score, title, remark.
const MEASURES: [(&str, &str, &str); 5] = [
    (
        "alignment",
        "Alignment of embeddings",
        "Distance of two views of an image. Lower is better, but 0 is a collapse.",
    ),
    ("uniformity", "Uniformity of embeddings", "How evenly embeddings cover the sphere. Lower is better."),
    ("distance", "Distance of embeddings", "Between different images; 0 is a collapse."),
    ("zero_gradient", "Triplets without gradient", "Share of triplets that teach nothing. Some are normal."),
    ("mean_image_error", "Error of the mean image", "The loss of predicting the mean for every pixel."),
];

/// The charts of `run` that have values.
pub(super) fn plots(run: &RunRecord) -> Vec<Plot> {
    let mut plots = vec![loss(run), learning_rate(run), accuracy(run)];
    plots.extend(health(run));
    plots.extend(quality(run));
    plots.extend(measures(run));
    plots.extend(times(run));
    plots.retain(|plot| plot.curves.iter().any(|(_, points)| !points.is_empty()));
    plots
}

fn plot(title: &str, remark: &str, y: Axis, curves: Vec<(&str, Vec<(f64, f64)>)>) -> Plot {
    let curves = curves.into_iter().filter(|(_, points)| !points.is_empty());
    let mut curves: Vec<(String, Vec<(f64, f64)>)> = curves.map(|(name, points)| (name.to_owned(), points)).collect();
    if let [(name, _)] = &mut curves[..] {
        name.clear();
    }
    Plot { title: title.to_owned(), remark: remark.to_owned(), y, curves }
}

/// A value of each epoch that has one. Epoch 0, before training, has health and quality only.
fn by_epoch(run: &RunRecord, value: impl Fn(&EpochLine) -> Option<f64>) -> Vec<(f64, f64)> {
    run.epochs.iter().filter_map(|line| Some((line.epoch as f64, value(line)?))).collect()
}

fn trained(line: &EpochLine) -> Option<&Score> {
    (line.epoch > 0).then_some(&line.train)
}

fn loss(run: &RunRecord) -> Plot {
    let train = by_epoch(run, |line| Some(trained(line)?.loss));
    let held_out = by_epoch(run, |line| Some(line.held_out.as_ref()?.loss));
    let curves = vec![("training images", train), ("held-out images", held_out)];
    plot("Loss", "Mean per network input. Lower is better.", Axis::linear("loss"), curves)
}

fn learning_rate(run: &RunRecord) -> Plot {
    let values = by_epoch(run, |line| Some(f64::from(trained(line).map(|_| line.learning_rate)?)));
    plot("Learning rate", "Of the last step of the epoch.", Axis::linear("learning rate"), vec![("", values)])
}

fn accuracy(run: &RunRecord) -> Plot {
    // An objective with one output has nothing to predict.
    let several = |score: &Score| (score.recall.iter().flatten().count() > 1).then_some(score.balanced_accuracy);
    let train = by_epoch(run, |line| several(trained(line)?));
    let held_out = by_epoch(run, |line| several(line.held_out.as_ref()?));
    let curves = vec![("training images", train), ("held-out images", held_out)];
    let remark = "Of the training task, over its outputs. Higher is better.";
    plot("Balanced accuracy", remark, Axis::linear("balanced accuracy"), curves)
}

fn health(run: &RunRecord) -> Vec<Plot> {
    let of = |value: fn(&Health) -> Option<f64>| vec![("", by_epoch(run, |line| value(line.health.as_deref()?)))];
    vec![
        plot(
            "k-NN of the features",
            "Balanced accuracy on labelled training images, leave-one-out. Training does not use these labels. Higher is better.",
            Axis::linear("balanced accuracy"),
            of(|health| health.knn),
        ),
        plot(
            "Effective rank of the features",
            "Number of directions along which features differ. Higher is better; 1 is a collapse.",
            Axis::linear("directions"),
            of(|health| Some(health.effective_rank)),
        ),
        plot(
            "Uniformity of the features",
            "0 if all are equal, about -4 if they cover the sphere. Lower is better.",
            Axis::linear("uniformity"),
            of(|health| Some(health.uniformity)),
        ),
        plot(
            "Alignment of the features",
            "Squared distance of two views of an image. Lower is better, but 0 is a collapse.",
            Axis::linear("squared distance"),
            of(|health| health.alignment),
        ),
        plot(
            "Deviation of the features",
            "Of a dimension, relative to features that cover the sphere. Higher is better; 0 is a collapse.",
            Axis::linear("deviation"),
            of(|health| Some(health.deviation)),
        ),
    ]
}

fn quality(run: &RunRecord) -> Vec<Plot> {
    let of = |value: fn(&Quality) -> f64| vec![("", by_epoch(run, |line| Some(value(line.quality.as_deref()?))))];
    vec![plot(
        "Retrieval of views",
        "Share of views whose most similar view is of the same image; the run keeps the epoch with the highest.",
        Axis::linear("share"),
        of(|quality| quality.retrieval),
    )]
}

fn measures(run: &RunRecord) -> Vec<Plot> {
    let Some(last) = run.epochs.iter().rev().find(|line| line.epoch > 0) else { return Vec::new() };
    let chart = |name: &String| {
        let values = |score: &Score| score.measures.get(name).copied();
        let train = by_epoch(run, |line| values(trained(line)?));
        let held_out = by_epoch(run, |line| values(line.held_out.as_ref()?));
        let known = MEASURES.iter().find(|(key, ..)| key == name);
        let (title, remark) =
            known.map_or((name.replace('_', " "), ""), |(_, title, remark)| ((*title).to_owned(), *remark));
        let curves = vec![("training images", train), ("held-out images", held_out)];
        plot(&title, remark, Axis::linear(&name.replace('_', " ")), curves)
    };
    last.train.measures.keys().map(chart).collect()
}

fn times(run: &RunRecord) -> Vec<Plot> {
    let of = |value: fn(&TimingLine) -> Option<f64>| {
        let points = run.timings.iter().filter_map(|line| Some((line.epoch as f64, value(line)?)));
        vec![("", points.collect())]
    };
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    vec![
        plot(
            "Speed",
            "Training images per second, measurements after the epoch included.",
            Axis::linear("images per second"),
            of(|line| Some(line.images_per_second)),
        ),
        plot(
            "Waiting for images",
            "Share of the time of steps in which they waited for data. Lower is better.",
            Axis::linear("% of the time"),
            of(|line| Some(100.0 * line.input_share)),
        ),
        plot(
            "Memory",
            "Most that the process has had so far.",
            Axis::linear("MiB"),
            vec![(
                "",
                run.timings.iter().filter_map(|line| Some((line.epoch as f64, mib(line.peak_memory_bytes?)))).collect(),
            )],
        ),
    ]
}
