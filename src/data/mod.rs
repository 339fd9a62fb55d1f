//! Images in: where they lie, what they are, and how they become network input.

mod image;
mod preprocess;

pub use image::Image;
pub use preprocess::{Preprocessing, ResizeFilter};

/// Which part of a data set an image belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For training.
    Train,
    /// For choosing settings.
    Val,
    /// For the figures that are reported.
    Test,
}

/// One image of a data set, without its pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The name a person would look for: a path below the data set's root, or `train[17]`.
    pub name: String,
    /// Index into [`Dataset::class_names`]; none where nobody has labelled it.
    pub label: Option<usize>,
    /// None where the data set does not say.
    pub split: Option<Split>,
    /// Images of one group (patient, photograph) must not be divided between splits.
    pub group: Option<String>,
}

/// A data set: an index in memory, the pixels read when asked for.
pub struct Dataset {
    /// One a readable image.
    pub records: Vec<Record>,
    /// The classes in label order; empty where nothing is labelled.
    pub class_names: Vec<String>,
}
