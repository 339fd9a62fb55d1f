//! Measures all encoders of a table on one task after the other.

use std::collections::HashMap;

use super::contender::Contender;
use super::cost::EncoderCost;
use super::error::BenchmarkError;
use super::figures::Episodes;
use super::rows::{Row, Seen, compare};
use super::task::Task;
use super::task_images::TaskImages;
use crate::data::Preprocessing;
use crate::encoder::HostEncoder;
use crate::encoders::{self, Baseline, EncoderInput, OpenError};
use crate::evaluate::{EpisodeSettings, EvaluateError, FeatureSource, Features, HeadKind};
use crate::files::Cache;

/// Opens an encoder by name; baselines are fitted to the images of the input.
pub type OpenEncoder<'a> = &'a dyn Fn(&str, EncoderInput<'_>) -> Result<Box<dyn HostEncoder>, OpenError>;

/// Settings of the episodes, the same for all tasks and encoders.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Numbers of labelled images per class.
    pub shots: Vec<usize>,
    /// Query images per class.
    pub queries: usize,
    /// Episodes per task and number of shots.
    pub episodes: usize,
    /// Seed of the episodes, of random encoders and of generated datasets.
    pub seed: u64,
    /// The head, the same for all encoders.
    pub head: HeadKind,
    /// Images per split at most, spread evenly; `None` for all.
    pub images_per_split: Option<usize>,
    /// Side of the input of encoders without an own size.
    pub side: usize,
}

/// A table in the making.
pub struct Benchmark<'a> {
    /// Settings of the episodes.
    pub settings: Settings,
    /// The encoders.
    pub contenders: &'a [Contender],
    /// The baselines.
    pub baselines: &'a [Baseline],
    /// Keeps features and figures between calls.
    pub cache: Option<&'a Cache>,
    /// Opens an encoder.
    pub open: OpenEncoder<'a>,
    /// Receives a line about each piece of work.
    pub say: &'a dyn Fn(&str),
    /// Rows, task by task.
    pub rows: Vec<Row>,
    /// The cost of each encoder.
    pub costs: Vec<EncoderCost>,
    /// Remarks on the images of each task.
    pub remarks: Vec<String>,
}

/// An encoder and its names.
struct Entry {
    label: String,
    name: String,
    encoder: Box<dyn HostEncoder>,
}

impl Benchmark<'_> {
    /// Checks that no two encoders have the same label.
    ///
    /// # Errors
    /// The first label that two of them have.
    pub fn check_labels(&self) -> Result<(), BenchmarkError> {
        let labels: Vec<&str> = self.contenders.iter().map(|contender| contender.label.as_str()).collect();
        match (1..labels.len()).find(|&at| labels[..at].contains(&labels[at])) {
            Some(at) => Err(BenchmarkError::Label { label: labels[at].to_owned() }),
            None => Ok(()),
        }
    }

    /// Measures every encoder on `task` and adds its rows.
    ///
    /// # Errors
    /// When images or an encoder cannot be opened or used, or an encoder was trained with labels on test images.
    pub fn measure(&mut self, task: &Task) -> Result<(), BenchmarkError> {
        (self.say)(&format!("{}: reading images", task.name));
        let images = TaskImages::open(task, self.settings.images_per_split, self.settings.seed)?;
        self.remarks.extend(images.remarks.iter().map(|remark| format!("{}: {remark}", task.name)));
        let mut rows = Vec::new();
        for Entry { label, name, encoder } in self.entries(task, &images)? {
            let seen = seen(task, &name, &images)?;
            (self.say)(&format!("{}: {label}", task.name));
            if !self.costs.iter().any(|cost| cost.encoder == label) {
                self.costs.push(EncoderCost::of(&label, &name, &*encoder));
            }
            let failed = |source| BenchmarkError::Task { task: task.name.clone(), source };
            for mut row in self.rows_of((&label, &name), task, &images, &*encoder).map_err(failed)? {
                row.images = [images.train.len(), images.test.len()];
                row.seen = seen;
                rows.push(row);
            }
        }
        compare(&mut rows);
        self.rows.extend(rows);
        Ok(())
    }

    /// The baselines, then the encoders, for one task. An encoder that is a baseline is listed once.
    fn entries(&self, task: &Task, images: &TaskImages) -> Result<Vec<Entry>, BenchmarkError> {
        let channels = encoders::channels_of(&images.dataset, &images.train);
        let side = self.settings.side;
        let own =
            EncoderInput { dataset: &images.dataset, unlabelled: &images.train, channels, height: side, width: side };
        let failed = |source| BenchmarkError::Open { task: task.name.clone(), source: Box::new(source) };
        let mut entries = Vec::new();
        for contender in self.contenders {
            let name = contender.encoder(&task.name);
            let (name, input) = match name.parse::<Baseline>() {
                // A baseline with its own input size, such as random:micro@64.
                Ok(baseline) if name.contains('@') => {
                    (baseline.encoder(None), baseline.input(own, &Preprocessing::unit(channels, side, side)))
                }
                _ => (name, own),
            };
            let encoder = (self.open)(&name, input).map_err(failed)?;
            entries.push(Entry { label: contender.label.clone(), name, encoder });
        }
        let preset = entries.iter().find_map(|entry| encoders::preset_of(&entry.name));
        // Only a random encoder takes the size of the first encoder; all have the channels of the images.
        let like = entries.first().map_or([side; 2], |entry| {
            let recipe = entry.encoder.preprocessing();
            [recipe.height, recipe.width]
        });
        let like = Preprocessing::unit(channels, like[0], like[1]);
        let mut baselines = Vec::new();
        for baseline in self.baselines {
            let name = baseline.encoder(preset);
            if entries.iter().any(|entry| entry.label == name) {
                continue;
            }
            let encoder = (self.open)(&name, baseline.input(own, &like)).map_err(failed)?;
            baselines.push(Entry { label: name.clone(), name, encoder });
        }
        baselines.extend(entries);
        Ok(baselines)
    }

    /// The rows of one encoder. Features are computed only for figures that are not kept.
    fn rows_of(
        &self,
        names: (&str, &str),
        task: &Task,
        images: &TaskImages,
        encoder: &dyn HostEncoder,
    ) -> Result<Vec<Row>, EvaluateError> {
        let Settings { shots, queries, episodes, seed, head, .. } = &self.settings;
        let ways = images.dataset.class_names.len();
        let source = FeatureSource::new(&images.dataset, &images.digests, self.cache);
        let mut features: Option<Features> = None;
        let mut rows = Vec::new();
        for &shots in shots {
            let settings = EpisodeSettings { ways, shots, queries: *queries, seed: *seed };
            let episodes = Episodes { settings, count: *episodes, head: *head, images };
            let standardised = || {
                if features.is_none() {
                    let corpus = source.corpus(encoder, &images.train, &|_| ())?;
                    let mut computed = source.features(encoder, &images.test, &|_| ())?;
                    computed.standardise(&corpus);
                    features = Some(computed);
                }
                Ok(features.clone().unwrap_or(Features { dim: encoder.feature_dim(), rows: Vec::new() }))
            };
            let figures = episodes.figures(encoder, (&source, self.cache), standardised, &|_| ())?;
            rows.push(Row::new(names, task, shots, &images.dataset.class_names, figures));
        }
        Ok(rows)
    }
}

/// How many images of the task the encoder `name` was trained on; `None` if that is not recorded.
fn seen(task: &Task, name: &str, images: &TaskImages) -> Result<Option<Seen>, BenchmarkError> {
    if encoders::is_fitted(name) {
        return Ok(Some(Seen::default()));
    }
    let open = |source| BenchmarkError::Open { task: task.name.clone(), source: Box::new(source) };
    let Some(record) = encoders::training_images(name).map_err(open)?.filter(|record| record.is_complete()) else {
        return Ok(None);
    };
    let used: HashMap<_, bool> = record.labels_used();
    let count = |indices: &[usize], with_labels: Option<bool>| {
        let label_of = |index: &usize| used.get(images.digests.get(index)?).copied();
        let is_counted =
            |found: Option<bool>| found.is_some() && with_labels.is_none_or(|labels| found == Some(labels));
        indices.iter().filter(|index| is_counted(label_of(index))).count()
    };
    match count(&images.test, Some(true)) {
        0 => Ok(Some(Seen { train: count(&images.train, None), test: count(&images.test, Some(false)) })),
        labelled => {
            Err(BenchmarkError::TrainedOnTest { task: task.name.clone(), encoder: name.to_owned(), images: labelled })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::averages::averages;
    use super::super::csv::csv;
    use super::super::task::Role;
    use super::*;
    use crate::encoders::{OpenOptions, open};

    fn opened(name: &str, input: EncoderInput<'_>) -> Result<Box<dyn HostEncoder>, OpenError> {
        let options = OpenOptions { fit: Some(input), seed: 1, ..OpenOptions::default() };
        Ok(open(name, &options)?.encoder)
    }

    fn measured(cache: Option<&Cache>, contenders: &[&str]) -> (Vec<Row>, Vec<EncoderCost>) {
        let contenders: Vec<Contender> = contenders.iter().map(|text| text.parse().unwrap()).collect();
        let settings = Settings {
            shots: vec![1, 3],
            queries: 5,
            episodes: 8,
            seed: 1,
            head: HeadKind::Auto,
            images_per_split: Some(120),
            side: 16,
        };
        let mut benchmark = Benchmark {
            settings,
            contenders: &contenders,
            baselines: &Baseline::ALL,
            cache,
            open: &opened,
            say: &|_| (),
            rows: Vec::new(),
            costs: Vec::new(),
            remarks: Vec::new(),
        };
        benchmark.check_labels().unwrap();
        for (name, role) in [("a", Role::Development), ("b", Role::Report)] {
            let data = format!("phantoms:16:{}", 300 + name.len());
            let domain = "drawn".into();
            benchmark.measure(&Task { name: name.into(), data, role, domain, classes: Vec::new() }).unwrap();
        }
        (benchmark.rows, benchmark.costs)
    }

    #[test]
    fn a_table_has_a_row_per_encoder_task_and_shots_and_is_the_same_with_a_cache() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 1 << 30).unwrap();
        let encoders = ["tiny=random:pico", "random:nano@24"];
        let (rows, costs) = measured(None, &encoders);
        // Two contenders, two floors and random:pico beside them; two tasks, two numbers of shots.
        assert_eq!(rows.len(), 5 * 2 * 2);
        let labels: Vec<&str> = costs.iter().map(|cost| cost.encoder.as_str()).collect();
        assert_eq!(labels, ["raw-pixels", "colour-statistics", "random:pico", "tiny", "random:nano@24"]);
        assert_eq!(costs[4].input, [1, 24, 24]);
        assert_eq!(measured(Some(&cache), &encoders).0, rows, "with an empty cache");
        assert_eq!(measured(Some(&cache), &encoders).0, rows, "with a full one");
        for row in &rows {
            assert!(row.balanced_accuracy.mean > 1.0 / row.sensitivities.len() as f64, "{row:?}");
            assert_eq!(row.difference.is_none(), row.is_floor());
            assert_eq!((row.seen, row.images), (Some(Seen::default()), [120, row.images[1]]));
        }
        let of = |label: &str| rows.iter().find(|row| row.encoder == label && row.shots == 3).unwrap();
        assert_eq!(of("tiny").of_episodes, of("random:pico").of_episodes, "the same network");
        let means = averages(&rows);
        let table = csv(&rows, &means, &costs);
        assert_eq!(table.rows.len(), rows.len() + means.len());
    }

    #[test]
    fn a_label_is_used_once() {
        let contenders = ["x=a", "x=b"].map(|text| text.parse().unwrap());
        let benchmark = Benchmark {
            settings: Settings {
                shots: Vec::new(),
                queries: 1,
                episodes: 1,
                seed: 1,
                head: HeadKind::Auto,
                images_per_split: None,
                side: 32,
            },
            contenders: &contenders,
            baselines: &[],
            cache: None,
            open: &opened,
            say: &|_| (),
            rows: Vec::new(),
            costs: Vec::new(),
            remarks: Vec::new(),
        };
        assert!(matches!(benchmark.check_labels(), Err(BenchmarkError::Label { label }) if label == "x"));
    }
}
