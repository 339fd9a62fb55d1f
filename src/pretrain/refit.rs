//! Another readout for a trained encoder: its weights stay, the linear map is fitted to images given now.

use rayon::prelude::*;

use super::limits::EMBED_TOGETHER;
use super::run::{Run, identity};
use crate::data::{DataError, Dataset, Split, evenly_spread, random_tile};
use crate::encoder::{CorpusStatistics, EncoderSpec, Readout, ReadoutError};
use crate::measure::{FIT_IMAGES_MAX, FitError, fit_linear_map};
use crate::rng::Rng;

/// A readout could not be replaced.
#[derive(Debug, thiserror::Error)]
pub enum RefitError {
    /// An image could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The readout does not fit the encoder.
    #[error(transparent)]
    Readout(#[from] ReadoutError),
    /// The linear map could not be fitted.
    #[error(transparent)]
    Fit(#[from] FitError),
}

impl Run {
    /// The images of `dataset` that a shipped or exported encoder is [refitted](Self::refit) to: readable ones of the training
    /// split, or of all splits if it has none, at most [`FIT_IMAGES_MAX`] spread evenly.
    pub fn refit_images(dataset: &Dataset) -> Vec<usize> {
        dataset.readable_spread(&dataset.split_or_all(Split::Train), FIT_IMAGES_MAX).0
    }

    /// Replaces the readout, and measures the statistics of the new features. The linear map is fitted to the images `indices`
    /// of `dataset`, at most [`FIT_IMAGES_MAX`] spread evenly over them.
    ///
    /// # Errors
    /// When an image cannot be read, a linear map would be fitted to fewer than two images, or the readout does not fit the
    /// encoder. The run is then unchanged.
    pub fn refit(&mut self, readout: Readout, dataset: &Dataset, indices: &[usize]) -> Result<(), RefitError> {
        let spec = EncoderSpec { readout, ..self.network.spec().clone() };
        spec.shapes().map_err(ReadoutError::from)?;
        let (pooled, len, mut rows) = (spec.pooled(readout.pooling), spec.pooled_len(), Vec::new());
        for indices in evenly_spread(indices, FIT_IMAGES_MAX).chunks(EMBED_TOGETHER) {
            let recipe = &self.info.preprocessing;
            let tiles = self.config.tiles.as_ref();
            let normalised = |&index: &usize| {
                let (image, name) = (dataset.load(index)?, &dataset.records[index].name);
                // An encoder of tiles has the statistics of tiles.
                let pixels = match tiles {
                    Some(spec) => {
                        let mut rng = Rng::for_item(0, "tile", 0, index as u64);
                        random_tile((&image, name), spec, recipe, &mut rng)?
                    }
                    None => recipe.to_pixels(&image),
                };
                Ok(recipe.normalise(&pixels.pixels))
            };
            let inputs = indices.par_iter().map(normalised).collect::<Result<Vec<_>, DataError>>()?;
            rows.extend(self.network.embed_pooled(&inputs.concat(), &pooled));
        }
        let map = readout.dim.map(|dim| fit_linear_map(&rows, len, readout, dim)).transpose()?;
        let dim = readout.dim.unwrap_or(len);
        let images: Vec<usize> = (0..rows.len() / len).collect();
        let mut features = Vec::new();
        for image in evenly_spread(&images, CorpusStatistics::IMAGES_MAX) {
            let row = &rows[image * len..][..len];
            let start = features.len();
            features.resize(start + dim, 0.0);
            match &map {
                Some(map) => map.apply(row, &mut features[start..]),
                None => features[start..].copy_from_slice(row),
            }
        }
        let statistics = CorpusStatistics::of(&features, dim);
        self.network.set_readout(readout, map)?;
        self.config.readout = readout;
        self.info.feature_dim = dim;
        self.info.id = identity(&self.network, &self.info.preprocessing);
        // Features that cannot be scaled have no length; quantising them reports that.
        self.info.corpus = Some(statistics.clone().with_lengths_of(&features).unwrap_or(statistics));
        Ok(())
    }
}
