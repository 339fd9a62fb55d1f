//! Why one image is not read, before it is known what the image is called.

use super::super::DataError;
use super::limits::{BYTES_MAX, PIXELS_MAX};

/// What a reader of one format says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The file is broken, or of a kind that is not read.
    Reason(String),
    /// More pixels than [`PIXELS_MAX`], or a side that cannot be resized.
    TooLarge { width: u64, height: u64 },
    /// Too much to be decoded beside others; never given to a caller.
    Large,
    /// Decoding would take more than [`BYTES_MAX`].
    TooMuchMemory { width: u64, height: u64, bytes: u64 },
}

impl Refusal {
    /// The error of an image called `name`.
    pub fn named(self, name: &str) -> DataError {
        let name = name.to_owned();
        match self {
            Self::Reason(reason) => DataError::Decode { name, reason },
            Self::Large => DataError::Decode { name, reason: "it takes too much memory".to_owned() },
            Self::TooLarge { width, height } => DataError::TooLarge { name, width, height, limit: PIXELS_MAX },
            Self::TooMuchMemory { width, height, bytes } => DataError::Decode {
                name,
                reason: format!(
                    "{width}×{height} pixels of this kind take {bytes} bytes to decode, {BYTES_MAX} are allowed"
                ),
            },
        }
    }
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        Self::Reason(reason.to_owned())
    }
}

impl From<image::ImageError> for Refusal {
    fn from(error: image::ImageError) -> Self {
        Self::Reason(error.to_string())
    }
}
