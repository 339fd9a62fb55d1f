//! The report of a deployment.

use serde::Serialize;
use serde_json::Value;

/// A file of a release.
#[derive(Clone, Debug, Serialize)]
pub struct Copied {
    /// Its name there.
    pub name: String,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// Its bytes.
    pub bytes: usize,
    /// Whether it was copied; otherwise it was there.
    pub copied: bool,
}

/// A successful deployment.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The SSH name of the machine.
    pub host: String,
    /// Its `uname -m`.
    pub machine: String,
    /// The machine type of the program.
    pub program_for: &'static str,
    /// The emulator that runs the program, if any; the measurements are then the emulator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// The folder there.
    pub dir: String,
    /// `systemd`, which restarts it also after a power cut, or `supervised`: a script, until the machine stops.
    pub service: &'static str,
    /// Its address there.
    pub address: String,
    /// The release that serves now.
    pub release: String,
    /// The release that served before.
    pub before: Option<String>,
    /// Whether it was started; otherwise the same release served already.
    pub started: bool,
    /// Program, bundle and key.
    pub files: Vec<Copied>,
    /// The output of `verify` there, for a signed bundle.
    pub golden: Option<Value>,
    /// The output of `status`.
    pub status: Value,
    /// The output of `self-test`.
    pub self_test: Value,
    /// The output of `bench encoder`.
    pub bench: Value,
}

/// Parses the JSON output of a program.
pub(super) fn parse(out: &str) -> Option<Value> {
    serde_json::from_str(out.trim()).ok()
}
