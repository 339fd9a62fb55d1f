//! Bytes to and from a device.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Time-out of a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest time that a client may read nothing of a reply.
const SERVING_TIMEOUT: Duration = Duration::from_millis(500);

/// A line to a device: carries bytes both ways, with or without losses.
pub trait Transport {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// When the line is broken.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Reads what has arrived, up to the length of `buffer`, and waits at most `timeout`; 0 when nothing came.
    ///
    /// # Errors
    /// When the line is broken, or the other end has closed it.
    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize>;
}

/// A device behind a socket.
pub struct Tcp(TcpStream);

impl Tcp {
    /// Connects to `HOST:PORT`.
    ///
    /// # Errors
    /// When no address of the host replies.
    pub fn connect(socket: &str) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in socket.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                Ok(stream) => return Self::new(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Wraps an open connection.
    ///
    /// # Errors
    /// When the socket options cannot be set.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        // A request is one small packet that waits for its reply; Nagle's algorithm would delay it by 40 ms.
        stream.set_nodelay(true)?;
        // A peer that reads nothing must not block this program for ever.
        stream.set_write_timeout(Some(CONNECT_TIMEOUT))?;
        Ok(Self(stream))
    }

    /// As [`Self::new`], for a client that a device serves, with a shorter time-out: others wait, and the device must be able
    /// to stop.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn serving(stream: TcpStream) -> io::Result<Self> {
        let line = Self::new(stream)?;
        line.0.set_write_timeout(Some(SERVING_TIMEOUT))?;
        Ok(line)
    }
}

impl Transport for Tcp {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut self.0, bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        // A time-out of 0 means for ever.
        self.0.set_read_timeout(Some(timeout.max(Duration::from_millis(1))))?;
        match io::Read::read(&mut self.0, buffer) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the other end closed the connection")),
            Ok(read) => Ok(read),
            Err(error) if is_silence(&error) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

fn is_silence(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

/// The rest of `timeout` since `start`; `None` when it has passed.
pub(super) fn remaining(timeout: Duration, start: Instant) -> Option<Duration> {
    timeout.checked_sub(start.elapsed()).filter(|left| !left.is_zero())
}
