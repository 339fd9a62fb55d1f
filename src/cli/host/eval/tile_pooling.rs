//! Few-shot evaluation of images in tiles whose weights are learnt from the supports of each episode.

use super::images::Images;
use super::positive::positive;
use super::probe_args::ProbeArgs;
use crate::data::evenly_spread;
use crate::encoder::{CorpusStatistics, HostEncoder, TileFeatures};
use crate::evaluate::{
    self, AttentionSettings, Episode, EpisodePool, EvaluateError, Features, FewShotResult, HeadKind, Predictions,
    TileAttention,
};

/// Unlabelled images whose tiles are measured: their tiles are many more.
const MEASURED_IMAGES_MAX: usize = 64;

/// How the features of tiles become one feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TilePooling {
    /// Their mean
    Mean,
    /// A mean with weights that are fitted to the supports of each episode in closed form
    Attention,
}

/// The options of attention.
#[derive(clap::Args)]
pub struct AttentionArgs {
    /// Pooling of the tiles: mean, attention, or both
    #[arg(long, value_name = "POOLING,…", value_delimiter = ',', default_value = "mean", requires = "tiles")]
    pub tile_pooling: Vec<TilePooling>,
    /// Attention: ridge of the fit, in units of the mean variance of a tile's feature
    #[arg(long, value_name = "RIDGE", default_value_t = AttentionSettings::default().ridge, value_parser = positive)]
    attention_ridge: f64,
    /// Attention: temperature of the weights, in units of a typical score; higher is nearer to the mean
    #[arg(long, value_name = "TEMPERATURE", default_value_t = AttentionSettings::default().temperature, value_parser = positive)]
    attention_temperature: f64,
}

impl AttentionArgs {
    /// Whether tiles are pooled in this way.
    pub fn has(&self, pooling: TilePooling) -> bool {
        self.tile_pooling.contains(&pooling)
    }

    fn settings(&self) -> AttentionSettings {
        AttentionSettings { ridge: self.attention_ridge, temperature: self.attention_temperature }
    }
}

/// The tiles of the test images, and what standardises tiles and pooled features.
pub struct TiledImages {
    tiles: Vec<TileFeatures>,
    of_tiles: CorpusStatistics,
    of_means: CorpusStatistics,
}

impl TiledImages {
    /// Reads the tiles of the test images, and those of some training images without their labels.
    pub fn read(shared: &ProbeArgs, encoder: &dyn HostEncoder, images: &Images) -> anyhow::Result<Self> {
        let dim = encoder.feature_dim();
        let measured = shared.embed_tiles(encoder, images, &evenly_spread(&images.train, MEASURED_IMAGES_MAX))?;
        Ok(Self {
            of_tiles: evaluate::tile_statistics(&measured, dim),
            of_means: shared.corpus(encoder, images)?,
            tiles: shared.embed_tiles(encoder, images, &images.test)?,
        })
    }

    /// Evaluates `head` on features pooled by attention, which is fitted to the supports of each episode; as
    /// [`evaluate::few_shot_by`].
    pub fn few_shot(
        &self,
        args: &AttentionArgs,
        (num_classes, pool): (usize, &EpisodePool),
        episodes: usize,
        head: HeadKind,
        keep_and_progress: (usize, evaluate::Progress),
    ) -> Result<(FewShotResult, Predictions), EvaluateError> {
        let select = |episode: &Episode| -> Result<[Features; 2], EvaluateError> {
            let (ways, shots) = (episode.classes.len(), episode.supports.len() / episode.classes.len());
            let images: Vec<&TileFeatures> = episode.supports.iter().map(|&image| &self.tiles[image]).collect();
            let labels: Vec<usize> = (0..ways * shots).map(|support| support / shots).collect();
            let attention = TileAttention::fit(&images, &labels, ways, &self.of_tiles, args.settings())?;
            let pooled = |positions: &[usize]| {
                let dim = self.of_tiles.mean.len();
                let row = |&image: &usize| {
                    let tiles = &self.tiles[image];
                    tiles.weighted(&attention.weights(tiles, &self.of_tiles))
                };
                let mut features = Features { dim, rows: positions.iter().flat_map(row).collect() };
                features.standardise(&self.of_means);
                features
            };
            Ok([pooled(&episode.supports), pooled(&episode.queries)])
        };
        evaluate::few_shot_by(&select, num_classes, pool, episodes, head, keep_and_progress)
    }
}
