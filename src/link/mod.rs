//! The host end of the protocol: a line to a device, and a client that asks it.

mod address;
mod answers;
mod calls;
mod client;
mod error;
#[cfg(unix)]
mod serial;
mod transport;
mod wait;

pub use address::{Address, BAUD_DEFAULT};
pub use answers::{
    BundleReport, Candidate, CandidateState, Class, Device, Feature, Knowledge, Learned, Neighbour, Outcome,
    Provenance, RollbackReason, SelfTest, Status, Support, TestResult, Verdict, Wear,
};
pub use calls::{Question, Sample};
pub use client::{Client, ClientMemory, Embed};
pub use error::LinkError;
#[cfg(unix)]
pub use serial::Serial;
pub use transport::{Tcp, Transport};
pub(crate) use wait::wait_for_bytes;
