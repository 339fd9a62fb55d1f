//! Few-shot evaluation of a run on tasks for development.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::SweepError;
use crate::benchmark::{Benchmark, Contender, Role, Settings, Task, read_tasks};
use crate::encoder::HostEncoder;
use crate::encoders::{Baseline, EncoderInput, OpenError, OpenOptions, open};
use crate::evaluate::HeadKind;

/// Seeds the episodes of every task: figures of all settings are on the same episodes.
const EPISODE_SEED: u64 = 1;

/// How the encoders are measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluation {
    /// Numbers of labelled images per class.
    pub shots: Vec<usize>,
    /// Query images per class.
    pub queries: usize,
    /// Episodes per task and number of shots.
    pub episodes: usize,
    /// Images per split at most, spread evenly.
    pub images_per_split: usize,
}

impl Default for Evaluation {
    fn default() -> Self {
        Self { shots: vec![5, 20], queries: 30, episodes: 200, images_per_split: 2_500 }
    }
}

/// Tasks for development, and how they are measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Tasks {
    tasks: Vec<Task>,
    evaluation: Evaluation,
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

impl Tasks {
    /// Reads the tasks for development of the file `path`, whose datasets are below `data`, or below the folder of the file.
    ///
    /// # Errors
    /// When it cannot be read or is invalid, or all its tasks are for reports.
    pub fn read(path: &Path, data: Option<&Path>, evaluation: Evaluation) -> Result<Self, SweepError> {
        let tasks = read_tasks(path, data)?;
        let (tasks, others): (Vec<Task>, Vec<Task>) =
            tasks.into_iter().partition(|task| task.role == Role::Development);
        if tasks.is_empty() {
            let names: Vec<String> = others.into_iter().map(|task| task.name).collect();
            let (path, found) = (path.display().to_string(), names.len());
            return Err(SweepError::NoDevelopmentTask { path, found, names: names.join(", ") });
        }
        Ok(Self { tasks, evaluation })
    }

    /// What figures depend on besides the encoder.
    pub fn identity(&self) -> String {
        format!("{:?} {:?}", self.tasks, self.evaluation)
    }

    /// Measures the encoder `name` on every task.
    ///
    /// # Errors
    /// When a dataset cannot be read or does not allow the episodes, the encoder fails, or `stop` is raised between tasks.
    pub fn measure(&self, name: &str, say: &dyn Fn(&str), stop: &AtomicBool) -> Result<Vec<TaskResult>, SweepError> {
        self.results(name, &[Contender::new(name)], &[], say, stop)
    }

    /// Measures a floor on every task: the baseline of this name.
    ///
    /// # Errors
    /// As [`Self::measure`].
    pub fn measure_floor(
        &self,
        name: &str,
        baseline: Baseline,
        say: &dyn Fn(&str),
        stop: &AtomicBool,
    ) -> Result<Vec<TaskResult>, SweepError> {
        self.results(name, &[], &[baseline], say, stop)
    }

    fn results(
        &self,
        name: &str,
        contenders: &[Contender],
        baselines: &[Baseline],
        say: &dyn Fn(&str),
        stop: &AtomicBool,
    ) -> Result<Vec<TaskResult>, SweepError> {
        let Evaluation { shots, queries, episodes, images_per_split } = self.evaluation.clone();
        let settings = Settings {
            shots,
            queries,
            episodes,
            seed: EPISODE_SEED,
            head: HeadKind::Auto,
            images_per_split: Some(images_per_split),
            side: Baseline::FLOOR_SIDE,
        };
        let mut benchmark = Benchmark {
            settings,
            contenders,
            baselines,
            cache: None,
            open: &opened,
            say,
            rows: Vec::new(),
            costs: Vec::new(),
            remarks: Vec::new(),
        };
        for task in &self.tasks {
            if stop.load(Ordering::Relaxed) {
                return Err(SweepError::Interrupted);
            }
            benchmark.measure(task)?;
        }
        let of_task = |task: &Task| {
            let rows = benchmark.rows.iter().filter(|row| row.task == task.name && row.encoder == name);
            let shots = rows.map(|row| ShotFigures { shots: row.shots, of_episodes: row.of_episodes.clone() });
            TaskResult { task: task.name.clone(), shots: shots.collect() }
        };
        Ok(self.tasks.iter().map(of_task).collect())
    }
}

fn opened(name: &str, fit: EncoderInput<'_>) -> Result<Box<dyn HostEncoder>, OpenError> {
    let options = OpenOptions { fit: Some(fit), seed: EPISODE_SEED, ..OpenOptions::default() };
    Ok(open(name, &options)?.encoder)
}
