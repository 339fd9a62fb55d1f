//! Images in: where they lie, what they are, and how they become network input.

mod budget;
mod cifar;
mod columns;
mod dataset;
pub mod decode;
mod digest;
mod division;
mod duplicates;
mod error;
mod folder;
mod idx;
mod image;
mod labels;
mod layout;
mod listing;
mod loader;
mod manifest;
mod mixture;
mod npz;
mod phantoms;
mod preprocess;
mod raw;
mod remark;
mod rows;
mod selection;
mod survey;
mod words;

use std::path::Path;

pub use budget::INDEX_BYTES_MAX;
pub use dataset::Dataset;
pub use decode::ValueRange;
pub use digest::ImageDigest;
pub use division::{Division, divide};
pub use duplicates::{Duplicates, find_duplicates};
pub use error::DataError;
pub use image::Image;
pub use loader::Loader;
pub use mixture::known_as;
pub use preprocess::{Normaliser, Preprocessing, ResizeFilter};
pub use raw::{RawSamples, Seen};
pub use remark::{PassedOver, Remark};
pub use selection::{evenly_spread, spread_position};
pub use survey::Facts;

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

impl Split {
    /// All of them, in the order that tables show.
    pub const ALL: [Split; 3] = [Split::Train, Split::Val, Split::Test];

    /// `train`, `val` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
        }
    }

    /// The split that a folder or a manifest means by `name`, whatever its case.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Split::Train),
            "val" | "valid" | "validation" => Some(Split::Val),
            "test" | "testing" => Some(Split::Test),
            _ => None,
        }
    }
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

/// Opens a data set by name: `phantoms[:SIZE[:COUNT]]` is drawn from `seed`, `A+B` holds the training images of several
/// sets without their labels, all else is a path for [`open`].
pub fn open_named(name: &str, seed: u64) -> Result<Dataset, DataError> {
    if let Some(parts) = mixture::parts(name) {
        return mixture::open(name, &parts, seed);
    }
    match phantoms::parse_name(name) {
        Some(phantoms) => phantoms::open(name, phantoms?, seed),
        None => open(Path::new(name)),
    }
}

/// Opens whatever lies at `path`: a folder of images, a MedMNIST `.npz`, a CIFAR binary folder, IDX files, or
/// a CSV manifest.
///
/// Only the index is read and checked; a broken image is found when it is loaded or by
/// [`Dataset::check`]. A folder that holds nothing but one `.npz` stands for that file.
pub fn open(path: &Path) -> Result<Dataset, DataError> {
    let kind = match std::fs::metadata(path) {
        Ok(kind) => kind,
        Err(error) => match idx::find_set(path) {
            Some(files) => return idx::open(path, &files),
            None => return Err(DataError::io(path)(error)),
        },
    };
    if kind.is_dir() {
        if let Some(batches) = cifar::find(path)? {
            return cifar::open(path, &batches);
        }
        if let Some(pairs) = idx::find(path)? {
            return idx::open(path, &pairs);
        }
        return match npz::only_file(path)? {
            Some(file) => npz::open(&file),
            None => folder::open(path),
        };
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    if name.ends_with(".npz") {
        npz::open(path)
    } else if name.ends_with(".csv") || name.ends_with(".tsv") {
        manifest::open(path)
    } else if idx::is_images_name(&name) {
        idx::open_file(path)
    } else {
        let is_image = decode::format_of_file(path)?.is_some();
        let found = if is_image { "one image" } else { "a file of unknown kind" };
        Err(DataError::NotRecognised { path: path.display().to_string(), found: found.to_owned() })
    }
}
