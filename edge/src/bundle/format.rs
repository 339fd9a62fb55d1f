//! The bytes of the header and of the table of parts.
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
//! Little-endian. Each part begins at the first multiple of 16 after the one before, filled up with 0; the bundle ends
//! with the last part. There is one place for everything, so there is no byte that nobody checks.

use core::fmt;
use core::ops::Range;

use base16ct::HexDisplay;

use super::BundleError;

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
/// Most parts a bundle may have.
pub const PARTS_MAX: usize = 16;
/// What the offset of a part is a multiple of, so that a blob can be read in place.
pub const ALIGNMENT: u32 = 16;
/// Most bytes a bundle may have: 1 GiB.
pub const BUNDLE_LEN_MAX: u32 = 1 << 30;

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

/// What a part is. Its number is that of the file, and stays put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum PartKind {
    /// What the bundle is and what it needs: JSON.
    Manifest = 1,
    /// The encoder as ONNX with weights in f16.
    Onnx = 2,
    /// The encoder as a device blob (`docs/blob-format.md`).
    Blob = 3,
    /// Raw images with the features they must give.
    Golden = 4,
    /// Mean and standard deviation of the features over the corpus.
    Corpus = 5,
}

impl PartKind {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Manifest, Self::Onnx, Self::Blob, Self::Golden, Self::Corpus];

    /// The kind of a number; `None` where a later program knows more of them.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u16 == number)
    }

    /// Its name, for people.
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

/// Where a part lies, and what its bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The number of a [`PartKind`]; a later program may have written others, which are passed over.
    pub kind: u16,
    /// Where it begins, from the start of the bundle.
    pub offset: u32,
    /// Its bytes.
    pub len: u32,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

impl Part {
    /// Where it lies.
    pub fn range(&self) -> Range<u32> {
        self.offset..self.offset + self.len
    }

    pub(super) fn to_bytes(self) -> [u8; PART_LEN] {
        let mut bytes = [0; PART_LEN];
        bytes[..2].copy_from_slice(&self.kind.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.len.to_le_bytes());
        bytes[16..].copy_from_slice(&self.sha256);
        bytes
    }

    /// `None` where bytes that must be 0 are not.
    fn from_bytes(bytes: &[u8; PART_LEN]) -> Option<Self> {
        let part = Self {
            kind: u16::from_le_bytes(field(bytes, 0)),
            offset: u32::from_le_bytes(field(bytes, 4)),
            len: u32::from_le_bytes(field(bytes, 8)),
            sha256: field(bytes, 16),
        };
        (part.to_bytes() == *bytes).then_some(part)
    }
}

/// What stands before the parts of a bundle. One that [`verify`](super::verify()) gave is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Grows with each release: a device refuses a bundle of a lower counter than one it has used.
    pub counter: u64,
    /// The key that signed it.
    pub signer: PublicKey,
    /// Bytes of the whole bundle.
    pub len: u32,
    pub(super) parts: [Part; PARTS_MAX],
    pub(super) count: usize,
}

impl Header {
    /// The parts, in the order of their kinds.
    pub fn parts(&self) -> &[Part] {
        &self.parts[..self.count]
    }

    /// Where the part of a kind lies; `None` where the bundle has none.
    pub fn part(&self, kind: PartKind) -> Option<Range<u32>> {
        self.parts().iter().find(|part| part.kind == kind as u16).map(Part::range)
    }

    /// As [`Header::part`], of a part that is needed.
    ///
    /// # Errors
    /// [`BundleError::Missing`].
    pub fn needed(&self, kind: PartKind) -> Result<Range<u32>, BundleError> {
        self.part(kind).ok_or(BundleError::Missing { kind })
    }

    /// Bytes before the signature.
    pub(super) const fn signed_len(count: usize) -> usize {
        HEADER_LEN + count * PART_LEN
    }

    /// Writes what is signed; gives its length.
    pub(super) fn write(&self, bytes: &mut [u8; Self::signed_len(PARTS_MAX)]) -> usize {
        bytes.fill(0);
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10..12].copy_from_slice(&(self.count as u16).to_le_bytes());
        bytes[12..16].copy_from_slice(&self.len.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.counter.to_le_bytes());
        bytes[24..56].copy_from_slice(&self.signer.0);
        for (entry, part) in bytes[HEADER_LEN..].chunks_exact_mut(PART_LEN).zip(self.parts()) {
            entry.copy_from_slice(&part.to_bytes());
        }
        Self::signed_len(self.count)
    }

    /// The number of parts, of a bundle of `len` bytes that says it is one and how long it is.
    pub(super) fn count_of(bytes: &[u8; HEADER_LEN], len: u32) -> Result<usize, BundleError> {
        if bytes[..8] != MAGIC {
            return Err(BundleError::NotABundle);
        }
        match u16::from_le_bytes(field(bytes, 8)) {
            VERSION => {}
            found => return Err(BundleError::Version { found }),
        }
        let stated = u32::from_le_bytes(field(bytes, 12));
        if stated != len || len > BUNDLE_LEN_MAX {
            return Err(BundleError::Length { found: len, stated });
        }
        match u16::from_le_bytes(field(bytes, 10)) {
            found @ 1..=16 => Ok(found.into()),
            found => Err(BundleError::Parts { found }),
        }
    }

    /// The counter that a bundle says it has, for whoever decides whether it is worth sending; `None` where it is none.
    pub fn claimed_counter(bundle: &[u8]) -> Option<u64> {
        let first = bundle.first_chunk::<HEADER_LEN>()?;
        Self::count_of(first, u32::try_from(bundle.len()).ok()?).ok()?;
        Some(u64::from_le_bytes(field(first, 16)))
    }

    /// The key that is said to have signed it.
    pub(super) fn signer_of(bytes: &[u8; HEADER_LEN]) -> PublicKey {
        PublicKey(field(bytes, 24))
    }

    /// Reads what was signed, `signed_len(count)` bytes.
    pub(super) fn read(bytes: &[u8], count: usize) -> Result<Self, BundleError> {
        let mut header = Self {
            counter: u64::from_le_bytes(field(bytes, 16)),
            signer: PublicKey(field(bytes, 24)),
            len: u32::from_le_bytes(field(bytes, 12)),
            parts: [EMPTY; PARTS_MAX],
            count,
        };
        if bytes[56..HEADER_LEN] != [0; HEADER_LEN - 56] {
            return Err(BundleError::NotABundle);
        }
        for (index, entry) in bytes[HEADER_LEN..].as_chunks::<PART_LEN>().0.iter().enumerate() {
            header.parts[index] = Part::from_bytes(entry).ok_or(BundleError::Place { part: index as u16 })?;
        }
        header.check_places()?;
        Ok(header)
    }

    /// Each part has its only place, and stands once: kinds rise.
    fn check_places(&self) -> Result<(), BundleError> {
        let (mut kind, mut end) = (0, (Self::signed_len(self.count) + SIGNATURE_LEN) as u32);
        for (index, part) in self.parts().iter().enumerate() {
            let begins = part.offset == end.next_multiple_of(ALIGNMENT);
            let ends = part.offset.checked_add(part.len).filter(|&end| end <= self.len);
            match ends {
                Some(found) if begins && part.kind > kind => (kind, end) = (part.kind, found),
                _ => return Err(BundleError::Place { part: index as u16 }),
            }
        }
        if end == self.len { Ok(()) } else { Err(BundleError::Length { found: end, stated: self.len }) }
    }
}

pub(super) const EMPTY: Part = Part { kind: 0, offset: 0, len: 0, sha256: [0; 32] };

/// The bytes of a field that lies within `bytes`.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}
