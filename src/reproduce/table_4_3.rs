//! Triplet against SimCLR: samples without gradient, effect of margin and temperature, and cost.

use std::time::Instant;

use super::error::ReproduceError;
use super::findings::{Findings, share};
use super::lab::Lab;
use super::tasks;
use crate::measure::{Features, l2_normalize_rows, uniformity};
use crate::objective::{Miner, nt_xent, triplet_loss};
use crate::pretrain::{Method, PretrainConfig};
use crate::report::chart::{Axis, Chart, Series};
use crate::report::table::Table;
use crate::rng::Rng;

/// Training images and epochs.
const IMAGES: usize = 10_000;
const EPOCHS: u64 = 4;

/// Margins (of squared distances between 0 and 4) and temperatures of NT-Xent.
const MARGINS: [f32; 3] = [0.01, 0.2, 1.0];
const TEMPERATURES: [f32; 4] = [0.01, 0.1, 0.5, 1.0];

/// Dimensions of the embeddings for the cost.
const DIM: usize = 64;

pub(super) fn reproduce(lab: &mut Lab<'_>) -> Result<Findings, ReproduceError> {
    let task = lab.task(tasks::CIFAR_10);
    let images = lab.images(&task)?;
    let mut table =
        Table::new(&["method", "setting", "k-NN", "±", "uniformity", "zero gradient, first epoch", "last epoch"]);
    let mut curves = Vec::new();
    let settings = MARGINS.iter().map(|&margin| (Method::Triplet, margin));
    for (method, value) in settings.chain(TEMPERATURES.iter().map(|&temperature| (Method::Simclr, temperature))) {
        let base = lab.config(&task, method)?;
        let mut config = PretrainConfig { limit: Some(lab.number(IMAGES, 300)), epochs: lab.number(EPOCHS, 2), ..base };
        let word = if method == Method::Triplet { "margin" } else { "temperature" };
        match method {
            // All triplets, so that the share without gradient does not depend on a miner.
            Method::Triplet => (config.comparison.margin, config.comparison.miner) = (value, Miner::All),
            _ => config.comparison.temperature = value,
        }
        let name = format!("table-4.3-{}-{value}", method.name());
        let run = lab.run(&name, &config, &images)?;
        let knn = lab.knn(&run, &images)?;
        let curve: Vec<(f64, f64)> = (lab.lines_of(&name)?.iter())
            .filter_map(|line| Some((line.epoch as f64, *line.train.measures.get("zero_gradient")?)))
            .collect();
        let zero = |at: Option<&(f64, f64)>| at.map_or("-".to_owned(), |&(_, zero)| share(zero));
        table.push(vec![
            method.name().into(),
            format!("{word} {value}"),
            share(knn.balanced_accuracy.mean),
            knn.balanced_accuracy.width_text(),
            share(uniformity(first_rows(&knn.features), knn.features.dim)),
            zero(curve.first()),
            zero(curve.last()),
        ]);
        curves.push(Series::new(format!("{}, {word} {value}", method.name()), curve));
    }
    let chart = Chart {
        title: "Samples without gradient".to_owned(),
        x: Axis::linear("epoch"),
        y: Axis::linear("share with (nearly) no gradient"),
        series: curves,
    };
    let (cost, cost_chart) = cost(lab);
    Ok(Findings {
        tables: vec![("", table), ("cost", cost)],
        charts: vec![("zero-gradient", chart), ("cost", cost_chart)],
        sentences: vec![
            "A triplet inside the margin has no gradient; a view of SimCLR is counted if its positive has a probability above \
             0.999."
                .to_owned(),
            "The number of triplets of labelled images grows with the third power of n, that of triplets of views and of pairs \
             with the second. Times are of this machine."
                .to_owned(),
        ],
        ..Findings::default()
    })
}

/// The features for uniformity: a thousand, which are half a million pairs.
fn first_rows(features: &Features) -> &[f32] {
    &features.rows[..features.rows.len().min(1_000 * features.dim)]
}

/// Classes for triplets by label.
const CLASSES: usize = 10;

/// Time of loss and gradient for n images in two views each, without the encoder: all triplets of views, all triplets of
/// labels, and NT-Xent.
fn cost(lab: &Lab<'_>) -> (Table, Chart) {
    let counts = lab.number(vec![16, 32, 64, 128, 256], vec![8, 16]);
    let mut table = Table::new(&["images n", "loss", "terms", "ms"]);
    let names = ["triplets of views", "triplets of ten classes", "nt-xent"];
    let mut curves: [Vec<(f64, f64)>; 3] = Default::default();
    for count in counts {
        let mut rng = Rng::for_item(lab.seed, "cost", 0, count as u64);
        let views: Vec<f32> = (0..2 * count * DIM).map(|_| rng.normal()).collect();
        let views = l2_normalize_rows(&views, DIM);
        let by_view: Vec<usize> = (0..2 * count).map(|view| view / 2).collect();
        let by_class: Vec<usize> = (0..2 * count).map(|view| view / 2 % CLASSES).collect();
        let mut measured = Vec::new();
        for groups in [&by_view, &by_class] {
            measured.push((triplets(groups), median_ms(|| _ = triplet_loss(&views, groups, DIM, 0.2, Miner::All))));
        }
        let pairs = 2 * count * (2 * count - 1);
        measured.push((pairs, median_ms(|| _ = nt_xent(&views, DIM, 0.5))));
        for ((name, curve), (terms, ms)) in names.iter().zip(&mut curves).zip(measured) {
            table.push(vec![count.to_string(), (*name).to_owned(), terms.to_string(), format!("{ms:.3}")]);
            curve.push((count as f64, ms));
        }
    }
    let series = Series::named(&names, curves);
    let chart = Chart {
        title: "Cost of the loss of n images in two views".to_owned(),
        x: Axis::logarithmic("images n"),
        y: Axis::logarithmic("ms"),
        series,
    };
    (table, chart)
}

/// All triplets of these groups: each anchor with each positive and each negative.
fn triplets(groups: &[usize]) -> usize {
    let same = |anchor: &usize| groups.iter().filter(|group| *group == anchor).count();
    groups.iter().map(|anchor| (same(anchor) - 1) * (groups.len() - same(anchor))).sum()
}

/// The median of five times.
fn median_ms(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..5)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[2]
}
