//! Writing the log, in an order that survives a power cut after any step.

use embedded_storage::nor_flash::NorFlashError;

use super::layout::{self, Entry, HEADER_LEN, Header, Kind, Opening, RECORD_HEAD, SMALL};
use super::log::{Head, Log};
use super::{Flash, StoreError};

/// A mark that is set.
const SET: u8 = 0;

/// What goes on where a log begins anew.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept<'v> {
    /// Nothing.
    Nothing,
    /// The settings, one of them with another value.
    Settings(Option<(u8, &'v [u8])>),
}

impl<F: Flash> Log<'_, F> {
    /// Adds a record whose payload `fill` writes, `[len]`.
    ///
    /// 1. Room is made. This changes where records lie, not what they say.
    /// 2. The record is written behind the place of its mark and synced; without its mark it does not count.
    /// 3. It is read back: a block that is worn out shows before anything is acknowledged.
    /// 4. The mark is written and synced. From here on the record counts, and one that does not match its checksum is
    ///    damage, never a write that was interrupted.
    pub(super) fn append(
        &mut self,
        kind: Kind,
        slot: u8,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<(), StoreError> {
        if self.uncertain {
            return Err(StoreError::Unknown);
        }
        let stride = self.geometry.stride(len);
        self.make_room(stride)?;
        let unit = self.geometry.unit as usize;
        let record = &mut self.buffer[unit..stride as usize];
        record.fill(0xff);
        fill(&mut record[RECORD_HEAD..][..len]);
        layout::seal(&mut record[..RECORD_HEAD + len], self.head.seq, kind, slot);
        let at = self.block_at(self.head.seq) + self.head.end;
        // Whatever fails from here on leaves bytes behind the last record.
        self.head.open = false;
        self.write(at + self.geometry.unit, unit..stride as usize)?;
        self.sync(at)?;
        self.verify(at + self.geometry.unit, unit..stride as usize)?;
        self.uncertain = true;
        self.set_mark(at)?;
        self.uncertain = false;
        self.head.end += stride;
        self.head.open = true;
        Ok(())
    }

    /// Opens blocks until a record of `stride` bytes fits into the newest.
    fn make_room(&mut self, stride: u32) -> Result<(), StoreError> {
        // One turn for each block: then every block has been freed of what no longer counts.
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

    /// Opens the next block and, when it was the last free one, frees the oldest.
    ///
    /// 1. The free block is erased and its header written: it is the newest from here on, without a record.
    /// 2. What still counts in the oldest block is copied into it. Until the opening is finished, a reader leaves such a
    ///    block aside, so an interrupted copy does no harm and originals are still in place.
    /// 3. The copies are synced; then the mark says that the oldest block is no longer part of the log. It is erased when
    ///    it is needed, and whatever an interrupted erase leaves of it has a number that is too old.
    fn advance(&mut self) -> Result<(), StoreError> {
        let seq = self.head.seq + 1;
        let block = (self.head.block + 1) % self.geometry.blocks;
        self.open_block(block, Opening::Next, seq, self.head.tail)?;
        let mut fresh = Head { block, seq, tail: self.head.tail, end: self.geometry.record_start(), open: true };
        if seq - self.head.tail == self.geometry.blocks - 1 {
            self.copy_oldest(&mut fresh)?;
            let at = self.geometry.address(block);
            self.sync(at)?;
            self.set_mark(at + self.geometry.done_mark())?;
            fresh.tail += 1;
        }
        self.head = fresh;
        Ok(())
    }

    fn copy_oldest(&mut self, fresh: &mut Head) -> Result<(), StoreError> {
        let mut cursor = self.start();
        let oldest = cursor.seq;
        while let Some(batch) = self.next_batch(&mut cursor, |entry| entry.seq == oldest)? {
            batch.live().try_for_each(|entry| self.copy(entry, fresh))?;
        }
        Ok(())
    }

    /// Adds a copy of a record to a block that does not count yet.
    fn copy(&mut self, entry: &Entry, fresh: &mut Head) -> Result<(), StoreError> {
        self.load(entry)?;
        self.put(entry.kind, entry.slot, entry.len, fresh)
    }

    /// Adds the record whose payload is in the buffer to a block that does not count yet.
    fn put(&mut self, kind: Kind, slot: u8, len: usize, fresh: &mut Head) -> Result<(), StoreError> {
        let (unit, stride) = (self.geometry.unit as usize, self.geometry.stride(len));
        if fresh.end + stride > self.geometry.block_len {
            return Err(StoreError::Full { needed: stride, free: self.geometry.block_len - fresh.end });
        }
        self.buffer[..unit].fill(SET);
        self.buffer[unit + RECORD_HEAD + len..stride as usize].fill(0xff);
        layout::seal(&mut self.buffer[unit..][..RECORD_HEAD + len], fresh.seq, kind, slot);
        let at = self.geometry.address(fresh.block) + fresh.end;
        self.write(at, 0..stride as usize)?;
        self.verify(at, 0..stride as usize)?;
        fresh.end += stride;
        Ok(())
    }

    /// Makes everything that was recorded void, and erases it; `kept` goes on. The log is then of `identity`.
    ///
    /// 1. The next block is erased, and what goes on is written into it. Without a header it does not count.
    /// 2. Its header is written: it is there or it is not, and with it everything.
    /// 3. What no longer counts is erased, again by [`Self::finish_anew`] where that was interrupted.
    pub(super) fn begin_anew(&mut self, identity: [u8; 16], kept: Kept<'_>) -> Result<(), StoreError> {
        let seq = self.head.seq + 1;
        let block = (self.head.block + 1) % self.geometry.blocks;
        let mut fresh = Head { block, seq, tail: seq, end: self.geometry.record_start(), open: true };
        if seq == u32::MAX {
            return Err(StoreError::Worn { at: self.geometry.address(block) });
        }
        self.erase(block)?;
        let programmed = self.programmed;
        if let Kept::Settings(replaced) = kept {
            self.copy_settings(replaced, &mut fresh)?;
        }
        (self.identity, self.uncertain) = (identity, true);
        self.write_header(block, Opening::Anew, seq, seq, programmed)?;
        self.head = fresh;
        self.finish_anew()?;
        self.uncertain = false;
        Ok(())
    }

    fn copy_settings(&mut self, replaced: Option<(u8, &[u8])>, fresh: &mut Head) -> Result<(), StoreError> {
        let mut cursor = self.start();
        let goes_on = |entry: &Entry| entry.kind == Kind::Setting && replaced.is_none_or(|(key, _)| key != entry.slot);
        while let Some(batch) = self.next_batch(&mut cursor, goes_on)? {
            batch.live().try_for_each(|entry| self.copy(entry, fresh))?;
        }
        let Some((key, value)) = replaced else { return Ok(()) };
        let payload = self.geometry.unit as usize + RECORD_HEAD;
        self.buffer[payload..][..value.len()].copy_from_slice(value);
        self.put(Kind::Setting, key, value.len(), fresh)
    }

    /// Erases all blocks but the newest, where that has not been finished.
    pub(super) fn finish_anew(&mut self) -> Result<(), StoreError> {
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
        // A mark that was torn cannot be written again. It is as good as none: all is erased, which is seen each time.
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

    /// Erases a block and writes its header.
    fn open_block(&mut self, block: u32, opening: Opening, seq: u32, tail: u32) -> Result<(), StoreError> {
        if seq == u32::MAX {
            return Err(StoreError::Worn { at: self.geometry.address(block) });
        }
        self.erase(block)?;
        self.write_header(block, opening, seq, tail, self.programmed)
    }

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
        // What was put into the block before is durable before it counts.
        self.sync(at)?;
        self.write(at, 0..both)?;
        self.sync(at)?;
        self.verify(at, 0..both)
    }

    fn erase(&mut self, block: u32) -> Result<(), StoreError> {
        let at = self.geometry.address(block);
        let erased = self.flash.erase(at, at + self.geometry.block_len);
        erased.map_err(|error| StoreError::Flash { at, kind: error.kind() })?;
        self.erases = self.erases.saturating_add(1);
        self.sync(at)
    }

    fn set_mark(&mut self, at: u32) -> Result<(), StoreError> {
        let unit = self.geometry.unit as usize;
        self.buffer[..unit].fill(SET);
        self.write(at, 0..unit)?;
        self.sync(at)?;
        self.verify(at, 0..unit)
    }

    /// Writes a part of the buffer.
    fn write(&mut self, at: u32, part: core::ops::Range<usize>) -> Result<(), StoreError> {
        let bytes = &self.buffer[part];
        self.programmed = self.programmed.saturating_add(bytes.len() as u64);
        self.flash.write(at, bytes).map_err(|error| StoreError::Flash { at, kind: error.kind() })
    }

    fn sync(&mut self, at: u32) -> Result<(), StoreError> {
        self.flash.sync().map_err(|error| StoreError::Flash { at, kind: error.kind() })
    }

    /// Whether the flash holds a part of the buffer.
    fn verify(&mut self, at: u32, part: core::ops::Range<usize>) -> Result<(), StoreError> {
        let end = part.end;
        for start in part.clone().step_by(SMALL) {
            let len = (end - start).min(SMALL);
            let at = at + (start - part.start) as u32;
            if self.read_small(at, len)?[..len] != self.buffer[start..start + len] {
                return Err(StoreError::Worn { at });
            }
        }
        Ok(())
    }
}
