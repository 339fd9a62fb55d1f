//! Whatever turns an image into a feature.

use macula_edge::feature::{Corpus, FeatureError, Length, length};

use crate::data::Preprocessing;

/// Share of the corpus that a device's unknown gate takes for known.
const KNOWN_SHARE: f64 = 0.95;

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
    /// The standardised length that 95 % of the images do not exceed, in 256ths: a device takes what is longer for
    /// something it does not know. None where nobody has measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_max: Option<u16>,
}

impl CorpusStatistics {
    /// These, with the length that 95 % of `features` `[N, D]` do not exceed.
    ///
    /// # Errors
    /// A feature of another dimension, or one that is not finite.
    pub fn with_lengths_of(mut self, features: &[f32]) -> Result<Self, FeatureError> {
        let corpus = Corpus { mean: &self.mean, std: &self.std };
        let lengths = features.chunks(self.mean.len()).map(|feature| length(feature, corpus));
        self.length_max = known_length_max(lengths.collect::<Result<_, _>>()?).map(|Length(max)| max);
        Ok(self)
    }
}

/// The length that 95 % of `lengths` do not exceed; none of none.
pub fn known_length_max(mut lengths: Vec<Length>) -> Option<Length> {
    lengths.sort_unstable();
    let place = (KNOWN_SHARE * lengths.len() as f64).ceil() as usize;
    lengths.get(place.saturating_sub(1)).copied()
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

    /// Upper triangle, row by row, of the covariance of the quantised features over that corpus, `[D (D + 1) / 2]`, in a
    /// unit of its own; none where nobody has measured it.
    fn covariance(&self) -> Option<&[i16]> {
        None
    }

    /// Whether images whose features are known give them; none where the encoder has no such images.
    fn self_test(&self) -> Option<bool> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nineteen_of_twenty_are_known() {
        let lengths = (1..=100).rev().map(Length).collect();
        assert_eq!(known_length_max(lengths), Some(Length(95)));
        assert_eq!(known_length_max(vec![Length(7)]), Some(Length(7)));
        assert_eq!(known_length_max(Vec::new()), None);
        let corpus = CorpusStatistics { mean: vec![1.0, 0.0], std: vec![1.0, 2.0], length_max: None };
        // (2, 4) is (1, 2) of standard deviations: a length of √(5 / 2).
        let measured = corpus.with_lengths_of(&[2.0, 4.0]).unwrap();
        assert_eq!(measured.length_max, Some(405));
    }
}
