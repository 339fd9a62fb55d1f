//! Errors from requests to a device.

use std::io;
use std::time::Duration;

use macula_edge::protocol::{Reason, Refusal};

/// A request to a device failed.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The device cannot be reached.
    #[error("cannot reach the device at {address}: {source}")]
    Unreachable {
        /// The address of the device.
        address: String,
        /// The cause.
        source: io::Error,
    },
    /// The line broke during a request.
    #[error("the line to the device at {address} is broken: {source}")]
    Broken {
        /// The address of the device.
        address: String,
        /// The cause.
        source: io::Error,
    },
    /// No reply came.
    #[error(
        "the device at {address} did not reply to the request '{request}' within {:.0} s and {attempts} attempts; \
         does another program use it?",
        waited.as_secs_f64()
    )]
    Silent {
        /// The address of the device.
        address: String,
        /// Name of the request.
        request: &'static str,
        /// Times it was sent.
        attempts: usize,
        /// Total time waited.
        waited: Duration,
    },
    /// The device refused; nothing has changed.
    #[error("the device at {address} refused the request '{request}': {refusal}")]
    Refused {
        /// The address of the device.
        address: String,
        /// Name of the request.
        request: &'static str,
        /// The reason.
        refusal: Refusal,
    },
    /// The reply cannot be read or is of the wrong kind.
    #[error("the device at {address} replied to the request '{request}' with {reply}")]
    Unexpected {
        /// The address of the device.
        address: String,
        /// Name of the request.
        request: &'static str,
        /// The reply.
        reply: String,
    },
    /// The request does not make a message.
    #[error("the request '{request}' cannot be sent to the device at {address}: {message}")]
    Unsendable {
        /// The address of the device.
        address: String,
        /// Name of the request.
        request: &'static str,
        /// The cause.
        message: String,
    },
    /// Another host changed the device while its state was being read.
    #[error("another host changed the device at {address} during each of {times} readings of its state; try again")]
    ConcurrentModification {
        /// The address of the device.
        address: String,
        /// Readings.
        times: usize,
    },
}

impl LinkError {
    /// The reason of a refusal.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused { refusal, .. } => refusal.reason(),
            _ => None,
        }
    }

    /// Whether the device did not reply, as during its start.
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Broken { .. } | Self::Silent { .. })
    }

    /// Whether the device, its store or the line is at fault, not the request.
    pub fn is_device_fault(&self) -> bool {
        use Reason::{BundleFault, ClassesFull, EncoderFailed, HeadFailed, StoreFault, StoreFull, SupportsFull};
        match self {
            Self::Refused { refusal, .. } => matches!(
                refusal.reason(),
                None | Some(
                    ClassesFull | SupportsFull | StoreFull | StoreFault | EncoderFailed | HeadFailed | BundleFault
                )
            ),
            Self::Unsendable { .. } => false,
            _ => true,
        }
    }
}
