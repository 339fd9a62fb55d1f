//! Errors of teachers and of their features.

use std::io;
use std::path::Path;

use crate::data::DataError;
use crate::encoder::EncodeError;

/// The features of a teacher cannot be computed or read.
#[derive(Debug, thiserror::Error)]
pub enum TeacherError {
    /// The teacher cannot be opened.
    #[error("teacher {encoder}: {source}")]
    Open {
        /// Its name.
        encoder: String,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The teacher has changed since the run was configured.
    #[error("teacher {encoder} has changed: its SHA-256 is {computed}, the run was configured with {stored}")]
    Changed {
        /// Its name.
        encoder: String,
        /// Identity in the configuration.
        stored: String,
        /// Identity now.
        computed: String,
    },
    /// The teacher fails on an image.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A feature does not fit f16.
    #[error("teacher {encoder}: a feature of {image} is {value}; the largest that can be kept is 65504")]
    TooLargeValue {
        /// Its name.
        encoder: String,
        /// Name of the image.
        image: String,
        /// The value found.
        value: f32,
    },
    /// The features would not fit the limit.
    #[error(
        "teacher {encoder}: the features of {images} images in {views} views have {bytes} bytes, at most {limit} are allowed; use fewer --teacher-views or --count"
    )]
    TooLarge {
        /// Its name.
        encoder: String,
        /// Number of images.
        images: usize,
        /// Views per image.
        views: usize,
        /// Bytes of the file.
        bytes: u64,
        /// Most bytes allowed.
        limit: u64,
    },
    /// An image cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The file of the features cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The reason.
        source: io::Error,
    },
}

impl TeacherError {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { path: path.clone(), source }
    }
}
