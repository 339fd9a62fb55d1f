//! Whether the store still says what memory says.

use super::layout::Kind;
use super::replay::read_support;
use super::{Flash, Store, StoreError};
use crate::taught::Taught;

impl<F: Flash> Store<'_, F> {
    /// Reads every support anew; gives how many are in `taught` with the same record and feature. The store is sound
    /// where that is all of them, and it holds no other: [`Self::open`] would give the same again.
    ///
    /// # Errors
    /// When a record is damaged or the flash fails.
    pub fn verify(&mut self, taught: &Taught<'_>) -> Result<usize, StoreError> {
        let (mut same, mut others) = (0, 0);
        let mut cursor = self.log.start();
        while let Some(entry) = self.log.next(&mut cursor)? {
            if entry.kind != Kind::Learn || !self.log.is_live(&entry)? {
                continue;
            }
            let (record, feature) = read_support(self.log.load(&entry)?, entry.slot);
            let supports = taught.supports();
            let known = taught.find(&record.source).is_some_and(|index| {
                supports.records[index] == record && feature.eq(supports.feature(index).iter().copied())
            });
            if known { same += 1 } else { others += 1 }
        }
        Ok(if others == 0 { same } else { 0 })
    }
}
