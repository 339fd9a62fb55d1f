//! A lesson's name, what it found, and why it could not be reproduced.

use std::path::{Path, PathBuf};

use crate::data::{DataError, Image};
use crate::evaluate::EvaluateError;
use crate::files::{WriteError, write_atomic};
use crate::pretrain::{PretrainError, RunError};
use crate::report::chart::{Chart, ChartError};
use crate::report::sheet::{SheetError, write_png};
use crate::report::table::Table;

/// What can be re-created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lesson {
    /// Nearest neighbours by raw pixels and by features.
    Representations,
    /// Accuracy against iteration, from pretrained and from random weights.
    Figure5,
    /// Supervised accuracy, accuracy of a probe on rotation features, and rotation accuracy, epoch by epoch.
    Figure8,
    /// Accuracy against the number of labels.
    FewLabels,
    /// Triplet against SimCLR: samples without gradient, margin and temperature, cost.
    Table43,
    /// MoCo's queue against SimCLR's batch: accuracy and memory.
    MocoMemory,
    /// The encoders that come with the program, and what they are worth on a set they never saw.
    Models,
    /// Every objective and baseline on every task, from a handful of labels.
    FewShot,
}

impl Lesson {
    /// All of them.
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

    /// What it is called on the command line and in the names of its files.
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
}

impl std::str::FromStr for Lesson {
    type Err = ReproduceError;

    fn from_str(name: &str) -> Result<Self, ReproduceError> {
        let unknown = || ReproduceError::UnknownLesson { name: name.to_owned() };
        Self::ALL.into_iter().find(|lesson| lesson.name() == name).ok_or_else(unknown)
    }
}

/// What a lesson found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// By name; the empty name is the lesson's own.
    pub tables: Vec<(&'static str, Table)>,
    /// By name.
    pub charts: Vec<(&'static str, Chart)>,
    /// By name.
    pub pictures: Vec<(&'static str, Image)>,
    /// What it comes to, in plain words.
    pub sentences: Vec<String>,
}

impl Findings {
    /// A table, the chart of it, and what they come to.
    pub(super) fn charted(table: Table, chart: Chart, sentence: String) -> Self {
        Self { tables: vec![("", table)], charts: vec![("", chart)], sentences: vec![sentence], ..Self::default() }
    }

    /// Writes everything to `folder` as `LESSON.csv`, `LESSON-NAME.csv`, `.svg` and `.png`; gives the files.
    ///
    /// # Errors
    /// When one cannot be drawn or written.
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

/// A share with three digits; a dash for one that could not be measured.
pub(super) fn share(value: f64) -> String {
    if value.is_nan() { "-".to_owned() } else { format!("{value:.3}") }
}

/// A lesson could not be re-created.
#[derive(Debug, thiserror::Error)]
pub enum ReproduceError {
    /// There is no such lesson.
    #[error("no lesson is called '{name}': there are {}", Lesson::ALL.map(Lesson::name).join(", "))]
    UnknownLesson {
        /// What was asked for.
        name: String,
    },
    /// Real images are needed.
    #[error("the full form needs a folder of data sets; --short does with phantoms")]
    NoData,
    /// A data set has no training or no test part.
    #[error("{data}: a lesson needs images in its train and in its test part")]
    NoParts {
        /// The data set.
        data: String,
    },
    /// A part has too few images.
    #[error("{data}: the lesson needs at least {needed} images in its {part} part, {found} can be read")]
    TooFewImages {
        /// The data set.
        data: String,
        /// Which part.
        part: &'static str,
        /// Images there are.
        found: usize,
        /// Images needed.
        needed: usize,
    },
    /// The run folder is taken by another run.
    #[error("{folder} holds a run with other settings: remove it or choose another folder")]
    OtherRun {
        /// The folder.
        folder: String,
    },
    /// The run is finished, but was not kept epoch by epoch.
    #[error("{folder} holds a finished run without its epochs: remove it to train it again")]
    EpochsGone {
        /// The folder.
        folder: String,
    },
    /// A run's epoch could not be copied.
    #[error("{folder}: {source}")]
    Keep {
        /// Where.
        folder: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It was asked to stop.
    #[error("stopped; what was trained is kept, and the same command goes on from there")]
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
    /// An image or a data set cannot be read.
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
