//! What a device that serves writes down for its operators.
//!
//! Nothing written to a log may end or hold up a device: a log that nobody reads, that is full or that is closed loses its
//! lines, never more. Lines come at a limited rate, so that a client that is at fault again and again fills no disk; how
//! many were left out is said. A file is as long as [`FILE_LEN_MAX`] at most, with one older one beside it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::files::check_regular;

/// Bytes of a log's file, from which on it becomes the older one, `FILE.1`.
pub const FILE_LEN_MAX: u64 = 1 << 20;

/// Lines that are written in each [`WINDOW`].
const LINES_MAX: u32 = 20;

/// The time that lines are counted in.
const WINDOW: Duration = Duration::from_secs(10);

/// Bytes of a line. A pipe that is ready takes as many without waiting.
const LINE_MAX: usize = 2000;

/// Where lines go.
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
    /// Lines to standard error, each with the name of the program before it.
    pub fn to_stderr() -> Self {
        Self::to(Sink::Stderr)
    }

    /// Lines to the end of a file, each with its time in seconds since 1970 before it.
    ///
    /// # Errors
    /// When the file cannot be opened, or is no regular file.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        Ok(Self::to(Sink::File(LogFile::open(path)?)))
    }

    fn to(sink: Sink) -> Self {
        Self { state: Mutex::new(State { sink, rate: Rate::default() }), started: Instant::now() }
    }

    /// Writes a line, if its time has lines left. What cannot be written is lost.
    pub fn line(&self, message: &str) {
        // A thread that panicked while it wrote has left nothing half-done that matters.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { sink, rate } = &mut *state;
        let Some(left_out) = rate.admit(self.started.elapsed()) else { return };
        if left_out > 0 {
            sink.write(&format!("{left_out} lines were left out: there were too many"));
        }
        sink.write(message);
    }
}

/// Counts the lines of a window of time.
#[derive(Default)]
struct Rate {
    since: Duration,
    lines: u32,
    left_out: u64,
}

impl Rate {
    /// Whether a line may be written `now`; tells how many were left out before it.
    fn admit(&mut self, now: Duration) -> Option<u64> {
        if now.saturating_sub(self.since) >= WINDOW {
            (self.since, self.lines) = (now, 0);
        }
        if self.lines >= LINES_MAX {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl Sink {
    fn write(&mut self, message: &str) {
        let message = &message[..message.floor_char_boundary(LINE_MAX)];
        // There is nobody to tell that a log cannot be written.
        let _ = match self {
            Self::Stderr => write_ready(format!("macula: {message}\n").as_bytes()),
            Self::File(file) => file.write(message),
        };
    }
}

/// Writes to standard error what it takes without waiting.
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

/// A file that becomes `FILE.1` when it is full.
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
            let mut older = self.path.as_os_str().to_owned();
            older.push(".1");
            std::fs::rename(&self.path, &older)?;
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
    fn lines_come_at_a_limited_rate() {
        let mut rate = Rate::default();
        let second = Duration::from_secs(1);
        let admitted = (0..1000).filter(|_| rate.admit(second).is_some()).count();
        assert_eq!(admitted, LINES_MAX as usize);
        assert_eq!(
            rate.admit(second + WINDOW),
            Some(1000 - u64::from(LINES_MAX)),
            "and how many were left out is said"
        );
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
        // Its folder is gone: the line is lost, and nothing else.
        drop(folder);
        sink.write(&line);
        assert!(Log::to_file(Path::new("/dev/zero")).is_err());
    }
}
