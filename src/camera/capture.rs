//! From a camera to a picture.

use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use super::error::{CameraError, SizeError};
use super::layout::Layout;
use super::source::{Camera, Frame, FrameFormat};
use crate::data::Image;
use crate::data::decode;

/// The size that is asked for if none is stated: larger than the input of any encoder, and every camera has one near it.
pub const SIZE_DEFAULT: PictureSize = PictureSize { width: 640, height: 480 };

/// Frames left out before the picture: half a second at 30 frames per second, in which exposure and white balance settle.
pub const SKIP_DEFAULT: u32 = 15;

/// The longest wait for one frame. The first one of a USB camera takes up to two seconds.
pub const WAIT_DEFAULT: Duration = Duration::from_secs(5);

/// Damaged frames in a row before the camera is at fault. A single one is usual while a USB camera starts.
const DAMAGED_MAX: u32 = 4;

/// How a picture is taken.
#[derive(Clone, Debug)]
pub struct CaptureSettings {
    /// The size that the camera must deliver; if none, the one nearest to [`SIZE_DEFAULT`].
    pub size: Option<PictureSize>,
    /// Frames left out before the picture.
    pub skip: u32,
    /// The longest wait for one frame.
    pub wait: Duration,
}

impl Default for CaptureSettings {
    fn default() -> Self {
        Self { size: None, skip: SKIP_DEFAULT, wait: WAIT_DEFAULT }
    }
}

/// Width and height of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureSize {
    /// Pixels per row, 1 to 65,535.
    pub width: u32,
    /// Rows, 1 to 65,535.
    pub height: u32,
}

impl FromStr for PictureSize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let side = |text: &str| text.parse::<u16>().ok().filter(|side| *side > 0).map(u32::from);
        let sides = text.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?)));
        let (width, height) = sides.ok_or_else(|| SizeError { found: text.to_owned() })?;
        Ok(Self { width, height })
    }
}

impl fmt::Display for PictureSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}", self.width, self.height)
    }
}

/// Takes one picture with `camera`, which errors name `path`.
///
/// 1. The first format of [`Layout::PREFERRED`] is set that the camera has in the requested size.
/// 2. Frames are left out while exposure settles; they need not be intact.
/// 3. The next frame that is intact becomes the picture.
///
/// # Errors
/// If the camera has no such format or size, is in use, was unplugged, delivers no frame in time, or only damaged ones.
pub fn take(camera: &mut impl Camera, path: &Path, settings: &CaptureSettings) -> Result<Image, CameraError> {
    let path = path.display().to_string();
    let (layout, format) = negotiate(camera, &path, settings.size)?;
    camera.start().map_err(|error| CameraError::of_driver(&path, "start the camera", error))?;
    let mut frames = 0;
    let mut next = || -> Result<Frame, CameraError> {
        let frame = camera.next_frame(settings.wait);
        let frame = frame.map_err(|error| CameraError::of_driver(&path, "read a frame", error))?;
        let silent = || CameraError::Silent { path: path.clone(), seconds: settings.wait.as_secs_f64(), frames };
        let frame = frame.ok_or_else(silent)?;
        frames += 1;
        Ok(frame)
    };
    for _ in 0..settings.skip {
        next()?;
    }
    let mut reason = String::new();
    for _ in 0..DAMAGED_MAX {
        let frame = next()?;
        match frame.is_damaged {
            true => "the driver marked it as damaged".clone_into(&mut reason),
            false => match layout.to_image(&frame.bytes, &format, &path) {
                Ok(image) => return Ok(image),
                Err(found) => reason = found,
            },
        }
    }
    Err(CameraError::Damaged { path, frames: DAMAGED_MAX, reason })
}

/// Sets the preferred format among those of the camera.
fn negotiate(
    camera: &mut impl Camera,
    path: &str,
    size: Option<PictureSize>,
) -> Result<(Layout, FrameFormat), CameraError> {
    let codes = camera.formats().map_err(|error| CameraError::of_driver(path, "list its formats", error))?;
    let wanted = size.unwrap_or(SIZE_DEFAULT);
    let mut offered: Vec<String> = Vec::new();
    for (code, _) in Layout::PREFERRED.into_iter().filter(|(code, _)| codes.contains(code)) {
        let format = match camera.set_format(code, wanted.width, wanted.height) {
            Ok(format) => format,
            // Some drivers choose another size, others refuse.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                offered.push(format!("no such size in {code}"));
                continue;
            }
            Err(error) => return Err(CameraError::of_driver(path, "set its format", error)),
        };
        let found = PictureSize { width: format.width, height: format.height };
        let Some(layout) = Layout::of(format.code) else { continue };
        if size.is_none_or(|size| size == found) && decode::is_allowed(found.width.into(), found.height.into()) {
            return Ok((layout, format));
        }
        offered.push(format!("{found} in {}", format.code));
    }
    let path = path.to_owned();
    if offered.is_empty() {
        let names: Vec<String> = codes.iter().map(ToString::to_string).collect();
        let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(CameraError::Format { path, found });
    }
    Err(CameraError::Size { path, wanted: wanted.to_string(), found: offered.join(", ") })
}

#[cfg(test)]
mod tests {
    use super::super::source::FourCc;
    use super::*;

    const ENODEV: i32 = 19;

    /// A grey or `YUYV` camera whose n-th frame has n as each byte.
    struct Fake {
        codes: Vec<FourCc>,
        /// The only size.
        size: PictureSize,
        refuses_other_sizes: bool,
        chosen: Option<FrameFormat>,
        frames: u8,
        /// What happens at a frame instead.
        at: fn(u8) -> io::Result<Option<usize>>,
    }

    impl Fake {
        fn new(codes: &[&[u8; 4]], at: fn(u8) -> io::Result<Option<usize>>) -> Self {
            let codes = codes.iter().map(|code| FourCc(**code)).collect();
            let size = PictureSize { width: 4, height: 2 };
            Self { codes, size, refuses_other_sizes: false, chosen: None, frames: 0, at }
        }

        fn take(&mut self, settings: &CaptureSettings) -> Result<Image, CameraError> {
            take(self, Path::new("/dev/video7"), settings)
        }
    }

    impl Camera for Fake {
        fn formats(&mut self) -> io::Result<Vec<FourCc>> {
            Ok(self.codes.clone())
        }

        fn set_format(&mut self, code: FourCc, width: u32, height: u32) -> io::Result<FrameFormat> {
            let PictureSize { width: own_width, height: own_height } = self.size;
            if self.refuses_other_sizes && (width, height) != (own_width, own_height) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let format = FrameFormat { code, width: own_width, height: own_height, bytes_per_row: 0 };
            self.chosen = Some(format);
            Ok(format)
        }

        fn start(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn next_frame(&mut self, _: Duration) -> io::Result<Option<Frame>> {
            let number = self.frames;
            self.frames += 1;
            Ok((self.at)(number)?.map(|len| Frame { bytes: vec![number; len], is_damaged: number == 2 }))
        }
    }

    fn settings(skip: u32) -> CaptureSettings {
        CaptureSettings { skip, ..CaptureSettings::default() }
    }

    #[test]
    fn the_picture_is_the_first_intact_frame_after_the_skipped_ones() {
        let mut camera = Fake::new(&[b"H264", b"GREY"], |_| Ok(Some(8)));
        assert_eq!(camera.take(&settings(1)).unwrap(), Image { width: 4, height: 2, channels: 1, pixels: vec![1; 8] });
        // The driver marks frame 2, and frame 3 is cut.
        let mut camera = Fake::new(&[b"GREY"], |number| Ok(Some(if number == 3 { 7 } else { 8 })));
        assert_eq!(camera.take(&settings(2)).unwrap().pixels, [4; 8]);
        // Colours come before grey.
        let mut camera = Fake::new(&[b"GREY", b"YUYV"], |_| Ok(Some(16)));
        assert_eq!(camera.take(&settings(0)).unwrap().channels, 3);
        assert_eq!(camera.chosen.unwrap().code, FourCc(*b"YUYV"));
    }

    #[test]
    fn every_fault_has_its_error() {
        let fails = |mut camera: Fake, size| {
            let settings = CaptureSettings { size, ..settings(2) };
            camera.take(&settings).unwrap_err()
        };
        let whole = |_| Ok(Some(8));
        let error = fails(Fake::new(&[b"H264", b"NV12"], whole), None);
        assert!(matches!(&error, CameraError::Format { found, .. } if found == "H264, NV12"), "{error}");
        assert!(matches!(fails(Fake::new(&[], whole), None), CameraError::Format { found, .. } if found == "none"));
        let other = "8x8".parse().ok();
        let error = fails(Fake::new(&[b"GREY", b"YUYV"], whole), other);
        assert!(matches!(&error, CameraError::Size { found, .. } if found == "4×2 in YUYV, 4×2 in GREY"), "{error}");
        let strict = Fake { refuses_other_sizes: true, ..Fake::new(&[b"GREY"], whole) };
        assert!(matches!(fails(strict, other), CameraError::Size { .. }));
        let huge = Fake { size: PictureSize { width: 60_000, height: 60_000 }, ..Fake::new(&[b"GREY"], whole) };
        assert!(matches!(fails(huge, None), CameraError::Size { .. }));
        let silent = fails(Fake::new(&[b"GREY"], |number| Ok((number < 1).then_some(8))), None);
        assert!(matches!(silent, CameraError::Silent { frames: 1, .. }), "{silent}");
        let gone = fails(Fake::new(&[b"GREY"], |_| Err(io::Error::from_raw_os_error(ENODEV))), None);
        assert!(matches!(gone, CameraError::Unplugged { .. }), "{gone}");
        let busy = fails(Fake::new(&[b"GREY"], |_| Err(io::ErrorKind::ResourceBusy.into())), None);
        assert!(matches!(busy, CameraError::Busy { .. }), "{busy}");
        let broken = fails(Fake::new(&[b"GREY"], |_| Err(io::Error::other("on fire"))), None);
        assert!(broken.to_string().contains("/dev/video7: cannot read a frame: on fire"), "{broken}");
        let cut = fails(Fake::new(&[b"GREY"], |_| Ok(Some(5))), None);
        assert!(matches!(cut, CameraError::Damaged { frames: DAMAGED_MAX, .. }), "{cut}");
    }

    #[test]
    fn sizes_are_two_numbers() {
        assert_eq!("1280x720".parse(), Ok(PictureSize { width: 1280, height: 720 }));
        for wrong in ["", "640", "640x", "0x480", "640x65536", "640x-1", "640*480", "640x480x3"] {
            assert!(wrong.parse::<PictureSize>().is_err(), "{wrong}");
        }
    }
}
