//! Limit on the memory of a dataset's index, checked before it is allocated.

use std::path::{Path, PathBuf};

use super::{DataError, Record};

/// Bytes of the index of a dataset at most: names, labels and paths of about five million images.
pub const INDEX_BYTES_MAX: u64 = 1 << 30;

/// Overhead of one allocation in bytes.
const ALLOCATION_BYTES: u64 = 16;

/// Bytes of one image besides text: its record, its number in the source and the path of its file.
const IMAGE_BYTES: u64 = (size_of::<Record>() + size_of::<usize>() + size_of::<PathBuf>()) as u64 + ALLOCATION_BYTES;

/// Counts the bytes of a growing index.
pub(super) struct Budget {
    name: String,
    images: u64,
    bytes: u64,
}

impl Budget {
    /// An empty index of the dataset `name`.
    pub fn new(name: &Path) -> Self {
        Self { name: name.display().to_string(), images: 0, bytes: 0 }
    }

    /// Counts `images` images whose names and paths take `text_bytes` each.
    ///
    /// # Errors
    /// If the index would take more than [`INDEX_BYTES_MAX`].
    pub fn take(&mut self, images: u64, text_bytes: u64) -> Result<(), DataError> {
        self.images = self.images.saturating_add(images);
        self.take_bytes(images.saturating_mul(IMAGE_BYTES.saturating_add(text_bytes)))
    }

    /// Counts further bytes that are read into memory.
    ///
    /// # Errors
    /// As [`Budget::take`].
    pub fn take_bytes(&mut self, bytes: u64) -> Result<(), DataError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes <= INDEX_BYTES_MAX {
            return Ok(());
        }
        let (path, images, bytes) = (self.name.clone(), self.images, self.bytes);
        Err(DataError::IndexTooLarge { path, images, bytes, limit: INDEX_BYTES_MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_above_the_limit_is_refused_without_overflow() {
        let mut budget = Budget::new(Path::new("x"));
        budget.take(1_000_000, 40).unwrap();
        let error = budget.take(60_000_000, 16).unwrap_err();
        assert!(matches!(error, DataError::IndexTooLarge { images: 61_000_000, .. }), "{error}");
        assert!(Budget::new(Path::new("x")).take(u64::MAX, u64::MAX).is_err());
    }
}
