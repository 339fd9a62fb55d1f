//! Adding a record to the journal, in an order that survives a power cut after any step.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlashError;

use super::format::{self, Kind, RECORD_HEAD};
use super::geometry::SMALL;
use super::journal::Journal;
use super::{Flash, StoreError};

/// The byte of a set mark.
pub(super) const SET: u8 = 0;

impl<F: Flash> Journal<'_, F> {
    /// Adds a record whose payload `fill` writes, `[len]`.
    ///
    /// 1. Compaction makes room. It moves records without changing their content.
    /// 2. The record is written behind the place of its mark and synced. Without its mark it does not count.
    /// 3. It is read back, so that a worn-out block is found before anything is acknowledged.
    /// 4. The mark is written and synced. From here on the record counts, and a checksum that does not match is damage,
    ///    never an interrupted write.
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
        format::seal(&mut record[..RECORD_HEAD + len], self.head.seq, kind, slot);
        let at = self.block_at(self.head.seq) + self.head.end;
        // A failure from here on leaves bytes behind the last record.
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

    pub(super) fn erase(&mut self, block: u32) -> Result<(), StoreError> {
        let at = self.geometry.address(block);
        let erased = self.flash.erase(at, at + self.geometry.block_len);
        erased.map_err(|error| StoreError::Flash { at, kind: error.kind() })?;
        self.erases = self.erases.saturating_add(1);
        self.sync(at)
    }

    pub(super) fn set_mark(&mut self, at: u32) -> Result<(), StoreError> {
        let unit = self.geometry.unit as usize;
        self.buffer[..unit].fill(SET);
        self.write(at, 0..unit)?;
        self.sync(at)?;
        self.verify(at, 0..unit)
    }

    /// Writes a part of the buffer.
    pub(super) fn write(&mut self, at: u32, part: Range<usize>) -> Result<(), StoreError> {
        let bytes = &self.buffer[part];
        self.programmed = self.programmed.saturating_add(bytes.len() as u64);
        self.flash.write(at, bytes).map_err(|error| StoreError::Flash { at, kind: error.kind() })
    }

    pub(super) fn sync(&mut self, at: u32) -> Result<(), StoreError> {
        self.flash.sync().map_err(|error| StoreError::Flash { at, kind: error.kind() })
    }

    /// Checks that the flash holds a part of the buffer.
    pub(super) fn verify(&mut self, at: u32, part: Range<usize>) -> Result<(), StoreError> {
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
