//! Video4Linux, version 2: the interface of Linux to cameras.
//!
//! The crate `linuxvideo` makes the calls. It reads blocking, so [`Camera::next_frame`] waits for a frame with `poll` first.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use linuxvideo::format::{PixFormat, PixelFormat};
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, CapabilityFlags, Device, VideoCaptureDevice};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::error::CameraError;
use super::source::{Camera, FourCc, Frame, FrameFormat};

/// A camera of this machine.
pub(super) struct V4l2 {
    path: PathBuf,
    state: State,
}

enum State {
    Open(Device),
    Set(VideoCaptureDevice),
    Streaming(ReadStream),
    /// A step failed, and the device file is closed.
    Closed,
}

impl V4l2 {
    /// Opens the camera at `path` and checks what it can do.
    ///
    /// # Errors
    /// If there is none, or it cannot stream frames.
    pub fn open(path: &Path) -> Result<Self, CameraError> {
        let name = || path.display().to_string();
        let device = Device::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CameraError::Missing { path: name(), cameras: cameras() },
            io::ErrorKind::PermissionDenied => CameraError::NotAllowed { path: name(), source: error },
            io::ErrorKind::IsADirectory => CameraError::NotACamera { path: name(), found: "a folder".to_owned() },
            // Files that are no devices do not know the calls of V4L2.
            _ if is(&error, Errno::NOTTY) || is(&error, Errno::INVAL) => {
                CameraError::NotACamera { path: name(), found: "it is no video device".to_owned() }
            }
            _ => CameraError::of_driver(&name(), "open it", error),
        })?;
        let abilities =
            device.capabilities().map_err(|error| CameraError::of_driver(&name(), "ask what it is", error))?;
        let abilities = abilities.device_capabilities();
        let lacks = |found: &str| Err(CameraError::NotACamera { path: name(), found: found.to_owned() });
        if abilities.contains(CapabilityFlags::VIDEO_CAPTURE) {
            match abilities.contains(CapabilityFlags::STREAMING) {
                true => Ok(Self { path: path.to_owned(), state: State::Open(device) }),
                false => lacks("it does not stream"),
            }
        } else if abilities.contains(CapabilityFlags::VIDEO_CAPTURE_MPLANE) {
            lacks("it captures video in several planes")
        } else {
            lacks("it captures no video")
        }
    }

    /// The open device, opened again if a format was set before.
    fn device(&mut self) -> io::Result<Device> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open(device) => Ok(device),
            other => {
                // A driver may refuse a second user.
                drop(other);
                Device::open(&self.path)
            }
        }
    }
}

impl Camera for V4l2 {
    fn formats(&mut self) -> io::Result<Vec<FourCc>> {
        let device = self.device()?;
        let codes = device.formats(BufType::VIDEO_CAPTURE).map(|found| Ok(FourCc(found?.pixel_format().as_fourcc())));
        let codes = codes.collect();
        self.state = State::Open(device);
        codes
    }

    fn set_format(&mut self, code: FourCc, width: u32, height: u32) -> io::Result<FrameFormat> {
        let wanted = PixFormat::new(width, height, PixelFormat::from_fourcc(code.0));
        let device = self.device()?.video_capture(wanted)?;
        let chosen = device.format();
        let format = FrameFormat {
            code: FourCc(chosen.pixel_format().as_fourcc()),
            width: chosen.width(),
            height: chosen.height(),
            bytes_per_row: chosen.bytes_per_line(),
        };
        self.state = State::Set(device);
        Ok(format)
    }

    fn start(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Set(device) => self.state = State::Streaming(device.into_stream()?),
            other => self.state = other,
        }
        Ok(())
    }

    fn next_frame(&mut self, wait: Duration) -> io::Result<Option<Frame>> {
        let State::Streaming(stream) = &mut self.state else {
            return Err(io::Error::other("the camera was not started"));
        };
        if !is_ready(stream, wait)? {
            return Ok(None);
        }
        // If the camera is gone, this call returns why.
        stream.dequeue(|view| Ok(Some(Frame { is_damaged: view.is_error(), bytes: view.to_vec() })))
    }
}

/// Whether reading a frame returns at once, with a frame or an error. Waits at most `wait` for it.
fn is_ready(stream: &ReadStream, wait: Duration) -> io::Result<bool> {
    let end = std::time::Instant::now() + wait;
    loop {
        let left = end.saturating_duration_since(std::time::Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(stream, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn is(error: &io::Error, number: Errno) -> bool {
    error.raw_os_error() == Some(number.raw_os_error())
}

/// The cameras that exist, for a message.
fn cameras() -> String {
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> =
        names.filter(|name| name.starts_with("video")).map(|name| format!("/dev/{name}")).collect();
    names.sort_unstable();
    match names.is_empty() {
        true => "there is no /dev/video*".to_owned(),
        false => format!("there are {}", names.join(", ")),
    }
}
