//! A device without an encoder, which receives features over the line.

use super::encode::{EncodeError, Encoder, EncoderInfo};

/// Stands in for the encoder of a device that gets features from another machine. It encodes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeaturesOnly {
    /// Identity of the encoder that makes the features.
    pub identity: [u8; 16],
    /// Feature dimensions, `D`.
    pub dim: usize,
}

impl Encoder for FeaturesOnly {
    fn info(&self) -> EncoderInfo<'_> {
        EncoderInfo { identity: self.identity, input: None, dim: self.dim, arena_words: 0, corpus: None }
    }

    fn encode(&self, _: &[u8], _: &mut [u32], _: &mut [f32]) -> Result<(), EncodeError> {
        Err(EncodeError::Encoder { code: 0 })
    }
}
