//! What is asked of the driver of a camera.

use std::fmt;
use std::io;
use std::time::Duration;

/// The code of a pixel format: four characters, such as `YUYV`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii().to_string().trim_end())
    }
}

/// How frames lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameFormat {
    /// The pixel format.
    pub code: FourCc,
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row to the next; 0 if the format is compressed or the driver does not say.
    pub bytes_per_row: u32,
}

/// One frame as the driver delivered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The used part of the buffer.
    pub bytes: Vec<u8>,
    /// Whether the driver marked the frame as damaged.
    pub is_damaged: bool,
}

/// A camera, at the level of V4L2.
pub trait Camera {
    /// The pixel formats that it delivers, in its order.
    ///
    /// # Errors
    /// Those of the driver.
    fn formats(&mut self) -> io::Result<Vec<FourCc>>;

    /// Asks for a format, and returns the one that the driver chose instead: it may change all values.
    ///
    /// # Errors
    /// Those of the driver; `EBUSY` if another program uses the camera.
    fn set_format(&mut self, code: FourCc, width: u32, height: u32) -> io::Result<FrameFormat>;

    /// Starts to deliver frames in the format that was set last.
    ///
    /// # Errors
    /// Those of the driver; `EBUSY` if another program uses the camera.
    fn start(&mut self) -> io::Result<()>;

    /// The next frame, or none if there is none within `wait`.
    ///
    /// # Errors
    /// Those of the driver; `ENODEV` if the camera was unplugged.
    fn next_frame(&mut self, wait: Duration) -> io::Result<Option<Frame>>;
}
