//! Errors of reading a blob.

use super::format::{MAGIC, VERSION_READOUT};

/// The bytes are not a blob that can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// The address of the blob is not a multiple of 4.
    #[error("the blob's address is not a multiple of 4")]
    Misaligned,
    /// The bytes end too early.
    #[error("the blob has {available} bytes; {needed} are needed")]
    Truncated {
        /// Bytes the blob needs.
        needed: usize,
        /// Bytes available.
        available: usize,
    },
    /// The first bytes are not [`MAGIC`].
    #[error("not a blob: it begins with {found:02x?}, not {MAGIC:02x?}")]
    NotABlob {
        /// The first bytes.
        found: [u8; 4],
    },
    /// The blob has another format version.
    #[error("blob version {found}; this program reads versions 1 to {VERSION_READOUT}")]
    Version {
        /// Its version; those up to [`VERSION_READOUT`] are supported.
        found: u16,
    },
    /// The blob is damaged.
    #[error("the blob is damaged: its CRC-32 is {computed:08x}, it states {stored:08x}")]
    Checksum {
        /// CRC-32 in the blob.
        stored: u32,
        /// CRC-32 of its bytes.
        computed: u32,
    },
    /// A field of the header is out of range.
    #[error("the blob's {what} is {found}; the limit is {limit}")]
    Header {
        /// Which one.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The limit that it exceeds or falls short of.
        limit: u64,
    },
    /// A section lies outside the blob or has the wrong length.
    #[error("section {what} has {len} bytes at offset {offset}; {needed} bytes inside the blob are needed")]
    Section {
        /// Which one.
        what: &'static str,
        /// Its first byte.
        offset: u64,
        /// Its bytes.
        len: u64,
        /// Bytes it must have.
        needed: u64,
    },
    /// A field of a node is out of range.
    #[error("node {node}: {what} is {found}; the limit is {limit}")]
    Node {
        /// Index of the node.
        node: usize,
        /// Which field.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The limit that it exceeds or falls short of.
        limit: u64,
    },
    /// A field of the readout is out of range.
    #[error("readout: {what} is {found}; the limit is {limit}")]
    Readout {
        /// Which field.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The limit that it exceeds or falls short of.
        limit: u64,
    },
    /// A node overwrites a value that is read later.
    #[error("node {node} overwrites value {value}, which is read later")]
    Overlap {
        /// Index of the node.
        node: usize,
        /// Index of the value overwritten.
        value: usize,
    },
}
