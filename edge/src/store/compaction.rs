//! Opening blocks: compaction when the flash is full, and a restart of the whole journal.

use super::append::SET;
use super::format::{self, Entry, HEADER_LEN, Header, Kind, Opening, RECORD_HEAD};
use super::journal::{Head, Journal};
use super::{Flash, StoreError};

/// Content that a restarted journal keeps.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept<'v> {
    Nothing,
    /// The settings that belong to no class, one of them with another value.
    Settings(Option<(u8, &'v [u8])>),
}

impl<F: Flash> Journal<'_, F> {
    /// Opens blocks until a record of `stride` bytes fits into the newest.
    pub(super) fn make_room(&mut self, stride: u32) -> Result<(), StoreError> {
        // One pass per block compacts all of them.
        for _ in 0..=self.geometry.blocks {
            if self.head.open && self.head.end + stride <= self.geometry.block_len {
                return Ok(());
            }
            self.uncertain = true;
            self.advance()?;
            self.uncertain = false;
        }
        Err(StoreError::Full { needed: stride, free: 0 })
    }

    /// Opens the next block. If it was the last free one, compacts the oldest block into it and frees that.
    ///
    /// Blocks are used in turn, so their erases never differ by more than one (wear levelling).
    ///
    /// 1. The free block is erased and its header written: it is the newest from here on, without a record.
    /// 2. The live records of the oldest block are copied into it. A reader ignores such a block until its opening is
    ///    finished, so an interrupted copy does no harm: the originals are still in place.
    /// 3. The copies are synced. Then the mark says that the oldest block is no longer part of the journal. It is erased
    ///    when it is needed; its remains after an interrupted erase have a sequence number that is too old.
    fn advance(&mut self) -> Result<(), StoreError> {
        let (seq, block) = self.next_block()?;
        self.erase(block)?;
        self.write_header(block, Opening::Continue, seq, self.head.tail, self.programmed)?;
        let mut fresh = Head { block, seq, tail: self.head.tail, end: self.geometry.record_start(), open: true };
        if seq - self.head.tail == self.geometry.blocks - 1 {
            self.compact_oldest(&mut fresh)?;
            let at = self.geometry.address(block);
            self.sync(at)?;
            self.set_mark(at + self.geometry.done_mark())?;
            fresh.tail += 1;
        }
        self.head = fresh;
        Ok(())
    }

    /// Sequence number and place of the block after the newest one.
    fn next_block(&self) -> Result<(u32, u32), StoreError> {
        let (seq, block) = (self.head.seq + 1, (self.head.block + 1) % self.geometry.blocks);
        // The last number is never used: see `Header::read`.
        if seq == u32::MAX { Err(StoreError::Worn { at: self.geometry.address(block) }) } else { Ok((seq, block)) }
    }

    fn compact_oldest(&mut self, fresh: &mut Head) -> Result<(), StoreError> {
        let mut cursor = self.start();
        let oldest = cursor.seq;
        while let Some(batch) = self.next_batch(&mut cursor, |entry| entry.seq == oldest)? {
            batch.live().try_for_each(|entry| self.copy(entry, fresh))?;
        }
        Ok(())
    }

    /// Copies a record into a block that does not count yet.
    fn copy(&mut self, entry: &Entry, fresh: &mut Head) -> Result<(), StoreError> {
        self.load(entry)?;
        self.put(entry.kind, entry.slot, entry.len, fresh)
    }

    /// Writes the record whose payload is in the buffer into a block that does not count yet.
    fn put(&mut self, kind: Kind, slot: u8, len: usize, fresh: &mut Head) -> Result<(), StoreError> {
        let (unit, stride) = (self.geometry.unit as usize, self.geometry.stride(len));
        if fresh.end + stride > self.geometry.block_len {
            return Err(StoreError::Full { needed: stride, free: self.geometry.block_len - fresh.end });
        }
        self.buffer[..unit].fill(SET);
        self.buffer[unit + RECORD_HEAD + len..stride as usize].fill(0xff);
        format::seal(&mut self.buffer[unit..][..RECORD_HEAD + len], fresh.seq, kind, slot);
        let at = self.geometry.address(fresh.block) + fresh.end;
        self.write(at, 0..stride as usize)?;
        self.verify(at, 0..stride as usize)?;
        fresh.end += stride;
        Ok(())
    }

    /// Restarts the journal for `identity`: every record is void and erased, except for what `kept` names.
    ///
    /// 1. The next block is erased and the kept records are written into it. Without a header it does not count.
    /// 2. Its header is written. This one write makes the restart take effect.
    /// 3. All other blocks are erased; [`Self::finish_restart`] repeats this after an interruption.
    pub(super) fn restart(&mut self, identity: [u8; 16], kept: Kept<'_>) -> Result<(), StoreError> {
        let (seq, block) = self.next_block()?;
        let mut fresh = Head { block, seq, tail: seq, end: self.geometry.record_start(), open: true };
        self.erase(block)?;
        let programmed = self.programmed;
        if let Kept::Settings(replaced) = kept {
            self.copy_settings(replaced, &mut fresh)?;
        }
        (self.identity, self.uncertain) = (identity, true);
        self.write_header(block, Opening::Restart, seq, seq, programmed)?;
        self.head = fresh;
        self.finish_restart()?;
        self.uncertain = false;
        Ok(())
    }

    fn copy_settings(&mut self, replaced: Option<(u8, &[u8])>, fresh: &mut Head) -> Result<(), StoreError> {
        let mut cursor = self.start();
        let is_kept = |entry: &Entry| {
            entry.kind == Kind::Setting && entry.class.is_none() && replaced.is_none_or(|(key, _)| key != entry.slot)
        };
        while let Some(batch) = self.next_batch(&mut cursor, is_kept)? {
            batch.live().try_for_each(|entry| self.copy(entry, fresh))?;
        }
        let Some((key, value)) = replaced else { return Ok(()) };
        let payload = self.geometry.unit as usize + RECORD_HEAD;
        self.buffer[payload..][..value.len()].copy_from_slice(value);
        self.put(Kind::Setting, key, value.len(), fresh)
    }

    /// Erases all blocks but the newest, unless that has been finished.
    pub(super) fn finish_restart(&mut self) -> Result<(), StoreError> {
        let newest = self.head.block;
        let at = self.geometry.address(newest);
        if self.marked(at + self.geometry.done_mark())? {
            return Ok(());
        }
        for block in (0..self.geometry.blocks).filter(|&block| block != newest) {
            let at = self.geometry.address(block);
            if !self.is_erased(at, at + self.geometry.block_len)? {
                self.erase(block)?;
            }
        }
        // A torn mark cannot be written again. Without the mark, each opening checks that the blocks are erased.
        let mark = at + self.geometry.done_mark();
        match self.is_erased(mark, mark + self.geometry.unit)? {
            true => self.set_mark(mark),
            false => Ok(()),
        }
    }

    /// Erases every block, for flash that holds something else.
    pub(super) fn erase_everything(&mut self) -> Result<(), StoreError> {
        (0..self.geometry.blocks).try_for_each(|block| self.erase(block))
    }

    /// Writes the header of an erased block, twice.
    ///
    /// * `programmed`: bytes before this block
    fn write_header(
        &mut self,
        block: u32,
        opening: Opening,
        seq: u32,
        tail: u32,
        programmed: u64,
    ) -> Result<(), StoreError> {
        let (identity, previous_end, erases) = (self.identity, self.head.end, self.erases);
        let header = Header { opening, identity, seq, tail, previous_end, erases, programmed };
        let (copy, both) = (self.geometry.round(HEADER_LEN) as usize, self.geometry.done_mark() as usize);
        self.buffer[..both].fill(0xff);
        header.write(&mut self.buffer[..HEADER_LEN]);
        header.write(&mut self.buffer[copy..copy + HEADER_LEN]);
        let at = self.geometry.address(block);
        // The block's records must be durable before its header makes them count.
        self.sync(at)?;
        self.write(at, 0..both)?;
        self.sync(at)?;
        self.verify(at, 0..both)
    }
}
