//! Serves a device on a socket or a serial line.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Device;
use crate::link::{Address, Tcp, Transport, wait_for_bytes};

/// Interval of checks for a stop request and for waiting clients.
const TICK: Duration = Duration::from_millis(200);

/// Longest silence of a client while another one waits.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// Most clients that wait; the operating system queues the others.
const CLIENTS_MAX: usize = 64;

/// Bytes that are read from a line at once.
const READ_LEN: usize = 65_536;

/// A socket or line that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Other machines could connect, and must not.
    #[error("other machines could connect")]
    Remote,
    /// The address is not one to listen on, or it is not available.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A socket that listens on `socket`, `HOST:PORT`.
///
/// * `remote`: whether other machines may connect
///
/// # Errors
/// When the address is not available, or other machines could connect and must not.
pub fn listen(socket: &str, remote: bool) -> Result<TcpListener, ListenError> {
    let addresses: Vec<SocketAddr> = socket.to_socket_addrs()?.collect();
    if !remote && addresses.iter().any(|address| !address.ip().is_loopback()) {
        return Err(ListenError::Remote);
    }
    Ok(bind(&addresses)?)
}

/// Where a device listens.
pub enum Listener {
    /// On a socket: one client at a time, the others wait.
    Tcp {
        /// Accepts connections.
        listener: TcpListener,
        /// Connected clients, the next one first: a client that was served when a new bundle came continues after it.
        clients: VecDeque<TcpStream>,
    },
    /// On a serial line.
    #[cfg(unix)]
    Serial(crate::link::Serial),
}

impl Listener {
    /// Opens the socket or line.
    ///
    /// * `remote`: whether other machines may connect. There is no password: a client can teach the device and make it
    ///   forget
    ///
    /// # Errors
    /// When the address is not available, or other machines could connect and must not.
    pub fn open(address: &Address, remote: bool) -> Result<Self, ListenError> {
        match address {
            Address::Tcp { socket } => {
                let listener = listen(socket, remote)?;
                // Waiting happens in `accept`, which also watches for a stop request.
                listener.set_nonblocking(true)?;
                Ok(Self::Tcp { listener, clients: VecDeque::new() })
            }
            #[cfg(unix)]
            Address::Serial { path, baud } => Ok(Self::Serial(crate::link::Serial::open(path, *baud)?)),
            other => {
                let message = format!("'{other}' is not an address to listen on");
                Err(io::Error::new(io::ErrorKind::InvalidInput, message).into())
            }
        }
    }

    /// The address to reach it at, with the port that the system chose for port 0.
    ///
    /// # Errors
    /// When the socket cannot report it.
    pub fn address(&self, requested: &Address) -> io::Result<Address> {
        match self {
            Self::Tcp { listener, .. } => Ok(Address::Tcp { socket: listener.local_addr()?.to_string() }),
            #[cfg(unix)]
            Self::Serial(_) => Ok(requested.clone()),
        }
    }
}

/// Binds the first address that this machine has. An address in use is an error: clients would reach the other process.
fn bind(addresses: &[SocketAddr]) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in addresses {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => last = error,
            bound => return bound,
        }
    }
    Err(last)
}

/// Why serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A stop was requested.
    Stopped,
    /// A bundle is pending: restart the device and serve again.
    UpdatePending,
}

/// Serves `device` until `stop` is set or the device must be restarted.
///
/// * `warn`: receives each fault of a line
///
/// # Errors
/// When the serial line or the socket fails for good.
pub fn serve(
    device: &mut Device<'_>,
    listener: &mut Listener,
    stop: &AtomicBool,
    warn: &dyn Fn(&str),
) -> io::Result<Ended> {
    match listener {
        Listener::Tcp { listener, clients } => serve_sockets(device, listener, clients, stop, warn)?,
        #[cfg(unix)]
        Listener::Serial(line) => serve_line(device, line, stop, &mut || false)?,
    }
    Ok(if device.is_update_pending() { Ended::UpdatePending } else { Ended::Stopped })
}

fn serve_sockets(
    device: &mut Device<'_>,
    listener: &TcpListener,
    clients: &mut VecDeque<TcpStream>,
    stop: &AtomicBool,
    warn: &dyn Fn(&str),
) -> io::Result<()> {
    while !stop.load(Ordering::Relaxed) && !device.is_update_pending() {
        let stream = match clients.pop_front() {
            Some(stream) => stream,
            None if !wait_for_bytes(listener, TICK)? => continue,
            None => match accept(listener) {
                Ok(Some(stream)) => stream,
                Ok(None) => continue,
                // Too many open files or a network that is down may pass.
                Err(error) => {
                    warn(&format!("cannot accept a client: {error}"));
                    std::thread::sleep(TICK);
                    continue;
                }
            },
        };
        let mut waiting = || {
            if clients.len() < CLIENTS_MAX {
                clients.extend(accept(listener).ok().flatten());
            }
            !clients.is_empty()
        };
        let served = stream.try_clone().and_then(Tcp::serving);
        match served.and_then(|mut line| serve_line(device, &mut line, stop, &mut waiting)) {
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => warn(&format!("client: {error}")),
            Ok(()) if device.is_update_pending() => clients.push_front(stream),
            _ => {}
        }
    }
    Ok(())
}

/// Accepts a connected client, if there is one.
fn accept(listener: &TcpListener) -> io::Result<Option<TcpStream>> {
    match listener.accept() {
        Ok((stream, _)) => {
            stream.set_nonblocking(false)?;
            Ok(Some(stream))
        }
        // A client may give up before it is accepted.
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Serves one line until it closes, until it is silent while another client waits (`waiting`), or until a bundle is pending.
fn serve_line(
    device: &mut Device<'_>,
    line: &mut dyn Transport,
    stop: &AtomicBool,
    waiting: &mut dyn FnMut() -> bool,
) -> io::Result<()> {
    let (mut bytes, mut answer, mut heard) = (vec![0; READ_LEN], Vec::new(), Instant::now());
    while !stop.load(Ordering::Relaxed) && !device.is_update_pending() {
        let arrived = line.receive(&mut bytes, TICK)?;
        if arrived == 0 {
            if heard.elapsed() >= SILENCE_MAX && waiting() {
                return Ok(());
            }
            continue;
        }
        heard = Instant::now();
        device.take(&bytes[..arrived], &mut answer);
        line.send(&answer)?;
        answer.clear();
    }
    Ok(())
}
