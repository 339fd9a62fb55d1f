//! Looks at every pixel once: what can be read, how large it is, and what it equals.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{DataError, Dataset, Image};

/// What one look at an image's pixels tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 or 3, as stored.
    pub channels: usize,
    /// SHA-256 of size and pixels. An RGB image without colour has that of its grey form, so that equal pictures
    /// are found whatever they are stored as.
    pub digest: [u8; 32],
}

impl Facts {
    fn of(image: &Image) -> Self {
        let (width, height, channels) = (image.width, image.height, image.channels);
        let mut hash = Sha256::new();
        hash.update((width as u64).to_le_bytes());
        hash.update((height as u64).to_le_bytes());
        if image.is_grey() {
            let grey: Vec<u8> = image.pixels.iter().step_by(channels).copied().collect();
            hash.update(&grey);
        } else {
            hash.update(&image.pixels);
        }
        Self { width, height, channels, digest: hash.finalize().into() }
    }
}

impl Dataset {
    /// Decodes every image. Those that cannot be read move from `records` to `skipped` with the
    /// reason, and the facts of the others are returned in index order.
    ///
    /// With `strict` the first unreadable one by index is the error, and so is what the reader itself
    /// has skipped. `progress` is called with the number done so far and the number of all,
    /// from any thread.
    pub fn check(&mut self, strict: bool, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Vec<Facts>, DataError> {
        if strict && let Some((name, reason)) = self.skipped.first() {
            return Err(DataError::Decode { name: name.clone(), reason: reason.clone() });
        }
        let (done, len) = (AtomicUsize::new(0), self.len());
        let look = |index| {
            let facts = self.load(index).map(|image| Facts::of(&image));
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, len);
            facts
        };
        let looked: Vec<Result<Facts, DataError>> = (0..len).into_par_iter().map(look).collect();
        let (records, places) = (std::mem::take(&mut self.records), std::mem::take(&mut self.places));
        let mut facts = Vec::with_capacity(len);
        let mut first_error = None;
        for ((record, place), looked) in records.into_iter().zip(places).zip(looked) {
            match looked {
                Ok(found) => {
                    facts.push(found);
                    self.push(record, place);
                }
                Err(error) => {
                    self.skipped.push((record.name, error.to_string()));
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error {
            Some(error) if strict => Err(error),
            Some(_) if self.is_empty() => Err(DataError::Empty {
                path: self.name.clone(),
                expected: "at least one that can be read; all were skipped",
            }),
            _ => Ok(facts),
        }
    }
}
