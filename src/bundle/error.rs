//! Errors of opening a bundle.

use std::io;
use std::time::Duration;

use macula_edge::bundle::BundleError;

use crate::encoder::EncodeError;

/// A bundle could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read.
    #[error("cannot read bundle {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The reason.
        source: io::Error,
    },
    /// The signature or a checksum is wrong.
    #[error("{path}: {source}")]
    Refused {
        /// The file.
        path: String,
        /// The reason.
        source: BundleError,
    },
    /// The signature is good, but a part is invalid.
    #[error("{path}: {message}")]
    Content {
        /// The file.
        path: String,
        /// The reason on the wire.
        reason: BundleError,
        /// The reason in words.
        message: String,
    },
    /// The feature of a golden image differs from the signed one.
    #[error(
        "{path}: the feature of golden image {image} differs from the signed one by {found:.2e} of its length; {tolerance:.0e} is allowed"
    )]
    Golden {
        /// The file.
        path: String,
        /// The image, counted from 0.
        image: u32,
        /// The largest difference.
        found: f64,
        /// The allowed difference.
        tolerance: f64,
    },
    /// The encoder failed on a golden image.
    #[error("golden image {image}: {source}")]
    Encode {
        /// The image, counted from 0.
        image: u32,
        /// The reason.
        source: EncodeError,
    },
    /// The golden images take too long.
    #[error("{path}: encoding {image} golden images took longer than {} s", limit.as_secs_f64())]
    Slow {
        /// The file.
        path: String,
        /// Images that were encoded.
        image: u32,
        /// The limit.
        limit: Duration,
    },
    /// This program was stopped during the test of the encoder.
    #[error("{path}: stopped during the test of its encoder")]
    Stopped {
        /// The file.
        path: String,
    },
}

impl OpenError {
    /// Whether a check failed; `false` if the bundle was not read or not tested to the end.
    pub fn is_check(&self) -> bool {
        !matches!(self, Self::Read { .. } | Self::Stopped { .. })
    }

    /// The reason on the wire.
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
