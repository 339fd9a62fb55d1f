//! The network inputs of one step: images are read, augmented and normalised in parallel, each in its own place.

use rayon::prelude::*;

use super::sampling::Visit;
use super::training_set::ImageSet;
use crate::augment::{Augmentation, Views};
use crate::data::{DataError, Preprocessing};
use crate::rng::Rng;

/// How images become network inputs.
#[derive(Clone, Copy)]
pub(super) struct Recipe<'a> {
    pub views: Views,
    pub augmentation: Augmentation,
    pub preprocessing: &'a Preprocessing,
    pub seed: u64,
}

impl Recipe<'_> {
    /// Fills `input` with `[N * V, H, W, C]` for `visits` of images of `set`.
    ///
    /// Each image has its own random stream and its own place, so the number of threads does not change the result.
    pub fn fill(self, input: &mut Vec<f32>, set: &ImageSet<'_>, visits: &[Visit]) -> Result<(), DataError> {
        let Preprocessing { channels, height, width, .. } = *self.preprocessing;
        let one = channels * height * width;
        let each = one * self.views.count();
        let normaliser = self.preprocessing.normaliser();
        input.resize(visits.len() * each, 0.0);
        input.par_chunks_mut(each).zip(visits).try_for_each(|(input, &Visit { position, number })| {
            let image = set.loader.pixels(position)?;
            let mut rng = Rng::for_item(self.seed, "augment", number, set.indices[position] as u64);
            let views = self.views.of(&image, &self.augmentation, &mut rng);
            for (input, view) in input.chunks_exact_mut(one).zip(views) {
                normaliser.fill(input, &view.pixels);
            }
            Ok(())
        })
    }
}
