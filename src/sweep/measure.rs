//! Few-shot evaluation of a run on the tasks of a file.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::SweepError;
use crate::data::{Dataset, Split, TrainTestSplit, open_named, train_test_split};
use crate::encoder::HostEncoder;
use crate::encoders::{OpenOptions, open, training_images};
use crate::evaluate::{
    EpisodePool, EpisodeSettings, HeadKind, corpus_statistics, embed_dataset, few_shot, labels,
    leave_out_empty_classes, require_two_classes,
};
use crate::files::{TEXT_MAX, read_text_bounded};

/// Whether choices may be made on a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    Development,
    Report,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    name: String,
    data: String,
    role: Role,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskFile {
    #[serde(default = "usual_shots")]
    shots: Vec<usize>,
    #[serde(default = "usual_episodes")]
    episodes: usize,
    #[serde(default = "usual_queries")]
    queries: usize,
    task: Vec<Task>,
}

fn usual_shots() -> Vec<usize> {
    vec![5, 20]
}

fn usual_episodes() -> usize {
    200
}

fn usual_queries() -> usize {
    15
}

/// Tasks for development, read from a file.
pub struct Tasks {
    file: TaskFile,
    text: String,
}

/// Figures at one number of shots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShotFigures {
    /// Labelled images per class.
    pub shots: usize,
    /// Balanced accuracy of each episode with the default head of a device.
    pub of_episodes: Vec<f64>,
}

/// The figures of one encoder on one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// Name of the task.
    pub task: String,
    /// In the order of the file.
    pub shots: Vec<ShotFigures>,
}

/// Seeds the episodes of every task: figures of all settings are on the same episodes.
const EPISODE_SEED: u64 = 1;

impl Tasks {
    /// Reads the file `path`.
    ///
    /// # Errors
    /// When it cannot be read or is invalid, has no task, or has a task for reports.
    pub fn read(path: &Path) -> Result<Self, SweepError> {
        let text = read_text_bounded(path, TEXT_MAX)?;
        let invalid = |reason: String| SweepError::File { path: path.display().to_string(), reason };
        let file: TaskFile = toml::from_str(&text).map_err(|error| invalid(error.message().to_owned()))?;
        if file.task.is_empty() || file.shots.is_empty() || file.episodes == 0 {
            return Err(invalid("at least one task, one number of shots and one episode are needed".to_owned()));
        }
        match file.task.iter().find(|task| task.role == Role::Report) {
            Some(task) => Err(SweepError::ReportTask { task: task.name.clone() }),
            None => Ok(Self { file, text }),
        }
    }

    /// What figures depend on besides the encoder.
    pub fn identity(&self) -> &str {
        &self.text
    }

    /// Measures the encoder `name` on every task; `say` gets the name of each.
    ///
    /// # Errors
    /// When a dataset cannot be read or does not allow the episodes, the encoder fails, or `stop` is raised between tasks.
    pub fn measure(&self, name: &str, say: &dyn Fn(&str), stop: &AtomicBool) -> Result<Vec<TaskResult>, SweepError> {
        let encoder = open(name, &OpenOptions::default())?.encoder;
        let measure = |task: &Task| {
            if stop.load(Ordering::Relaxed) {
                return Err(SweepError::Interrupted);
            }
            say(&task.name);
            let shots = self.figures(&*encoder, name, task)?;
            Ok(TaskResult { task: task.name.clone(), shots })
        };
        self.file.task.iter().map(measure).collect()
    }

    fn figures(&self, encoder: &dyn HostEncoder, name: &str, task: &Task) -> Result<Vec<ShotFigures>, SweepError> {
        let mut dataset = open_named(&task.data, EPISODE_SEED)?;
        dataset.decode.range = encoder.preprocessing().range;
        let (train, test) = parts(&dataset, name)?;
        leave_out_empty_classes(&mut dataset, &test);
        let classes = dataset.class_names.len();
        require_two_classes(&dataset.class_names, &labels(&dataset, &test)?, "test")?;
        let corpus = corpus_statistics(encoder, &dataset, &train, &|_| ())?;
        let mut features = embed_dataset(encoder, &dataset, &test, &|_| ())?;
        features.standardise(&corpus);
        let TaskFile { episodes, queries, .. } = self.file;
        let figures = |&shots: &usize| {
            let settings = EpisodeSettings { ways: classes, shots, queries, seed: EPISODE_SEED };
            let pool = EpisodePool::new(&dataset, &test, settings)?;
            let found = few_shot(&features, classes, &pool, episodes, HeadKind::Auto, &|_| ())?;
            Ok(ShotFigures { shots, of_episodes: found.of_episodes })
        };
        self.file.shots.iter().map(figures).collect()
    }
}

/// Readable training images, and readable test images that the run `name` was not trained on with their labels.
fn parts(dataset: &Dataset, name: &str) -> Result<(Vec<usize>, Vec<usize>), SweepError> {
    let indices = dataset.indices(None);
    let digests = dataset.digests(&indices, &|_| ());
    let read: Vec<_> =
        indices.into_iter().zip(digests).filter_map(|(index, digest)| Some((index, digest.ok()?))).collect();
    let of = |split: Split| -> Vec<usize> {
        read.iter().map(|found| found.0).filter(|&index| dataset.records[index].split == Some(split)).collect()
    };
    let TrainTestSplit { train, mut test } = match dataset.has_splits() {
        true => TrainTestSplit { train: of(Split::Train), test: of(Split::Test) },
        false => train_test_split(dataset, &read),
    };
    if let Some(record) = training_images(name)? {
        let seen = record.labels_used();
        let digest_of: std::collections::HashMap<_, _> = read.iter().copied().collect();
        test.retain(|index| digest_of.get(index).and_then(|digest| seen.get(digest)) != Some(&true));
    }
    Ok((train, test))
}
