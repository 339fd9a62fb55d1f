//! One child process: frames to it and from it, each with a deadline.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::frame::{HEAD_LEN, head, parse_head};

/// How often somebody looks whether to stop.
const TICK: Duration = Duration::from_millis(100);

/// Bytes of the child's messages that are kept: the last ones.
const SAID_MAX: usize = 4096;

/// Why there is no reply.
#[derive(Debug)]
pub(super) enum Silence {
    /// The process has ended; the sentence tells how.
    Died(String),
    /// The deadline has passed.
    TimedOut,
    /// Whoever waits was asked to stop.
    Stopped,
    /// The reply is longer than any that was asked for.
    TooLong,
}

/// A child process, which ends with this value.
pub(super) struct ChildProcess {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
    /// The end of what it said on standard error.
    said: Vec<u8>,
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
        Ok(Self { child, stdin, stdout, stderr, said: Vec::new() })
    }

    /// Its number in the system.
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
    ) -> Result<(), Silence> {
        for mut bytes in [&head(kind, payload.len())[..], payload] {
            while !bytes.is_empty() {
                self.wait(PollFlags::OUT, deadline, stop)?;
                match self.stdin.write(bytes) {
                    Ok(written) => bytes = &bytes[written..],
                    Err(error) if is_not_yet(&error) => {}
                    Err(_) => return Err(self.obituary()),
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
    ) -> Result<(u8, Vec<u8>), Silence> {
        let mut head = [0; HEAD_LEN];
        self.fill(&mut head, deadline, stop)?;
        let (kind, len) = parse_head(head);
        if len > limit {
            return Err(Silence::TooLong);
        }
        let mut payload = vec![0; len];
        self.fill(&mut payload, deadline, stop)?;
        Ok((kind, payload))
    }

    fn fill(&mut self, bytes: &mut [u8], deadline: Instant, stop: &dyn Fn() -> bool) -> Result<(), Silence> {
        let mut filled = 0;
        while filled < bytes.len() {
            self.wait(PollFlags::empty(), deadline, stop)?;
            match self.stdout.read(&mut bytes[filled..]) {
                Ok(0) => return Err(self.obituary()),
                Ok(read) => filled += read,
                Err(error) if is_not_yet(&error) => {}
                Err(_) => return Err(self.obituary()),
            }
        }
        Ok(())
    }

    /// Waits until something can be written, where `writing` asks for it, or read; takes what it says meanwhile.
    fn wait(&mut self, writing: PollFlags, deadline: Instant, stop: &dyn Fn() -> bool) -> Result<(), Silence> {
        loop {
            if stop() {
                return Err(Silence::Stopped);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Silence::TimedOut);
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
                Err(error) => return Err(Silence::Died(format!("its process cannot be watched: {error}"))),
            }
            let ready = if is_writing { &watched[2] } else { &watched[1] };
            let is_ready = !ready.revents().is_empty();
            if !watched[0].revents().is_empty() {
                self.listen();
            }
            if is_ready {
                return Ok(());
            }
        }
    }

    /// Takes what it has said on standard error.
    fn listen(&mut self) {
        let mut bytes = [0; SAID_MAX];
        while let Ok(read @ 1..) = self.stderr.read(&mut bytes) {
            self.said.extend_from_slice(&bytes[..read]);
            let excess = self.said.len().saturating_sub(SAID_MAX);
            self.said.drain(..excess);
        }
    }

    /// How it has ended.
    fn obituary(&mut self) -> Silence {
        // It has closed a pipe; whatever still runs of it has no purpose.
        let ended = match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            _ => {
                // A moment for it to end by itself, so that the reason is its own.
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
        self.listen();
        let how = ended.map_or_else(|error| format!("its process is lost: {error}"), describe);
        let said = last_words(&self.said);
        Silence::Died(if said.is_empty() { how } else { format!("{how}: {said}") })
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and only needs to be waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_not_yet(error: &io::Error) -> bool {
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
        (Some(signal), _) => format!("its process was ended by signal {signal}{}", name(signal)),
        (None, code) => format!("its process ended with exit code {}", code.unwrap_or_default()),
    }
}

/// The end of what it said in one line, without control characters.
fn last_words(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("note:"));
    let lines: Vec<_> = lines.collect();
    let last = lines[lines.len().saturating_sub(2)..].join(" ");
    last.chars().filter(|c| !c.is_control()).take(200).collect()
}
