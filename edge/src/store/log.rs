//! The log: blocks of flash in a ring, records in the blocks. This file reads; `append.rs` writes.
//!
//! N erase blocks. The blocks of the log follow each other on the flash, cyclically, from the tail to the head; at least
//! one block is not in the log.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlashError;

use super::layout::{self, Entry, Geometry, HEADER_LEN, Header, Opening, PREFIX, SMALL};
use super::{Flash, StoreError};

/// The newest block and how far the log reaches back from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) block: u32,
    pub(super) seq: u32,
    /// Number of the oldest block.
    pub(super) tail: u32,
    /// Offset at which the records of the newest block end.
    pub(super) end: u32,
    /// Whether what follows is erased.
    pub(super) open: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub(super) seq: u32,
    pub(super) offset: u32,
}

/// Records whose end is looked for in one scan.
const BATCH: usize = 16;

/// Records that were found, and those of them that still say something.
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

    /// Takes those away that `later` makes an end of.
    fn end(&mut self, later: &Entry) {
        for place in &mut self.found[..self.count] {
            if place.is_some_and(|entry| later.ends(&entry)) {
                *place = None;
            }
        }
    }

    /// Whether any still says something.
    pub(super) fn is_live(&self) -> bool {
        self.live().next().is_some()
    }

    /// Those that still say something, in their order.
    pub(super) fn live(&self) -> impl Iterator<Item = &Entry> {
        self.found.iter().flatten()
    }
}

pub(super) struct Log<'m, F> {
    pub(super) flash: F,
    pub(super) geometry: Geometry,
    /// A mark and a record: `[buffer_len]`.
    pub(super) buffer: &'m mut [u8],
    pub(super) identity: [u8; 16],
    pub(super) head: Head,
    /// The flash failed where only reading it anew tells what it holds.
    pub(super) uncertain: bool,
    /// Since the first use of the store.
    pub(super) erases: u32,
    /// Since the first use of the store.
    pub(super) programmed: u64,
}

impl<'m, F: Flash> Log<'m, F> {
    /// A log over memory that the caller lends; [`Self::find_head`] comes next.
    pub(super) fn new(flash: F, range: &Range<u32>, dim: usize, buffer: &'m mut [u8]) -> Result<Self, StoreError> {
        let geometry = Geometry::new(&flash, range, dim)?;
        let needed = layout::buffer_len::<F>(dim);
        if buffer.len() < needed {
            return Err(StoreError::Buffer { found: buffer.len(), needed });
        }
        let head = Head { block: geometry.blocks - 1, seq: 0, tail: 0, end: 0, open: false };
        let identity = [0; 16];
        Ok(Self { flash, geometry, buffer, identity, head, uncertain: false, erases: 0, programmed: 0 })
    }

    /// Reads the log from tail to head and checks every byte of it; gives the header of its newest block, `None` where
    /// the flash is erased. Writes nothing.
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
        // The log never takes the last free block but while the oldest one is being freed.
        if reach == self.geometry.blocks - 1 && done {
            self.head.tail += 1;
        } else if reach == self.geometry.blocks - 1 {
            // The newest block holds copies only, and perhaps not all: it does not count, and is erased before its next use.
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

    /// A flash without a header is taken for a new store only where all of it is erased, except for what an interrupted
    /// first use may have left: a part of the first header.
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

    /// Reads the log anew and checks every byte of it: it ends where the last commit left it.
    pub(super) fn recheck(&mut self) -> Result<(), StoreError> {
        let at = self.geometry.address(0);
        self.flash.refresh().map_err(|error| StoreError::Flash { at, kind: error.kind() })?;
        match self.chain_end()? == self.head.end {
            true => Ok(()),
            false => Err(StoreError::Damaged { at: self.block_at(self.head.seq) }),
        }
    }

    /// Checks headers and records from tail to head; gives the offset at which those of the newest block end.
    fn chain_end(&mut self) -> Result<u32, StoreError> {
        let mut end = None;
        for seq in self.head.tail..=self.head.seq {
            let header = self.header_of(seq)?;
            let at = self.block_at(seq);
            // What began anew has nothing before it: [`Self::finish_anew`] would erase a part of the log.
            let reaches_too_far = seq != self.head.tail && is_anew(&header);
            let follows = end.is_none_or(|end| end == header.previous_end);
            if header.identity != self.identity || reaches_too_far || !follows {
                return Err(StoreError::Damaged { at });
            }
            end = Some(self.check_records(seq)?);
        }
        Ok(end.unwrap_or(self.geometry.record_start()))
    }

    /// Checks the records of a block; gives the offset at which they end.
    fn check_records(&mut self, seq: u32) -> Result<u32, StoreError> {
        let mut offset = self.geometry.record_start();
        while let Some(entry) = self.entry(Cursor { seq, offset })? {
            self.load(&entry)?;
            offset += self.geometry.stride(entry.len);
        }
        Ok(offset)
    }

    /// The header of a block of the log.
    fn header_of(&mut self, seq: u32) -> Result<Header, StoreError> {
        let at = self.block_at(seq);
        let block = (at - self.geometry.address(0)) / self.geometry.block_len;
        self.header(block)?.filter(|header| header.seq == seq).ok_or(StoreError::Damaged { at })
    }

    /// The header of any block: one of its two copies.
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

    /// Address of the block with number `seq`, one of the log.
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

    /// The next record at or after `cursor`, which moves behind it. Each turn reaches a later record or a later block.
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

    /// The record at `cursor`, `None` behind the last one of a block.
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

    /// The next records at or after `cursor` for which `is_it` holds, and which of them still say something; `None` where
    /// there are no more. `cursor` moves behind those that were looked at.
    ///
    /// Whether a record still says something is decided by all that follow it, so one scan decides for a batch of them.
    pub(super) fn next_batch(
        &mut self,
        cursor: &mut Cursor,
        is_it: impl Fn(&Entry) -> bool,
    ) -> Result<Option<Batch>, StoreError> {
        let mut batch = Batch::EMPTY;
        while batch.count < BATCH
            && let Some(entry) = self.next(cursor)?
        {
            batch.end(&entry);
            if entry.lasts() && is_it(&entry) {
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
            batch.end(&entry);
        }
        Ok(Some(batch))
    }

    /// The live record for which `is_it` holds; it holds for records about one and the same thing.
    pub(super) fn find(&mut self, is_it: impl Fn(&Entry) -> bool) -> Result<Option<Entry>, StoreError> {
        let (mut cursor, mut found) = (self.start(), None::<Entry>);
        while let Some(entry) = self.next(&mut cursor)? {
            if found.is_some_and(|found| entry.ends(&found)) {
                found = None;
            }
            if is_it(&entry) && entry.lasts() {
                found = Some(entry);
            }
        }
        Ok(found)
    }

    /// Reads a record into the buffer and checks it; gives its payload.
    pub(super) fn load(&mut self, entry: &Entry) -> Result<&[u8], StoreError> {
        let unit = self.geometry.unit as usize;
        let record = layout::RECORD_HEAD + entry.len;
        let padded = self.geometry.round(record) as usize;
        // A record is longer than the buffer only where the flash holds features of another dimension.
        let Some(place) = self.buffer.get_mut(unit..unit + padded) else {
            return Err(StoreError::Damaged { at: entry.at });
        };
        read(&mut self.flash, entry.at + self.geometry.unit, place)?;
        let record = &place[..record];
        match layout::is_whole(record, entry.seq) && record[3] == entry.slot {
            true => Ok(&self.buffer[unit + layout::RECORD_HEAD..][..entry.len]),
            false => Err(StoreError::Damaged { at: entry.at }),
        }
    }

    pub(super) fn marked(&mut self, at: u32) -> Result<bool, StoreError> {
        Ok(layout::is_set(&self.read_small(at, 4)?))
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
        // What is read in whole read sizes stays inside the block: it ends at a multiple of them.
        let len = len.next_multiple_of(F::READ_SIZE);
        read(&mut self.flash, at, &mut bytes[..len])?;
        Ok(bytes)
    }
}

fn read<F: Flash>(flash: &mut F, at: u32, bytes: &mut [u8]) -> Result<(), StoreError> {
    flash.read(at, bytes).map_err(|error| StoreError::Flash { at, kind: error.kind() })
}

/// Whether a header makes everything before it void.
pub(super) fn is_anew(header: &Header) -> bool {
    header.opening == Opening::Anew
}
