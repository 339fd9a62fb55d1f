//! The host end of the protocol: a line to a device, and a client that asks it.

mod address;
mod replies;
mod calls;
mod client;
mod error;
#[cfg(unix)]
mod serial;
mod transport;
mod wait;

pub use address::{Address, BAUD_DEFAULT};
pub use calls::{PredictOptions, Sample};
pub use client::{Client, ClientMemory, Embed};
pub use error::LinkError;
pub use replies::{
    BundleReport, Candidate, CandidateState, Class, DeviceInfo, DeviceState, Feature, Learned, Neighbour, Outcome,
    Provenance, RollbackReason, SelfTest, Status, Support, TestResult, Verdict, Wear,
};
#[cfg(unix)]
pub use serial::Serial;
pub use transport::{Tcp, Transport};
pub(crate) use wait::wait_for_bytes;
