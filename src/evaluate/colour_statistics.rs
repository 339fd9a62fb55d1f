//! The colour-statistics baseline: brightness and colour only.

use super::raw_pixels::baseline;
use crate::data::Preprocessing;
use crate::encoder::{EncodeError, HostEncoder, HostEncoderInfo, encode_each};

/// Mean and deviation of each channel, over the whole image and over its border, as the feature: `[4 C]`.
///
/// If these suffice for a task, it depends on exposure, stain or framing, and says little about an encoder.
pub struct ColourStatistics(HostEncoderInfo);

impl ColourStatistics {
    /// Of images brought to the size and channels of `preprocessing`.
    pub fn new(preprocessing: Preprocessing) -> Self {
        let feature_dim = 4 * preprocessing.channels;
        Self(baseline("colour-statistics", feature_dim, preprocessing))
    }
}

impl HostEncoder for ColourStatistics {
    fn info(&self) -> &HostEncoderInfo {
        &self.0
    }

    fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError> {
        let Preprocessing { channels, height, width, .. } = self.0.preprocessing;
        // An eighth of the shorter side, which shows bars, masks and edges of an organ.
        let border = (height.min(width) / 8).max(1);
        let at_border = |at: usize| {
            let (y, x) = (at / width, at % width);
            y.min(x).min(height - 1 - y).min(width - 1 - x) < border
        };
        encode_each(&self.0, pixels, |image, feature| {
            let input = self.0.preprocessing.normalise(image);
            for (channel, four) in feature.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let values = || input.iter().skip(channel).step_by(channels).copied().enumerate();
                let [mean, std] = mean_and_deviation(values().map(|(_, value)| value));
                let border = mean_and_deviation(values().filter(|&(at, _)| at_border(at)).map(|(_, value)| value));
                *four = [mean, std, border[0], border[1]];
            }
            Ok(())
        })
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
    fn the_border_has_its_own_statistics() {
        let statistics = ColourStatistics::new(Preprocessing::unit(1, 16, 16));
        let framed: Vec<u8> = (0..256)
            .map(|at: usize| {
                let (y, x) = (at / 16, at % 16);
                if y.min(x).min(15 - y).min(15 - x) < 2 { 255 } else { 0 }
            })
            .collect();
        let feature = statistics.encode_batch(&framed).unwrap();
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
        let pixels: Vec<u8> = [26, 102, 230].repeat(64);
        let feature = statistics.encode_batch(&[pixels.clone(), pixels].concat()).unwrap();
        assert_eq!(feature.len(), 24);
        assert!((feature[4] - 0.4).abs() < 1e-6 && feature[5].abs() < 1e-3, "{feature:?}");
        assert_eq!(feature[..12], feature[12..]);
    }
}
