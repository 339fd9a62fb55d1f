//! A serial line, raw: eight bits, no parity, no flow control, no echo.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::termios::{self, ControlModes, OptionalActions, QueueSelector, SpecialCodeIndex};

use super::Transport;

/// How long the line may take to accept bytes.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// A device on a serial line.
pub struct Serial(File);

impl Serial {
    /// Opens the line at `path`, sets it to `baud` bits a second and drops what lay in its buffers.
    ///
    /// # Errors
    /// When it cannot be opened, is no terminal, or does not know the rate.
    pub fn open(path: &Path, baud: u32) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        // Without NONBLOCK, opening waits for a carrier; without NOCTTY, the line's hang-up would end this program.
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

    /// Waits until the line is ready for `what`; `false` where it was not within `patience`.
    fn ready(&self, what: PollFlags, patience: Duration) -> io::Result<bool> {
        let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: i64::from(patience.subsec_nanos()) };
        let mut watched = [PollFd::new(&self.0, what)];
        match poll(&mut watched, Some(&timeout)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let found = watched[0].revents();
        if found.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) && !found.contains(what) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the serial line was cut off"));
        }
        Ok(found.contains(what))
    }
}

impl Transport for Serial {
    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if !self.ready(PollFlags::OUT, SEND_TIMEOUT)? {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the serial line takes no bytes"));
            }
            match self.0.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        if !self.ready(PollFlags::IN, patience)? {
            return Ok(0);
        }
        match self.0.read(buffer) {
            Ok(read) => Ok(read),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error),
        }
    }
}
