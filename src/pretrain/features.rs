//! Features of images without augmentation, from the running statistics: those that the encoder gives after training.

use std::sync::atomic::{AtomicBool, Ordering};

use super::batch::Recipe;
use super::error::PretrainError;
use super::limits::embed_together;
use super::observer::{Event, Observer};
use super::sampling::Visit;
use super::training_set::ImageSet;
use crate::augment::{Augmentation, Views};
use crate::data::{DataError, Preprocessing, evenly_spread};
use crate::encoder::{CorpusStatistics, LinearMap, Network, Readout};
use crate::measure::{FIT_IMAGES_MAX, Features, fit_linear_map};

/// Images embedded between two progress events.
const EMBED_AT_ONCE: usize = 1_024;

/// Features could not be computed.
#[derive(Debug, thiserror::Error)]
pub(super) enum FeatureError {
    /// An image cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A feature or a statistic of features is not finite.
    #[error("a feature is {0}")]
    NotFinite(f64),
}

impl FeatureError {
    /// `values`, if all are finite.
    pub fn check<'v>(values: impl IntoIterator<Item = &'v f32>) -> Result<(), Self> {
        let wrong = values.into_iter().find(|value| !value.is_finite());
        wrong.map_or(Ok(()), |&value| Err(Self::NotFinite(f64::from(value))))
    }
}

/// What an encoder gives of network inputs: [`Network::embed`], [`Network::embed_trained`] or its pooled values.
pub(super) type Embed = fn(&Network, &[f32]) -> Vec<f32>;

/// The pooled values of the readout, `[N, P]`.
fn pooled(network: &Network, input: &[f32]) -> Vec<f32> {
    network.embed_pooled(input, &network.spec().pooled(network.spec().readout.pooling))
}

/// An encoder with its preprocessing.
#[derive(Clone, Copy)]
pub(super) struct Extractor<'a> {
    pub network: &'a Network,
    pub preprocessing: &'a Preprocessing,
}

impl<'a> Extractor<'a> {
    /// How [`Self::features`] makes network inputs: not augmented, and of a run on tiles the same tile of an image every time.
    pub fn plain(self) -> Recipe<'a> {
        let (views, augmentation) = (Views::Independent(1), Augmentation::NONE);
        Recipe { views, augmentation, preprocessing: self.preprocessing, seed: 0, order: None }
    }
}

impl Extractor<'_> {
    /// What `embed` gives of the images at `positions`, not augmented, `[N, D]`.
    pub fn features(self, set: &ImageSet<'_>, positions: &[usize], embed: Embed) -> Result<Vec<f32>, DataError> {
        self.embed(self.plain(), set, positions, 0, embed)
    }

    /// What `embed` gives of at most `most` images spread evenly, or of that many random tiles of all of them, not augmented.
    fn spread_features(self, set: &ImageSet<'_>, most: usize, embed: Embed) -> Result<Vec<f32>, DataError> {
        let positions = evenly_spread(&set.readable, most);
        if set.tiles.is_none() {
            return self.features(set, &positions, embed);
        }
        let tiles = (most / positions.len().max(1)) as u64;
        let each = |&position: &usize| (0..tiles).map(move |number| Visit { position, number });
        let visits: Vec<Visit> = positions.iter().flat_map(each).collect();
        self.embed_visits(self.plain(), set, &visits, embed)
    }

    /// What `embed` gives of the views that `recipe` draws for `epoch`, `[N * V, D]`.
    pub fn embed(
        self,
        recipe: Recipe<'_>,
        set: &ImageSet<'_>,
        positions: &[usize],
        epoch: u64,
        embed: Embed,
    ) -> Result<Vec<f32>, DataError> {
        self.embed_visits(recipe, set, &Visit::each(positions, epoch), embed)
    }

    /// As [`Self::embed`] for `visits`.
    fn embed_visits(
        self,
        recipe: Recipe<'_>,
        set: &ImageSet<'_>,
        visits: &[Visit],
        embed: Embed,
    ) -> Result<Vec<f32>, DataError> {
        let (mut input, mut features) = (Vec::new(), Vec::new());
        let together = embed_together(self.preprocessing.input_len());
        for visits in visits.chunks((together / recipe.views.count()).max(1)) {
            recipe.fill(&mut input, set, visits)?;
            features.extend(embed(self.network, &input));
        }
        Ok(features)
    }

    /// Features of all images of `set` by position, zeros for unreadable images; `None` if `stop` was raised meanwhile.
    pub fn all_features(
        self,
        set: &ImageSet<'_>,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Option<Features>, DataError> {
        let dim = self.network.feature_dim();
        let mut features = Features { dim, rows: vec![0.0; set.indices.len() * dim] };
        let mut done = 0;
        for positions in set.readable.chunks(EMBED_AT_ONCE) {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let rows = self.features(set, positions, Network::embed)?;
            for (&position, row) in positions.iter().zip(rows.chunks_exact(dim)) {
                features.rows[position * dim..][..dim].copy_from_slice(row);
            }
            done += positions.len();
            observer.event(Event::Reading { done, of: set.readable.len() });
        }
        Ok(Some(features))
    }

    /// Mean, deviation and largest length of the features, over training images spread evenly.
    pub fn corpus_statistics(self, set: &ImageSet<'_>) -> Result<CorpusStatistics, FeatureError> {
        let features = self.spread_features(set, CorpusStatistics::IMAGES_MAX, Network::embed)?;
        let statistics = CorpusStatistics::of(&features, self.network.feature_dim());
        FeatureError::check(statistics.mean.iter().chain(&statistics.std))?;
        // Features that cannot be scaled have no length; quantising them reports that.
        Ok(statistics.clone().with_lengths_of(&features).unwrap_or(statistics))
    }

    /// The linear map of `readout`, fitted to the pooled values of training images spread evenly; `None` if it has none.
    pub fn linear_map(self, set: &ImageSet<'_>, readout: Readout) -> Result<Option<LinearMap>, PretrainError> {
        let Some(dim) = readout.dim else { return Ok(None) };
        let pooled = self.spread_features(set, FIT_IMAGES_MAX, pooled)?;
        Ok(Some(fit_linear_map(&pooled, self.network.spec().pooled_len(), readout, dim)?))
    }
}
