//! What a deployment is asked for.

use std::path::PathBuf;
use std::time::Duration;

use super::SshOptions;
use crate::link::Address;

/// Where a device is reached that is not told otherwise: by its own machine alone.
pub const LISTEN_DEFAULT: &str = "tcp:127.0.0.1:7000";

/// What to bring where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The machine, as SSH knows it.
    pub host: String,
    /// How to get there.
    pub ssh: SshOptions,
    /// The folder there; systemd's or the user's own by default.
    pub dir: Option<String>,
    /// The program of a device for that machine, or a folder with those that `build-device` makes.
    pub program: PathBuf,
    /// Its encoder.
    pub bundle: PathBuf,
    /// The public key that must have signed the bundle.
    pub key: Option<PathBuf>,
    /// Where the device is reached there.
    pub listen: Address,
    /// Whether other machines may connect.
    pub allow_remote: bool,
    /// What runs the program there, where it is for another processor: an emulator and its arguments.
    pub runner: Option<String>,
    /// Whether systemd may run the service.
    pub systemd: bool,
    /// How long the device may take until it answers.
    pub timeout: Duration,
}

impl Settings {
    /// `program` and `bundle` to `host`, all else as usual.
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
