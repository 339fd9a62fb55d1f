//! The address of a device.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Default rate of a serial line, in bits per second.
pub const BAUD_DEFAULT: u32 = 115_200;

/// The address of a device: `tcp:HOST:PORT`, `serial:PATH[:BAUD]`, or the file of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A device in this process, on the store in this file.
    Store(PathBuf),
    /// A device behind a socket.
    Tcp {
        /// `HOST:PORT`, an IPv6 host in brackets.
        socket: String,
    },
    /// A device on a serial line.
    Serial {
        /// The line's device file.
        path: PathBuf,
        /// Bits per second.
        baud: u32,
    },
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(socket) = text.strip_prefix("tcp:") {
            let port = socket.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
            return match port.map(str::parse::<u16>) {
                Some(Ok(_)) => Ok(Self::Tcp { socket: socket.to_owned() }),
                _ => Err(format!("'{text}' is not tcp:HOST:PORT")),
            };
        }
        if let Some(rest) = text.strip_prefix("serial:") {
            let (path, baud) = match rest.rsplit_once(':') {
                Some((path, baud)) => {
                    (path, baud.parse().map_err(|_| format!("'{baud}' in '{text}' is not a baud rate"))?)
                }
                None => (rest, BAUD_DEFAULT),
            };
            return match path {
                "" => Err(format!("'{text}' is not serial:PATH or serial:PATH:BAUD")),
                _ => Ok(Self::Serial { path: path.into(), baud }),
            };
        }
        match text {
            "" => Err("a device is tcp:HOST:PORT, serial:PATH[:BAUD] or the file of a store".to_owned()),
            _ => Ok(Self::Store(text.into())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(path) => write!(f, "{}", path.display()),
            Self::Tcp { socket } => write!(f, "tcp:{socket}"),
            Self::Serial { path, baud } => write!(f, "serial:{}:{baud}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed() {
        let tcp = |socket: &str| Address::Tcp { socket: socket.to_owned() };
        let serial = |path: &str, baud| Address::Serial { path: path.into(), baud };
        for (text, expected) in [
            ("tcp:localhost:7000", tcp("localhost:7000")),
            ("tcp:[::1]:0", tcp("[::1]:0")),
            ("serial:ttyUSB0", serial("ttyUSB0", 115_200)),
            ("serial:dev/ttyUSB0:9600", serial("dev/ttyUSB0", 9600)),
            ("ward/clinic.store", Address::Store("ward/clinic.store".into())),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address, expected, "{text}");
            assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
        }
        for text in ["", "tcp:", "tcp:localhost", "tcp::80", "tcp:a:70000", "serial:", "serial::9600", "serial:a:fast"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
