//! Checks that flash and memory agree.

use super::format::{Kind, read_support};
use super::{Flash, Store, StoreError};
use crate::support_set::{SourceId, SupportSet};

/// Supports that one pass over the journal compares, one bit each. Only large devices need a second pass.
const WINDOW: usize = 4096;

impl<F: Flash> Store<'_, F> {
    /// Reads every record again and returns how many supports of `support_set` the store has with the same record and feature;
    /// 0 when it has a support that `support_set` lacks. The store is sound when all are the same: [`Self::open`] would then
    /// restore `support_set`.
    ///
    /// # Errors
    /// When a record is damaged or missing, or the flash fails.
    pub fn verify(&mut self, support_set: &SupportSet<'_>) -> Result<usize, StoreError> {
        self.journal.recheck()?;
        if self.holds_others(support_set)? {
            return Ok(0);
        }
        let windows = (0..support_set.supports().len()).step_by(WINDOW);
        windows.map(|from| self.same_from(from, support_set)).sum()
    }

    /// Whether a live support is missing from `support_set`.
    fn holds_others(&mut self, support_set: &SupportSet<'_>) -> Result<bool, StoreError> {
        let mut cursor = self.journal.start();
        let is_unknown = |source: &SourceId| support_set.find(source).is_none();
        while let Some(batch) =
            self.journal.next_batch(&mut cursor, |entry| entry.kind == Kind::Learn && is_unknown(&entry.source))?
        {
            if batch.is_live() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many of the supports in one window of `support_set`, from `from` on, the store has with the same record and feature.
    fn same_from(&mut self, from: usize, support_set: &SupportSet<'_>) -> Result<usize, StoreError> {
        let supports = support_set.supports();
        let window = from..supports.len().min(from + WINDOW);
        let place = |source: &SourceId| {
            support_set.find(source).filter(|index| window.contains(index)).map(|index| index - from)
        };
        let mut same = [0u64; WINDOW / 64];
        let mut cursor = self.journal.start();
        while let Some(entry) = self.journal.next(&mut cursor)? {
            match entry.kind {
                Kind::Learn => {
                    let Some(bit) = place(&entry.source) else { continue };
                    let index = from + bit;
                    let (record, feature) = read_support(self.journal.load(&entry)?, entry.slot);
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
