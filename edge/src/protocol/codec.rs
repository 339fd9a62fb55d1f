//! What requests and replies share: the version, limits of lengths, reading and writing.

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;

/// Version of the protocol, told in `Request::Hello` and `HelloReply` and in the first byte of each frame.
pub const VERSION: u8 = 1;

/// What `Request::FactoryReset` must carry.
pub const RESET_CONFIRMATION: &str = "forget everything";

/// What `Request::BundleCommitForgetting` must carry.
pub const FORGETTING_CONFIRMATION: &str = "forget what was taught";

/// Nearest supports in a `Prediction`.
pub const NEAREST: usize = 3;

/// Nearest supports in `Reply::Why`.
pub const NEAREST_WHY: usize = 5;

/// The longest error rate that can be asked for, in thousandths: half of all answers wrong.
pub const ERROR_RATE_PERMILLE_MAX: u16 = 500;

/// Bytes that the longest message of a device with `dim` feature dimensions takes; at least 256.
///
/// Longest are `Request::MergeState` (68 bytes and the feature) and `Reply::Why` (191 bytes).
pub const fn message_max(dim: usize) -> usize {
    let feature = 2 * dim + 72;
    if feature < 256 { 256 } else { feature }
}

/// Bytes of an image or a bundle that fit a message of `message_max` bytes: 16 are left for kind, offset and length.
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
