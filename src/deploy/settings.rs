//! The settings of a deployment.

use std::path::PathBuf;
use std::time::Duration;

use super::SshOptions;
use crate::link::Address;

/// Default address of a device: reachable from its own machine only.
pub const LISTEN_DEFAULT: &str = "tcp:127.0.0.1:7000";

/// What to deploy, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The SSH name of the machine.
    pub host: String,
    /// Connection options.
    pub ssh: SshOptions,
    /// The folder there; `None` for the default.
    pub dir: Option<String>,
    /// The program of a device for that machine, or a folder with those that `build-device` makes.
    pub program: PathBuf,
    /// Its encoder.
    pub bundle: PathBuf,
    /// The public key that must have signed the bundle.
    pub key: Option<PathBuf>,
    /// The address of the device there.
    pub listen: Address,
    /// Whether other machines may connect.
    pub allow_remote: bool,
    /// An emulator and its arguments, for a program of another processor.
    pub runner: Option<String>,
    /// Whether systemd may run the service.
    pub systemd: bool,
    /// Time-out of the start.
    pub timeout: Duration,
}

impl Settings {
    /// `program` and `bundle` to `host`, with defaults for the rest.
    pub fn new(host: &str, program: PathBuf, bundle: PathBuf) -> Self {
        Self {
            host: host.to_owned(),
            ssh: SshOptions::default(),
            dir: None,
            program,
            bundle,
            key: None,
            listen: Address::Tcp { socket: LISTEN_DEFAULT.trim_start_matches("tcp:").to_owned() },
            allow_remote: false,
            runner: None,
            systemd: true,
            timeout: Duration::from_secs(60),
        }
    }
}
