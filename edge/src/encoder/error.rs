//! Why bytes are not a blob that can be run.

use core::fmt;

use super::format::{MAGIC, VERSION};

/// Bytes that are no blob, or one that cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobError {
    /// The blob must lie at an address that is a multiple of 4, to be read in place.
    Misaligned,
    /// The bytes end too early.
    Truncated {
        /// Bytes the blob needs.
        needed: usize,
        /// Bytes there are.
        available: usize,
    },
    /// The first bytes are not [`MAGIC`].
    NotABlob {
        /// What they are.
        found: [u8; 4],
    },
    /// Made by another version of the program.
    Version {
        /// What it says; [`VERSION`] can be read.
        found: u16,
    },
    /// The bytes are not those that were written.
    Checksum {
        /// What the blob says.
        stored: u32,
        /// What it is.
        computed: u32,
    },
    /// A field of the header is out of range.
    Header {
        /// Which.
        what: &'static str,
        /// What was found.
        found: u64,
        /// The limit it breaks.
        limit: u64,
    },
    /// A section lies outside of the blob, or has another length than needed.
    Section {
        /// Which.
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
        /// What was found.
        found: u64,
        /// The limit it breaks.
        limit: u64,
    },
    /// A value lies where another that is still needed lies.
    Overlap {
        /// The node that makes it.
        node: usize,
        /// The value it would destroy.
        value: usize,
    },
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned => write!(f, "the blob does not lie at a multiple of 4 bytes"),
            Self::Truncated { needed, available } => {
                write!(f, "the blob has {available} bytes, {needed} are needed")
            }
            Self::NotABlob { found } => write!(f, "no blob: it begins with {found:02x?}, not {MAGIC:02x?}"),
            Self::Version { found } => write!(f, "a blob of version {found}, {VERSION} can be read"),
            Self::Checksum { stored, computed } => {
                write!(f, "the blob is damaged: its CRC-32 is {computed:08x}, {stored:08x} was written")
            }
            Self::Header { what, found, limit } => write!(f, "the blob's {what} is {found}, the limit is {limit}"),
            Self::Section { what, offset, len, needed } => {
                write!(f, "section {what} has {len} bytes at {offset}, {needed} inside the blob are needed")
            }
            Self::Node { node, what, found, limit } => {
                write!(f, "node {node}: {what} is {found}, the limit is {limit}")
            }
            Self::Overlap { node, value } => write!(f, "node {node} would overwrite value {value}, which is needed"),
        }
    }
}

impl core::error::Error for BlobError {}
