//! The raw-pixels baseline, which every encoder must beat.

use crate::data::Preprocessing;
use crate::encoder::{EncodeError, HostEncoder, HostEncoderInfo, IdHash, encode_each};

/// The normalised pixels as the feature, `[H W C]`.
pub struct RawPixels(HostEncoderInfo);

impl RawPixels {
    /// Of images brought to the size and channels of `preprocessing`.
    pub fn new(preprocessing: Preprocessing) -> Self {
        let feature_dim = preprocessing.input_len();
        Self(baseline("raw-pixels", feature_dim, preprocessing))
    }
}

impl HostEncoder for RawPixels {
    fn info(&self) -> &HostEncoderInfo {
        &self.0
    }

    fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError> {
        let normaliser = self.0.preprocessing.normaliser();
        encode_each(&self.0, pixels, |image, feature| {
            normaliser.fill(feature, image);
            Ok(())
        })
    }
}

/// Facts about a baseline that has no weights.
pub(super) fn baseline(name: &str, feature_dim: usize, preprocessing: Preprocessing) -> HostEncoderInfo {
    let id = IdHash::new(format!("{name} ")).preprocessing(&preprocessing, " ").finish();
    let (name, arithmetic) = (name.to_owned(), "f32".to_owned());
    HostEncoderInfo { name, id, feature_dim, preprocessing, corpus: None, arithmetic }
}
