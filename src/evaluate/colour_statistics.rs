//! The baseline that shows what brightness and colour alone tell.

use sha2::{Digest, Sha256};

use super::raw_pixels::recipe_bytes;
use crate::data::Preprocessing;
use crate::encoder::{EmbedError, Embedder};

/// Mean and deviation of each channel, over the whole image and over its border, as the feature: `[4 C]`.
///
/// A task that these solve is one of exposure, stain or framing, and says little of an encoder.
pub struct ColourStatistics {
    preprocessing: Preprocessing,
}

impl ColourStatistics {
    /// Of images brought to the size and channels of `preprocessing`.
    pub fn new(preprocessing: Preprocessing) -> Self {
        Self { preprocessing }
    }
}

impl Embedder for ColourStatistics {
    fn name(&self) -> String {
        "colour-statistics".to_owned()
    }

    fn identity(&self) -> [u8; 32] {
        Sha256::new()
            .chain_update("colour-statistics ")
            .chain_update(recipe_bytes(&self.preprocessing))
            .finalize()
            .into()
    }

    fn feature_dim(&self) -> usize {
        4 * self.preprocessing.channels
    }

    fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    fn embed_input(&self, input: &[f32]) -> Result<Vec<f32>, EmbedError> {
        let Preprocessing { channels, height, width, .. } = self.preprocessing;
        // An eighth of the shorter side: where bars, masks and the edges of an organ show.
        let border = (height.min(width) / 8).max(1);
        let at_border = |at: usize| {
            let (y, x) = (at / width, at % width);
            y.min(x).min(height - 1 - y).min(width - 1 - x) < border
        };
        let mut features = Vec::with_capacity(input.len() / self.preprocessing.input_len() * self.feature_dim());
        for image in input.chunks_exact(self.preprocessing.input_len()) {
            for channel in 0..channels {
                let values = || image.iter().skip(channel).step_by(channels).copied().enumerate();
                features.extend(mean_and_deviation(values().map(|(_, value)| value)));
                features.extend(mean_and_deviation(values().filter(|&(at, _)| at_border(at)).map(|(_, value)| value)));
            }
        }
        Ok(features)
    }
}

fn mean_and_deviation(values: impl Iterator<Item = f32>) -> [f32; 2] {
    let (mut count, mut sum, mut squares) = (0.0f64, 0.0f64, 0.0f64);
    for value in values {
        count += 1.0;
        sum += f64::from(value);
        squares += f64::from(value).powi(2);
    }
    let mean = sum / count;
    [mean as f32, (squares / count - mean * mean).max(0.0).sqrt() as f32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_told_from_what_it_frames() {
        let statistics = ColourStatistics::new(Preprocessing::unit(1, 16, 16));
        let framed: Vec<f32> = (0..256)
            .map(|at: usize| {
                let (y, x) = (at / 16, at % 16);
                if y.min(x).min(15 - y).min(15 - x) < 2 { 1.0 } else { 0.0 }
            })
            .collect();
        let feature = statistics.embed_input(&framed).unwrap();
        let share: f32 = 112.0 / 256.0;
        let expected = [share, (share * (1.0 - share)).sqrt(), 1.0, 0.0];
        assert_eq!(feature.len(), statistics.feature_dim());
        for (found, expected) in feature.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{feature:?}");
        }
    }

    #[test]
    fn channels_are_apart() {
        let statistics = ColourStatistics::new(Preprocessing::unit(3, 8, 8));
        let input: Vec<f32> = [0.1, 0.5, 0.9].repeat(64);
        let feature = statistics.embed_input(&[input.clone(), input].concat()).unwrap();
        assert_eq!(feature.len(), 24);
        assert!((feature[4] - 0.5).abs() < 1e-6 && feature[5].abs() < 1e-3, "{feature:?}");
        assert_eq!(feature[..12], feature[12..]);
    }
}
