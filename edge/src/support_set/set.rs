//! Classes and supports in memory that the caller lends.
//!
//! S supports at most, D feature dimensions, C class slots.
//!
//! Supports are sorted by source, so heads and the bytes of the state depend only on which samples are in the set, not on
//! the order in which they arrived.

use super::class_name::ClassName;
use super::error::{CLASSES_MAX, SupportSetError};
use super::support::{SourceId, SupportRecord, Supports};
use crate::feature::DIM_MAX;

/// Classes and supports in memory lent by the caller.
#[derive(Debug)]
pub struct SupportSet<'m> {
    dim: usize,
    len: usize,
    names: &'m mut [ClassName],
    records: &'m mut [SupportRecord],
    features: &'m mut [i16],
}

impl<'m> SupportSet<'m> {
    /// An empty set. The memory is cleared.
    ///
    /// * `names`: `[C]`, one per class slot
    /// * `records`: `[S]`, one per support
    /// * `features`: `[S, D]`
    ///
    /// # Errors
    /// If a size is out of range or the sizes do not match.
    pub fn new(
        dim: usize,
        names: &'m mut [ClassName],
        records: &'m mut [SupportRecord],
        features: &'m mut [i16],
    ) -> Result<Self, SupportSetError> {
        if !(1..=DIM_MAX).contains(&dim) {
            return Err(SupportSetError::Dimension { found: dim, expected: DIM_MAX });
        }
        if !(1..=CLASSES_MAX).contains(&names.len()) {
            return Err(SupportSetError::Memory { what: "names", found: names.len(), expected: CLASSES_MAX });
        }
        // A product that saturates cannot equal a length.
        let expected = records.len().saturating_mul(dim);
        if features.len() != expected {
            return Err(SupportSetError::Memory { what: "features", found: features.len(), expected });
        }
        let mut set = Self { dim, len: 0, names, records, features };
        set.clear();
        Ok(set)
    }

    /// Removes all classes and supports.
    pub fn clear(&mut self) {
        self.len = 0;
        self.names.fill(ClassName::FREE);
        self.records.fill(SupportRecord::EMPTY);
        self.features.fill(0);
    }

    /// The name of each slot, `[C]`.
    pub fn names(&self) -> &[ClassName] {
        self.names
    }

    /// Feature dimension D.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Supports that it can hold, S.
    pub fn capacity(&self) -> usize {
        self.records.len()
    }

    /// The supports, sorted by source.
    pub fn supports(&self) -> Supports<'_> {
        Supports { dim: self.dim, records: &self.records[..self.len], features: &self.features[..self.len * self.dim] }
    }

    /// Slot of the class called `name`.
    pub fn class_named(&self, name: &str) -> Option<u8> {
        self.names.iter().position(|known| !known.is_free() && known.as_str() == name).map(|slot| slot as u8)
    }

    /// Index of the support made from `source`.
    pub fn find(&self, source: &SourceId) -> Option<usize> {
        self.place(source).ok()
    }

    /// The lowest free slot.
    ///
    /// # Errors
    /// If every slot is taken.
    pub fn free_slot(&self) -> Result<u8, SupportSetError> {
        let slot = self.names.iter().position(ClassName::is_free);
        slot.map(|slot| slot as u8).ok_or(SupportSetError::ClassesFull { limit: self.names.len() })
    }

    /// Whether [`Self::put_class`] would be accepted.
    ///
    /// # Errors
    /// If there is no such slot or another class has the name.
    pub fn check_class(&self, class: u8, name: &ClassName) -> Result<(), SupportSetError> {
        if usize::from(class) >= self.names.len() || name.is_free() {
            return Err(SupportSetError::NoSuchClass { class });
        }
        match self.class_named(name.as_str()) {
            Some(taken) if taken != class => Err(SupportSetError::NameTaken { class: taken }),
            _ => Ok(()),
        }
    }

    /// Adds a class in slot `class`, or renames the one there.
    ///
    /// # Errors
    /// As [`Self::check_class`].
    pub fn put_class(&mut self, class: u8, name: ClassName) -> Result<(), SupportSetError> {
        self.check_class(class, &name)?;
        self.names[usize::from(class)] = name;
        Ok(())
    }

    /// Removes a class and all its supports.
    ///
    /// # Errors
    /// If the slot is free.
    pub fn remove_class(&mut self, class: u8) -> Result<(), SupportSetError> {
        self.check_slot(class)?;
        self.names[usize::from(class)] = ClassName::FREE;
        for index in (0..self.len).rev() {
            if self.records[index].class == class {
                self.take_out(index);
            }
        }
        Ok(())
    }

    /// Whether [`Self::learn`] would add a support: `Ok(false)` if the source already has one in this class.
    ///
    /// # Errors
    /// If the class does not exist, the dimension is wrong, the set is full or the source has a support in another class.
    pub fn check_learn(&self, record: &SupportRecord, feature: &[i16]) -> Result<bool, SupportSetError> {
        self.check_record(record, feature.len())
    }

    fn check_record(&self, record: &SupportRecord, found: usize) -> Result<bool, SupportSetError> {
        self.check_slot(record.class)?;
        if found != self.dim {
            return Err(SupportSetError::Dimension { found, expected: self.dim });
        }
        if let Some(index) = self.find(&record.source) {
            let class = self.records[index].class;
            return if class == record.class { Ok(false) } else { Err(SupportSetError::SourceTaken { class }) };
        }
        match self.len < self.capacity() {
            true => Ok(true),
            false => Err(SupportSetError::SupportsFull { limit: self.capacity() }),
        }
    }

    /// Adds a support. `Ok(false)` means that the source already has one in this class. `feature`: `[D]`.
    ///
    /// # Errors
    /// As [`Self::check_learn`].
    pub fn learn(&mut self, record: SupportRecord, feature: &[i16]) -> Result<bool, SupportSetError> {
        self.learn_from(record, feature.iter().copied())
    }

    /// As [`Self::learn`], for a feature that is not a slice, such as bytes of a store.
    ///
    /// # Errors
    /// As [`Self::check_learn`].
    pub fn learn_from(
        &mut self,
        record: SupportRecord,
        feature: impl ExactSizeIterator<Item = i16>,
    ) -> Result<bool, SupportSetError> {
        if !self.check_record(&record, feature.len())? {
            return Ok(false);
        }
        let index = self.place(&record.source).unwrap_or_else(|free| free);
        self.records.copy_within(index..self.len, index + 1);
        self.features.copy_within(index * self.dim..self.len * self.dim, (index + 1) * self.dim);
        self.records[index] = record;
        self.features[index * self.dim..][..self.dim].iter_mut().zip(feature).for_each(|(kept, value)| *kept = value);
        self.len += 1;
        Ok(true)
    }

    /// Removes the support made from `source` and returns its record.
    ///
    /// # Errors
    /// If there is none.
    pub fn forget(&mut self, source: &SourceId) -> Result<SupportRecord, SupportSetError> {
        let index = self.find(source).ok_or(SupportSetError::NoSuchSource)?;
        let record = self.records[index];
        self.take_out(index);
        Ok(record)
    }

    /// Writes the canonical state to `sink`, in pieces.
    ///
    /// D, C and n as `u32`; each slot as length (`u8`) and name; each support as source, class, operator, time and
    /// feature; all little-endian. Sets with the same classes and samples have the same bytes.
    pub fn state(&self, mut sink: impl FnMut(&[u8])) {
        for number in [self.dim, self.names.len(), self.len] {
            sink(&(number as u32).to_le_bytes());
        }
        for name in self.names.iter() {
            sink(&[name.as_str().len() as u8]);
            sink(name.as_str().as_bytes());
        }
        for (record, feature) in self.records[..self.len].iter().zip(self.features.chunks_exact(self.dim)) {
            sink(&record.source);
            sink(&[record.class]);
            sink(&record.operator.to_le_bytes());
            sink(&record.time_s.to_le_bytes());
            feature.iter().for_each(|value| sink(&value.to_le_bytes()));
        }
    }

    fn check_slot(&self, class: u8) -> Result<(), SupportSetError> {
        match self.names.get(usize::from(class)) {
            Some(name) if !name.is_free() => Ok(()),
            _ => Err(SupportSetError::NoSuchClass { class }),
        }
    }

    /// Index of `source`, or where it would be inserted.
    fn place(&self, source: &SourceId) -> Result<usize, usize> {
        self.records[..self.len].binary_search_by(|record| record.source.cmp(source))
    }

    fn take_out(&mut self, index: usize) {
        self.records.copy_within(index + 1..self.len, index);
        self.features.copy_within((index + 1) * self.dim..self.len * self.dim, index * self.dim);
        self.len -= 1;
        // A forgotten support is also erased from memory.
        self.records[self.len] = SupportRecord::EMPTY;
        self.features[self.len * self.dim..][..self.dim].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::vec::Vec;

    fn record(source: u8, class: u8) -> SupportRecord {
        SupportRecord { source: [source; 16], class, operator: 7, time_s: 1_700_000_000 }
    }

    fn state(set: &SupportSet<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        set.state(|piece| bytes.extend_from_slice(piece));
        bytes
    }

    #[test]
    fn state_does_not_depend_on_the_order_of_changes() {
        let (mut names, mut records, mut features) = ([ClassName::FREE; 3], [SupportRecord::EMPTY; 4], [0; 8]);
        let mut set = SupportSet::new(2, &mut names, &mut records, &mut features).unwrap();
        set.put_class(0, ClassName::new("nodule").unwrap()).unwrap();
        set.put_class(1, ClassName::new("vessel").unwrap()).unwrap();
        assert_eq!(set.learn(record(5, 0), &[1, 2]), Ok(true));
        assert_eq!(set.learn(record(3, 1), &[3, 4]), Ok(true));
        let expected = state(&set);
        assert_eq!(set.learn(record(3, 1), &[3, 4]), Ok(false), "repeated");
        assert_eq!(set.learn(record(4, 1), &[9, 9]), Ok(true));
        assert_eq!(set.supports().feature(1), [9, 9], "sorted by source");
        set.forget(&[5; 16]).unwrap();
        set.learn(record(5, 0), &[1, 2]).unwrap();
        assert_eq!(set.forget(&[4; 16]), Ok(record(4, 1)));
        assert_eq!(state(&set), expected);
        assert_eq!(expected.len(), 12 + 7 + 7 + 1 + 2 * (16 + 1 + 4 + 8 + 4));
        set.put_class(2, ClassName::new("cell").unwrap()).unwrap();
        set.learn(record(9, 2), &[7, 7]).unwrap();
        set.remove_class(2).unwrap();
        assert_eq!(state(&set), expected, "a class is removed with its supports");
    }

    #[test]
    fn invalid_changes_are_errors() {
        let (mut names, mut records, mut features) = ([ClassName::FREE; 1], [SupportRecord::EMPTY; 1], [0; 2]);
        let mut set = SupportSet::new(2, &mut names, &mut records, &mut features).unwrap();
        assert_eq!(set.learn(record(1, 0), &[1, 2]), Err(SupportSetError::NoSuchClass { class: 0 }));
        set.put_class(0, ClassName::new("a").unwrap()).unwrap();
        assert_eq!(set.put_class(1, ClassName::new("b").unwrap()), Err(SupportSetError::NoSuchClass { class: 1 }));
        assert_eq!(set.free_slot(), Err(SupportSetError::ClassesFull { limit: 1 }));
        assert_eq!(set.learn(record(1, 0), &[1]), Err(SupportSetError::Dimension { found: 1, expected: 2 }));
        set.learn(record(1, 0), &[1, 2]).unwrap();
        assert_eq!(set.learn(record(2, 0), &[1, 2]), Err(SupportSetError::SupportsFull { limit: 1 }));
        assert_eq!(set.forget(&[2; 16]), Err(SupportSetError::NoSuchSource));
        assert_eq!(set.remove_class(3), Err(SupportSetError::NoSuchClass { class: 3 }));
        assert_eq!(ClassName::new(""), Err(SupportSetError::Name { found: 0 }));
        assert_eq!(ClassName::new("a\nb"), Err(SupportSetError::Name { found: 3 }));
        for hidden in ['\u{202e}', '\u{2066}', '\u{200f}', '\u{61c}', '\u{2028}', '\u{2029}', '\u{200b}', '\u{feff}'] {
            let mut bytes = [b'a'; 5];
            let len = 1 + hidden.encode_utf8(&mut bytes[1..]).len();
            let text = core::str::from_utf8(&bytes[..len]).unwrap();
            assert_eq!(ClassName::new(text), Err(SupportSetError::Name { found: len }), "{hidden:?}");
            assert!(ClassName::stored(text).is_ok(), "a store of an earlier version still opens");
        }
        assert!(ClassName::stored("a\nb").is_err() && ClassName::new("गाँठ عقدة").is_ok());
        assert_eq!(ClassName::new("123456789012345678901234567890123"), Err(SupportSetError::Name { found: 33 }));
    }

    #[test]
    fn a_source_has_one_class_and_a_name_has_one_slot() {
        let (mut names, mut records, mut features) = ([ClassName::FREE; 2], [SupportRecord::EMPTY; 2], [0; 2]);
        let mut set = SupportSet::new(1, &mut names, &mut records, &mut features).unwrap();
        set.put_class(0, ClassName::new("a").unwrap()).unwrap();
        assert_eq!(set.put_class(1, ClassName::new("a").unwrap()), Err(SupportSetError::NameTaken { class: 0 }));
        set.put_class(1, ClassName::new("b").unwrap()).unwrap();
        set.learn(record(1, 0), &[1]).unwrap();
        assert_eq!(set.learn(record(1, 1), &[1]), Err(SupportSetError::SourceTaken { class: 0 }));
        set.put_class(0, ClassName::new("c").unwrap()).unwrap();
        assert_eq!((set.class_named("c"), set.class_named("a")), (Some(0), None));
    }
}
