//! Statistics of an encoder's features over the images that it was pretrained on.

use macula_edge::bundle::CorpusPart;
use macula_edge::feature::{CorpusStats, FeatureError, Length, length};

/// Share of the corpus that out-of-distribution detection accepts.
const KNOWN_SHARE: f64 = 0.95;

/// A variance below this share of the mean square is rounding: sums of thousands of equal values in f64 leave about
/// 1e-13, and a deviation of a millionth of the mean is near the last bits of an f32.
const VARIANCE_MIN: f64 = 1e-12;

/// Statistics of an encoder's features over its corpus, `D` dimensions: [`CorpusStats`] that owns its values.
///
/// Heads centre and scale by them first, so that every dimension of the feature has the same weight.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CorpusStatistics {
    /// Mean of each dimension, `[D]`.
    pub mean: Vec<f32>,
    /// Standard deviation of each dimension, `[D]`, not negative; 0 where a dimension never varies.
    pub std: Vec<f32>,
    /// The standardised length that 95 % of the images do not exceed, in 256ths, where it was measured. A device treats
    /// longer features as out of distribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_max: Option<u16>,
}

impl CorpusStatistics {
    /// Images that statistics are measured on at most: more hardly change a mean and a deviation.
    pub const IMAGES_MAX: usize = 2_000;

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
            // A dimension that never varied is dead: scaled up, its rounding error would dominate all others.
            if variance > VARIANCE_MIN * squares / count { variance.sqrt() as f32 } else { 0.0 }
        });
        Self { std: std.collect(), mean: mean.iter().map(|&mean| mean as f32).collect(), length_max: None }
    }

    /// These, with the length that 95 % of `features` `[N, D]` do not exceed.
    ///
    /// # Errors
    /// A feature of another dimension, or one that is not finite.
    pub fn with_lengths_of(mut self, features: &[f32]) -> Result<Self, FeatureError> {
        let lengths = features.chunks(self.mean.len()).map(|feature| length(feature, Some(self.view())));
        self.length_max = known_length_max(lengths.collect::<Result<_, _>>()?).map(|Length(max)| max);
        Ok(self)
    }

    /// The same, borrowed.
    pub fn view(&self) -> CorpusStats<'_> {
        CorpusStats { mean: &self.mean, std: &self.std, length_max: self.length_max.map(Length) }
    }
}

impl From<CorpusStats<'_>> for CorpusStatistics {
    fn from(stats: CorpusStats<'_>) -> Self {
        Self { mean: stats.mean.to_vec(), std: stats.std.to_vec(), length_max: stats.length_max.map(|Length(max)| max) }
    }
}

impl From<CorpusPart<'_>> for CorpusStatistics {
    fn from(part: CorpusPart<'_>) -> Self {
        Self {
            mean: part.mean().collect(),
            std: part.std().collect(),
            length_max: part.length_max().map(|Length(max)| max),
        }
    }
}

/// The length that 95 % of `lengths` do not exceed; `None` without lengths.
pub fn known_length_max(mut lengths: Vec<Length>) -> Option<Length> {
    lengths.sort_unstable();
    let place = (KNOWN_SHARE * lengths.len() as f64).ceil() as usize;
    lengths.get(place.saturating_sub(1)).copied()
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
