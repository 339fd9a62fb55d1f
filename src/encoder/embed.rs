//! Whatever turns an image into a feature.

use crate::data::Preprocessing;

/// An image could not be turned into a feature.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The encoder itself failed.
    #[error("{encoder}: {message}")]
    Encoder {
        /// Name of the encoder.
        encoder: String,
        /// What it said.
        message: String,
    },
    /// A feature holds a value that is not finite.
    #[error("{encoder}: feature {position} of image {image} is {value}, which is not finite")]
    NotFinite {
        /// Name of the encoder.
        encoder: String,
        /// Index of the image in the call.
        image: usize,
        /// Index in the feature.
        position: usize,
        /// What was found.
        value: f32,
    },
}

/// What an encoder's features look like over the images it was pretrained on.
///
/// A head centres and scales by these before anything else, so that no dimension of the feature
/// speaks louder than the others.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CorpusStatistics {
    /// Mean of each dimension, `[D]`.
    pub mean: Vec<f32>,
    /// Standard deviation of each dimension, `[D]`, not negative; 0 where a dimension never varies.
    pub std: Vec<f32>,
}

/// Turns network input into features: a trained network, an ONNX file, or raw pixels.
pub trait Embedder: Sync {
    /// What a report calls it: `run RUN`, `FILE.onnx`, `raw-pixels`, `random:nano`.
    fn name(&self) -> String;

    /// SHA-256 of what decides the features: parameters, specification and preprocessing.
    ///
    /// A head taught on one encoder is refused with another, so two encoders of one identity must
    /// give the same features.
    fn identity(&self) -> [u8; 32];

    /// Statistics of the features over the unlabelled corpus, `[D]` each; none where nobody has measured them.
    fn corpus(&self) -> Option<&CorpusStatistics> {
        None
    }

    /// Length `D` of a feature.
    fn feature_dim(&self) -> usize;

    /// How an [`crate::data::Image`] becomes network input.
    fn preprocessing(&self) -> &Preprocessing;

    /// Features `[N, D]` of network inputs `[N, H, W, C]` (NHWC), both row-major.
    ///
    /// `N` is `input.len() / (H * W * C)`. The feature of one image does not depend on the others.
    fn embed_input(&self, input: &[f32]) -> Result<Vec<f32>, EmbedError>;
}
