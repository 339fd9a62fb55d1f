//! A child process: frames to and from it, each with a deadline.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::frame::{HEAD_LEN, head, parse_head};

/// Interval between checks for a request to stop.
const TICK: Duration = Duration::from_millis(100);

/// Bytes kept of the child's standard error: the last ones.
const STDERR_MAX: usize = 4096;

/// Why the child sent no reply.
#[derive(Debug)]
pub(super) enum NoReply {
    /// The process ended; the text says how.
    Died(String),
    /// The deadline passed.
    TimedOut,
    /// This program was stopped.
    Stopped,
    /// The reply is longer than allowed.
    TooLong,
}

/// A child process, killed when this is dropped.
pub(super) struct ChildProcess {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
    /// The end of its standard error.
    stderr_tail: Vec<u8>,
}

impl ChildProcess {
    /// Starts `program argument`.
    pub(super) fn start(program: &OsStr, argument: &str) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.arg(argument).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else { return Err(io::ErrorKind::BrokenPipe.into()) };
        rustix::io::ioctl_fionbio(&stdin, true)?;
        rustix::io::ioctl_fionbio(&stdout, true)?;
        rustix::io::ioctl_fionbio(&stderr, true)?;
        Ok(Self { child, stdin, stdout, stderr, stderr_tail: Vec::new() })
    }

    /// Process ID.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a frame.
    pub(super) fn send(
        &mut self,
        kind: u8,
        payload: &[u8],
        deadline: Instant,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), NoReply> {
        for mut bytes in [&head(kind, payload.len())[..], payload] {
            while !bytes.is_empty() {
                self.wait(PollFlags::OUT, deadline, stop)?;
                match self.stdin.write(bytes) {
                    Ok(written) => bytes = &bytes[written..],
                    Err(error) if would_block(&error) => {}
                    Err(_) => return Err(self.exit()),
                }
            }
        }
        Ok(())
    }

    /// Receives a frame whose payload has at most `limit` bytes.
    pub(super) fn receive(
        &mut self,
        limit: usize,
        deadline: Instant,
        stop: &dyn Fn() -> bool,
    ) -> Result<(u8, Vec<u8>), NoReply> {
        let mut head = [0; HEAD_LEN];
        self.fill(&mut head, deadline, stop)?;
        let (kind, len) = parse_head(head);
        if len > limit {
            return Err(NoReply::TooLong);
        }
        let mut payload = vec![0; len];
        self.fill(&mut payload, deadline, stop)?;
        Ok((kind, payload))
    }

    fn fill(&mut self, bytes: &mut [u8], deadline: Instant, stop: &dyn Fn() -> bool) -> Result<(), NoReply> {
        let mut filled = 0;
        while filled < bytes.len() {
            self.wait(PollFlags::empty(), deadline, stop)?;
            match self.stdout.read(&mut bytes[filled..]) {
                Ok(0) => return Err(self.exit()),
                Ok(read) => filled += read,
                Err(error) if would_block(&error) => {}
                Err(_) => return Err(self.exit()),
            }
        }
        Ok(())
    }

    /// Waits until standard output can be read, or standard input written if `writing` is set; reads standard error.
    fn wait(&mut self, writing: PollFlags, deadline: Instant, stop: &dyn Fn() -> bool) -> Result<(), NoReply> {
        loop {
            if stop() {
                return Err(NoReply::Stopped);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(NoReply::TimedOut);
            }
            let wait = left.min(TICK);
            let timeout = Timespec { tv_sec: 0, tv_nsec: wait.as_nanos() as _ };
            let is_writing = !writing.is_empty();
            let reading = if is_writing { PollFlags::empty() } else { PollFlags::IN };
            let mut watched = [
                PollFd::new(&self.stderr, PollFlags::IN),
                PollFd::new(&self.stdout, reading),
                PollFd::new(&self.stdin, writing),
            ];
            match poll(&mut watched, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(NoReply::Died(format!("its process cannot be polled: {error}"))),
            }
            let ready = if is_writing { &watched[2] } else { &watched[1] };
            let is_ready = !ready.revents().is_empty();
            if !watched[0].revents().is_empty() {
                self.read_stderr();
            }
            if is_ready {
                return Ok(());
            }
        }
    }

    /// Reads its standard error.
    fn read_stderr(&mut self) {
        let mut bytes = [0; STDERR_MAX];
        while let Ok(read @ 1..) = self.stderr.read(&mut bytes) {
            self.stderr_tail.extend_from_slice(&bytes[..read]);
            let excess = self.stderr_tail.len().saturating_sub(STDERR_MAX);
            self.stderr_tail.drain(..excess);
        }
    }

    /// Waits for its end and says how it ended.
    fn exit(&mut self) -> NoReply {
        // It closed a pipe, so it is of no use even if it still runs.
        let ended = match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            _ => {
                // Wait for it to end by itself, to report its own exit status.
                std::thread::sleep(Duration::from_millis(50));
                self.child.try_wait().ok().flatten().map_or_else(
                    || {
                        self.child.kill()?;
                        self.child.wait()
                    },
                    Ok,
                )
            }
        };
        self.read_stderr();
        let how = ended.map_or_else(|error| format!("its exit status is unknown: {error}"), describe);
        let last = last_words(&self.stderr_tail);
        NoReply::Died(if last.is_empty() { how } else { format!("{how}: {last}") })
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // A process that has ended cannot be killed, but must still be waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn describe(status: ExitStatus) -> String {
    let name = |signal| match signal {
        4 => " (illegal instruction)",
        6 => " (aborted)",
        8 => " (arithmetic)",
        9 => " (killed)",
        11 => " (memory access)",
        15 => " (terminated)",
        _ => "",
    };
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("its process was killed by signal {signal}{}", name(signal)),
        (None, code) => format!("its process ended with exit code {}", code.unwrap_or_default()),
    }
}

/// The last two lines of `stderr` in one, without control characters.
fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("note:"));
    let lines: Vec<_> = lines.collect();
    let last = lines[lines.len().saturating_sub(2)..].join(" ");
    last.chars().filter(|c| !c.is_control()).take(200).collect()
}
