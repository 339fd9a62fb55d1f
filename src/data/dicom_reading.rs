//! The settings of reading DICOM files, which a run stores.

use serde::{Deserialize, Serialize};

use super::decode::{DecodeOptions, FrameChoice, WindowChoice};

/// What the images of one group share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    /// The patient.
    #[default]
    Patient,
    /// The study.
    Study,
    /// The patient and the side of the body, such as one eye.
    Side,
    /// Nothing: images have no group.
    None,
}

/// Which frames of a file are images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Frames {
    /// The first.
    #[default]
    First,
    /// The middle one.
    Middle,
    /// By number, counted from 0.
    Number(u32),
    /// All, each as an image of its own.
    Split,
}

/// How the DICOM files of a dataset are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DicomReading {
    /// Where the values of black and white come from without a stated range.
    pub window: WindowChoice,
    /// Which frames are images.
    pub frames: Frames,
    /// What the images of one group share, unless a manifest has groups.
    pub group_by: GroupBy,
}

impl DicomReading {
    /// Whether it is what happens without options.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// `options` with the window and the frame.
    pub fn over(&self, options: DecodeOptions) -> DecodeOptions {
        let frame = match self.frames {
            Frames::First | Frames::Split => FrameChoice::First,
            Frames::Middle => FrameChoice::Middle,
            Frames::Number(number) => FrameChoice::Number(number),
        };
        DecodeOptions { window: self.window, frame, ..options }
    }
}
