//! How image files are read.

use super::{EncoderRange, ValueRange};

/// How image files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DecodeOptions {
    /// The raw values that become black and white; none for the natural range of the samples, or the window of a DICOM file.
    pub range: Option<ValueRange>,
    /// Whether only [`super::Decoded::raw`] is needed. Samples of unknown range are then no error, and the pixels are undefined.
    pub measure: bool,
    /// Whether samples of more than 8 bits need a stated range, because the range of the encoder is not known.
    pub needs_range: bool,
    /// Where the values of black and white of a DICOM file come from without a stated range.
    pub window: WindowChoice,
    /// The frame of a DICOM file that is read.
    pub frame: FrameChoice,
}

/// Which window of a grey DICOM file is used unless a [`ValueRange`] is stated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowChoice {
    /// The first window of the file; without one, the percentiles of signed samples and samples of more than 8 bits.
    #[default]
    File,
    /// The 0.5th percentile is black and the 99.5th white.
    Percentile,
}

/// Which frame of a DICOM file is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FrameChoice {
    /// The first.
    #[default]
    First,
    /// The middle one; of an even number, the one after the middle.
    Middle,
    /// By number, counted from 0.
    Number(u32),
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
