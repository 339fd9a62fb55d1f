//! Waiting until something can be read or written, without keeping a processor busy.

use std::io;
use std::time::Duration;

#[cfg(unix)]
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Whether bytes, or a connection, arrive within `patience`.
#[cfg(unix)]
pub(crate) fn wait_for_bytes(source: &impl std::os::fd::AsFd, patience: Duration) -> io::Result<bool> {
    is_ready(source, PollFlags::IN, patience)
}

/// Elsewhere we look again after a while.
#[cfg(not(unix))]
pub(crate) fn wait_for_bytes<S>(_: &S, patience: Duration) -> io::Result<bool> {
    std::thread::sleep(patience.min(Duration::from_millis(20)));
    Ok(true)
}

/// Whether `source` is ready for `what` within `patience`. A signal ends the wait early.
#[cfg(unix)]
pub(super) fn is_ready(source: &impl std::os::fd::AsFd, what: PollFlags, patience: Duration) -> io::Result<bool> {
    let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: i64::from(patience.subsec_nanos()) };
    let mut watched = [PollFd::new(source, what)];
    match poll(&mut watched, Some(&timeout)) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    let found = watched[0].revents();
    if found.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) && !found.contains(what) {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the line was cut off"));
    }
    Ok(found.contains(what))
}
