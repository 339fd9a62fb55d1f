//! One image of a dataset as its index has it.

/// The split of a dataset that an image belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For training.
    Train,
    /// For validation: choosing settings.
    Val,
    /// For the reported figures.
    Test,
}

impl Split {
    /// All splits, in the order in which tables show them.
    pub const ALL: [Split; 3] = [Split::Train, Split::Val, Split::Test];

    /// `train`, `val` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
        }
    }

    /// The split that a folder or a manifest means by `name`, ignoring case.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Split::Train),
            "val" | "valid" | "validation" => Some(Split::Val),
            "test" | "testing" => Some(Split::Test),
            _ => None,
        }
    }
}

/// One image of a dataset, without its pixels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// A name by which a person finds the image: a path below the dataset's root, or `train[17]`.
    pub name: String,
    /// Index into [`super::Dataset::class_names`]; none if the image has no label.
    pub label: Option<usize>,
    /// None if the dataset names none for this image.
    pub split: Option<Split>,
    /// Images of one group (patient, photograph) must all be in one split.
    pub group: Option<String>,
}
