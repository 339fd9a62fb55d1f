//! Why a deployment did not come about.

use std::io;

/// A deployment failed, and where that leaves the other machine.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A file on this machine cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers to name a start by: {0}")]
    Random(String),
    /// The system's SSH client cannot be run.
    #[error("cannot run {program}: {source}")]
    Client {
        /// What was to be run.
        program: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A setting that no machine can take.
    #[error("{setting} '{value}': {needed}")]
    Setting {
        /// What was set.
        setting: &'static str,
        /// To what.
        value: String,
        /// What is allowed.
        needed: &'static str,
    },
    /// The machine cannot be reached, or the line to it broke.
    #[error("cannot reach {host} over SSH: {message}")]
    Unreachable {
        /// The machine.
        host: String,
        /// What the client says.
        message: String,
    },
    /// No program of ours runs on such a machine.
    #[error(
        "{host} is a {system} machine of type {machine}; there are programs for Linux on aarch64, armv7 and x86-64"
    )]
    Machine {
        /// The machine.
        host: String,
        /// Its operating system.
        system: String,
        /// As `uname -m` calls it.
        machine: String,
    },
    /// The program is for another machine.
    #[error("{path} is a program for {found}, {host} needs one for {needed}")]
    Program {
        /// The program.
        path: String,
        /// What it runs on.
        found: String,
        /// The machine.
        host: String,
        /// What that machine runs.
        needed: String,
    },
    /// A step failed there. What served before still serves.
    #[error("{host}: cannot {step}: {message}")]
    Remote {
        /// The machine.
        host: String,
        /// What was tried.
        step: &'static str,
        /// What it says.
        message: String,
    },
    /// A check failed before anything was changed.
    #[error("{host}: {check} failed: {message}; {left}")]
    Check {
        /// The machine.
        host: String,
        /// Which one.
        check: &'static str,
        /// What it says.
        message: String,
        /// What serves now.
        left: String,
    },
    /// A check failed, and the way back did, too.
    #[error("{host}: {check} failed: {message}; and what served before cannot be started again: {why}")]
    NoWayBack {
        /// The machine.
        host: String,
        /// Which check.
        check: &'static str,
        /// What it says.
        message: String,
        /// Why not.
        why: String,
    },
}

impl DeployError {
    /// Whether a check failed, rather than the line, the machine, or what was asked for.
    pub fn is_failed_check(&self) -> bool {
        matches!(self, Self::Check { .. })
    }

    /// Whether the other machine or the line to it is at fault.
    pub fn is_device_fault(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Remote { .. } | Self::NoWayBack { .. })
    }
}
