//! Why an image is refused, before the name of the file is known.

use super::super::DataError;
use super::limits::{BYTES_MAX, PIXELS_MAX};

/// The error of the reader of one format.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The file is damaged or not supported.
    Reason(String),
    /// More pixels than [`PIXELS_MAX`], or a side that cannot be resized.
    TooLarge { width: u64, height: u64 },
    /// Too large to be decoded beside other images; never returned to callers of `decode`.
    Large,
    /// Decoding would take more than [`BYTES_MAX`] of memory.
    TooMuchMemory { width: u64, height: u64, bytes: u64 },
}

impl Refusal {
    /// The error for the image `name`.
    pub fn named(self, name: &str) -> DataError {
        let name = name.to_owned();
        match self {
            Self::Reason(reason) => DataError::Decode { name, reason },
            Self::Large => DataError::Decode { name, reason: "it takes too much memory".to_owned() },
            Self::TooLarge { width, height } => DataError::TooLarge { name, width, height, limit: PIXELS_MAX },
            Self::TooMuchMemory { width, height, bytes } => DataError::Decode {
                name,
                reason: format!(
                    "decoding {width}×{height} pixels of this kind takes {bytes} bytes; at most {BYTES_MAX} are allowed"
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
