//! Takes pictures with a camera of Linux (V4L2), for `--camera` of `learn` and `predict`.
//!
//! [`take_picture`] opens a camera and returns one frame as pixels. What it asks of the driver is the trait [`Camera`], so that
//! tests can supply a camera without a device file.

mod capture; //  from a camera to a picture: negotiate, let exposure settle, decode
mod error; //    why there is no picture
mod huffman; //  the Huffman tables that frames of Motion JPEG leave out
mod layout; //   the pixel formats that are read, and their conversion
mod source; //   what is asked of a driver
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod v4l2; //     the driver interface of Linux

pub use capture::{CaptureSettings, PictureSize, SIZE_DEFAULT, SKIP_DEFAULT, WAIT_DEFAULT, take};
pub use error::{CameraError, SizeError};
pub use layout::{FORMAT_NAMES, Layout};
pub use source::{Camera, FourCc, Frame, FrameFormat};

use std::path::Path;

use crate::data::Image;

/// Takes one picture with the camera at `path`, such as `/dev/video0`.
///
/// # Errors
/// If there is no camera at `path`, another program uses it, it has no format that is read, or it delivers no frame.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub fn take_picture(path: &Path, settings: &CaptureSettings) -> Result<Image, CameraError> {
    take(&mut v4l2::V4l2::open(path)?, path, settings)
}

/// Refuses: cameras are read on 64-bit Linux only.
///
/// # Errors
/// Always.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub fn take_picture(path: &Path, _: &CaptureSettings) -> Result<Image, CameraError> {
    Err(CameraError::Unsupported { path: path.display().to_string() })
}
