//! How image files are read.

use super::{EncoderRange, ValueRange};

/// How image files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DecodeOptions {
    /// The raw values that become black and white; none for the natural range of the samples.
    pub range: Option<ValueRange>,
    /// Whether only [`super::Decoded::raw`] is needed. Samples of unknown range are then no error, and the pixels are undefined.
    pub measure: bool,
    /// Whether samples of more than 8 bits need a stated range, because the range of the encoder is not known.
    pub needs_range: bool,
}

impl DecodeOptions {
    /// How images are read for an encoder.
    pub fn for_encoder(range: EncoderRange) -> Self {
        match range {
            EncoderRange::Known(range) => Self { range, ..Self::default() },
            EncoderRange::Unknown => Self { needs_range: true, ..Self::default() },
            EncoderRange::Irrelevant => Self { measure: true, ..Self::default() },
        }
    }
}
