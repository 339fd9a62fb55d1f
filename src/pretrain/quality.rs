//! The quality of the encoder without labels, by which `keep` decides between epochs.
//!
//! Two augmented views of some hundred images, held-out ones if there are any, are the same after every epoch. All measures
//! are of features, not of the projection head's outputs, with the running statistics. Features are centred first, as on a
//! device.

use super::batch::Recipe;
use super::config::PretrainConfig;
use super::features::{Extractor, FeatureError};
use super::metrics::Quality;
use super::training_set::ImageSet;
use crate::augment::Views;
use crate::encoder::Network;
use crate::measure::{alignment, effective_rank, instance_retrieval, uniformity};
use crate::nn::l2_normalize::l2_normalize;
use crate::objective::nt_xent;
use crate::rng::Rng;

/// Most images.
const IMAGES: usize = 512;
/// The epoch that seeds the views; no epoch of a run has this number, nor do the views of health.
const VIEWS: u64 = u64::MAX - 1;
/// Temperature of the contrastive loss, which must not depend on that of the run.
const TEMPERATURE: f32 = 0.2;

/// Measures the encoder on images of `set`; `None` if there are fewer than two.
pub(super) fn quality(
    extractor: Extractor<'_>,
    config: &PretrainConfig,
    set: &ImageSet<'_>,
) -> Result<Option<Quality>, FeatureError> {
    let mut positions = set.readable.clone();
    Rng::for_purpose(config.seed, "quality").shuffle(&mut positions);
    positions.truncate(IMAGES);
    if positions.len() < 2 {
        return Ok(None);
    }
    let Extractor { network, preprocessing } = extractor;
    let (views, augmentation) = (Views::Independent(2), config.augmentation);
    let recipe = Recipe { views, augmentation, preprocessing, seed: config.seed, order: None };
    let dim = network.trained_dim();
    let features = extractor.embed(recipe, set, &positions, VIEWS, Network::embed_trained)?;
    FeatureError::check(&features)?;
    let centred = centred(&features, dim);
    let mut unit = vec![0.0; centred.len()];
    l2_normalize(&mut unit, &centred, dim);
    let [first, second] = [0, 1].map(|view| every_other(&unit, dim, view));
    Ok(Some(Quality {
        images: positions.len(),
        retrieval: instance_retrieval(&first, &second, dim),
        contrastive: nt_xent(&unit, dim, TEMPERATURE).loss,
        alignment: alignment(&first, &second, dim),
        uniformity: uniformity(&unit, dim),
        effective_rank: effective_rank(&every_other(&features, dim, 0), dim),
    }))
}

/// Features `[N, dim]` minus their mean.
fn centred(features: &[f32], dim: usize) -> Vec<f32> {
    let mut mean = vec![0.0; dim];
    for row in features.chunks_exact(dim) {
        mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += f64::from(*value));
    }
    let count = (features.len() / dim) as f64;
    let rows = features.chunks_exact(dim);
    rows.flat_map(|row| row.iter().zip(&mean).map(|(value, sum)| (f64::from(*value) - sum / count) as f32)).collect()
}

/// The rows of one of two adjacent views.
fn every_other(rows: &[f32], dim: usize, view: usize) -> Vec<f32> {
    rows.chunks_exact(dim).skip(view).step_by(2).flatten().copied().collect()
}
