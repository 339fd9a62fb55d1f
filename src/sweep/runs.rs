//! Runs the trainings of a sweep and measures their encoders.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use base16ct::lower::encode_string as hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::SweepError;
use super::measure::{TaskResult, Tasks};
use super::plan::Plan;
use crate::data::open_named;
use crate::encoders::Baseline;
use crate::files::{TEXT_MAX, read_text_bounded, write_json};
use crate::pretrain::{
    Fitted, Observer, Options, Outcome, PretrainConfig, PretrainError, Run, RunError, RunFolder, pretrain,
};

/// How a training of a sweep ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// Its encoder was measured on every task.
    Measured(Vec<TaskResult>),
    /// It diverged or collapsed, with the message.
    Failed(String),
}

/// The stored result of one run, `results/RUN.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stored {
    /// SHA-256 of the configuration and of the tasks.
    key: String,
    ended: Ended,
}

/// The results of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// Of each variant, in the order of the plan: one per seed.
    pub variants: Vec<Vec<Ended>>,
    /// Of raw pixels and colour statistics, which need no training.
    pub floors: Vec<(String, Ended)>,
}

/// The environment of a sweep.
pub struct Sweep<'a> {
    /// What is to be run.
    pub plan: &'a Plan,
    /// The folder of the tasks' datasets; that of the file of tasks if absent.
    pub data: Option<&'a Path>,
    /// The output folder: runs are in `runs` below it, results in `results`.
    pub out: &'a Path,
    /// Raised to stop; the next call goes on.
    pub stop: &'a AtomicBool,
    /// Receives the progress of training.
    pub observer: &'a mut dyn Observer,
    /// Receives a line about each piece of work.
    pub say: &'a dyn Fn(&str),
}

/// Name and configuration of one run.
struct Job {
    name: String,
    config: PretrainConfig,
}

impl Sweep<'_> {
    /// Trains and measures everything that is not done yet.
    ///
    /// All settings and tasks are checked first, so that a mistake is not found after hours.
    ///
    /// # Errors
    /// See [`SweepError`]. A diverged or collapsed training is no error but a result.
    pub fn run(&mut self) -> Result<Results, SweepError> {
        let tasks = Tasks::read(&self.plan.tasks, self.data, self.plan.evaluation.clone())?;
        let jobs = self.jobs()?;
        for folder in ["runs", "results"].map(|name| self.out.join(name)) {
            std::fs::create_dir_all(&folder)
                .map_err(|source| crate::files::ReadError { path: folder.display().to_string(), source })?;
        }
        let floors = self.floors(&tasks)?;
        let total = jobs.iter().map(Vec::len).sum::<usize>();
        let mut ended = Vec::new();
        for (at, job) in jobs.iter().flatten().enumerate() {
            (self.say)(&format!("run {} of {total}: {}", at + 1, job.name));
            ended.push(self.job(job, &tasks)?);
        }
        let mut ended = ended.into_iter();
        let variants = jobs.iter().map(|seeds| ended.by_ref().take(seeds.len()).collect()).collect();
        Ok(Results { variants, floors })
    }

    /// The figures of raw pixels and colour statistics.
    fn floors(&self, tasks: &Tasks) -> Result<Vec<(String, Ended)>, SweepError> {
        let measure = |(name, baseline): (&str, Baseline)| {
            let path = self.out.join("results").join(format!("{name}.json"));
            let key = digest(&[name, &tasks.identity()]);
            let ended = self
                .kept(&path, key, || Ok(Ended::Measured(tasks.measure_floor(name, baseline, self.say, self.stop)?)))?;
            Ok((name.to_owned(), ended))
        };
        Baseline::FLOORS.into_iter().zip([Baseline::RAW_PIXELS, Baseline::COLOUR_STATISTICS]).map(measure).collect()
    }

    /// The result stored at `path` under `key`, or what `make` gives, which is stored there.
    fn kept(
        &self,
        path: &Path,
        key: String,
        make: impl FnOnce() -> Result<Ended, SweepError>,
    ) -> Result<Ended, SweepError> {
        if let Some(stored) = stored(path).filter(|stored| stored.key == key) {
            return Ok(stored.ended);
        }
        let stored = Stored { key, ended: make()? };
        write_json(path, &stored)?;
        Ok(stored.ended)
    }

    /// The runs of each variant.
    fn jobs(&self) -> Result<Vec<Vec<Job>>, SweepError> {
        let mut known: Vec<(String, usize)> = Vec::new();
        let mut channels = |data: &str, seed: u64| -> Result<usize, SweepError> {
            if let Some((_, channels)) = known.iter().find(|(name, _)| name == data) {
                return Ok(*channels);
            }
            let dataset = open_named(data, seed)?;
            let channels = dataset.channels(&dataset.train_indices()).0;
            known.push((data.to_owned(), channels));
            Ok(channels)
        };
        let mut of_variants = Vec::new();
        for variant in &self.plan.variants {
            let mut jobs = Vec::new();
            for &seed in &self.plan.seeds {
                let config = self.plan.config(variant, seed, |data| channels(data, seed))?;
                jobs.push(Job { name: run_name(&variant.name, &config), config });
            }
            of_variants.push(jobs);
        }
        Ok(of_variants)
    }

    fn job(&mut self, job: &Job, tasks: &Tasks) -> Result<Ended, SweepError> {
        let path = self.out.join("results").join(format!("{}.json", job.name));
        let key = digest(&[&job.config.to_toml(), &tasks.identity()]);
        if let Some(stored) = stored(&path).filter(|stored| stored.key == key) {
            return Ok(stored.ended);
        }
        let folder = self.out.join("runs").join(&job.name);
        let failed = match self.train(job, &folder) {
            Ok(()) => None,
            Err(SweepError::Pretrain(error @ (PretrainError::NotFinite { .. } | PretrainError::Collapsed { .. }))) => {
                Some(error.to_string())
            }
            Err(error) => return Err(error),
        };
        self.kept(&path, key, || match failed {
            Some(reason) => Ok(Ended::Failed(reason)),
            None => Ok(Ended::Measured(tasks.measure(&folder.to_string_lossy(), self.say, self.stop)?)),
        })
    }

    /// Trains the run in `folder`, or continues it.
    fn train(&mut self, job: &Job, folder: &Path) -> Result<(), SweepError> {
        let started = started(folder, &job.config)?;
        if started.is_some() && matches!(Run::load(folder), Ok(run) if run.finished) {
            return Ok(());
        }
        let options = Options { resume: started.is_some(), ..Options::default() };
        let config = started.as_ref().unwrap_or(&job.config);
        let mut dataset = config.open_data(&config.data)?;
        dataset.decode.range = config.range;
        match pretrain(config, &dataset, folder, options, self.observer, self.stop)? {
            Outcome::Finished { .. } => Ok(()),
            Outcome::Interrupted { .. } => Err(SweepError::Interrupted),
        }
    }
}

/// The stored configuration of the run in `folder`, if it is there; it must be that of `config`.
fn started(folder: &Path, config: &PretrainConfig) -> Result<Option<PretrainConfig>, SweepError> {
    match RunFolder::open(folder) {
        Err(RunError::NoRun { .. }) => Ok(None),
        Err(error) => Err(error.into()),
        Ok((_, stored)) if stored == *config || stored == resolved_as(config, &stored) => Ok(Some(stored)),
        Ok(_) => Err(SweepError::OtherRun { folder: folder.display().to_string() }),
    }
}

/// `config` with the settings that a run resolves before its first step, as `stored` resolved them.
fn resolved_as(config: &PretrainConfig, stored: &PretrainConfig) -> PretrainConfig {
    let mut resolved = PretrainConfig { fit: Vec::new(), budget: None, ..config.clone() };
    let is_resolved = |setting| config.fit.contains(&setting);
    if is_resolved(Fitted::BatchSize) {
        resolved.batch_size = stored.batch_size;
    }
    if is_resolved(Fitted::LearningRate) {
        resolved.learning_rate = stored.learning_rate;
    }
    if is_resolved(Fitted::Epochs) || config.budget.is_some() {
        resolved.epochs = stored.epochs;
    }
    resolved
}

/// The result stored at `path`; none if it is missing or of another version, and then it is made again.
fn stored(path: &Path) -> Option<Stored> {
    serde_json::from_str(&read_text_bounded(path, TEXT_MAX).ok()?).ok()
}

/// The name of a run's folder: its settings, its seed, and the digest of its configuration.
fn run_name(variant: &str, config: &PretrainConfig) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "=._-".contains(c) { c } else { '-' };
    let settings: String = variant.chars().map(plain).take(80).collect();
    format!("{}-seed{}-{}", settings.trim_start_matches('.'), config.seed, &digest(&[&config.to_toml()])[..8])
}

/// SHA-256 in hexadecimal over texts, each after its length.
fn digest(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hex(&hash.finalize())
}
