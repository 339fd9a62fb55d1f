//! Shared parts of requests and replies: version, length limits, reading and writing.

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;

/// Version of the protocol, sent in `Request::Hello` and `HelloReply` and in the first byte of each frame.
pub const VERSION: u8 = 1;

/// The confirmation that `Request::FactoryReset` must carry.
pub const RESET_CONFIRMATION: &str = "forget everything";

/// The confirmation that `Request::BundleCommitForgetting` must carry.
pub const FORGETTING_CONFIRMATION: &str = "forget what was taught";

/// Number of nearest supports in a `Prediction`.
pub const NEAREST: usize = 3;

/// Number of nearest supports in `Reply::Why`.
pub const NEAREST_WHY: usize = 5;

/// The highest error rate that can be requested, in thousandths: half of all answers wrong.
pub const ERROR_RATE_PERMILLE_MAX: u16 = 500;

/// Bytes of the longest message of a device with `dim` feature dimensions; at least 256.
///
/// The longest are `Request::MergeState` (68 bytes and the feature) and `Reply::Decision` (196 bytes).
pub const fn message_max(dim: usize) -> usize {
    let feature = 2 * dim + 72;
    if feature < 256 { 256 } else { feature }
}

/// Bytes of an image or a bundle that fit into a message of `message_max` bytes: kind, offset and length take 16.
pub const fn chunk_max(message_max: usize) -> usize {
    message_max.saturating_sub(16)
}

pub(super) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Refusal> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(Refusal::malformed(bytes.len())),
    }
}

pub(super) fn write<T: Serialize>(message: &T, bytes: &mut [u8]) -> Result<usize, Refusal> {
    let limit = bytes.len();
    match postcard::to_slice(message, bytes) {
        Ok(written) => Ok(written.len()),
        Err(_) => Err(Refusal::message_too_long(limit)),
    }
}
