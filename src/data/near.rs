//! Images that are nearly equal by their fingerprints.

use std::ops::ControlFlow;

use super::fingerprint::Fingerprint;
use super::hash_index::HashIndex;

/// Most differing bits of two nearly equal images.
pub const DISTANCE_MAX: u32 = 10;

/// Least similarity of the coefficients of two nearly equal images.
pub const SIMILARITY_MIN: f64 = 0.97;

/// Fingerprints of images, found by those near to them.
pub struct NearIndex {
    images: Vec<usize>,
    prints: Vec<Fingerprint>,
    index: HashIndex,
}

/// An image whose fingerprint is near to that of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// The image.
    pub image: usize,
    /// Differing bits.
    pub distance: u32,
    /// Similarity of the coefficients.
    pub similarity: f64,
}

impl NearIndex {
    /// Of images and their fingerprints.
    pub fn new(images: impl IntoIterator<Item = (usize, Fingerprint)>) -> Self {
        let (images, prints): (Vec<usize>, Vec<Fingerprint>) = images.into_iter().unzip();
        let index = HashIndex::new(prints.iter().map(Fingerprint::hash).collect(), DISTANCE_MAX);
        Self { images, prints, index }
    }

    /// Calls `found` with each image near to `print`, itself included if it is in the index, until it breaks off. The order
    /// is always the same.
    pub fn near<B>(&self, print: &Fingerprint, mut found: impl FnMut(Near) -> ControlFlow<B>) -> ControlFlow<B> {
        self.index.within(print.hash(), |position, distance| {
            let similarity = print.similarity(&self.prints[position]);
            match similarity >= SIMILARITY_MIN {
                true => found(Near { image: self.images[position], distance, similarity }),
                false => ControlFlow::Continue(()),
            }
        })
    }

    /// Whether an image for which `counts` is near to `print`.
    pub fn any(&self, print: &Fingerprint, counts: impl Fn(usize) -> bool) -> bool {
        self.near(print, |near| if counts(near.image) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            .is_break()
    }
}
