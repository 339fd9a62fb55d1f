//! Published results, reproduced from a seed: each is called a lesson.
//!
//! A lesson trains the runs that it needs, or uses those that are finished, and writes tables (CSV), charts (SVG) and
//! pictures (PNG). The short form runs on phantoms in seconds and serves as a test; the full form runs on real images.

mod few_labels; //      accuracy by labels: probe, fine-tuning, training from scratch
mod few_shot; //        few-shot accuracy of every objective on every task
mod fine_tuning; //     figure 5: iterations from pretrained and from random weights
mod from_scratch; //    a network trained on the supports of an episode
mod lab; //             datasets, runs used by several lessons, features
mod models; //          the shipped models on datasets that they were not trained on
mod moco_memory; //     MoCo's queue against SimCLR's batch
mod representations; // nearest neighbours by pixels and by features
mod rotation_epochs; // figure 8: class accuracy of rotation by epoch
mod table_4_3; //       triplet against SimCLR
mod tasks; //           the datasets and their settings

use std::path::{Path, PathBuf};

pub use lab::{Lab, Scale};

use crate::data::{DataError, Image};
use crate::evaluate::EvaluateError;
use crate::files::{WriteError, write_atomic};
use crate::pretrain::{PretrainError, RunError};
use crate::report::chart::{Chart, ChartError};
use crate::report::sheet::{SheetError, write_png};
use crate::report::table::Table;

/// A lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lesson {
    /// Nearest neighbours by raw pixels and by features.
    Representations,
    /// Accuracy by iteration, from pretrained and from random weights.
    Figure5,
    /// Supervised accuracy, accuracy of a probe on rotation features, and rotation accuracy, epoch by epoch.
    Figure8,
    /// Accuracy by the number of labels.
    FewLabels,
    /// Triplet against SimCLR: samples without gradient, margin and temperature, cost.
    Table43,
    /// MoCo's queue against SimCLR's batch: accuracy and memory.
    MocoMemory,
    /// The shipped models on datasets that they were not trained on.
    Models,
    /// Few-shot accuracy of every objective and baseline on every task.
    FewShot,
}

/// The results of a lesson.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Tables by name; the main table has an empty name.
    pub tables: Vec<(&'static str, Table)>,
    /// By name.
    pub charts: Vec<(&'static str, Chart)>,
    /// By name.
    pub pictures: Vec<(&'static str, Image)>,
    /// Conclusions in words.
    pub sentences: Vec<String>,
}

/// A lesson failed.
#[derive(Debug, thiserror::Error)]
pub enum ReproduceError {
    /// The name of the lesson is unknown.
    #[error("unknown lesson '{name}'; the lessons are {}", Lesson::ALL.map(Lesson::name).join(", "))]
    UnknownLesson {
        /// The name.
        name: String,
    },
    /// Real images are needed.
    #[error("the full form needs --data, a folder of datasets; --short uses phantoms instead")]
    NoData,
    /// A dataset has no training or no test images.
    #[error("{data}: a lesson needs images in the splits train and test")]
    NoParts {
        /// The dataset.
        data: String,
    },
    /// A split has too few images.
    #[error("{data}: {found} readable images in the split {part}; the lesson needs at least {needed}")]
    TooFewImages {
        /// The dataset.
        data: String,
        /// The split.
        part: &'static str,
        /// Readable images.
        found: usize,
        /// Images needed.
        needed: usize,
    },
    /// The run folder contains another run.
    #[error("{folder} contains a run with other settings; remove it or choose another folder")]
    OtherRun {
        /// The folder.
        folder: String,
    },
    /// The run is finished, but its epochs were not kept.
    #[error("{folder} contains a finished run without its epochs; remove it to train it again")]
    EpochsGone {
        /// The folder.
        folder: String,
    },
    /// An epoch of a run cannot be copied.
    #[error("{folder}: {source}")]
    Keep {
        /// The folder of the copy.
        folder: String,
        /// The reason.
        source: std::io::Error,
    },
    /// It was stopped.
    #[error("stopped; run the same command again to continue")]
    Interrupted,
    /// Training failed.
    #[error(transparent)]
    Pretrain(#[from] PretrainError),
    /// A run cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// An evaluation failed.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// An image or a dataset cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A chart cannot be drawn.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// A picture cannot be written.
    #[error(transparent)]
    Sheet(#[from] SheetError),
}

impl Lesson {
    /// All lessons.
    pub const ALL: [Self; 8] = [
        Self::Representations,
        Self::Figure5,
        Self::Figure8,
        Self::FewLabels,
        Self::Table43,
        Self::MocoMemory,
        Self::Models,
        Self::FewShot,
    ];

    /// Its name on the command line and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Representations => "representations",
            Self::Figure5 => "figure-5",
            Self::Figure8 => "figure-8",
            Self::FewLabels => "few-labels",
            Self::Table43 => "table-4.3",
            Self::MocoMemory => "moco-memory",
            Self::Models => "models",
            Self::FewShot => "few-shot",
        }
    }

    /// Runs the lesson.
    ///
    /// # Errors
    /// See [`ReproduceError`].
    pub fn reproduce(self, lab: &mut Lab<'_>) -> Result<Findings, ReproduceError> {
        match self {
            Self::Representations => representations::reproduce(lab),
            Self::Figure5 => fine_tuning::reproduce(lab),
            Self::Figure8 => rotation_epochs::reproduce(lab),
            Self::FewLabels => few_labels::reproduce(lab),
            Self::Table43 => table_4_3::reproduce(lab),
            Self::MocoMemory => moco_memory::reproduce(lab),
            Self::Models => models::reproduce(lab),
            Self::FewShot => few_shot::reproduce(lab),
        }
    }
}

impl std::str::FromStr for Lesson {
    type Err = ReproduceError;

    fn from_str(name: &str) -> Result<Self, ReproduceError> {
        let unknown = || ReproduceError::UnknownLesson { name: name.to_owned() };
        Self::ALL.into_iter().find(|lesson| lesson.name() == name).ok_or_else(unknown)
    }
}

impl Findings {
    /// A table with its chart and conclusion.
    fn charted(table: Table, chart: Chart, sentence: String) -> Self {
        Self { tables: vec![("", table)], charts: vec![("", chart)], sentences: vec![sentence], ..Self::default() }
    }

    /// Writes the results to `folder` as `LESSON.csv`, `LESSON-NAME.csv`, `.svg` and `.png`. Returns the files.
    ///
    /// # Errors
    /// When a file cannot be drawn or written.
    pub fn write(&self, lesson: Lesson, folder: &Path) -> Result<Vec<PathBuf>, ReproduceError> {
        let path = |name: &str, ending: &str| {
            let dash = if name.is_empty() { "" } else { "-" };
            folder.join(format!("{}{dash}{name}.{ending}", lesson.name()))
        };
        let mut written = Vec::new();
        for (name, table) in &self.tables {
            written.push(path(name, "csv"));
            table.write_csv(&path(name, "csv"))?;
        }
        for (name, chart) in &self.charts {
            written.push(path(name, "svg"));
            write_atomic(&path(name, "svg"), chart.svg()?.as_bytes())?;
        }
        for (name, picture) in &self.pictures {
            written.push(path(name, "png"));
            write_png(&path(name, "png"), picture)?;
        }
        Ok(written)
    }
}

/// A share with three digits; a dash for NaN.
fn share(value: f64) -> String {
    if value.is_nan() { "-".to_owned() } else { format!("{value:.3}") }
}
