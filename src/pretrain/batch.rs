//! The network inputs of one step: images are read, augmented and normalised in parallel, each in its own place.

use rayon::prelude::*;

use super::sampling::Visit;
use super::training_set::ImageSet;
use super::view_order::{ViewOrder, numbered_view};
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
    /// Trains on numbered views, in this order; draws new views in every epoch if `None`.
    pub order: Option<ViewOrder>,
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
            let index = set.indices[position];
            let views = match self.order {
                None => {
                    let mut rng = Rng::for_item(self.seed, "augment", number, index as u64);
                    self.views.of(&image, &self.augmentation, &mut rng)
                }
                Some(order) => {
                    let view = |view| numbered_view(&image, &self.augmentation, order.seed, view, index);
                    order.numbers(number, index).into_iter().map(view).collect()
                }
            };
            for (input, view) in input.chunks_exact_mut(one).zip(views) {
                normaliser.fill(input, &view.pixels);
            }
            Ok(())
        })
    }
}
