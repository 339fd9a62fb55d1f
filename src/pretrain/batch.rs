//! The network inputs of one step: images are read, augmented and normalised in parallel, each in its own place.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::sampling::Visit;
use super::training_set::ImageSet;
use super::view_order::{ViewOrder, numbered_view};
use crate::augment::{Augmentation, Views};
use crate::data::{DataError, Image, Preprocessing};
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

/// A visit and its views, 8-bit, once they are made.
pub(super) struct Slot {
    pub visit: Visit,
    pub views: OnceLock<Vec<Image>>,
}

impl Recipe<'_> {
    /// The views of the image of `visit`, 8-bit. Each image has its own random stream, so it does not matter which thread makes
    /// them, or when.
    pub fn views_of(self, set: &ImageSet<'_>, Visit { position, number }: Visit) -> Result<Vec<Image>, DataError> {
        let index = set.indices[position];
        let image = match &set.tiles {
            None => set.loader.pixels(position)?,
            Some(tiles) => Arc::new(tiles.tile(position, &mut Rng::for_item(self.seed, "tile", number, index as u64))?),
        };
        Ok(match self.order {
            None => {
                let mut rng = Rng::for_item(self.seed, "augment", number, index as u64);
                self.views.of(&image, &self.augmentation, &mut rng)
            }
            Some(order) => {
                let view = |view| numbered_view(&image, &self.augmentation, order.seed, view, index);
                order.numbers(number, index).into_iter().map(view).collect()
            }
        })
    }

    /// Fills `input` with `[N * V, H, W, C]` for `visits` of images of `set`.
    pub fn fill(self, input: &mut Vec<f32>, set: &ImageSet<'_>, visits: &[Visit]) -> Result<(), DataError> {
        self.normalise(input, visits, |&visit| self.views_of(set, visit).map(Cow::Owned))
    }

    /// [`Self::fill`] for `slots`: makes the views that are not prefetched.
    pub fn fill_slots(self, input: &mut Vec<f32>, set: &ImageSet<'_>, slots: &[Arc<Slot>]) -> Result<(), DataError> {
        self.normalise(input, slots, |slot| match slot.views.get() {
            Some(views) => Ok(Cow::Borrowed(views)),
            None => self.views_of(set, slot.visit).map(Cow::Owned),
        })
    }

    /// Fills `input` with the normalised `views` of each image.
    fn normalise<'v, T: Sync>(
        self,
        input: &mut Vec<f32>,
        images: &'v [T],
        views: impl Fn(&'v T) -> Result<Cow<'v, [Image]>, DataError> + Sync,
    ) -> Result<(), DataError> {
        let one = self.preprocessing.input_len();
        let each = one * self.views.count();
        let normaliser = self.preprocessing.normaliser();
        input.resize(images.len() * each, 0.0);
        input.par_chunks_mut(each).zip(images).try_for_each(|(input, image)| {
            for (input, view) in input.chunks_exact_mut(one).zip(&*views(image)?) {
                normaliser.fill(input, &view.pixels);
            }
            Ok(())
        })
    }
}
