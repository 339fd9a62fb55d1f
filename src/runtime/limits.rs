//! What a model may cost at most. Each limit is checked before the memory or the time is spent.
//!
//! An encoder for images of a few hundred pixels a side stays far below: ResNet-50 at 224 × 224 has 4.1 × 10⁹
//! multiply-accumulates, 98 MB of weights and 130 nodes; ViT-B/16 has 17 × 10⁹, 344 MB and about 1,000.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::error::RuntimeError;

/// Bytes of a model file, and of each file that it keeps weights in.
pub const FILE_BYTES_MAX: u64 = 1 << 30;
/// Operators of a graph.
pub const NODES_MAX: u64 = 10_000;
/// Inputs or outputs of one node.
pub const OPERANDS_MAX: u64 = 256;
/// Dimensions of a tensor.
pub const RANK_MAX: u64 = 8;
/// Values of one tensor.
pub const VALUES_MAX: u64 = 1 << 28;
/// Bytes that weights, constants and intermediate results take together at the worst moment of one image.
pub const MEMORY_BYTES_MAX: u64 = 2 << 30;
/// Operations for one image; see `Cost` for what counts as one.
pub const OPERATIONS_MAX: u64 = 64_000_000_000;
/// Values of a feature.
pub const FEATURE_DIM_MAX: u64 = 65_536;
/// Bytes of one metadata entry of ours.
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

/// The bytes of the file at `path`, at most [`FILE_BYTES_MAX`] of them; a device or a pipe is refused.
///
/// # Errors
/// A file that cannot be read, is no regular file, or is too long.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, RuntimeError> {
    let name = path.display().to_string();
    let fail = |source| RuntimeError::Read { path: name.clone(), source };
    let file = File::open(path).map_err(fail)?;
    let about = file.metadata().map_err(fail)?;
    if !about.is_file() {
        let kind = std::io::ErrorKind::InvalidInput;
        return Err(fail(std::io::Error::new(kind, "it is no regular file")));
    }
    at_most(&name, "bytes", about.len(), FILE_BYTES_MAX)?;
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0));
    // The length may have grown since it was asked for.
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(fail)?;
    at_most(&name, "bytes", bytes.len() as u64, FILE_BYTES_MAX)?;
    Ok(bytes)
}
