//! What can be wrong with a data set: always the file, what was found and what was expected.

use std::io;
use std::path::Path;

use macula_edge::image::{ImageError, SIDE_MAX};

use crate::files::ReadError;

/// A data set or one of its images could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system refused.
    #[error("cannot read {path}: {source}")]
    Io {
        /// File or folder.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// Nothing that [`super::open`] knows.
    #[error("{path}: {found}; expected one of: {expected}")]
    NotRecognised {
        /// File or folder.
        path: String,
        /// What it looks like instead.
        found: String,
        /// The kinds of data sets that can be opened.
        expected: String,
    },
    /// The name of a built-in data set is not well formed.
    #[error("{name}: {reason}; expected phantoms[:SIZE[:COUNT]], for instance phantoms:32:1200")]
    PhantomName {
        /// What was asked for.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Several data sets cannot be one.
    #[error("{name}: {reason}; expected the names of data sets with + between them")]
    Mixture {
        /// What was asked for.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file or selection holds nothing to work on.
    #[error("{path}: found no image; expected {expected}")]
    Empty {
        /// File, folder or data set.
        path: String,
        /// What should have been there.
        expected: &'static str,
    },
    /// A folder has files, but no images.
    #[error("{path}: found no image; passed over: {passed_over}")]
    NoImages {
        /// The folder.
        path: String,
        /// What is there instead.
        passed_over: String,
    },
    /// Everything was skipped.
    #[error("{path}: all {count} images were skipped, first {first}")]
    AllSkipped {
        /// File or folder.
        path: String,
        /// How many.
        count: usize,
        /// The first of them with their reasons.
        first: String,
    },
    /// Several data sets of one format are in one folder.
    #[error("{path} holds several sets: {sets}; name one, for instance {example}")]
    SeveralSets {
        /// The folder.
        path: String,
        /// Their names.
        sets: String,
        /// A path that opens one of them.
        example: String,
    },
    /// The index of a data set would take too much memory.
    #[error("{path}: the index of {images} images takes {bytes} bytes of memory, the limit is {limit}")]
    IndexTooLarge {
        /// File or folder.
        path: String,
        /// Images so far, or in all where their number is known.
        images: u64,
        /// Bytes they take.
        bytes: u64,
        /// The most bytes.
        limit: u64,
    },
    /// An `.npz` lacks an array.
    #[error("{path}: no array {missing}; expected MedMNIST's train_images, train_labels, val_…, test_…; found {found}")]
    MissingArray {
        /// The archive.
        path: String,
        /// Name of the array.
        missing: String,
        /// Names that are there.
        found: String,
    },
    /// A part of a file is not as its format says.
    #[error("{path}: {what} is {found}, expected {expected}")]
    Malformed {
        /// The file.
        path: String,
        /// Which part of it.
        what: String,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A line of a manifest is wrong.
    #[error("{path}, line {line}: {reason}")]
    Line {
        /// The manifest.
        path: String,
        /// Counted from 1, the header included.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// One image cannot be decoded.
    #[error("{name}: not a readable image: {reason}")]
    Decode {
        /// Path of the file, or name of the image.
        name: String,
        /// What the decoder said.
        reason: String,
    },
    /// One image is larger than [`super::decode::PIXELS_MAX`], or has a longer side than can be resized.
    #[error("{name}: {width}×{height} pixels are more than an image may have: {limit}, at most {SIDE_MAX} a side")]
    TooLarge {
        /// Path of the file.
        name: String,
        /// Pixels a row.
        width: u64,
        /// Rows.
        height: u64,
        /// The most pixels.
        limit: u64,
    },
    /// Images cannot be brought to the size or the channels asked for.
    #[error("no image can be prepared like this: {0}")]
    Recipe(ImageError),
    /// The data set has no such image.
    #[error("{dataset}: no image {index}, there are {len}")]
    OutOfRange {
        /// Name of the data set.
        dataset: String,
        /// What was asked for.
        index: usize,
        /// How many there are.
        len: usize,
    },
}

impl DataError {
    /// Wraps an error of the operating system with the file it is about.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { path, source }
    }

    /// A file that could not be read.
    pub(crate) fn read(error: ReadError) -> Self {
        Self::Io { path: error.path, source: error.source }
    }

    /// Everything was `skipped`: the first reasons tell why.
    pub(crate) fn all_skipped(path: String, skipped: &[(String, String)]) -> Self {
        const SHOWN: usize = 3;
        let first: Vec<String> = skipped.iter().take(SHOWN).map(|(name, reason)| format!("{name}: {reason}")).collect();
        Self::AllSkipped { path, count: skipped.len(), first: first.join("; ") }
    }

    /// A part of `path` that is not as its format says.
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
