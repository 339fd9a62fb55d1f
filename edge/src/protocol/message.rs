//! The messages: requests of a host and replies of a device, one postcard message each.
//!
//! Postcard writes integers as varints, an `f32` as four bytes little-endian, arrays without a length, strings and byte
//! slices behind their length, and an enum as the number of its variant. `docs/protocol.md` shows every message in bytes.
//!
//! Hosts in the field know these numbers: append variants and fields, never move them. A change that an old host cannot
//! read raises [`VERSION`].
//!
//! Every request may be repeated without harm: a second [`Request::Learn`] or [`Request::Forget`] of the same source
//! changes nothing and says so.

pub use super::bundle::{BundleReport, Candidate, CandidateState, RollbackReason};
pub use super::codec::{
    ERROR_RATE_PERMILLE_MAX, FORGETTING_CONFIRMATION, NEAREST, NEAREST_WHY, RESET_CONFIRMATION, VERSION, chunk_max,
    message_max,
};
pub use super::reply::{
    Decision, HelloReply, LineCounters, Neighbour, OperatingPointReport, Outcome, Prediction, Provenance, Reply,
    SelfTest, StatePart, Status, TestResult, Wear,
};
pub use super::request::{Input, Request};
pub use crate::decide::{OperatingPoint, Target, Threshold};
