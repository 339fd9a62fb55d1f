//! Errors of datasets: each names the file, what was found and what is expected.

use std::io;
use std::path::Path;

use macula_edge::image::{ImageError, SIDE_MAX};

use crate::files::ReadError;

/// A dataset or one of its images cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// An error of the operating system.
    #[error("cannot read {path}: {source}")]
    Io {
        /// File or folder.
        path: String,
        /// The error.
        source: io::Error,
    },
    /// The path is of no kind that [`super::open`] can open.
    #[error("{path}: {found}; expected one of: {expected}")]
    NotRecognised {
        /// File or folder.
        path: String,
        /// What it is.
        found: String,
        /// The kinds of datasets that can be opened.
        expected: String,
    },
    /// The name of a phantom dataset is malformed.
    #[error("{name}: {reason}; expected phantoms[:SIZE[:COUNT]], for example phantoms:32:1200")]
    PhantomName {
        /// The requested name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Datasets cannot be mixed.
    #[error("{name}: {reason}; expected names of datasets joined by +")]
    Mixture {
        /// The requested name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A source to leave out does not exist.
    #[error("{dataset}: no source '{name}'; its sources are {known}")]
    UnknownSource {
        /// Name of the dataset.
        dataset: String,
        /// The requested name.
        name: String,
        /// The sources of the dataset.
        known: String,
    },
    /// A file or selection has no images.
    #[error("{path}: no images; expected {expected}")]
    Empty {
        /// File, folder or dataset.
        path: String,
        /// What is expected.
        expected: &'static str,
    },
    /// A folder has no images.
    #[error("{path}: no images; ignored files: {ignored}")]
    NoImages {
        /// The folder.
        path: String,
        /// The files that it has.
        ignored: String,
    },
    /// All images were skipped.
    #[error("{path}: all {count} images were skipped: {first}")]
    AllSkipped {
        /// File or folder.
        path: String,
        /// How many.
        count: usize,
        /// The first of them, with their reasons.
        first: String,
    },
    /// A folder has several datasets of one format.
    #[error("{path}: several datasets in one folder: {sets}; open one of them, for example {example}")]
    SeveralSets {
        /// The folder.
        path: String,
        /// Their names.
        sets: String,
        /// A path that opens one of them.
        example: String,
    },
    /// The index of a dataset would take too much memory.
    #[error("{path}: the index of {images} images takes {bytes} bytes of memory; at most {limit} are allowed")]
    IndexTooLarge {
        /// File or folder.
        path: String,
        /// Images so far, or in total if their number is known.
        images: u64,
        /// Bytes of their index.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// An `.npz` lacks an array.
    #[error("{path}: no array {missing}; found {found}; expected MedMNIST's train_images, train_labels, val_…, test_…")]
    MissingArray {
        /// The archive.
        path: String,
        /// Name of the array.
        missing: String,
        /// The arrays that it has.
        found: String,
    },
    /// A part of a file violates its format.
    #[error("{path}: {what}: found {found}; expected {expected}")]
    Malformed {
        /// The file.
        path: String,
        /// The part of the file.
        what: String,
        /// What was found.
        found: String,
        /// What is expected.
        expected: String,
    },
    /// A line of a manifest is invalid.
    #[error("{path}, line {line}: {reason}")]
    Line {
        /// The manifest.
        path: String,
        /// Counted from 1; the header is line 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// One image cannot be decoded.
    #[error("{name}: {reason}")]
    Decode {
        /// Path of the file, or name of the image.
        name: String,
        /// Why.
        reason: String,
    },
    /// An image has more pixels than [`super::decode::PIXELS_MAX`], or a side above [`SIDE_MAX`].
    #[error("{name}: {width}×{height} pixels; at most {limit} pixels and {SIDE_MAX} per side are allowed")]
    TooLarge {
        /// Path of the file.
        name: String,
        /// Pixels per row.
        width: u64,
        /// Rows.
        height: u64,
        /// Pixels allowed.
        limit: u64,
    },
    /// The requested size or channels are not allowed.
    #[error("invalid preprocessing: {0}")]
    Recipe(ImageError),
    /// The dataset has no such image.
    #[error("{dataset}: no image {index}; there are {len}, counted from 0")]
    OutOfRange {
        /// Name of the dataset.
        dataset: String,
        /// The requested image.
        index: usize,
        /// Number of images.
        len: usize,
    },
}

impl DataError {
    /// An error of the operating system about `path`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { path, source }
    }

    /// A file that cannot be read.
    pub(crate) fn read(error: ReadError) -> Self {
        Self::Io { path: error.path, source: error.source }
    }

    /// [`Self::AllSkipped`] with the first reasons.
    pub(crate) fn all_skipped(path: String, skipped: &[(String, String)]) -> Self {
        const SHOWN: usize = 3;
        let first: Vec<String> = skipped.iter().take(SHOWN).map(|(name, reason)| format!("{name}: {reason}")).collect();
        Self::AllSkipped { path, count: skipped.len(), first: first.join("; ") }
    }

    /// [`Self::Malformed`] of a part of `path`.
    pub(crate) fn malformed(
        path: &Path,
        what: impl Into<String>,
        found: impl ToString,
        expected: impl ToString,
    ) -> Self {
        Self::Malformed {
            path: path.display().to_string(),
            what: what.into(),
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }
}
