//! Errors of a deployment.

use std::io;

/// A deployment failed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A file on this machine cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// The system has no random numbers.
    #[error("the system has no random numbers for the name of a start: {0}")]
    Random(String),
    /// The system's SSH client cannot be run.
    #[error("cannot run {program}: {source}")]
    Client {
        /// The program.
        program: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// A setting is invalid.
    #[error("{setting} '{value}': {needed}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        needed: &'static str,
    },
    /// The machine cannot be reached, or the connection broke.
    #[error("cannot reach {host} over SSH: {message}")]
    Unreachable {
        /// The machine.
        host: String,
        /// The last line of the client.
        message: String,
    },
    /// There is no program for this machine.
    #[error("{host} is a {system} machine of type {machine}; Linux on aarch64, armv7 or x86-64 is needed")]
    Machine {
        /// The machine.
        host: String,
        /// Its operating system.
        system: String,
        /// The output of `uname -m`.
        machine: String,
    },
    /// The program is for another machine.
    #[error("{path} is a program for {found}; {host} needs one for {needed}")]
    Program {
        /// The program.
        path: String,
        /// The machine that it is for.
        found: String,
        /// The machine.
        host: String,
        /// The machine that it should be for.
        needed: String,
    },
    /// A step failed there. The previous release still serves.
    #[error("{host}: cannot {step}: {message}")]
    Remote {
        /// The machine.
        host: String,
        /// The step.
        step: &'static str,
        /// Its last line.
        message: String,
    },
    /// A check failed; the previous release serves, if there was one.
    #[error("{host}: {check} failed: {message}; {left}")]
    Check {
        /// The machine.
        host: String,
        /// The check.
        check: &'static str,
        /// Its last line.
        message: String,
        /// The release that serves now, in words.
        left: String,
    },
    /// A check failed, and so did the rollback.
    #[error("{host}: {check} failed: {message}; and the previous release cannot be started again: {why}")]
    NoWayBack {
        /// The machine.
        host: String,
        /// The check.
        check: &'static str,
        /// Its last line.
        message: String,
        /// The cause.
        why: String,
    },
}

impl DeployError {
    /// Whether a check failed, not the connection, the machine or the settings.
    pub fn is_failed_check(&self) -> bool {
        matches!(self, Self::Check { .. })
    }

    /// Whether the other machine or the connection is at fault.
    pub fn is_device_fault(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Remote { .. } | Self::NoWayBack { .. })
    }
}
