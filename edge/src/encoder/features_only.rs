//! A device without an encoder: features come over the line.

use super::{CorpusStats, EmbedError, Embedder};
use crate::image::RawImage;

/// Stands where an encoder would, for a device that another machine gives features to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeaturesOnly {
    /// Of the encoder that makes the features.
    pub identity: [u8; 16],
    /// Dimensions of a feature, `D`.
    pub dim: usize,
}

impl Embedder for FeaturesOnly {
    fn identity(&self) -> [u8; 16] {
        self.identity
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn corpus(&self) -> CorpusStats {
        CorpusStats::default()
    }

    fn embed(&mut self, _image: &RawImage<'_>, _feature: &mut [i16]) -> Result<(), EmbedError> {
        Err(EmbedError::Encoder { code: 0 })
    }
}
