//! Errors of an examination.

use crate::evaluate::EvaluateError;

/// A dataset could not be examined.
#[derive(Debug, thiserror::Error)]
pub enum CareError {
    /// An image could not be read or encoded, or a head could not be fitted.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// There are too few images to compare.
    #[error("{dataset}: a report needs at least {needed} readable images, found {found}")]
    TooFewImages {
        /// The dataset.
        dataset: String,
        /// Readable images.
        found: usize,
        /// The least number.
        needed: usize,
    },
    /// The features would not fit the memory that a report may take.
    #[error(
        "{dataset}: {images} features of {dim} values take {bytes} bytes, a report may take {bytes_max}; pass a dataset of fewer \
         images, or --encoder with a shorter feature"
    )]
    TooManyImages {
        /// The dataset.
        dataset: String,
        /// Its images.
        images: usize,
        /// Values of a feature.
        dim: usize,
        /// Bytes of all features.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
}
