//! The log of a serving device.
//!
//! The log never stops or blocks a device: a log that is full, closed or not read only loses lines. The rate of
//! lines is limited, so that a faulty client cannot fill the disk; the number of dropped lines is logged. A file has at most
//! [`FILE_LEN_MAX`] bytes and is rotated once.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::files::{check_regular, path_beside};

/// Most bytes of a log file before it is renamed to `FILE.1`.
pub const FILE_LEN_MAX: u64 = 1 << 20;

/// Most lines per [`WINDOW`].
const LINES_MAX: u32 = 20;

/// The window of the rate limit.
const WINDOW: Duration = Duration::from_secs(10);

/// Most bytes of a line; a pipe that is ready accepts as many without blocking.
const LINE_MAX: usize = 2000;

/// A log with a rate limit.
pub struct Log {
    state: Mutex<State>,
    started: Instant,
}

struct State {
    sink: Sink,
    rate: Rate,
}

enum Sink {
    Stderr,
    File(LogFile),
}

impl Log {
    /// Logs to standard error, with the program name before each line.
    pub fn to_stderr() -> Self {
        Self::to(Sink::Stderr)
    }

    /// Appends to a file, with the time in seconds since 1970 before each line.
    ///
    /// # Errors
    /// When the file cannot be opened or is not a regular file.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        Ok(Self::to(Sink::File(LogFile::open(path)?)))
    }

    fn to(sink: Sink) -> Self {
        Self { state: Mutex::new(State { sink, rate: Rate::default() }), started: Instant::now() }
    }

    /// Writes a line, unless the rate limit drops it. A line that cannot be written is lost.
    pub fn line(&self, message: &str) {
        // A thread that panicked while writing leaves nothing inconsistent.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { sink, rate } = &mut *state;
        let Some(dropped) = rate.admit(self.started.elapsed()) else { return };
        if dropped > 0 {
            sink.write(&format!("{dropped} lines were dropped by the rate limit"));
        }
        sink.write(message);
    }
}

/// Counts the lines of the current window.
#[derive(Default)]
struct Rate {
    since: Duration,
    lines: u32,
    dropped: u64,
}

impl Rate {
    /// Returns the number of lines dropped before this one, or `None` when this one is dropped.
    fn admit(&mut self, now: Duration) -> Option<u64> {
        if now.saturating_sub(self.since) >= WINDOW {
            (self.since, self.lines) = (now, 0);
        }
        if self.lines >= LINES_MAX {
            self.dropped += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.dropped))
    }
}

impl Sink {
    fn write(&mut self, message: &str) {
        let message = &message[..message.floor_char_boundary(LINE_MAX)];
        // An error of the log cannot be reported.
        let _ = match self {
            Self::Stderr => write_ready(format!("macula: {message}\n").as_bytes()),
            Self::File(file) => file.write(message),
        };
    }
}

/// Writes to standard error if it does not block.
fn write_ready(line: &[u8]) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    #[cfg(unix)]
    {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut watched = [PollFd::new(&stderr, PollFlags::OUT)];
        poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        if !watched[0].revents().contains(PollFlags::OUT) {
            return Ok(());
        }
    }
    stderr.write_all(line)
}

/// A log file that is renamed to `FILE.1` when it is full.
struct LogFile {
    path: PathBuf,
    file: File,
    len: u64,
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
            options.mode(crate::files::PRIVATE_FILE).custom_flags(flags);
        }
        let file = options.open(path)?;
        let metadata = file.metadata()?;
        check_regular(&metadata)?;
        Ok(Self { path: path.to_owned(), file, len: metadata.len() })
    }

    fn write(&mut self, message: &str) -> io::Result<()> {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let line = format!("{now_s} {message}\n");
        if self.len + line.len() as u64 > FILE_LEN_MAX {
            std::fs::rename(&self.path, path_beside(&self.path, ".1"))?;
            *self = Self::open(&self.path)?;
        }
        self.file.write_all(line.as_bytes())?;
        self.len += line.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_lines_is_limited() {
        let mut rate = Rate::default();
        let second = Duration::from_secs(1);
        let admitted = (0..1000).filter(|_| rate.admit(second).is_some()).count();
        assert_eq!(admitted, LINES_MAX as usize);
        assert_eq!(rate.admit(second + WINDOW), Some(1000 - u64::from(LINES_MAX)), "the number of dropped lines");
        assert_eq!(rate.admit(second + WINDOW), Some(0));
    }

    #[test]
    fn a_file_stays_short() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.log");
        let mut sink = Sink::File(LogFile::open(&path).unwrap());
        let line = "x".repeat(LINE_MAX + 500);
        for _ in 0..3 * FILE_LEN_MAX as usize / LINE_MAX {
            sink.write(&line);
        }
        sink.write("the last one");
        let len = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
        assert!(len("device.log") <= FILE_LEN_MAX && len("device.log.1") <= FILE_LEN_MAX);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("the last one\n"));
        // Its folder is gone: only the line is lost.
        drop(folder);
        sink.write(&line);
        assert!(Log::to_file(Path::new("/dev/zero")).is_err());
    }
}
