//! The bytes of a block header and of a record. `docs/store-format.md` draws them.
//!
//! All numbers are little-endian. Each field's offset is a constant here; reader, writer and tests use the same one.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

use super::StoreError;
use crate::support_set::{CLASS_NAME_MAX, SourceId, SupportRecord};

/// The version that is written. Earlier versions are read; there is none yet.
pub const VERSION: u16 = 1;
/// Longest value of a setting, in bytes.
pub const SETTING_MAX: usize = 128;
/// The setting whose value begins with the slot of a class, and which is removed with that class: the operating point.
pub const OPERATING_POINT_KEY: u8 = 5;
/// First bytes of a header.
pub const MAGIC: [u8; 4] = *b"MCST";

/// Bytes of a header without padding.
pub const HEADER_LEN: usize = header::CRC + 4;

/// Offsets of the fields in a header.
pub mod header {
    /// Format version, `u16`.
    pub const VERSION: usize = 4;
    /// 0 the journal continues, 1 it restarts here; then a byte that is 0.
    pub const OPENING: usize = 6;
    /// Identity of the encoder whose features are kept.
    pub const IDENTITY: usize = 8;
    /// Sequence number of the block, `u32`.
    pub const SEQ: usize = 24;
    /// Sequence number of the oldest block, `u32`.
    pub const TAIL: usize = 28;
    /// Where the records of the block before end, `u32`.
    pub const PREVIOUS_END: usize = 32;
    /// Erases of all blocks, `u32`.
    pub const ERASES: usize = 36;
    /// Bytes programmed, `u64`.
    pub const PROGRAMMED: usize = 40;
    /// CRC-32 of everything before.
    pub const CRC: usize = 48;
}

/// Bytes of a record before its payload.
pub const RECORD_HEAD: usize = record::CRC + 4;

/// Offsets of the fields in a record, behind its mark.
pub mod record {
    /// Bytes of the payload, `u16`.
    pub const LEN: usize = 0;
    /// Number of the kind.
    pub const KIND: usize = 2;
    /// Slot of the class, or key of the setting.
    pub const SLOT: usize = 3;
    /// CRC-32 of the block's sequence number, the fields before and the payload.
    pub const CRC: usize = 4;
}

/// Bytes of a support's payload before its feature.
pub const SUPPORT_HEAD: usize = support::FEATURE;

/// Offsets of the fields in a support's payload; the source comes first.
pub mod support {
    /// Number of the operator, `u32`.
    pub const OPERATOR: usize = 16;
    /// Seconds since 1970, `u64`.
    pub const TIME: usize = 20;
    /// The feature, `[D]` of `i16`.
    pub const FEATURE: usize = 28;
}

/// Bytes that identify the subject of a record: its head and, for a support, its source.
pub(super) const PREFIX: usize = RECORD_HEAD + size_of::<SourceId>();

const CRC32: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// How a block becomes the newest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Opening {
    /// The journal continues from the block before.
    Continue = 0,
    /// Everything before is void: a new store, a factory reset or another encoder.
    Restart = 1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) opening: Opening,
    pub(super) identity: [u8; 16],
    /// Sequence number of the block; no two blocks of a journal have the same.
    pub(super) seq: u32,
    /// Sequence number of the oldest block of the journal when this one was opened.
    pub(super) tail: u32,
    /// Where the records of the block before end, as an offset in it.
    pub(super) previous_end: u32,
    /// Erases of the store's blocks since its first use, with the erase that freed this block.
    pub(super) erases: u32,
    /// Bytes programmed since its first use, before this header.
    pub(super) programmed: u64,
}

impl Header {
    /// Writes the header into `bytes`, `[HEADER_LEN]`.
    pub(super) fn write(&self, bytes: &mut [u8]) {
        bytes[..header::VERSION].copy_from_slice(&MAGIC);
        bytes[header::VERSION..header::OPENING].copy_from_slice(&VERSION.to_le_bytes());
        bytes[header::OPENING..header::IDENTITY].copy_from_slice(&[self.opening as u8, 0]);
        bytes[header::IDENTITY..header::SEQ].copy_from_slice(&self.identity);
        for (at, number) in [
            (header::SEQ, self.seq),
            (header::TAIL, self.tail),
            (header::PREVIOUS_END, self.previous_end),
            (header::ERASES, self.erases),
        ] {
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        bytes[header::PROGRAMMED..header::CRC].copy_from_slice(&self.programmed.to_le_bytes());
        let crc = CRC32.checksum(&bytes[..header::CRC]);
        bytes[header::CRC..HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads a header; `None` when the bytes hold no complete one. `bytes`: at least `HEADER_LEN`.
    ///
    /// Magic, version and checksum keep their offsets in all versions, so that a later version is recognised.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, StoreError> {
        let crc = CRC32.checksum(&bytes[..header::CRC]);
        if bytes[..header::VERSION] != MAGIC || u32_at(bytes, header::CRC) != crc {
            return Ok(None);
        }
        let found = u16::from_le_bytes([bytes[header::VERSION], bytes[header::VERSION + 1]]);
        if found > VERSION {
            return Err(StoreError::NewerVersion { found, limit: VERSION });
        }
        let opening = match bytes[header::OPENING] {
            0 => Opening::Continue,
            1 => Opening::Restart,
            _ => return Ok(None),
        };
        let [seq, tail, previous_end, erases] =
            [header::SEQ, header::TAIL, header::PREVIOUS_END, header::ERASES].map(|at| u32_at(bytes, at));
        let programmed = u64_at(bytes, header::PROGRAMMED);
        // The last number is never written, so a block after the newest always has a number.
        if found == 0 || tail > seq || seq == u32::MAX || opening == Opening::Restart && tail != seq {
            return Ok(None);
        }
        let mut identity = [0; 16];
        identity.copy_from_slice(&bytes[header::IDENTITY..header::SEQ]);
        Ok(Some(Self { opening, identity, seq, tail, previous_end, erases, programmed }))
    }
}

/// The kind of a record. Its number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// A class has this name.
    Class = 1,
    /// A class is removed, with its supports and the setting that belongs to it.
    RemoveClass = 2,
    /// A support is learned.
    Learn = 3,
    /// A support is forgotten.
    Forget = 4,
    /// A setting has this value; an empty value removes it.
    Setting = 5,
}

/// Place and subject of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Slot of the class, or key of the setting.
    pub(super) slot: u8,
    /// Bytes of its payload.
    pub(super) len: usize,
    /// The source of a support that is learned or forgotten.
    pub(super) source: SourceId,
    /// The class that a setting belongs to.
    pub(super) class: Option<u8>,
    /// Address of its mark.
    pub(super) at: u32,
    /// Sequence number of its block.
    pub(super) seq: u32,
    /// Offset of its mark in its block.
    pub(super) offset: u32,
}

impl Entry {
    /// Reads the subject of a record from its first [`PREFIX`] bytes.
    pub(super) fn read(prefix: &[u8], at: u32, seq: u32, offset: u32) -> Result<Self, StoreError> {
        let len = usize::from(u16::from_le_bytes([prefix[record::LEN], prefix[record::LEN + 1]]));
        let (kind, is_allowed) = match prefix[record::KIND] {
            1 => (Kind::Class, (1..=CLASS_NAME_MAX).contains(&len)),
            2 => (Kind::RemoveClass, len == 0),
            3 => (Kind::Learn, len > SUPPORT_HEAD && len.is_multiple_of(2)),
            4 => (Kind::Forget, len == size_of::<SourceId>()),
            5 => (Kind::Setting, len <= SETTING_MAX),
            _ => return Err(StoreError::Damaged { at }),
        };
        if !is_allowed {
            return Err(StoreError::Damaged { at });
        }
        let mut source = [0; 16];
        if matches!(kind, Kind::Learn | Kind::Forget) {
            source.copy_from_slice(&prefix[RECORD_HEAD..PREFIX]);
        }
        let slot = prefix[record::SLOT];
        let is_of_class = kind == Kind::Setting && slot == OPERATING_POINT_KEY && len > 0;
        let class = is_of_class.then_some(prefix[RECORD_HEAD]);
        Ok(Self { kind, slot, len, source, class, at, seq, offset })
    }

    /// Whether this later record makes `earlier` obsolete.
    pub(super) fn supersedes(&self, earlier: &Self) -> bool {
        match (earlier.kind, self.kind) {
            (Kind::Learn, Kind::Learn | Kind::Forget) => self.source == earlier.source,
            (Kind::Learn, Kind::RemoveClass) => self.slot == earlier.slot,
            (Kind::Class, Kind::Class | Kind::RemoveClass) => self.slot == earlier.slot,
            (Kind::Setting, Kind::Setting) => self.slot == earlier.slot,
            (Kind::Setting, Kind::RemoveClass) => earlier.class == Some(self.slot),
            _ => false,
        }
    }

    /// Whether the record holds data. A removal only supersedes earlier records, so compaction drops it with the oldest
    /// block.
    pub(super) fn holds_data(&self) -> bool {
        match self.kind {
            Kind::Class | Kind::Learn => true,
            Kind::Setting => self.len > 0,
            Kind::RemoveClass | Kind::Forget => false,
        }
    }
}

/// Fills the head of a record whose payload is in place. `record`: `[RECORD_HEAD + payload]`.
pub(super) fn seal(record: &mut [u8], seq: u32, kind: Kind, slot: u8) {
    let len = (record.len() - RECORD_HEAD) as u16;
    record[record::LEN..record::KIND].copy_from_slice(&len.to_le_bytes());
    record[record::KIND..record::CRC].copy_from_slice(&[kind as u8, slot]);
    let crc = record_crc(record, seq);
    record[record::CRC..RECORD_HEAD].copy_from_slice(&crc.to_le_bytes());
}

/// Whether a record of block `seq` matches its checksum.
pub(super) fn is_intact(record: &[u8], seq: u32) -> bool {
    u32_at(record, record::CRC) == record_crc(record, seq)
}

/// The checksum covers the block's sequence number, so remains of an unfinished erase are not taken for records.
fn record_crc(record: &[u8], seq: u32) -> u32 {
    let mut digest = CRC32.digest();
    digest.update(&seq.to_le_bytes());
    digest.update(&record[..record::CRC]);
    digest.update(&record[RECORD_HEAD..]);
    digest.finalize()
}

/// Whether a mark is set. Half of the bits of its first word decide, so that one flipped bit changes nothing.
pub(super) fn is_set(mark: &[u8]) -> bool {
    u32_at(mark, 0).count_zeros() >= 16
}

/// Writes a support. `payload`: `[SUPPORT_HEAD + 2 D]`.
pub(super) fn write_support(payload: &mut [u8], record: &SupportRecord, feature: &[i16]) {
    payload[..support::OPERATOR].copy_from_slice(&record.source);
    payload[support::OPERATOR..support::TIME].copy_from_slice(&record.operator.to_le_bytes());
    payload[support::TIME..support::FEATURE].copy_from_slice(&record.time_s.to_le_bytes());
    for (bytes, value) in payload[support::FEATURE..].chunks_exact_mut(2).zip(feature) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
}

/// Reads a support of `class`.
pub(super) fn read_support(payload: &[u8], class: u8) -> (SupportRecord, impl ExactSizeIterator<Item = i16>) {
    let (operator, time_s) = (u32_at(payload, support::OPERATOR), u64_at(payload, support::TIME));
    let mut record = SupportRecord { class, operator, time_s, ..SupportRecord::EMPTY };
    record.source.copy_from_slice(&payload[..support::OPERATOR]);
    let feature = payload[support::FEATURE..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
    (record, feature)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
