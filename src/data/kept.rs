//! Decoded images in memory, up to a limit.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::Image;
use super::decode::DecodeOptions;

/// Keeps the first decoded images until the limit is reached; nothing is evicted, because every pass over a dataset visits
/// every image once. What is kept does not change a result.
pub(super) struct KeptImages {
    /// The images were decoded with these.
    pub options: DecodeOptions,
    slots: Vec<OnceLock<Arc<Image>>>,
    bytes_max: usize,
    bytes: AtomicUsize,
}

impl KeptImages {
    /// Room for `images` images of `bytes_max` bytes together.
    pub fn new(options: DecodeOptions, images: usize, bytes_max: usize) -> Self {
        let slots = (0..images).map(|_| OnceLock::new()).collect();
        Self { options, slots, bytes_max, bytes: AtomicUsize::new(0) }
    }

    /// Image `index`, if it is kept.
    pub fn get(&self, index: usize) -> Option<Image> {
        Some(Image::clone(self.slots.get(index)?.get()?))
    }

    /// Keeps `image` if there is room.
    pub fn keep(&self, index: usize, image: &Image) {
        let Some(slot) = self.slots.get(index).filter(|slot| slot.get().is_none()) else { return };
        let len = image.pixels.len();
        let fits = |used: usize| used.checked_add(len).filter(|&sum| sum <= self.bytes_max);
        if self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
            && slot.set(Arc::new(image.clone())).is_err()
        {
            // Another thread kept the same image first.
            self.bytes.fetch_sub(len, Ordering::Relaxed);
        }
    }
}
