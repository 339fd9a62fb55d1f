//! A device that others reach over a line.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Device;
use crate::link::{Address, Tcp, Transport, wait_for_bytes};

/// How often we look whether to stop, and whether somebody waits.
const TICK: Duration = Duration::from_millis(200);

/// How long a client may be silent while another one waits.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// Clients that wait their turn at most; the system holds back the others.
const CLIENTS_MAX: usize = 64;

/// Bytes read from a line at once.
const READ_LEN: usize = 65_536;

/// Where a device is to be reached.
pub enum Listener {
    /// On a socket: one client at a time, the others wait their turn.
    Tcp {
        /// Where they connect.
        listener: TcpListener,
        /// Those who have, the next one first: whoever was served when a new bundle came goes on afterwards.
        clients: VecDeque<TcpStream>,
    },
    /// On a serial line.
    #[cfg(unix)]
    Serial(crate::link::Serial),
}

impl Listener {
    /// Opens it.
    ///
    /// * `remote`: whether other machines may connect. Whoever can, can teach the device and make it forget: there
    ///   is no password
    ///
    /// # Errors
    /// When the address cannot be had, or other machines could connect and must not.
    pub fn open(address: &Address, remote: bool) -> io::Result<Self> {
        match address {
            Address::Tcp { socket } => {
                let addresses: Vec<SocketAddr> = socket.to_socket_addrs()?.collect();
                if !remote && addresses.iter().any(|address| !address.ip().is_loopback()) {
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it would be open to other machines"));
                }
                let listener = bind(&addresses)?;
                // Waiting is done beside watching for the end.
                listener.set_nonblocking(true)?;
                Ok(Self::Tcp { listener, clients: VecDeque::new() })
            }
            #[cfg(unix)]
            Address::Serial { path, baud } => Ok(Self::Serial(crate::link::Serial::open(path, *baud)?)),
            other => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("'{other}' is no line to listen on"))),
        }
    }

    /// Where it is to be reached: the port that was given for port 0.
    ///
    /// # Errors
    /// When the socket does not know.
    pub fn address(&self, asked: &Address) -> io::Result<Address> {
        match self {
            Self::Tcp { listener, .. } => Ok(Address::Tcp { socket: listener.local_addr()?.to_string() }),
            #[cfg(unix)]
            Self::Serial(_) => Ok(asked.clone()),
        }
    }
}

/// The first address that this machine has. One that is in use by another process is an error: a client could reach that
/// one in the place of this device.
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

/// Why a device is served no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to stop.
    Stopped,
    /// A bundle waits to be tried: the device is to be switched on anew and served on.
    UpdatePending,
}

/// Serves `device` until `stop`, or until it is to be switched on anew.
///
/// * `warn`: is told of each fault of a line
///
/// # Errors
/// When nothing can be served any more.
pub fn serve(
    device: &mut Device<'_>,
    listener: &mut Listener,
    stop: &AtomicBool,
    warn: &dyn Fn(&str),
) -> io::Result<Ended> {
    match listener {
        Listener::Tcp { listener, clients } => serve_sockets(device, listener, clients, stop, warn)?,
        #[cfg(unix)]
        Listener::Serial(line) => converse(device, line, stop, &mut || false)?,
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
                // Too many open files, a network that is down: it may pass, and the next client is served then.
                Err(error) => {
                    warn(&format!("no client can be accepted: {error}"));
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
        match served.and_then(|mut line| converse(device, &mut line, stop, &mut waiting)) {
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => warn(&format!("a client: {error}")),
            Ok(()) if device.is_update_pending() => clients.push_front(stream),
            _ => {}
        }
    }
    Ok(())
}

/// A client that has connected, where there is one.
fn accept(listener: &TcpListener) -> io::Result<Option<TcpStream>> {
    match listener.accept() {
        Ok((stream, _)) => {
            stream.set_nonblocking(false)?;
            Ok(Some(stream))
        }
        // A client that gave up before its turn is nobody's fault.
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Answers one line until it ends, or until it has been silent for long and `waiting` says that another one is there; or
/// until a bundle waits to be tried, which its host has been told then.
fn converse(
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
