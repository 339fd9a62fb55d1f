//! Images that are nearly equal by their fingerprints.

use std::ops::ControlFlow;

use super::fingerprint::Fingerprint;
use super::hash_index::HashIndex;

/// Most differing bits of two nearly equal images: the largest number for which a band of the index differs in two bits at
/// most. Of 330 ultrasound images, 99 % of those cropped by 2 % differ in at most 6 bits.
pub const DISTANCE_MAX: u32 = 11;

/// Least similarity of the coefficients of two nearly equal images, if nothing else confirms it. Of 499,500 pairs of different
/// chest x-rays, 1,016 differ in at most 10 bits, and none of them is as similar; ultrasound images cropped by 2 % are.
pub const SIMILARITY_MIN: f64 = 0.97;

/// Least similarity of candidates that something else confirms. Of the pairs of x-rays above, about 20 are as similar, and of
/// ultrasound images cropped by 5 %, more than 90 %.
pub const CANDIDATE_SIMILARITY_MIN: f64 = 0.93;

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

    /// Calls `found` with each image near to `print` and at least as similar as `similarity_min`, itself included if it is in
    /// the index, until it breaks off. The order is always the same.
    pub fn near<B>(
        &self,
        print: &Fingerprint,
        similarity_min: f64,
        mut found: impl FnMut(Near) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        self.index.within(print.hash(), |position, distance| {
            let similarity = print.similarity(&self.prints[position]);
            match similarity >= similarity_min {
                true => found(Near { image: self.images[position], distance, similarity }),
                false => ControlFlow::Continue(()),
            }
        })
    }

    /// Whether an image for which `counts` is nearly equal to that of `print`.
    pub fn any(&self, print: &Fingerprint, counts: impl Fn(usize) -> bool) -> bool {
        let stop = |near: Near| if counts(near.image) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        self.near(print, SIMILARITY_MIN, stop).is_break()
    }
}
