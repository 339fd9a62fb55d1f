//! Why a bundle cannot be used.

use std::io;
use std::time::Duration;

use macula_edge::bundle::BundleError;

use crate::encoder::EncodeError;

/// A bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read.
    #[error("cannot read bundle {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// It is refused.
    #[error("{path}: {source}")]
    Refused {
        /// The file.
        path: String,
        /// Why.
        source: BundleError,
    },
    /// Its signature is good, and it is of no use all the same.
    #[error("{path}: {message}")]
    Content {
        /// The file.
        path: String,
        /// The reason as devices number it.
        reason: BundleError,
        /// What is wrong.
        message: String,
    },
    /// Its encoder gives another feature than it did where it was made.
    #[error(
        "{path}: the feature of golden image {image} differs by {found:.2e} of its length from the one that was signed; {tolerance:.0e} is allowed"
    )]
    Golden {
        /// The file.
        path: String,
        /// The image, counted from 0.
        image: u32,
        /// The largest difference.
        found: f64,
        /// What is allowed.
        tolerance: f64,
    },
    /// Its encoder failed on a golden image.
    #[error("golden image {image}: {source}")]
    Encode {
        /// The image, counted from 0.
        image: u32,
        /// Why.
        source: EncodeError,
    },
    /// The golden images take too long.
    #[error("{path}: its golden images took longer than {} s, {image} of them are done", limit.as_secs_f64())]
    Slow {
        /// The file.
        path: String,
        /// Images that were done.
        image: u32,
        /// The limit.
        limit: Duration,
    },
    /// This program was asked to stop while the encoder was tried.
    #[error("{path}: stopped while its encoder was tried")]
    Stopped {
        /// The file.
        path: String,
    },
}

impl OpenError {
    /// Whether a check failed, rather than that there is no file.
    pub fn is_check(&self) -> bool {
        !matches!(self, Self::Read { .. } | Self::Stopped { .. })
    }

    /// The reason as devices number it.
    pub fn reason(&self) -> BundleError {
        match self {
            Self::Read { .. } | Self::Stopped { .. } => BundleError::Read { at: 0 },
            Self::Refused { source: reason, .. } | Self::Content { reason, .. } => *reason,
            Self::Golden { image, .. } | Self::Encode { image, .. } | Self::Slow { image, .. } => {
                BundleError::Golden { image: *image }
            }
        }
    }
}
