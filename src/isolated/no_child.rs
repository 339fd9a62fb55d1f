//! On systems without `poll`, no child process is started.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::io;
use std::time::Instant;

/// Why the child sent no reply.
pub(super) enum NoReply {
    #[expect(dead_code, reason = "no process is started")]
    Died(String),
    #[expect(dead_code, reason = "no process is started")]
    TimedOut,
    #[expect(dead_code, reason = "no process is started")]
    Stopped,
    #[expect(dead_code, reason = "no process is started")]
    TooLong,
}

/// A child process, which this system does not start.
pub(super) struct ChildProcess(Infallible);

impl ChildProcess {
    pub(super) fn start(_: &OsStr, _: &str) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn id(&self) -> u32 {
        match self.0 {}
    }

    pub(super) fn send(&mut self, _: u8, _: &[u8], _: Instant, _: &dyn Fn() -> bool) -> Result<(), NoReply> {
        match self.0 {}
    }

    pub(super) fn receive(&mut self, _: usize, _: Instant, _: &dyn Fn() -> bool) -> Result<(u8, Vec<u8>), NoReply> {
        match self.0 {}
    }
}
