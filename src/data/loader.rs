//! Resized images, read on demand and cached up to a limit.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::{DataError, Dataset, Image, ImageDigest, Preprocessing};

/// Reads and caches the resized 8-bit pixels of selected images.
///
/// Training visits every image once per epoch. With that order, a cache that evicts old entries evicts each one just
/// before its next use. This cache evicts nothing: it keeps the first images until it is full and reads the others again,
/// so the share of cached images is the share of saved reads. The result does not depend on what is cached.
pub struct Loader<'a> {
    dataset: &'a Dataset,
    indices: Vec<usize>,
    preprocessing: Preprocessing,
    kept: Vec<OnceLock<Arc<Image>>>,
    cache_bytes: usize,
    cache_bytes_used: AtomicUsize,
}

impl<'a> Loader<'a> {
    /// A loader of the images `indices` that caches at most `cache_bytes` of pixels.
    pub fn new(dataset: &'a Dataset, indices: Vec<usize>, preprocessing: Preprocessing, cache_bytes: usize) -> Self {
        let kept = indices.iter().map(|_| OnceLock::new()).collect();
        Self { dataset, indices, preprocessing, kept, cache_bytes, cache_bytes_used: AtomicUsize::new(0) }
    }

    /// Number of selected images.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether no image is selected.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Index in the dataset of the image at `position` of the selection.
    pub fn index(&self, position: usize) -> usize {
        self.indices[position]
    }

    /// The preprocessing by which images are resized.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// The image at `position` of the selection, 8-bit, with the network's size and channels. Any number of threads may
    /// call this at once.
    ///
    /// # Panics
    /// If `position` is not below [`Loader::len`].
    pub fn pixels(&self, position: usize) -> Result<Arc<Image>, DataError> {
        if let Some(image) = self.kept[position].get() {
            return Ok(Arc::clone(image));
        }
        Ok(self.keep(position, &self.dataset.load(self.indices[position])?))
    }

    /// [`Loader::pixels`] with the digest of the decoded image. It always reads the image again.
    ///
    /// # Panics
    /// If `position` is not below [`Loader::len`].
    pub fn pixels_and_digest(&self, position: usize) -> Result<(Arc<Image>, ImageDigest), DataError> {
        let decoded = self.dataset.load(self.indices[position])?;
        Ok((self.keep(position, &decoded), ImageDigest::of(&decoded)))
    }

    fn keep(&self, position: usize, decoded: &Image) -> Arc<Image> {
        let image = Arc::new(self.preprocessing.to_pixels(decoded));
        if self.reserve(image.pixels.len()) && self.kept[position].set(Arc::clone(&image)).is_err() {
            // Another thread cached the same image first.
            self.cache_bytes_used.fetch_sub(image.pixels.len(), Ordering::Relaxed);
        }
        image
    }

    /// Whether the image at `position` is cached.
    ///
    /// # Panics
    /// If `position` is not below [`Loader::len`].
    pub fn is_cached(&self, position: usize) -> bool {
        self.kept[position].get().is_some()
    }

    /// Bytes of cached pixels.
    pub fn cache_bytes_used(&self) -> usize {
        self.cache_bytes_used.load(Ordering::Relaxed)
    }

    /// Bytes of the pixels of all selected images.
    pub fn bytes_of_all(&self) -> usize {
        self.len() * self.preprocessing.input_len()
    }

    fn reserve(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|&sum| sum <= self.cache_bytes);
        self.cache_bytes_used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn the_cache_is_bounded_and_does_not_change_pixels() {
        let dataset = crate::data::open_named("phantoms:24:40", 2).unwrap();
        let recipe = Preprocessing::unit(1, 16, 16);
        let plain = Loader::new(&dataset, dataset.indices(None), recipe.clone(), 0);
        let cached = Loader::new(&dataset, dataset.indices(None), recipe, 10 * 256 + 255);
        for round in 0..2 {
            let same = (0..40).into_par_iter().all(|i| plain.pixels(i).unwrap() == cached.pixels(i).unwrap());
            assert!(same, "round {round}");
            assert_eq!(cached.cache_bytes_used(), 10 * 256, "ten images of 16×16 fit");
        }
        assert_eq!((0..40).filter(|&position| cached.is_cached(position)).count(), 10);
        assert_eq!(plain.cache_bytes_used(), 0);
        let first = cached.kept.iter().position(|slot| slot.get().is_some()).unwrap();
        assert!(
            Arc::ptr_eq(&cached.pixels(first).unwrap(), &cached.pixels(first).unwrap()),
            "a cached image was read again"
        );
    }
}
