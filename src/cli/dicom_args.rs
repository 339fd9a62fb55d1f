//! Options of commands that read DICOM files.

use std::str::FromStr;

use anyhow::bail;
use serde::Serialize;

use crate::data::decode::{self, WindowChoice};
use crate::data::{DicomReading, Frames, GroupBy, ValueRange};

/// Options of commands that read DICOM files.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct DicomArgs {
    /// Window of grey DICOM files: file, percentile, or CENTRE,WIDTH [default: file]
    ///
    /// file: the first window of each file; without one, the 0.5th percentile is black and the 99.5th white. percentile: these
    /// percentiles for every file. CENTRE,WIDTH: a linear window of rescaled values, as --range. A run stores the choice;
    /// pass it again to commands that do not open the run.
    #[arg(long, value_name = "WINDOW", allow_hyphen_values = true, conflicts_with = "range")]
    window: Option<WindowArg>,
    /// Frame of DICOM files: first, middle, a number from 0, or split, which makes each frame an image [default: first]
    #[arg(long, value_name = "FRAME")]
    frame: Option<FrameArg>,
    /// What images of DICOM files share that stay in one split: patient, study, side (of a patient) or none
    /// [default: patient]
    #[arg(long, value_name = "GROUP")]
    dicom_group: Option<GroupArg>,
}

/// The value of `--window`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum WindowArg {
    Choice(WindowChoice),
    Stated(ValueRange),
}

impl FromStr for WindowArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || format!("'{text}' is not file, percentile or CENTRE,WIDTH with a width above 1");
        match text {
            "file" => Ok(Self::Choice(WindowChoice::File)),
            "percentile" => Ok(Self::Choice(WindowChoice::Percentile)),
            _ => {
                let (centre, width) = text.split_once(',').ok_or_else(refused)?;
                let number = |text: &str| text.trim().parse::<f64>().map_err(|_| refused());
                let range = decode::range_of_window(number(centre)?, number(width)?);
                range.map(Self::Stated).map_err(|_| refused())
            }
        }
    }
}

/// The value of `--frame`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct FrameArg(Frames);

impl FromStr for FrameArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "first" => Ok(Self(Frames::First)),
            "middle" => Ok(Self(Frames::Middle)),
            "split" => Ok(Self(Frames::Split)),
            _ => match text.parse() {
                Ok(number) => Ok(Self(Frames::Number(number))),
                Err(_) => Err(format!("'{text}' is not first, middle, split or a number from 0")),
            },
        }
    }
}

/// The value of `--dicom-group`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct GroupArg(GroupBy);

impl FromStr for GroupArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "patient" => Ok(Self(GroupBy::Patient)),
            "study" => Ok(Self(GroupBy::Study)),
            "side" => Ok(Self(GroupBy::Side)),
            "none" => Ok(Self(GroupBy::None)),
            _ => Err(format!("'{text}' is not patient, study, side or none")),
        }
    }
}

/// The given options among those that a run stores. A window in numbers is stored as a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct DicomGiven {
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<WindowChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<Frames>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_by: Option<GroupBy>,
}

impl DicomGiven {
    /// Whether no option is given.
    #[cfg(feature = "host")]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// `base` with the given options.
    pub fn over(&self, base: DicomReading) -> DicomReading {
        DicomReading {
            window: self.window.unwrap_or(base.window),
            frames: self.frames.unwrap_or(base.frames),
            group_by: self.group_by.unwrap_or(base.group_by),
        }
    }
}

impl DicomArgs {
    /// The given options among those that a run stores.
    pub fn given(&self) -> DicomGiven {
        let window = match self.window {
            Some(WindowArg::Choice(choice)) => Some(choice),
            Some(WindowArg::Stated(_)) | None => None,
        };
        DicomGiven { window, frames: self.frame.map(|frame| frame.0), group_by: self.dicom_group.map(|group| group.0) }
    }

    /// How the files of a dataset are read.
    pub fn reading(&self) -> DicomReading {
        self.given().over(DicomReading::default())
    }

    /// How single files are read.
    ///
    /// # Errors
    /// If the frames shall be images of their own, which needs a dataset.
    pub fn of_single_files(&self) -> anyhow::Result<DicomReading> {
        let reading = self.reading();
        if reading.frames == Frames::Split {
            bail!("--frame split needs a dataset; pass a number for single images");
        }
        Ok(reading)
    }

    /// The range of a window that is given by its numbers.
    pub fn range(&self) -> Option<ValueRange> {
        match self.window {
            Some(WindowArg::Stated(range)) => Some(range),
            Some(WindowArg::Choice(_)) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parsed_and_others_are_refused() {
        assert_eq!("percentile".parse(), Ok(WindowArg::Choice(WindowChoice::Percentile)));
        let lung = ValueRange::new(-1350.0, 149.0).unwrap();
        assert_eq!("-600,1500".parse(), Ok(WindowArg::Stated(lung)));
        for bad in ["", "wide", "40", "40,1", "40,0", "40,-3", "NaN,40", "1,2,3"] {
            assert!(bad.parse::<WindowArg>().unwrap_err().contains(bad));
        }
        assert_eq!("7".parse(), Ok(FrameArg(Frames::Number(7))));
        assert!("-1".parse::<FrameArg>().is_err() && "last".parse::<FrameArg>().is_err());
        assert_eq!("side".parse(), Ok(GroupArg(GroupBy::Side)));
        assert!("name".parse::<GroupArg>().is_err());
    }

    #[test]
    fn given_options_keep_the_others_of_a_run() {
        let args = DicomArgs { dicom_group: Some(GroupArg(GroupBy::Study)), ..DicomArgs::default() };
        let stored = DicomReading { window: WindowChoice::Percentile, frames: Frames::Split, group_by: GroupBy::None };
        assert_eq!(args.given().over(stored), DicomReading { group_by: GroupBy::Study, ..stored });
        assert_eq!(args.reading(), DicomReading { group_by: GroupBy::Study, ..DicomReading::default() });
        assert_eq!(serde_json::to_string(&args.given()).unwrap(), r#"{"group_by":"study"}"#);
    }

    #[test]
    fn frames_of_single_files_are_not_split() {
        let args = |frames| DicomArgs { frame: Some(FrameArg(frames)), ..DicomArgs::default() };
        assert!(args(Frames::Split).of_single_files().is_err());
        assert_eq!(args(Frames::Middle).of_single_files().unwrap().frames, Frames::Middle);
    }
}
