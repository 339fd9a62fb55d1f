//! Figure 5: iterations to the same accuracy, from pretrained and from random initial weights.

use super::error::ReproduceError;
use super::findings::{Findings, share};
use super::lab::Lab;
use super::tasks;
use crate::pretrain::{EpochLine, Init, Method, PretrainConfig};
use crate::report::chart::{Axis, Chart, Series};
use crate::report::table::Table;

/// Labelled images per class of the target task, and epochs.
const PER_CLASS: usize = 500;
const EPOCHS: u64 = 12;

pub(super) fn reproduce(lab: &mut Lab<'_>) -> Result<Findings, ReproduceError> {
    let task = lab.task(tasks::CIFAR_10);
    let images = lab.images(&task)?;
    lab.run_of(&task, &images, Method::Simclr)?;
    let pretrained = Init::of(&lab.folder(&format!("{}-simclr", task.name)))?;
    let config = PretrainConfig {
        per_class: Some(lab.number(PER_CLASS, 20)),
        epochs: lab.number(EPOCHS, 3),
        ..lab.config(&task, Method::Supervised)?
    };
    let mut curves = Vec::new();
    for (name, init) in [("from random weights", None), ("from SimCLR", Some(pretrained))] {
        let folder = if init.is_some() { "figure-5-pretrained" } else { "figure-5-random" };
        lab.run(folder, &PretrainConfig { init, ..config.clone() }, &images)?;
        curves.push((name, lab.lines_of(folder)?.iter().filter_map(point).collect::<Vec<_>>()));
    }
    let mut table = Table::new(&["iteration", "from random weights", "from SimCLR"]);
    for (random, pretrained) in curves[0].1.iter().zip(&curves[1].1) {
        table.push(vec![format!("{:.0}", random.0), share(random.1), share(pretrained.1)]);
    }
    let (ratios, sentence) = compare(&curves[0].1, &curves[1].1);
    let series = curves.into_iter().map(|(name, points)| Series::new(name, points)).collect();
    let chart = Chart {
        title: format!(
            "Training from SimCLR and from random weights ({}, {} labels)",
            task.name,
            images.dataset.class_names.len() * config.per_class.unwrap_or(0)
        ),
        x: Axis::linear("iteration"),
        y: Axis::linear("balanced accuracy, held out"),
        series,
    };
    Ok(Findings {
        tables: vec![("", table), ("ratio", ratios)],
        charts: vec![("", chart)],
        sentences: vec![sentence],
        ..Findings::default()
    })
}

fn point(line: &EpochLine) -> Option<(f64, f64)> {
    Some((line.step as f64, line.held_out.as_ref()?.balanced_accuracy))
}

/// Iterations to shares of the best accuracy of random weights.
fn compare(random: &[(f64, f64)], pretrained: &[(f64, f64)]) -> (Table, String) {
    let mut table = Table::new(&["accuracy", "iterations from random weights", "from SimCLR", "ratio"]);
    let best = random.iter().fold(0.0, |best: f64, point| best.max(point.1));
    let mut last = "never".to_owned();
    for part in [0.7, 0.8, 0.9, 1.0] {
        let accuracy = part * best;
        let [slow, fast] = [random, pretrained].map(|curve| first_reaching(curve, accuracy));
        let ratio = slow.zip(fast).map_or("never".to_owned(), |(slow, fast)| format!("{:.1}", slow / fast));
        let text = |at: Option<f64>| at.map_or("never".to_owned(), |at| format!("{at:.0}"));
        table.push(vec![share(accuracy), text(slow), text(fast), ratio.clone()]);
        last = ratio;
    }
    let sentence = format!(
        "To reach the best accuracy of random weights ({}), pretrained weights need fewer iterations by this factor: {last} (the \
         literature has about 3).",
        share(best)
    );
    (table, sentence)
}

/// The iteration at which `curve` first reaches `accuracy`, interpolated linearly.
fn first_reaching(curve: &[(f64, f64)], accuracy: f64) -> Option<f64> {
    let at = curve.iter().position(|point| point.1 >= accuracy)?;
    let (after, before) = (curve[at], if at == 0 { (0.0, 0.0) } else { curve[at - 1] });
    let part = if after.1 > before.1 { (accuracy - before.1) / (after.1 - before.1) } else { 1.0 };
    Some(before.0 + part * (after.0 - before.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterations_are_read_off_the_lines() {
        let slow = [(10.0, 0.2), (20.0, 0.4), (30.0, 0.6)];
        let fast = [(10.0, 0.6), (20.0, 0.7)];
        assert_eq!(first_reaching(&slow, 0.5), Some(25.0));
        assert_eq!(first_reaching(&slow, 0.7), None);
        let (table, sentence) = compare(&slow, &fast);
        assert_eq!(table.rows[3], ["0.600", "30", "10", "3.0"]);
        assert!(sentence.contains(": 3.0"), "{sentence}");
    }
}
