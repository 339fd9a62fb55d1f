//! Errors of commands: one line of text or one JSON object, and an exit code.

use std::fmt::Display;
use std::io;

use macula_edge::protocol::{Reason, Refusal};
use serde::Serialize;

use crate::device::DeviceError;
use crate::encoders::OpenError;
use crate::link::LinkError;
use crate::report::text::{fenced, shown};

/// The part of `--help` on exit codes and errors.
pub const HELP: &str = "Exit codes: 0 success, 2 bad usage or input, 3 a check failed (parity, signature, health), \
    4 device or store fault, 130 stopped by Ctrl-C (resume the run with --resume), 141 the reader of the output has gone.\n\n\
    With --json, a command that fails prints one line to standard error: \
    {\"error\":{\"kind\":…,\"exit_code\":…,\"message\":…}}, and for a refusal by a device or of a bundle also `reason`, `found` \
    and `limit`, the numbers of docs/protocol.md and docs/bundle-format.md. Kinds: usage, input, not-found, exists, \
    confirmation-needed, unknown-class, unknown-sample, other-encoder, refused, bundle-refused, rolled-back, check-failed, unreachable, \
    device-fault, interrupted.";

/// The kind of an error. Programs rely on names and exit codes, so they do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The arguments are refused.
    Usage,
    /// A file, value or combination of options is refused for a reason that has no kind.
    Input,
    /// A file, folder or store does not exist.
    NotFound,
    /// An output file exists.
    Exists,
    /// The command needs an option that confirms a loss.
    ConfirmationNeeded,
    /// The device has no class of this name.
    UnknownClass,
    /// The device has no sample of this source.
    UnknownSample,
    /// The store or device has features of another encoder.
    OtherEncoder,
    /// The device refused the request, for a [`Reason`].
    Refused,
    /// The bundle is refused, for a [`macula_edge::bundle::BundleError`].
    BundleRefused,
    /// The device tried the bundle and returned to the one before.
    RolledBack,
    /// A check failed.
    CheckFailed,
    /// The device does not answer.
    Unreachable,
    /// The device or its store is at fault.
    DeviceFault,
    /// Ctrl-C stopped the command, and its state was saved.
    #[cfg(feature = "host")]
    Interrupted,
}

impl Kind {
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::BundleRefused | Self::RolledBack | Self::CheckFailed => 3,
            Self::Unreachable | Self::DeviceFault => 4,
            #[cfg(feature = "host")]
            Self::Interrupted => 130,
            _ => 2,
        }
    }

    /// An error of this kind.
    pub fn error(self, message: impl Display) -> anyhow::Error {
        self.because(None, message)
    }

    /// As [`Self::error`], with the number of the reason.
    pub fn because(self, reason: impl Into<Option<u64>>, message: impl Display) -> anyhow::Error {
        Failure { reason: reason.into(), ..Failure::new(self, message.to_string()) }.into()
    }
}

/// A check failed: exit code 3.
pub fn check_failed(message: impl Display) -> anyhow::Error {
    Kind::CheckFailed.error(message)
}

/// An error as `--json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    kind: Kind,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    message: String,
}

impl Failure {
    const fn new(kind: Kind, message: String) -> Self {
        Self { kind, exit_code: kind.exit_code(), reason: None, found: None, limit: None, message }
    }

    /// A refusal by a device, or the same refusal found before sending.
    pub fn refused(refusal: Refusal, is_device_fault: bool, message: String) -> Self {
        use Reason::{BundleHash, BundleOlder, BundleRefused, BundleSameCounter};
        let exit_code = match refusal.reason() {
            _ if is_device_fault => 4,
            Some(BundleRefused | BundleOlder | BundleSameCounter | BundleHash) => 3,
            _ => 2,
        };
        let Refusal { code, found, limit } = refusal;
        let (reason, found, limit) = (Some(code.into()), Some(found), Some(limit));
        Self { exit_code, reason, found, limit, ..Self::new(Kind::Refused, message) }
    }

    /// Describes `error` and its causes.
    pub fn of(error: &anyhow::Error) -> Self {
        let message = one_line(error);
        if let Some(failure) = error.downcast_ref::<Self>() {
            return Self { message, ..failure.clone() };
        }
        let kind = match (error.downcast_ref(), error.downcast_ref()) {
            (Some(error @ LinkError::Refused { refusal, .. }), _) => {
                return Self::refused(*refusal, error.is_device_fault(), message);
            }
            (Some(error), _) if error.is_silence() => Kind::Unreachable,
            (Some(error), _) if error.is_device_fault() => Kind::DeviceFault,
            (_, Some(DeviceError::OtherEncoder { .. })) => Kind::OtherEncoder,
            (_, Some(error)) if error.is_check() => Kind::BundleRefused,
            (_, Some(error)) if error.is_device_fault() => Kind::DeviceFault,
            _ if matches!(error.downcast_ref(), Some(OpenError::Unknown { .. })) => Kind::NotFound,
            _ => match error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind) {
                Some(io::ErrorKind::NotFound) => Kind::NotFound,
                Some(io::ErrorKind::AlreadyExists) => Kind::Exists,
                _ => Kind::Input,
            },
        };
        Self::new(kind, message)
    }

    /// Describes refused arguments.
    pub fn usage(message: &str) -> Self {
        Self::new(Kind::Usage, fenced(message).into_owned())
    }

    /// Prints it to standard error, and returns the exit code.
    pub fn print(&self, json: bool) -> u8 {
        match json {
            // An object of strings and numbers can always be written.
            true => eprintln!("{}", serde_json::json!({ "error": self })),
            false if self.kind == Kind::Usage => eprintln!("{}", self.message),
            false => eprintln!("macula: {}", self.message),
        }
        self.exit_code
    }
}

/// An error and its causes as one line. A cause that the line contains already is not repeated.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    shown(&line).into_owned()
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_message_names_each_cause_once_and_has_no_control_characters() {
        let inner = || io::Error::other("disk\u{1b}[2J on fire");
        let error = anyhow::Error::new(inner()).context("cannot read a\nb");
        assert_eq!(one_line(&error), "cannot read a\\nb: disk\\u{1b}[2J on fire");
        let repeats: anyhow::Result<()> = Err(inner()).with_context(|| format!("cannot read a: {}", inner()));
        assert_eq!(one_line(&repeats.unwrap_err()), "cannot read a: disk\\u{1b}[2J on fire");
    }

    #[test]
    fn kinds_survive_context() {
        let kind = |error: anyhow::Error| Failure::of(&error.context("while testing")).kind;
        assert_eq!(kind(check_failed("x")), Kind::CheckFailed);
        assert_eq!(kind(io::Error::from(io::ErrorKind::NotFound).into()), Kind::NotFound);
        assert_eq!(kind(anyhow::anyhow!("x")), Kind::Input);
    }
}
