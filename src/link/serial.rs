//! A raw serial line: eight bits, no parity, no flow control, no echo.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::fs::OFlags;
use rustix::termios::{self, ControlModes, OptionalActions, QueueSelector, SpecialCodeIndex};

use super::Transport;
use super::wait::is_ready;

/// Longest wait until the line accepts bytes.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// A device on a serial line.
pub struct Serial(File);

impl Serial {
    /// Opens the line at `path`, sets it to `baud` bits per second and clears its buffers.
    ///
    /// # Errors
    /// When it cannot be opened, is not a terminal, or does not support the rate.
    pub fn open(path: &Path, baud: u32) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        // Without NONBLOCK, opening waits for a carrier; without NOCTTY, a hang-up of the line would end this program.
        let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits() as i32;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
        let mut line = termios::tcgetattr(&file)?;
        line.make_raw();
        line.control_modes |= ControlModes::CREAD | ControlModes::CLOCAL;
        line.control_modes &= !(ControlModes::CSTOPB | ControlModes::CRTSCTS);
        line.special_codes[SpecialCodeIndex::VMIN] = 0;
        line.special_codes[SpecialCodeIndex::VTIME] = 0;
        line.set_speed(baud)?;
        termios::tcsetattr(&file, OptionalActions::Now, &line)?;
        termios::tcflush(&file, QueueSelector::IOFlush)?;
        Ok(Self(file))
    }
}

impl Transport for Serial {
    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if !is_ready(&self.0, PollFlags::OUT, SEND_TIMEOUT)? {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the serial line accepts no bytes"));
            }
            match self.0.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        if !is_ready(&self.0, PollFlags::IN, timeout)? {
            return Ok(0);
        }
        match self.0.read(buffer) {
            Ok(read) => Ok(read),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error),
        }
    }
}
