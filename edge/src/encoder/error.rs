//! Why bytes are not a blob that can be run.

use core::fmt;

use super::format::{MAGIC, VERSION};

/// Why bytes are not a blob that can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobError {
    /// The address of the blob is not a multiple of 4.
    Misaligned,
    /// The bytes end too early.
    Truncated {
        /// Bytes the blob needs.
        needed: usize,
        /// Bytes available.
        available: usize,
    },
    /// The first bytes are not [`MAGIC`].
    NotABlob {
        /// The first bytes.
        found: [u8; 4],
    },
    /// The blob has another format version.
    Version {
        /// Its version; [`VERSION`] is supported.
        found: u16,
    },
    /// The blob is damaged.
    Checksum {
        /// CRC-32 in the blob.
        stored: u32,
        /// CRC-32 of its bytes.
        computed: u32,
    },
    /// A field of the header is out of range.
    Header {
        /// Which one.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The limit that it exceeds or falls short of.
        limit: u64,
    },
    /// A section lies outside the blob or has the wrong length.
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
    /// A node overwrites a value that is read later.
    Overlap {
        /// Index of the node.
        node: usize,
        /// Index of the value overwritten.
        value: usize,
    },
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned => write!(f, "the blob's address is not a multiple of 4"),
            Self::Truncated { needed, available } => {
                write!(f, "the blob has {available} bytes; {needed} are needed")
            }
            Self::NotABlob { found } => write!(f, "not a blob: it begins with {found:02x?}, not {MAGIC:02x?}"),
            Self::Version { found } => write!(f, "blob version {found}; this program reads version {VERSION}"),
            Self::Checksum { stored, computed } => {
                write!(f, "the blob is damaged: its CRC-32 is {computed:08x}, it states {stored:08x}")
            }
            Self::Header { what, found, limit } => write!(f, "the blob's {what} is {found}; the limit is {limit}"),
            Self::Section { what, offset, len, needed } => {
                write!(
                    f,
                    "section {what} has {len} bytes at offset {offset}; {needed} bytes inside the blob are needed"
                )
            }
            Self::Node { node, what, found, limit } => {
                write!(f, "node {node}: {what} is {found}; the limit is {limit}")
            }
            Self::Overlap { node, value } => write!(f, "node {node} overwrites value {value}, which is read later"),
        }
    }
}

impl core::error::Error for BlobError {}
