//! Where blocks, headers and records lie on the flash.

use core::ops::Range;

use super::format::{HEADER_LEN, RECORD_HEAD, SETTING_MAX, SUPPORT_HEAD};
use super::{Flash, FlashSizes, StoreError};

/// Most bytes that are read onto the stack, and the largest read size.
pub(super) const SMALL: usize = 64;
const UNIT_MAX: usize = 256;

/// The division of a range of flash into blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    base: u32,
    pub(super) block_len: u32,
    pub(super) blocks: u32,
    /// Everything that is written begins and ends at a multiple of it.
    pub(super) unit: u32,
    /// Reads end at a multiple of it.
    pub(super) read: usize,
}

impl Geometry {
    /// Checks that a store of supports with `dim` dimensions can lie in `range`.
    pub(super) fn new<F: Flash>(flash: &F, range: &Range<u32>, dim: usize) -> Result<Self, StoreError> {
        let refuse = |what, found, needed| Err(StoreError::Geometry { what, found, needed });
        let FlashSizes { read, write, erase } = flash.sizes();
        for size in [read, write, erase] {
            if !size.is_power_of_two() {
                return refuse(
                    "a size that is not a power of two",
                    size,
                    size.checked_next_power_of_two().unwrap_or(1 << 31),
                );
            }
        }
        let unit = unit(flash.sizes());
        if read > SMALL || unit > UNIT_MAX {
            return refuse("the read or write size", unit, SMALL);
        }
        if range.end as usize > flash.capacity() || range.start > range.end {
            return refuse("the end of the range", range.end as usize, flash.capacity());
        }
        for edge in [range.start as usize, range.end as usize] {
            if !edge.is_multiple_of(erase) {
                return refuse("an edge of the range (a multiple of the erase size)", edge, erase);
            }
        }
        let blocks = (range.end - range.start) / erase as u32;
        if blocks < 2 {
            return refuse("the number of erase blocks", blocks as usize, 2);
        }
        let geometry = Self { base: range.start, block_len: erase as u32, blocks, unit: unit as u32, read };
        let needed = geometry.record_start() + geometry.stride((SUPPORT_HEAD + 2 * dim).max(SETTING_MAX)) * 5 / 2;
        if geometry.block_len < needed {
            return refuse("the erase size", erase, needed as usize);
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

    /// Offset of the mark of a finished opening, behind the two copies of the header.
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

const fn unit(sizes: FlashSizes) -> usize {
    let unit = if sizes.read > sizes.write { sizes.read } else { sizes.write };
    if unit > 4 { unit } else { 4 }
}

/// Bytes of buffer that a store of supports with `dim` dimensions needs on flash `F`.
pub const fn buffer_len<F: Flash>(dim: usize) -> usize {
    buffer_len_of(FlashSizes::of::<F>(), dim)
}

/// As [`buffer_len`], on flash of these sizes.
pub const fn buffer_len_of(sizes: FlashSizes, dim: usize) -> usize {
    let unit = unit(sizes);
    let support = SUPPORT_HEAD + 2 * dim;
    let payload = if support > SETTING_MAX { support } else { SETTING_MAX };
    let record = unit + (RECORD_HEAD + payload).next_multiple_of(unit);
    let header = 2 * HEADER_LEN.next_multiple_of(unit);
    if record > header { record } else { header }
}
