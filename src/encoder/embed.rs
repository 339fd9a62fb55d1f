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

/// A variance below this share of the mean square is rounding: sums of thousands of equal values in f64 leave about
/// 1e-13, and a deviation of a millionth of the mean is near the last bits of an f32.
const VARIANCE_MIN: f64 = 1e-12;

impl CorpusStatistics {
    /// Mean and standard deviation of `features` `[N, D]`, N at least 1, without lengths.
    ///
    /// Sums are taken in f64 in the order of the images, so the figures do not depend on threads. A value that is not
    /// finite makes the mean of its dimension not finite.
    pub fn of(features: &[f32], dim: usize) -> Self {
        let (mut sums, mut squares) = (vec![0.0f64; dim], vec![0.0f64; dim]);
        for feature in features.chunks_exact(dim) {
            for ((sum, square), &value) in sums.iter_mut().zip(&mut squares).zip(feature) {
                *sum += f64::from(value);
                *square += f64::from(value) * f64::from(value);
            }
        }
        let count = (features.len() / dim) as f64;
        let mean: Vec<f64> = sums.iter().map(|sum| sum / count).collect();
        let std = mean.iter().zip(&squares).map(|(mean, squares)| {
            let variance = squares / count - mean * mean;
            // A dimension that never varied is dead, whatever the rounding: scaled up, it would drown all others.
            if variance > VARIANCE_MIN * squares / count { variance.sqrt() as f32 } else { 0.0 }
        });
        Self { std: std.collect(), mean: mean.iter().map(|&mean| mean as f32).collect(), length_max: None }
    }

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

/// The order of an input's dimensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `[N, C, H, W]`, as PyTorch exports.
    #[default]
    Nchw,
    /// `[N, H, W, C]`, as TensorFlow exports.
    Nhwc,
}

impl Layout {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nchw => "nchw",
            Self::Nhwc => "nhwc",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `E[x²] - E[x]²` of a constant is rounding noise of either sign; its root would scale later differences by 1e8.
    #[test]
    fn a_dimension_that_never_varies_has_deviation_0() {
        for value in [0.1f32, -0.3, 1.0 / 3.0, 1e-20, 12_345.678, 0.0] {
            for count in [1, 7, 2000] {
                let features: Vec<f32> = (0..count).flat_map(|i| [value, value * (1 + i % 2) as f32]).collect();
                let found = CorpusStatistics::of(&features, 2);
                assert_eq!(found.std[0], 0.0, "{value}, {count} images");
                assert_eq!(found.mean[0], value);
                assert_eq!(found.std[1] > 0.0, count > 1 && value != 0.0, "{value}, {count} images");
            }
        }
        // A deviation of a hundred-thousandth of the mean is still one.
        let found = CorpusStatistics::of(&[1.0, 1.000_02], 1);
        assert!((found.std[0] - 1e-5).abs() < 1e-7, "{found:?}");
    }

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
