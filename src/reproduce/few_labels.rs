//! Accuracy by the number of labels: a probe on pretrained features, fine-tuned pretrained weights, and supervised training
//! from scratch.

use super::error::ReproduceError;
use super::findings::{Findings, share};
use super::lab::Lab;
use super::tasks;
use crate::augment::Augmentation;
use crate::pretrain::{Freeze, Init, Method, PretrainConfig, Validate};
use crate::report::chart::{Axis, Chart, Series};
use crate::report::table::Table;

/// Labelled images per class, and the published errors of a larger network in percent: rotation
/// features with a convolutional probe, and supervised training (Gidaris et al. 2018, arXiv:1803.07728, figure 7).
const LABELS: [(usize, f64, f64); 5] =
    [(20, 35.4, 66.3), (100, 24.7, 52.7), (400, 17.2, 25.8), (1000, 13.6, 16.5), (5000, 8.1, 6.9)];

/// Fewest steps of a training run: few images have more epochs.
const STEPS: usize = 800;

pub(super) fn reproduce(lab: &mut Lab<'_>) -> Result<Findings, ReproduceError> {
    let task = lab.task(tasks::CIFAR_10);
    let images = lab.images(&task)?;
    let mut pretrained = Vec::new();
    for method in [Method::Rotation, Method::Simclr] {
        lab.run_of(&task, &images, method)?;
        let name = method.name();
        pretrained.push((name, Init::of(&lab.folder(&format!("{}-{name}", task.name)))?));
    }
    let supervised = lab.config(&task, Method::Supervised)?;
    let mut table = Table::new(&[
        "labels per class",
        "rotation + probe",
        "simclr + probe",
        "simclr, trained on",
        "from scratch",
        "best pretrained less scratch",
        "published error %, probe",
        "published error %, scratch",
    ]);
    let mut curves: [Vec<(f64, f64)>; 4] = Default::default();
    let mut gains = Vec::new();
    let labels = if lab.number(true, false) { LABELS.to_vec() } else { vec![LABELS[0], LABELS[1]] };
    for (per_class, published_probe, published_scratch) in labels {
        let count = per_class * images.dataset.class_names.len();
        let steps = lab.number(STEPS, 20);
        // A short last batch is dropped, unless it is the only one.
        let steps_per_epoch = (count / supervised.batch_size).max(1);
        let epochs = (steps.div_ceil(steps_per_epoch) as u64).max(lab.number(task.epochs, 1));
        let config =
            PretrainConfig { per_class: Some(per_class), epochs, validate: Validate::End, ..supervised.clone() };
        let mut accuracies = Vec::new();
        for (name, init) in &pretrained {
            let probe = PretrainConfig {
                init: Some(init.clone()),
                freeze: Some(Freeze::default()),
                augmentation: Augmentation::NONE,
                ..config.clone()
            };
            accuracies.push(held_out(lab, &format!("few-labels-{name}-{per_class}"), &probe, &images)?);
        }
        let (name, init) = &pretrained[1];
        let fine_tuned = PretrainConfig { init: Some(init.clone()), ..config.clone() };
        accuracies.push(held_out(lab, &format!("few-labels-{name}-on-{per_class}"), &fine_tuned, &images)?);
        accuracies.push(held_out(lab, &format!("few-labels-scratch-{per_class}"), &config, &images)?);
        let best = accuracies[..3].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let gain = best - accuracies[3];
        gains.push((per_class, 100.0 * gain));
        let mut row = vec![per_class.to_string()];
        row.extend(accuracies.iter().map(|&accuracy| share(accuracy)));
        row.extend([format!("{gain:+.3}"), published_probe.to_string(), published_scratch.to_string()]);
        table.push(row);
        curves.iter_mut().zip(&accuracies).for_each(|(curve, &accuracy)| curve.push((per_class as f64, accuracy)));
    }
    let ((few, gain_of_few), (many, gain_of_many)) = (gains[0], gains[gains.len() - 1]);
    let sentence = format!(
        "With {few} labels per class the best pretrained encoder is {gain_of_few:+.1} points ahead of training from scratch, with \
         {many} labels {gain_of_many:+.1}."
    );
    let names = ["rotation + probe", "simclr + probe", "simclr, trained on", "from scratch"];
    let series = Series::named(&names, curves);
    let chart = Chart {
        title: format!("Accuracy by labels, with and without pretraining ({})", task.name),
        x: Axis::logarithmic("labels per class"),
        y: Axis::linear("balanced accuracy, held out"),
        series,
    };
    Ok(Findings::charted(table, chart, sentence))
}

fn held_out(
    lab: &mut Lab<'_>,
    name: &str,
    config: &PretrainConfig,
    images: &super::lab::Images,
) -> Result<f64, ReproduceError> {
    lab.run(name, config, images)?;
    let lines = lab.lines_of(name)?;
    let score = lines.last().and_then(|line| line.held_out.as_ref());
    Ok(score.map_or(f64::NAN, |score| score.balanced_accuracy))
}
