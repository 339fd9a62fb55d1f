//! Options of commands that take a picture with a camera. Without the feature `camera` there are none.

#[cfg(feature = "camera")]
use std::{path::PathBuf, time::Duration};

#[cfg(feature = "camera")]
use super::{failure::Kind, isolation::parse_seconds};
#[cfg(feature = "camera")]
use crate::camera::{CameraError, CaptureSettings, PictureSize, SKIP_DEFAULT, WAIT_DEFAULT, take_picture};
use crate::device::NamedImage;

#[cfg(feature = "camera")]
const HEADING: &str = "Camera";

/// Options that stand for image files.
pub const INSTEAD_OF_IMAGES: &[&str] = if cfg!(feature = "camera") { &["data", "camera"] } else { &["data"] };

/// Options that say which files are read, and how: a camera has no use for them.
#[cfg(feature = "camera")]
const ON_FILES: &[&str] = if cfg!(feature = "dicom") {
    &["data", "images", "range", "window", "frame", "dicom_group"]
} else {
    &["data", "images", "range"]
};

/// A camera, and how it takes a picture.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct CameraArgs {
    /// Take a picture with this camera of Linux, such as /dev/video0, instead of reading an image file
    ///
    /// V4L2 devices that deliver RGB3, YUYV, MJPG, JPEG or GREY, on 64-bit Linux; docs/boards.md has more on cameras.
    #[cfg(feature = "camera")]
    #[arg(long, value_name = "PATH", help_heading = HEADING, conflicts_with_all = ON_FILES.iter().copied())]
    camera: Option<PathBuf>,
    /// Size of the picture, which the camera must have [default: the one nearest to 640x480]
    #[cfg(feature = "camera")]
    #[arg(
        long, value_name = "WIDTHxHEIGHT", help_heading = HEADING, requires = "camera",
        conflicts_with_all = ON_FILES.iter().copied(), hide_short_help = true
    )]
    camera_size: Option<PictureSize>,
    /// Leave out N frames first, while exposure and white balance settle
    #[cfg(feature = "camera")]
    #[arg(
        long, value_name = "N", help_heading = HEADING, requires = "camera",
        conflicts_with_all = ON_FILES.iter().copied(), hide_short_help = true, default_value_t = SKIP_DEFAULT,
        value_parser = clap::value_parser!(u32).range(..=10_000)
    )]
    camera_skip: u32,
    /// Limit of the wait for a frame, in seconds [default: 5]
    #[cfg(feature = "camera")]
    #[arg(
        long, value_name = "SECONDS", help_heading = HEADING, requires = "camera",
        conflicts_with_all = ON_FILES.iter().copied(), hide_short_help = true, value_parser = parse_seconds
    )]
    camera_seconds: Option<Duration>,
}

impl CameraArgs {
    /// The picture, if a camera is named.
    ///
    /// # Errors
    /// Those of [`take_picture`]: faults of the camera are faults of a device.
    #[cfg(feature = "camera")]
    pub fn take(&self) -> anyhow::Result<Option<NamedImage>> {
        let Some(path) = &self.camera else { return Ok(None) };
        let wait = self.camera_seconds.unwrap_or(WAIT_DEFAULT);
        let settings = CaptureSettings { size: self.camera_size, skip: self.camera_skip, wait };
        let image = take_picture(path, &settings).map_err(|error| kind(&error).error(error))?;
        Ok(Some(NamedImage { name: path.display().to_string(), image }))
    }

    /// None: this program has no cameras.
    #[cfg(not(feature = "camera"))]
    pub fn take(&self) -> anyhow::Result<Option<NamedImage>> {
        Ok(None)
    }
}

/// What kind of error programs see.
#[cfg(feature = "camera")]
fn kind(error: &CameraError) -> Kind {
    match error {
        CameraError::Missing { .. } => Kind::NotFound,
        CameraError::NotAllowed { .. }
        | CameraError::NotACamera { .. }
        | CameraError::Format { .. }
        | CameraError::Size { .. }
        | CameraError::Unsupported { .. } => Kind::Input,
        CameraError::Silent { .. } => Kind::Unreachable,
        CameraError::Busy { .. }
        | CameraError::Unplugged { .. }
        | CameraError::Damaged { .. }
        | CameraError::Driver { .. } => Kind::DeviceFault,
    }
}
