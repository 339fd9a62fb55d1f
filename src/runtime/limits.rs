//! Limits of a model's size and cost, checked before memory or time is spent.
//!
//! Encoders for images of a few hundred pixels per side stay far below: ResNet-50 at 224 × 224 has 4.1 × 10⁹
//! multiply-accumulates, 98 MB of weights and 130 nodes; ViT-B/16 has 17 × 10⁹, 344 MB and about 1,000.

use std::path::Path;

use super::error::RuntimeError;
use crate::files;

/// Bytes of a model file, and of each file with its weights.
pub const FILE_BYTES_MAX: u64 = 1 << 30;
/// Operators of a graph, without constants. tract's time grows with their square: about 2 s for 1,000 on one core.
pub const NODES_MAX: u64 = 2_000;
/// Tensors of weights, and constants.
pub const TENSORS_MAX: u64 = 10_000;
/// Inputs or outputs of one node.
pub const OPERANDS_MAX: u64 = 256;
/// Dimensions of a tensor.
pub const RANK_MAX: u64 = 8;
/// Values of one tensor.
pub const VALUES_MAX: u64 = 1 << 28;
/// Peak bytes of weights, constants and intermediate results for one image.
pub const MEMORY_BYTES_MAX: u64 = 2 << 30;
/// Multiply-accumulates for one image. Each output value of another operator counts as 32.
pub const OPERATIONS_MAX: u64 = 64_000_000_000;
/// Values of a feature.
pub const FEATURE_DIM_MAX: u64 = 65_536;
/// Bytes of one `macula.` metadata entry.
pub const METADATA_BYTES_MAX: u64 = 16 << 20;
/// Characters of the name of a value or node.
pub const NAME_BYTES_MAX: u64 = 4_096;

/// Checks that `found` is at most `limit`.
///
/// # Errors
/// [`RuntimeError::Limit`].
pub(super) fn at_most(path: &str, what: &'static str, found: u64, limit: u64) -> Result<(), RuntimeError> {
    if found <= limit {
        return Ok(());
    }
    Err(RuntimeError::Limit { path: path.to_owned(), what, found, limit })
}

/// The bytes of the regular file at `path`, at most [`FILE_BYTES_MAX`] of them.
///
/// # Errors
/// [`RuntimeError::Read`].
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, RuntimeError> {
    files::read_bounded(path, FILE_BYTES_MAX)
        .map_err(|error| RuntimeError::Read { path: error.path, source: error.source })
}
