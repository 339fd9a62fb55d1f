//! The header and the table of a bundle.

use core::ops::Range;

use super::BundleError;
use super::format::{
    ALIGNMENT, BUNDLE_LEN_MAX, HEADER_LEN, MAGIC, PART_LEN, PARTS_MAX, Part, PartKind, PublicKey, SIGNATURE_LEN,
    VERSION, field, header, signed_len,
};

/// Everything before the parts of a bundle. A header that [`verify`](super::verify()) returned can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Rises with each release: a device refuses a bundle with a lower counter than one that it has used.
    pub counter: u64,
    /// The key that signed the bundle.
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

    /// Where the part of a kind lies; `None` when the bundle has none.
    pub fn part(&self, kind: PartKind) -> Option<Range<u32>> {
        self.parts().iter().find(|part| part.kind == kind as u16).map(Part::range)
    }

    /// As [`Header::part`], for a part that is needed.
    ///
    /// # Errors
    /// [`BundleError::Missing`].
    pub fn needed(&self, kind: PartKind) -> Result<Range<u32>, BundleError> {
        self.part(kind).ok_or(BundleError::Missing { kind })
    }

    /// Writes the signed bytes; returns their number.
    pub(super) fn write(&self, bytes: &mut [u8; signed_len(PARTS_MAX)]) -> usize {
        bytes.fill(0);
        bytes[..header::VERSION].copy_from_slice(&MAGIC);
        bytes[header::VERSION..header::PARTS].copy_from_slice(&VERSION.to_le_bytes());
        bytes[header::PARTS..header::LEN].copy_from_slice(&(self.count as u16).to_le_bytes());
        bytes[header::LEN..header::COUNTER].copy_from_slice(&self.len.to_le_bytes());
        bytes[header::COUNTER..header::SIGNER].copy_from_slice(&self.counter.to_le_bytes());
        bytes[header::SIGNER..header::RESERVED].copy_from_slice(&self.signer.0);
        for (entry, part) in bytes[HEADER_LEN..].chunks_exact_mut(PART_LEN).zip(self.parts()) {
            entry.copy_from_slice(&part.to_bytes());
        }
        signed_len(self.count)
    }

    /// Checks magic, version and length of a bundle of `len` bytes; returns the number of parts.
    pub(super) fn count_of(bytes: &[u8; HEADER_LEN], len: u32) -> Result<usize, BundleError> {
        if bytes[..header::VERSION] != MAGIC {
            return Err(BundleError::NotABundle);
        }
        match u16::from_le_bytes(field(bytes, header::VERSION)) {
            VERSION => {}
            found => return Err(BundleError::Version { found }),
        }
        let stated = u32::from_le_bytes(field(bytes, header::LEN));
        if stated != len || len > BUNDLE_LEN_MAX {
            return Err(BundleError::Length { found: len, stated });
        }
        match u16::from_le_bytes(field(bytes, header::PARTS)) {
            found @ 1..=16 => Ok(found.into()),
            found => Err(BundleError::Parts { found }),
        }
    }

    /// The counter that a bundle states, unverified, to decide whether it is worth sending; `None` when it is no bundle.
    pub fn claimed_counter(bundle: &[u8]) -> Option<u64> {
        let first = bundle.first_chunk::<HEADER_LEN>()?;
        Self::count_of(first, u32::try_from(bundle.len()).ok()?).ok()?;
        Some(u64::from_le_bytes(field(first, header::COUNTER)))
    }

    /// The signer that the bundle states, unverified.
    pub(super) fn signer_of(bytes: &[u8; HEADER_LEN]) -> PublicKey {
        PublicKey(field(bytes, header::SIGNER))
    }

    /// Reads the signed bytes, `signed_len(count)` of them.
    pub(super) fn read(bytes: &[u8], count: usize) -> Result<Self, BundleError> {
        let mut read = Self {
            counter: u64::from_le_bytes(field(bytes, header::COUNTER)),
            signer: PublicKey(field(bytes, header::SIGNER)),
            len: u32::from_le_bytes(field(bytes, header::LEN)),
            parts: [Part::EMPTY; PARTS_MAX],
            count,
        };
        if bytes[header::RESERVED..HEADER_LEN].iter().any(|&byte| byte != 0) {
            return Err(BundleError::NotABundle);
        }
        for (index, entry) in bytes[HEADER_LEN..].as_chunks::<PART_LEN>().0.iter().enumerate() {
            read.parts[index] = Part::from_bytes(entry).ok_or(BundleError::Place { part: index as u16 })?;
        }
        read.check_places()?;
        Ok(read)
    }

    /// Checks that each part lies at its only place, and that kinds rise, so that none appears twice.
    fn check_places(&self) -> Result<(), BundleError> {
        let (mut kind, mut end) = (0, (signed_len(self.count) + SIGNATURE_LEN) as u32);
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
