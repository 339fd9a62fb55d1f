//! What a deployment did and what the device says of itself.

use serde::Serialize;
use serde_json::Value;

/// A file of a release.
#[derive(Clone, Debug, Serialize)]
pub struct Copied {
    /// What it is called there.
    pub name: String,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// Its length.
    pub bytes: usize,
    /// Whether it was copied; it was there otherwise.
    pub copied: bool,
}

/// A deployment that came about.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The machine, as SSH knows it.
    pub host: String,
    /// As it calls itself.
    pub machine: String,
    /// What the program is for.
    pub program_for: &'static str,
    /// What runs the program, where the machine itself does not: measurements are then an emulator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// The folder there.
    pub dir: String,
    /// Who keeps it running: `systemd`, also after a power cut, or `supervised`, a script until the machine stops.
    pub service: &'static str,
    /// Where it is reached there.
    pub address: String,
    /// The name of what serves now.
    pub release: String,
    /// The name of what served before.
    pub before: Option<String>,
    /// Whether it was started; the same release served already otherwise.
    pub started: bool,
    /// Program, bundle and key.
    pub files: Vec<Copied>,
    /// What `verify` says there of a signed bundle.
    pub golden: Option<Value>,
    /// What `status` says.
    pub status: Value,
    /// What `self-test` says.
    pub self_test: Value,
    /// What `bench encoder` says.
    pub bench: Value,
}

/// The JSON of a program's output.
pub(super) fn parse(out: &str) -> Option<Value> {
    serde_json::from_str(out.trim()).ok()
}
