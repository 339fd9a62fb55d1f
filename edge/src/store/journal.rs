//! The journal: a ring of erase blocks that hold records. This file reads; `append.rs` and `compaction.rs` write.
//!
//! N erase blocks. The blocks of the journal follow each other on the flash, cyclically, from the tail (the oldest) to the
//! head (the newest); at least one block is not in the journal.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlashError;

use super::format::{self, Entry, HEADER_LEN, Header, Opening, PREFIX, RECORD_HEAD, record};
use super::geometry::{Geometry, SMALL, buffer_len_of};
use super::{Flash, StoreError};

/// The newest block and how far the journal reaches back from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) block: u32,
    pub(super) seq: u32,
    /// Sequence number of the oldest block.
    pub(super) tail: u32,
    /// Offset behind the last record of the newest block.
    pub(super) end: u32,
    /// Whether the rest of the block is erased, so that records can be added.
    pub(super) open: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub(super) seq: u32,
    pub(super) offset: u32,
}

/// Records for which one scan finds out whether they are superseded.
const BATCH: usize = 16;

/// Records that were found, without those that later records supersede.
pub(super) struct Batch {
    found: [Option<Entry>; BATCH],
    count: usize,
}

impl Batch {
    const EMPTY: Self = Self { found: [None; BATCH], count: 0 };

    fn push(&mut self, entry: Entry) {
        if let Some(place) = self.found.get_mut(self.count) {
            *place = Some(entry);
            self.count += 1;
        }
    }

    /// Removes the records that `later` supersedes.
    fn remove_superseded(&mut self, later: &Entry) {
        for place in &mut self.found[..self.count] {
            if place.is_some_and(|entry| later.supersedes(&entry)) {
                *place = None;
            }
        }
    }

    /// Whether any record is live.
    pub(super) fn is_live(&self) -> bool {
        self.live().next().is_some()
    }

    /// The live records, in the order of the journal.
    pub(super) fn live(&self) -> impl Iterator<Item = &Entry> {
        self.found.iter().flatten()
    }
}

pub(super) struct Journal<'m, F> {
    pub(super) flash: F,
    pub(super) geometry: Geometry,
    /// Room for a mark and a record: `[buffer_len]`.
    pub(super) buffer: &'m mut [u8],
    pub(super) identity: [u8; 16],
    pub(super) head: Head,
    /// Whether the flash failed in the middle of a commit: only [`Self::find_head`] can tell its content.
    pub(super) uncertain: bool,
    /// Erases since the first use of the store.
    pub(super) erases: u32,
    /// Bytes programmed since the first use of the store.
    pub(super) programmed: u64,
}

impl<'m, F: Flash> Journal<'m, F> {
    /// A journal that has not been read yet: call [`Self::find_head`] next.
    pub(super) fn new(flash: F, range: &Range<u32>, dim: usize, buffer: &'m mut [u8]) -> Result<Self, StoreError> {
        let geometry = Geometry::new(&flash, range, dim)?;
        let needed = buffer_len_of(flash.sizes(), dim);
        if buffer.len() < needed {
            return Err(StoreError::Buffer { found: buffer.len(), needed });
        }
        let head = Head { block: geometry.blocks - 1, seq: 0, tail: 0, end: 0, open: false };
        let identity = [0; 16];
        Ok(Self { flash, geometry, buffer, identity, head, uncertain: false, erases: 0, programmed: 0 })
    }

    /// Reads the journal from tail to head and checks every byte of it. Returns the header of the newest block, or `None`
    /// when the flash is erased. Writes nothing.
    pub(super) fn find_head(&mut self) -> Result<Option<Header>, StoreError> {
        let mut newest: Option<(u32, Header)> = None;
        for block in 0..self.geometry.blocks {
            if let Some(header) = self.header(block)?
                && newest.is_none_or(|(_, known)| header.seq > known.seq)
            {
                newest = Some((block, header));
            }
        }
        let Some((block, mut header)) = newest else {
            return self.check_erased().map(|()| None);
        };
        let (at, newest_seq) = (self.geometry.address(block), header.seq);
        (self.identity, self.erases) = (header.identity, header.erases);
        let done = self.marked(at + self.geometry.done_mark())?;
        let opening = self.geometry.done_mark() + if done { self.geometry.unit } else { 0 };
        self.programmed = header.programmed.saturating_add(u64::from(opening));
        self.head = Head { block, seq: header.seq, tail: header.tail, end: self.geometry.block_len, open: false };
        let reach = header.seq - header.tail;
        if reach >= self.geometry.blocks {
            return Err(StoreError::Damaged { at });
        }
        // The journal takes the last free block only while the oldest one is being freed.
        if reach == self.geometry.blocks - 1 && done {
            self.head.tail += 1;
        } else if reach == self.geometry.blocks - 1 {
            // The newest block holds copies, perhaps not all of them: it does not count and is erased before its next use.
            self.head.seq -= 1;
            self.head.block = (block + self.geometry.blocks - 1) % self.geometry.blocks;
            header = self.header_of(self.head.seq)?;
        }
        self.check_chain()?;
        if self.head.seq == newest_seq {
            let records = self.head.end - self.geometry.record_start();
            self.programmed = self.programmed.saturating_add(u64::from(records));
        }
        Ok(Some(header))
    }

    /// Flash without a header is a new store only when all of it is erased, except for the part of a first header that an
    /// interrupted first use may have left.
    fn check_erased(&mut self) -> Result<(), StoreError> {
        let (start, end) = (self.geometry.address(0), self.geometry.address(self.geometry.blocks));
        match self.is_erased(start + self.geometry.record_start(), end)? {
            true => Ok(()),
            false => Err(StoreError::NotAStore),
        }
    }

    fn check_chain(&mut self) -> Result<(), StoreError> {
        self.head.end = self.chain_end()?;
        let at = self.block_at(self.head.seq);
        self.head.open = self.is_erased(at + self.head.end, at + self.geometry.block_len)?;
        Ok(())
    }

    /// Reads the journal again and checks every byte of it and that it ends where the last commit ended.
    pub(super) fn recheck(&mut self) -> Result<(), StoreError> {
        let at = self.geometry.address(0);
        self.flash.refresh().map_err(|error| StoreError::Flash { at, kind: error.kind() })?;
        match self.chain_end()? == self.head.end {
            true => Ok(()),
            false => Err(StoreError::Damaged { at: self.block_at(self.head.seq) }),
        }
    }

    /// Checks headers and records from tail to head; returns the offset behind the last record of the newest block.
    fn chain_end(&mut self) -> Result<u32, StoreError> {
        let mut end = None;
        for seq in self.head.tail..=self.head.seq {
            let header = self.header_of(seq)?;
            let at = self.block_at(seq);
            // Nothing lies before a restart: [`Self::finish_restart`] would erase a part of the journal.
            let reaches_too_far = seq != self.head.tail && header.opening == Opening::Restart;
            let follows = end.is_none_or(|end| end == header.previous_end);
            if header.identity != self.identity || reaches_too_far || !follows {
                return Err(StoreError::Damaged { at });
            }
            end = Some(self.check_records(seq)?);
        }
        Ok(end.unwrap_or(self.geometry.record_start()))
    }

    /// Checks the records of a block; returns the offset behind the last one.
    fn check_records(&mut self, seq: u32) -> Result<u32, StoreError> {
        let mut offset = self.geometry.record_start();
        while let Some(entry) = self.entry(Cursor { seq, offset })? {
            self.load(&entry)?;
            offset += self.geometry.stride(entry.len);
        }
        Ok(offset)
    }

    /// The header of a block of the journal.
    fn header_of(&mut self, seq: u32) -> Result<Header, StoreError> {
        let at = self.block_at(seq);
        let block = (at - self.geometry.address(0)) / self.geometry.block_len;
        self.header(block)?.filter(|header| header.seq == seq).ok_or(StoreError::Damaged { at })
    }

    /// The header of any block, from one of its two copies.
    fn header(&mut self, block: u32) -> Result<Option<Header>, StoreError> {
        let at = self.geometry.address(block);
        for copy in [at, at + self.geometry.round(HEADER_LEN)] {
            let bytes = self.read_small(copy, HEADER_LEN)?;
            if let Some(header) = Header::read(&bytes)? {
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// Address of the journal's block with sequence number `seq`.
    pub(super) fn block_at(&self, seq: u32) -> u32 {
        let blocks = self.geometry.blocks;
        let back = (self.head.seq - seq) % blocks;
        self.geometry.address((self.head.block + blocks - back) % blocks)
    }

    /// The place before the first record.
    pub(super) fn start(&self) -> Cursor {
        Cursor { seq: self.head.tail, offset: self.geometry.record_start() }
    }

    /// The place behind `entry`.
    pub(super) fn behind(&self, entry: &Entry) -> Cursor {
        Cursor { seq: entry.seq, offset: entry.offset + self.geometry.stride(entry.len) }
    }

    /// The next record at or after `cursor`, which moves behind it.
    pub(super) fn next(&mut self, cursor: &mut Cursor) -> Result<Option<Entry>, StoreError> {
        while cursor.seq <= self.head.seq {
            if let Some(entry) = self.entry(*cursor)? {
                *cursor = self.behind(&entry);
                return Ok(Some(entry));
            }
            *cursor = Cursor { seq: cursor.seq + 1, offset: self.geometry.record_start() };
        }
        Ok(None)
    }

    /// The record at `cursor`; `None` behind the last record of a block.
    fn entry(&mut self, cursor: Cursor) -> Result<Option<Entry>, StoreError> {
        let Cursor { seq, offset } = cursor;
        let end = if seq == self.head.seq { self.head.end } else { self.geometry.block_len };
        if offset + self.geometry.stride(0) > end {
            return Ok(None);
        }
        let at = self.block_at(seq) + offset;
        if !self.marked(at)? {
            return Ok(None);
        }
        let readable = (end - offset - self.geometry.unit).min(PREFIX as u32);
        let prefix = self.read_small(at + self.geometry.unit, readable as usize)?;
        let entry = Entry::read(&prefix[..PREFIX], at, seq, offset)?;
        match offset + self.geometry.stride(entry.len) <= end {
            true => Ok(Some(entry)),
            false => Err(StoreError::Damaged { at }),
        }
    }

    /// The next records with data at or after `cursor` for which `matches` holds, without the superseded ones; `None` when
    /// there are no more. `cursor` moves behind the records that were examined.
    ///
    /// Any later record may supersede an earlier one, so one scan to the end decides for a whole batch.
    pub(super) fn next_batch(
        &mut self,
        cursor: &mut Cursor,
        matches: impl Fn(&Entry) -> bool,
    ) -> Result<Option<Batch>, StoreError> {
        let mut batch = Batch::EMPTY;
        while batch.count < BATCH
            && let Some(entry) = self.next(cursor)?
        {
            batch.remove_superseded(&entry);
            if entry.holds_data() && matches(&entry) {
                batch.push(entry);
            }
        }
        if batch.count == 0 {
            return Ok(None);
        }
        let mut later = *cursor;
        while batch.is_live()
            && let Some(entry) = self.next(&mut later)?
        {
            batch.remove_superseded(&entry);
        }
        Ok(Some(batch))
    }

    /// The live record for which `matches` holds. It must select one class, source or setting.
    pub(super) fn find(&mut self, matches: impl Fn(&Entry) -> bool) -> Result<Option<Entry>, StoreError> {
        let (mut cursor, mut found) = (self.start(), None::<Entry>);
        while let Some(entry) = self.next(&mut cursor)? {
            if found.is_some_and(|found| entry.supersedes(&found)) {
                found = None;
            }
            if matches(&entry) && entry.holds_data() {
                found = Some(entry);
            }
        }
        Ok(found)
    }

    /// Reads a record into the buffer and checks it; returns its payload.
    pub(super) fn load(&mut self, entry: &Entry) -> Result<&[u8], StoreError> {
        let unit = self.geometry.unit as usize;
        let len = RECORD_HEAD + entry.len;
        let padded = self.geometry.round(len) as usize;
        // Only a feature of another dimension makes a record longer than the buffer.
        let Some(place) = self.buffer.get_mut(unit..unit + padded) else {
            return Err(StoreError::Damaged { at: entry.at });
        };
        read(&mut self.flash, entry.at + self.geometry.unit, place)?;
        let bytes = &place[..len];
        match format::is_intact(bytes, entry.seq) && bytes[record::SLOT] == entry.slot {
            true => Ok(&self.buffer[unit + RECORD_HEAD..][..entry.len]),
            false => Err(StoreError::Damaged { at: entry.at }),
        }
    }

    /// Whether the mark at `at` is set.
    pub(super) fn marked(&mut self, at: u32) -> Result<bool, StoreError> {
        Ok(format::is_set(&self.read_small(at, 4)?))
    }

    /// Whether every bit from `from` to `to` is 1.
    pub(super) fn is_erased(&mut self, from: u32, to: u32) -> Result<bool, StoreError> {
        let mut at = from;
        while at < to {
            let len = (to - at).min(SMALL as u32) as usize;
            if self.read_small(at, len)?[..len].iter().any(|&byte| byte != 0xff) {
                return Ok(false);
            }
            at += len as u32;
        }
        Ok(true)
    }

    /// Reads `len` bytes, at most [`SMALL`]; the rest is 0xff.
    pub(super) fn read_small(&mut self, at: u32, len: usize) -> Result<[u8; SMALL], StoreError> {
        let mut bytes = [0xff; SMALL];
        // Rounding up to the read size stays inside the block, whose end is a multiple of it.
        let len = len.next_multiple_of(self.geometry.read);
        read(&mut self.flash, at, &mut bytes[..len])?;
        Ok(bytes)
    }
}

fn read<F: Flash>(flash: &mut F, at: u32, bytes: &mut [u8]) -> Result<(), StoreError> {
    flash.read(at, bytes).map_err(|error| StoreError::Flash { at, kind: error.kind() })
}
