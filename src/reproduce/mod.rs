//! Published results, reproduced from a seed: each is called a lesson.
//!
//! A lesson trains the runs that it needs, or uses those that are finished, and writes tables (CSV), charts (SVG) and
//! pictures (PNG). The short form runs on phantoms in seconds and serves as a test; the full form runs on real images.

mod error; //           errors of lessons
mod few_labels; //      accuracy by labels: probe, fine-tuning, training from scratch
mod few_shot; //        few-shot accuracy of every objective on every task
mod findings; //        tables, charts and pictures, and their files
mod fine_tuning; //     figure 5: iterations from pretrained and from random weights
mod from_scratch; //    a network trained on the supports of an episode
mod lab; //             datasets, runs used by several lessons, features
mod models; //          the shipped models, trained again to the same bytes
mod moco_memory; //     MoCo's queue against SimCLR's batch
mod representations; // nearest neighbours by pixels and by features
mod rotation_epochs; // figure 8: class accuracy of rotation by epoch
mod table_4_3; //       triplet against SimCLR
mod tasks; //           the datasets and their settings

pub use error::ReproduceError;
pub use findings::Findings;
pub use lab::{Lab, Scale};

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
    /// The shipped models, trained again to the same bytes.
    Models,
    /// Few-shot accuracy of every objective and baseline on every task.
    FewShot,
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
        let known = || Self::ALL.map(Self::name).join(", ");
        let unknown = || ReproduceError::UnknownLesson { name: name.to_owned(), known: known() };
        Self::ALL.into_iter().find(|lesson| lesson.name() == name).ok_or_else(unknown)
    }
}
