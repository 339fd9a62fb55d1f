//! Waits until something can be read or written, without polling.

use std::io;
use std::time::Duration;

#[cfg(unix)]
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Whether bytes, or a connection, arrive within `timeout`.
#[cfg(unix)]
pub(crate) fn wait_for_bytes(source: &impl std::os::fd::AsFd, timeout: Duration) -> io::Result<bool> {
    is_ready(source, PollFlags::IN, timeout)
}

/// On other systems the caller tries again after a while.
#[cfg(not(unix))]
pub(crate) fn wait_for_bytes<S>(_: &S, timeout: Duration) -> io::Result<bool> {
    std::thread::sleep(timeout.min(Duration::from_millis(20)));
    Ok(true)
}

/// Whether `source` is ready for `what` within `timeout`. A signal ends the wait early.
#[cfg(unix)]
pub(super) fn is_ready(source: &impl std::os::fd::AsFd, what: PollFlags, timeout: Duration) -> io::Result<bool> {
    let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
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
