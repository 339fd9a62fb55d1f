//! The run folder and its files.
//!
//! | file                     | what                                                          |
//! |--------------------------|---------------------------------------------------------------|
//! | `config.toml`            | the resolved configuration                                    |
//! | `metrics.jsonl`          | loss and scores, one JSON object per line                     |
//! | `timings.jsonl`          | seconds, images per second, share of waiting; differs between equal runs |
//! | `checkpoint.safetensors` | parameters, optimiser state, progress; replaced atomically    |
//! | `training-images.json`   | digests of the training images                                |
//! | `report.html`, `report.json` | the report, and the pictures in it (`src/report/run/`)    |
//! | `teacher-….f16`          | features of a teacher, unless `--teacher-cache` names a folder |

use std::io;
use std::path::{Path, PathBuf};

use super::checkpoint::Checkpoint;
use super::config::PretrainConfig;
use super::metrics::{EpochLine, Line, TimingLine};
use super::run_error::RunError;
use super::teacher::is_feature_file;
use super::training_images::TRAINING_IMAGES;
use crate::files::{TEXT_MAX, read_text_bounded, write_atomic};

/// Name of the checkpoint in a run folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// Name of a checkpoint for publication, without head and optimiser, in the folder of an export.
pub const WEIGHTS: &str = "encoder.safetensors";
/// Name of the configuration in a run folder.
pub const CONFIG: &str = "config.toml";
/// Name of the metrics in a run folder.
pub const METRICS: &str = "metrics.jsonl";
/// Name of the timings in a run folder.
pub const TIMINGS: &str = "timings.jsonl";

/// The folder of a run, which may still be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
    created: bool,
}

impl RunFolder {
    /// Creates the folder of a new run and writes its configuration.
    ///
    /// # Errors
    /// When the folder is not empty or cannot be written to.
    pub fn create(path: &Path, config: &PretrainConfig) -> Result<Self, RunError> {
        let created = !path.exists();
        std::fs::create_dir_all(path).map_err(RunError::io(path))?;
        if std::fs::read_dir(path).map_err(RunError::io(path))?.next().is_some() {
            return Err(RunError::NotEmpty { path: path.display().to_string() });
        }
        let folder = Self { path: path.to_owned(), created };
        if let Err(error) = write_atomic(&folder.file(CONFIG), config.to_toml().as_bytes()) {
            folder.discard();
            return Err(error.into());
        }
        Ok(folder)
    }

    /// The folder of a run of which another rank writes the files.
    pub(super) fn of_other_rank(path: &Path) -> Self {
        Self { path: path.to_owned(), created: false }
    }

    /// Opens an existing run.
    ///
    /// # Errors
    /// When the configuration is missing or invalid.
    pub fn open(path: &Path) -> Result<(Self, PretrainConfig), RunError> {
        let folder = Self { path: path.to_owned(), created: false };
        let file = folder.file(CONFIG);
        let text = read_text_bounded(&file, TEXT_MAX).map_err(|error| match error.source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                RunError::NoRun { path: path.display().to_string() }
            }
            _ => RunError::io(&file)(error.source),
        })?;
        let config = toml::from_str(&text).map_err(|error| RunError::Config {
            path: file.display().to_string(),
            reason: error.to_string().lines().collect::<Vec<_>>().join(" "),
        })?;
        Ok((folder, config))
    }

    /// Replaces the configuration.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn store(&self, config: &PretrainConfig) -> Result<(), RunError> {
        Ok(write_atomic(&self.file(CONFIG), config.to_toml().as_bytes())?)
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The newest checkpoint, if there is one.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, RunError> {
        let path = self.file(CHECKPOINT);
        if path.exists() { Checkpoint::read(&path).map(Some) } else { Ok(None) }
    }

    /// The epochs in `metrics.jsonl`, in order.
    ///
    /// # Errors
    /// When the file cannot be read or a line is invalid.
    pub fn epochs(&self) -> Result<Vec<EpochLine>, RunError> {
        let epoch = |line| match line {
            Line::Epoch(epoch) => Some(epoch),
            Line::Step(_) => None,
        };
        Ok(self.lines(METRICS)?.into_iter().filter_map(epoch).collect())
    }

    /// The times in `timings.jsonl`, in order; none if the file is missing. An interrupted epoch has several.
    ///
    /// # Errors
    /// When the file cannot be read or a line is invalid.
    pub fn timings(&self) -> Result<Vec<TimingLine>, RunError> {
        if self.file(TIMINGS).exists() { self.lines(TIMINGS) } else { Ok(Vec::new()) }
    }

    /// The values of the lines of `name`. A last line without its end is still being written and does not count.
    fn lines<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, RunError> {
        let path = self.file(name);
        let text = read_text_bounded(&path, TEXT_MAX).map_err(|error| RunError::io(&path)(error.source))?;
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let read = |(index, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| RunError::Metrics {
                path: path.display().to_string(),
                line: index + 1,
                reason: error.to_string(),
            })
        };
        complete.lines().enumerate().map(read).collect()
    }

    /// Removes the files of a run that failed before its first step.
    ///
    /// Ignores errors, because the error of the run is reported already. A run with computed features of a teacher is kept: they
    /// may have taken hours.
    pub fn discard(&self) {
        let mut files = std::fs::read_dir(&self.path).into_iter().flatten().flatten();
        if files.any(|file| is_feature_file(&file.file_name().to_string_lossy())) {
            return;
        }
        for file in [CONFIG, TRAINING_IMAGES, METRICS, TIMINGS] {
            let _ = std::fs::remove_file(self.file(file));
        }
        if self.created {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::Method;

    #[test]
    fn a_new_run_needs_an_empty_folder() {
        let config = PretrainConfig::new("phantoms", Method::Rotation);
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("deep/run");
        let folder = RunFolder::create(&path, &config).unwrap();
        assert_eq!(RunFolder::open(&path).unwrap().1, config);
        let error = RunFolder::create(&path, &config).unwrap_err();
        assert!(matches!(&error, RunError::NotEmpty { path } if path.ends_with("deep/run")), "{error}");
        folder.discard();
        assert!(!path.exists(), "a run that never started leaves nothing");
    }
}
