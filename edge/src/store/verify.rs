//! Whether the store still says what memory says.

use super::layout::Kind;
use super::replay::read_support;
use super::{Flash, Store, StoreError};
use crate::support_set::{SourceId, SupportSet};

/// Supports that one reading of the log looks at, one bit each: all of them, but on a large device.
const WINDOW: usize = 4096;

impl<F: Flash> Store<'_, F> {
    /// Reads every record anew; gives how many supports are in `taught` with the same record and feature. The store is
    /// sound where that is all of them, and it holds no other: [`Self::open`] would give the same again.
    ///
    /// # Errors
    /// When a record is damaged or missing, or the flash fails.
    pub fn verify(&mut self, support_set: &SupportSet<'_>) -> Result<usize, StoreError> {
        self.log.recheck()?;
        if self.holds_others(support_set)? {
            return Ok(0);
        }
        let windows = (0..support_set.supports().len()).step_by(WINDOW);
        windows.map(|from| self.same_from(from, support_set)).sum()
    }

    /// Whether a support that still counts is not in `taught`.
    fn holds_others(&mut self, support_set: &SupportSet<'_>) -> Result<bool, StoreError> {
        let mut cursor = self.log.start();
        let is_unknown = |source: &SourceId| support_set.find(source).is_none();
        while let Some(batch) =
            self.log.next_batch(&mut cursor, |entry| entry.kind == Kind::Learn && is_unknown(&entry.source))?
        {
            if batch.is_live() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many supports of `taught`, of those from `from` on, the store has with the same record and feature.
    fn same_from(&mut self, from: usize, support_set: &SupportSet<'_>) -> Result<usize, StoreError> {
        let supports = support_set.supports();
        let window = from..supports.len().min(from + WINDOW);
        let place = |source: &SourceId| {
            support_set.find(source).filter(|index| window.contains(index)).map(|index| index - from)
        };
        let mut same = [0u64; WINDOW / 64];
        let mut cursor = self.log.start();
        while let Some(entry) = self.log.next(&mut cursor)? {
            match entry.kind {
                Kind::Learn => {
                    let Some(bit) = place(&entry.source) else { continue };
                    let index = from + bit;
                    let (record, feature) = read_support(self.log.load(&entry)?, entry.slot);
                    let is_same =
                        supports.records[index] == record && feature.eq(supports.feature(index).iter().copied());
                    set(&mut same, bit, is_same);
                }
                Kind::Forget => {
                    if let Some(bit) = place(&entry.source) {
                        set(&mut same, bit, false);
                    }
                }
                Kind::RemoveClass => {
                    for index in window.clone().filter(|&index| supports.records[index].class == entry.slot) {
                        set(&mut same, index - from, false);
                    }
                }
                _ => {}
            }
        }
        Ok(same.iter().map(|bits| bits.count_ones() as usize).sum())
    }
}

fn set(bits: &mut [u64], bit: usize, value: bool) {
    let mask = 1 << (bit % 64);
    match value {
        true => bits[bit / 64] |= mask,
        false => bits[bit / 64] &= !mask,
    }
}
