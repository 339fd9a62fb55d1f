//! Why a camera gives no picture: each error names the device, what was found and what is supported.

use std::io;

use super::layout::FORMAT_NAMES;

/// Linux's numbers of "no such device or address" and "no such device", which have no [`io::ErrorKind`].
const ENXIO: i32 = 6;
const ENODEV: i32 = 19;

/// A camera cannot take a picture.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// The device file does not exist.
    #[error("{path}: no such camera; {cameras}")]
    Missing {
        /// The device file.
        path: String,
        /// The device files of cameras that exist.
        cameras: String,
    },
    /// The device file may not be opened.
    #[error("{path}: not allowed to open it: {source}; add the user to the group that owns it, usually `video`")]
    NotAllowed {
        /// The device file.
        path: String,
        /// The error.
        source: io::Error,
    },
    /// The file is no camera, or one that delivers no frames by itself.
    #[error("{path}: {found}; expected a V4L2 device that captures video in one plane and streams")]
    NotACamera {
        /// The device file.
        path: String,
        /// What it is.
        found: String,
    },
    /// The camera delivers no format that is read.
    #[error("{path}: its formats are {found}; supported are {FORMAT_NAMES}")]
    Format {
        /// The device file.
        path: String,
        /// The formats that it delivers.
        found: String,
    },
    /// The camera does not deliver the size that was asked for, or none that is allowed.
    #[error("{path}: no picture of {wanted}; it offers {found}")]
    Size {
        /// The device file.
        path: String,
        /// The size that was asked for, or the limits.
        wanted: String,
        /// The size that it offers instead, with its format.
        found: String,
    },
    /// Another program uses the camera.
    #[error("{path}: another program uses the camera")]
    Busy {
        /// The device file.
        path: String,
    },
    /// The camera is gone.
    #[error("{path}: the camera was unplugged")]
    Unplugged {
        /// The device file.
        path: String,
    },
    /// No frame came in time.
    #[error("{path}: no frame within {seconds} s, after {frames} frames")]
    Silent {
        /// The device file.
        path: String,
        /// The limit.
        seconds: f64,
        /// Frames that came before.
        frames: u32,
    },
    /// No frame of several could be decoded.
    #[error("{path}: {frames} frames in a row are damaged, the last one: {reason}")]
    Damaged {
        /// The device file.
        path: String,
        /// How many were read.
        frames: u32,
        /// What is wrong with the last one.
        reason: String,
    },
    /// Another error of the driver.
    #[error("{path}: cannot {action}: {source}")]
    Driver {
        /// The device file.
        path: String,
        /// What was asked of it.
        action: &'static str,
        /// The error.
        source: io::Error,
    },
    /// This system has no V4L2, or 32 bits.
    #[error("{path}: cameras are read on 64-bit Linux only; pass an image file")]
    Unsupported {
        /// The device file.
        path: String,
    },
}

impl CameraError {
    /// The meaning of a driver's error while it was asked to do `action`.
    pub(super) fn of_driver(path: &str, action: &'static str, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.raw_os_error() {
            _ if source.kind() == io::ErrorKind::ResourceBusy => Self::Busy { path },
            Some(ENXIO | ENODEV) => Self::Unplugged { path },
            _ => Self::Driver { path, action, source },
        }
    }
}

/// A text that is no size of a picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' is not a size of a picture; expected WIDTHxHEIGHT, each from 1 to 65535, such as 640x480")]
pub struct SizeError {
    /// What was found.
    pub found: String,
}
