//! MoCo's queue against SimCLR's batch size: k-NN accuracy and peak memory.

use super::error::ReproduceError;
use super::findings::{Findings, share};
use super::lab::Lab;
use super::tasks;
use crate::memory;
use crate::pretrain::{Method, PretrainConfig};
use crate::report::table::Table;

/// Training images and epochs.
const IMAGES: usize = 10_000;
const EPOCHS: u64 = 5;

pub(super) fn reproduce(lab: &mut Lab<'_>) -> Result<Findings, ReproduceError> {
    let task = lab.task(tasks::CIFAR_10);
    let images = lab.images(&task)?;
    let mut table =
        Table::new(&["method", "batch", "negatives", "k-NN", "±", "peak MiB while training", "loss", "zero gradient"]);
    let mut sentences = Vec::new();
    let (small, large) = (lab.number(64, 16), lab.number(vec![64, 256, 1024], vec![16, 64]));
    let rows = std::iter::once((Method::Moco, small)).chain(large.into_iter().map(|batch| (Method::Simclr, batch)));
    for (method, batch_size) in rows {
        let base = lab.config(&task, method)?;
        let mut config =
            PretrainConfig { batch_size, limit: Some(lab.number(IMAGES, 300)), epochs: lab.number(EPOCHS, 2), ..base };
        config.learning_rate = config.default_learning_rate();
        let name = format!("moco-memory-{}-{batch_size}", method.name());
        memory::reset_peak();
        let trained_before = lab.is_finished(&name);
        let run = lab.run(&name, &config, &images)?;
        let peak = memory::peak_bytes().filter(|_| !trained_before);
        let knn = lab.knn(&run, &images)?.balanced_accuracy;
        let lines = lab.lines_of(&name)?;
        let last = lines.last().map(|line| &line.train);
        let measure = |name: &str| last.and_then(|score| score.measures.get(name)).map_or("-".into(), |v| share(*v));
        let negatives = if method == Method::Moco { config.comparison.queue } else { 2 * batch_size - 2 };
        let peak = peak.map_or("-".to_owned(), |bytes| format!("{:.0}", bytes as f64 / f64::from(1 << 20)));
        sentences.push(format!(
            "{} at batch {batch_size} ({negatives} negatives): k-NN {}, peak {peak} MiB.",
            method.name(),
            share(knn.mean)
        ));
        table.push(vec![
            method.name().into(),
            batch_size.to_string(),
            negatives.to_string(),
            share(knn.mean),
            knn.width_text(),
            peak,
            last.map_or("-".into(), |score| share(score.loss)),
            measure("zero_gradient"),
        ]);
    }
    sentences.push(
        "Peak memory is that of the process, including cached images; '-' for a run that was trained before.".into(),
    );
    Ok(Findings { tables: vec![("", table)], sentences, ..Findings::default() })
}
