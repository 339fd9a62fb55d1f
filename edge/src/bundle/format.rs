//! The bytes of a bundle: offsets, limits, keys and the table of parts.
//!
//! | offset       | bytes | field                                                             |
//! |-------------:|------:|-------------------------------------------------------------------|
//! |            0 |     8 | magic `MACULABU`                                                  |
//! |            8 |     2 | version, 1                                                        |
//! |           10 |     2 | N, parts, 1 to 16                                                 |
//! |           12 |     4 | L, bytes of the whole bundle                                      |
//! |           16 |     8 | counter                                                           |
//! |           24 |    32 | Ed25519 public key of the signer                                  |
//! |           56 |     8 | 0                                                                 |
//! |           64 |  48 N | the table: kind (2), 0 (2), offset (4), length (4), 0 (4), SHA-256 (32) |
//! |    64 + 48 N |    64 | Ed25519 signature of everything before                            |
//! |   128 + 48 N |       | the parts                                                         |
//!
//! Little-endian. Each part begins at the first multiple of 16 after the one before, with zeros between; the bundle ends
//! with the last part. Every byte has one place and is checked.

use core::fmt;
use core::ops::Range;

use base16ct::HexDisplay;

/// First bytes of a bundle.
pub const MAGIC: [u8; 8] = *b"MACULABU";
/// The version of the format written and read here.
pub const VERSION: u16 = 1;
/// Bytes before the table.
pub const HEADER_LEN: usize = 64;
/// Bytes of an entry of the table.
pub const PART_LEN: usize = 48;
/// Bytes of the signature.
pub const SIGNATURE_LEN: usize = 64;
/// Most parts in a bundle.
pub const PARTS_MAX: usize = 16;
/// Part offsets are multiples of this, so that a blob can be read in place.
pub const ALIGNMENT: u32 = 16;
/// Most bytes of a bundle: 1 GiB.
pub const BUNDLE_LEN_MAX: u32 = 1 << 30;

/// Offsets of the fields in the header; the magic comes first.
pub mod header {
    /// Format version, `u16`.
    pub const VERSION: usize = 8;
    /// Number of parts, `u16`.
    pub const PARTS: usize = 10;
    /// Bytes of the bundle, `u32`.
    pub const LEN: usize = 12;
    /// Counter, `u64`.
    pub const COUNTER: usize = 16;
    /// Public key of the signer.
    pub const SIGNER: usize = 24;
    /// Bytes that are 0.
    pub const RESERVED: usize = 56;
}

/// Offsets of the fields in an entry of the table.
pub mod entry {
    /// Number of the part's kind, `u16`, and two bytes that are 0.
    pub const KIND: usize = 0;
    /// Where the part begins, `u32`.
    pub const OFFSET: usize = 4;
    /// Bytes of the part, `u32`, and four bytes that are 0.
    pub const LEN: usize = 8;
    /// SHA-256 of the part.
    pub const SHA256: usize = 16;
}

/// Signed bytes of a bundle with `parts` parts: all before the signature.
pub const fn signed_len(parts: usize) -> usize {
    HEADER_LEN + parts * PART_LEN
}

/// An Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", HexDisplay(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// The kind of a part. Its number is stored and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::FromRepr)]
#[repr(u16)]
pub enum PartKind {
    /// Describes the bundle and its needs: JSON.
    Manifest = 1,
    /// The encoder as ONNX with weights in f16.
    Onnx = 2,
    /// The encoder as a device blob (`docs/blob-format.md`).
    Blob = 3,
    /// Raw images with the features that the encoder must give for them.
    Golden = 4,
    /// Mean and standard deviation of the features over the corpus.
    Corpus = 5,
}

impl PartKind {
    /// All kinds, by number.
    pub const ALL: [Self; 5] = [Self::Manifest, Self::Onnx, Self::Blob, Self::Golden, Self::Corpus];

    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Onnx => "ONNX encoder",
            Self::Blob => "device blob",
            Self::Golden => "golden images",
            Self::Corpus => "corpus statistics",
        }
    }
}

impl fmt::Display for PartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An entry of the table: where a part lies, and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The number of a [`PartKind`]; parts of other kinds are ignored.
    pub kind: u16,
    /// Where it begins, from the start of the bundle.
    pub offset: u32,
    /// Its bytes.
    pub len: u32,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

impl Part {
    pub(super) const EMPTY: Self = Self { kind: 0, offset: 0, len: 0, sha256: [0; 32] };

    /// Where the part lies in the bundle.
    pub fn range(&self) -> Range<u32> {
        self.offset..self.offset + self.len
    }

    pub(super) fn to_bytes(self) -> [u8; PART_LEN] {
        let mut bytes = [0; PART_LEN];
        bytes[entry::KIND..][..2].copy_from_slice(&self.kind.to_le_bytes());
        bytes[entry::OFFSET..entry::LEN].copy_from_slice(&self.offset.to_le_bytes());
        bytes[entry::LEN..][..4].copy_from_slice(&self.len.to_le_bytes());
        bytes[entry::SHA256..].copy_from_slice(&self.sha256);
        bytes
    }

    /// Reads an entry; `None` when a reserved byte is not 0.
    pub(super) fn from_bytes(bytes: &[u8; PART_LEN]) -> Option<Self> {
        let part = Self {
            kind: u16::from_le_bytes(field(bytes, entry::KIND)),
            offset: u32::from_le_bytes(field(bytes, entry::OFFSET)),
            len: u32::from_le_bytes(field(bytes, entry::LEN)),
            sha256: field(bytes, entry::SHA256),
        };
        (part.to_bytes() == *bytes).then_some(part)
    }
}

/// The bytes of a field that lies within `bytes`.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}
