//! The host's end of the protocol: a line to a device, and a client.

mod error; //     why a request failed
mod address; //   tcp:, serial: or the file of a store
mod wait; //      waits for a socket or line
mod transport; // sends and receives bytes
#[cfg(unix)]
mod serial; //    a serial line
mod open; //      opens a line to a device
mod replies; //   replies that own their memory
mod client; //    sessions, time-outs, repetition
mod calls; //     one method per request
mod changes; //   changes that can be undone

pub use address::{Address, BAUD_DEFAULT};
pub use calls::{PredictOptions, Sample};
pub use changes::Changes;
pub use client::{Client, ClientMemory, Embed};
pub use error::LinkError;
pub use open::{open_line, session_numbers};
pub use replies::{
    BundleReport, Candidate, CandidateState, Class, Decision, DeviceInfo, DeviceState, Feature, Learned, Neighbour,
    OperatingPoint, OperatingPointReport, Outcome, Provenance, RollbackReason, SelfTest, Status, Support, Target,
    TestResult, Threshold, Verdict, Wear, rollback_reason,
};
#[cfg(unix)]
pub use serial::Serial;
pub use transport::{Tcp, Transport};
pub(crate) use wait::wait_for_bytes;
