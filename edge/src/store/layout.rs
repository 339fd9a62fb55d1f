//! The bytes of a block's header and of a record. `docs/store-format.md` draws them.

use core::ops::Range;

use crc::{CRC_32_ISO_HDLC, Crc, Table};

use super::{Flash, StoreError};
use crate::support_set::SourceId;

/// The format that is written. Older ones are read; there is none yet.
pub(super) const VERSION: u16 = 1;
/// Longest setting, in bytes.
pub const SETTING_MAX: usize = 128;

const MAGIC: [u8; 4] = *b"MCST";
const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// Bytes of a header without padding.
pub(super) const HEADER_LEN: usize = 52;
const HEADER_CRC: usize = 48;
/// Bytes of a record before its payload.
pub(super) const RECORD_HEAD: usize = 8;
/// Bytes that tell what a record is about: its head and, for a support, its source.
pub(super) const PREFIX: usize = RECORD_HEAD + size_of::<SourceId>();
/// Bytes of a support's payload before its feature.
pub(super) const SUPPORT_HEAD: usize = 28;
/// Largest unit, and most bytes that are read onto the stack.
pub(super) const SMALL: usize = 64;
const UNIT_MAX: usize = 256;

/// How a block comes to be the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Opening {
    /// The log goes on from the block before.
    Next = 0,
    /// Everything before is void: a new store, or a factory reset.
    Anew = 1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) opening: Opening,
    pub(super) identity: [u8; 16],
    /// Number of the block in the log; no two blocks of a log have the same.
    pub(super) seq: u32,
    /// Number of the oldest block of the log when this one was opened.
    pub(super) tail: u32,
    /// Where the records of the block before end, as an offset in it.
    pub(super) previous_end: u32,
    /// Erases of the store's blocks since its first use, with the one that made this block free.
    pub(super) erases: u32,
    /// Bytes programmed since its first use, before this header.
    pub(super) programmed: u64,
}

impl Header {
    /// Writes the header into `bytes`, `[HEADER_LEN]`.
    pub(super) fn write(&self, bytes: &mut [u8]) {
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        bytes[6..8].copy_from_slice(&[self.opening as u8, 0]);
        bytes[8..24].copy_from_slice(&self.identity);
        for (index, number) in [self.seq, self.tail, self.previous_end, self.erases].into_iter().enumerate() {
            bytes[24 + 4 * index..][..4].copy_from_slice(&number.to_le_bytes());
        }
        bytes[40..48].copy_from_slice(&self.programmed.to_le_bytes());
        let crc = CRC.checksum(&bytes[..HEADER_CRC]);
        bytes[HEADER_CRC..HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads a header, `None` where there is no whole one. `bytes`: at least `HEADER_LEN`.
    ///
    /// Magic, version and checksum stay where they are in all versions, so that a later one is known as such.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, StoreError> {
        if bytes[..4] != MAGIC || u32_at(bytes, HEADER_CRC) != CRC.checksum(&bytes[..HEADER_CRC]) {
            return Ok(None);
        }
        let found = u16::from_le_bytes([bytes[4], bytes[5]]);
        if found > VERSION {
            return Err(StoreError::NewerVersion { found, limit: VERSION });
        }
        let opening = match bytes[6] {
            0 => Opening::Next,
            1 => Opening::Anew,
            _ => return Ok(None),
        };
        let [seq, tail, previous_end, erases] = [24, 28, 32, 36].map(|at| u32_at(bytes, at));
        let programmed = u64::from(u32_at(bytes, 40)) | u64::from(u32_at(bytes, 44)) << 32;
        // The last number is never written, so that one more can always be told from it.
        if found == 0 || tail > seq || seq == u32::MAX || opening == Opening::Anew && tail != seq {
            return Ok(None);
        }
        let mut identity = [0; 16];
        identity.copy_from_slice(&bytes[8..24]);
        Ok(Some(Self { opening, identity, seq, tail, previous_end, erases, programmed }))
    }
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// A class has this name.
    Class = 1,
    /// A class is gone, with its supports.
    RemoveClass = 2,
    /// A support.
    Learn = 3,
    /// A support is gone.
    Forget = 4,
    /// A setting has this value; without a value it has none.
    Setting = 5,
}

/// A record's place and what it is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Slot of the class, or key of the setting.
    pub(super) slot: u8,
    /// Bytes of its payload.
    pub(super) len: usize,
    /// For a support, learned or forgotten.
    pub(super) source: SourceId,
    /// Address of its mark.
    pub(super) at: u32,
    /// Number of its block.
    pub(super) seq: u32,
    /// Offset of its mark in its block.
    pub(super) offset: u32,
}

impl Entry {
    /// Reads what a record is about from its first [`PREFIX`] bytes.
    pub(super) fn read(prefix: &[u8], at: u32, seq: u32, offset: u32) -> Result<Self, StoreError> {
        let len = usize::from(u16::from_le_bytes([prefix[0], prefix[1]]));
        let (kind, allowed) = match prefix[2] {
            1 => (Kind::Class, (1..=crate::support_set::CLASS_NAME_MAX).contains(&len)),
            2 => (Kind::RemoveClass, len == 0),
            3 => (Kind::Learn, len > SUPPORT_HEAD && len.is_multiple_of(2)),
            4 => (Kind::Forget, len == size_of::<SourceId>()),
            5 => (Kind::Setting, len <= SETTING_MAX),
            _ => return Err(StoreError::Damaged { at }),
        };
        if !allowed {
            return Err(StoreError::Damaged { at });
        }
        let mut source = [0; 16];
        if matches!(kind, Kind::Learn | Kind::Forget) {
            source.copy_from_slice(&prefix[RECORD_HEAD..PREFIX]);
        }
        Ok(Self { kind, slot: prefix[3], len, source, at, seq, offset })
    }

    /// Whether this record, being later, makes an end of `earlier`.
    pub(super) fn ends(&self, earlier: &Self) -> bool {
        match (earlier.kind, self.kind) {
            (Kind::Learn, Kind::Learn | Kind::Forget) => self.source == earlier.source,
            (Kind::Learn, Kind::RemoveClass) => self.slot == earlier.slot,
            (Kind::Class, Kind::Class | Kind::RemoveClass) => self.slot == earlier.slot,
            (Kind::Setting, Kind::Setting) => self.slot == earlier.slot,
            _ => false,
        }
    }

    /// Whether it says something by itself. The others end what is earlier than they are, so nothing is left for them
    /// to do once they are the oldest.
    pub(super) fn lasts(&self) -> bool {
        match self.kind {
            Kind::Class | Kind::Learn => true,
            Kind::Setting => self.len > 0,
            Kind::RemoveClass | Kind::Forget => false,
        }
    }
}

/// Fills a record's head; its payload stands behind it already. `record`: `[RECORD_HEAD + payload]`.
pub(super) fn seal(record: &mut [u8], seq: u32, kind: Kind, slot: u8) {
    let len = record.len() - RECORD_HEAD;
    record[..2].copy_from_slice(&(len as u16).to_le_bytes());
    record[2..4].copy_from_slice(&[kind as u8, slot]);
    let crc = record_crc(record, seq);
    record[4..RECORD_HEAD].copy_from_slice(&crc.to_le_bytes());
}

/// Whether a record is what was written in block `seq`.
pub(super) fn is_whole(record: &[u8], seq: u32) -> bool {
    u32_at(record, 4) == record_crc(record, seq)
}

/// The number of the block is in the checksum: what an unfinished erase left of an earlier use is no record.
fn record_crc(record: &[u8], seq: u32) -> u32 {
    let mut digest = CRC.digest();
    digest.update(&seq.to_le_bytes());
    digest.update(&record[..4]);
    digest.update(&record[RECORD_HEAD..]);
    digest.finalize()
}

/// Whether the first word of a mark is set. Half of its bits decide, so that one that rots changes nothing.
pub(super) fn is_set(mark: &[u8]) -> bool {
    u32_at(mark, 0).count_zeros() >= 16
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Where things lie on the flash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    base: u32,
    pub(super) block_len: u32,
    pub(super) blocks: u32,
    /// Whatever is written begins and ends at a multiple of it.
    pub(super) unit: u32,
}

impl Geometry {
    /// Checks that a store of supports with `dim` dimensions can lie in `range`.
    pub(super) fn new<F: Flash>(flash: &F, range: &Range<u32>, dim: usize) -> Result<Self, StoreError> {
        let refuse = |what, found, needed| Err(StoreError::Geometry { what, found, needed });
        let unit = unit::<F>();
        for size in [F::READ_SIZE, F::WRITE_SIZE, F::ERASE_SIZE] {
            if !size.is_power_of_two() {
                return refuse("a size that is no power of two", size, size.next_power_of_two());
            }
        }
        if F::READ_SIZE > SMALL || unit > UNIT_MAX {
            return refuse("the read or write size", unit, SMALL);
        }
        if range.end as usize > flash.capacity() || range.start > range.end {
            return refuse("the end of the range", range.end as usize, flash.capacity());
        }
        for edge in [range.start, range.end] {
            if !(edge as usize).is_multiple_of(F::ERASE_SIZE) {
                return refuse(
                    "an edge of the range that is no multiple of the erase size",
                    edge as usize,
                    F::ERASE_SIZE,
                );
            }
        }
        let blocks = (range.end - range.start) / F::ERASE_SIZE as u32;
        if blocks < 2 {
            return refuse("the number of erase blocks", blocks as usize, 2);
        }
        let geometry = Self { base: range.start, block_len: F::ERASE_SIZE as u32, blocks, unit: unit as u32 };
        let needed = geometry.record_start() + geometry.stride((SUPPORT_HEAD + 2 * dim).max(SETTING_MAX)) * 5 / 2;
        if geometry.block_len < needed {
            return refuse("the erase size", F::ERASE_SIZE, needed as usize);
        }
        Ok(geometry)
    }

    /// Rounds up to whole units.
    pub(super) fn round(&self, len: usize) -> u32 {
        (len as u32).next_multiple_of(self.unit)
    }

    /// Address of block `block`.
    pub(super) fn address(&self, block: u32) -> u32 {
        self.base + block * self.block_len
    }

    /// Offset of the mark that says that a block's opening is finished; the two copies of the header lie before it.
    pub(super) fn done_mark(&self) -> u32 {
        2 * self.round(HEADER_LEN)
    }

    /// Offset of the first record in a block.
    pub(super) fn record_start(&self) -> u32 {
        self.done_mark() + self.unit
    }

    /// Bytes that a record with a payload of `len` takes, with its mark.
    pub(super) fn stride(&self, len: usize) -> u32 {
        self.unit + self.round(RECORD_HEAD + len)
    }

    /// Bytes for records in a block.
    pub(super) fn payload(&self) -> u32 {
        self.block_len - self.record_start()
    }
}

const fn unit<F: Flash>() -> usize {
    let unit = if F::READ_SIZE > F::WRITE_SIZE { F::READ_SIZE } else { F::WRITE_SIZE };
    if unit > 4 { unit } else { 4 }
}

/// Bytes of buffer that a store of supports with `dim` dimensions needs on flash `F`.
pub const fn buffer_len<F: Flash>(dim: usize) -> usize {
    let unit = unit::<F>();
    let support = SUPPORT_HEAD + 2 * dim;
    let payload = if support > SETTING_MAX { support } else { SETTING_MAX };
    let record = unit + (RECORD_HEAD + payload).next_multiple_of(unit);
    let header = 2 * HEADER_LEN.next_multiple_of(unit);
    if record > header { record } else { header }
}
