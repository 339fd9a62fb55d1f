//! Opens a line to a device outside this process.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(unix)]
use super::Serial;
use super::{Address, LinkError, Tcp, Transport};
use crate::rng::Rng;

/// Opens the socket or serial line at `address`.
///
/// # Errors
/// [`LinkError::Unreachable`] if it cannot be opened, or is the file of a store.
pub fn open_line(address: &Address) -> Result<Box<dyn Transport>, LinkError> {
    let line: io::Result<Box<dyn Transport>> = match address {
        Address::Tcp { socket } => Tcp::connect(socket).map(|line| Box::new(line) as _),
        #[cfg(unix)]
        Address::Serial { path, baud } => Serial::open(path, *baud).map(|line| Box::new(line) as _),
        other => Err(io::Error::new(io::ErrorKind::Unsupported, format!("'{other}' is not a socket or serial line"))),
    };
    line.map_err(|source| LinkError::Unreachable { address: address.to_string(), source })
}

/// Session numbers for a client. Time and process id keep two hosts of one device from drawing equal ones.
pub fn session_numbers() -> Rng {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Rng::for_item(since.as_nanos() as u64, "session numbers", 0, std::process::id().into())
}
