//! Why a device could not be reached, or did not do what it was asked.

use std::io;
use std::time::Duration;

use macula_edge::protocol::{Reason, Refusal};

/// A device could not be asked, or refused.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nothing can be reached there.
    #[error("cannot reach the device at {address}: {source}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// The line broke while we were talking.
    #[error("the line to the device at {address} is broken: {source}")]
    Broken {
        /// Where.
        address: String,
        /// What happened.
        source: io::Error,
    },
    /// Nothing came back.
    #[error(
        "the device at {address} did not answer {asked} within {:.0} s, asked {attempts} times; \
         is another program talking to it?",
        waited.as_secs_f64()
    )]
    Silent {
        /// Where.
        address: String,
        /// The request.
        asked: &'static str,
        /// How often it was sent.
        attempts: usize,
        /// How long we waited in all.
        waited: Duration,
    },
    /// The device did not do it, and is as it was before.
    #[error("the device at {address} refused {asked}: {refusal}")]
    Refused {
        /// Where.
        address: String,
        /// The request.
        asked: &'static str,
        /// Why.
        refusal: Refusal,
    },
    /// What came back cannot be read, or replies something else.
    #[error("the device at {address} answered {asked} with {answered}")]
    Unexpected {
        /// Where.
        address: String,
        /// The request.
        asked: &'static str,
        /// What came back.
        answered: String,
    },
    /// What is to be sent cannot be a message.
    #[error("{asked} cannot be sent to the device at {address}: {message}")]
    Unsendable {
        /// Where.
        address: String,
        /// The request.
        asked: &'static str,
        /// Why not.
        message: String,
    },
    /// Another host changed the device while its state was being read.
    #[error("what the device at {address} knows changed {times} times while it was read")]
    ConcurrentModification {
        /// Where.
        address: String,
        /// How often we began again.
        times: usize,
    },
}

impl LinkError {
    /// Why the device refused, where it did.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused { refusal, .. } => refusal.reason(),
            _ => None,
        }
    }

    /// Whether the device did not answer, as one does not that is just being started.
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Broken { .. } | Self::Silent { .. })
    }

    /// Whether the device, its store or the line to it is at fault, rather than what was asked for.
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
