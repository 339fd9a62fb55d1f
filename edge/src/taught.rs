//! What a device has been taught: classes by name, and the supports it keeps of each.
//!
//! S supports at most, D feature dimensions, C class slots.
//!
//! Supports lie in the order of their sources, not of their arrival: what is computed from them, and the bytes of the
//! state, depend on which samples are known and on nothing else.

use core::fmt;

use crate::feature::DIM_MAX;
use crate::head::CLASSES_MAX;

/// Longest name of a class, in bytes of UTF-8.
pub const NAME_MAX: usize = 32;

/// What a support was made of: the first 16 bytes of the SHA-256 of the source (the image file, or the feature).
pub type Source = [u8; 16];

/// A support without its feature: where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it was made of; a device keeps one support of a source.
    pub source: Source,
    /// The slot of its class.
    pub class: u8,
    /// Who taught it; the number is the operator's own.
    pub operator: u32,
    /// When, in seconds since 1970; 0 where the teacher had no clock.
    pub time_s: u64,
}

impl Record {
    /// Fills memory that is about to be lent.
    pub const EMPTY: Self = Self { source: [0; 16], class: 0, operator: 0, time_s: 0 };
}

/// The name of a class, 1 to [`NAME_MAX`] bytes of UTF-8 without control characters, line separators and marks that
/// change the direction of writing: what a terminal or a page would not show as the name that it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; NAME_MAX],
    len: u8,
}

impl Name {
    /// No name: a free slot.
    pub const FREE: Self = Self { bytes: [0; NAME_MAX], len: 0 };

    /// Takes `text` as a name.
    ///
    /// # Errors
    /// When it is empty, too long, or holds a character that names do not have.
    pub fn new(text: &str) -> Result<Self, TaughtError> {
        if text.chars().any(is_deceptive) {
            return Err(TaughtError::Name { found: text.len() });
        }
        Self::stored(text)
    }

    /// Takes a name that a store holds: earlier programs refused control characters only.
    ///
    /// # Errors
    /// When it is empty, too long, or holds a control character.
    pub fn stored(text: &str) -> Result<Self, TaughtError> {
        if text.is_empty() || text.len() > NAME_MAX || text.chars().any(char::is_control) {
            return Err(TaughtError::Name { found: text.len() });
        }
        let mut bytes = [0; NAME_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { bytes, len: text.len() as u8 })
    }

    /// The name, empty for a free slot.
    pub fn as_str(&self) -> &str {
        // Only whole strings are ever put in, so this never falls back.
        core::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or("")
    }

    /// Whether the slot is free.
    pub fn is_free(&self) -> bool {
        self.len == 0
    }
}

/// Whether `c` separates lines or changes the direction of writing (Unicode 16, table 9-4), or has no width at all.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The device cannot be taught this; it is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaughtError {
    /// A name has 1 to [`NAME_MAX`] bytes, no control characters, no line separators, no marks of direction.
    Name {
        /// Its bytes.
        found: usize,
    },
    /// Another class has this name.
    NameTaken {
        /// The slot of that class.
        class: u8,
    },
    /// Every slot is taken.
    ClassesFull {
        /// Slots.
        limit: usize,
    },
    /// The slot is free, or there is no such slot.
    NoSuchClass {
        /// What was asked for.
        class: u8,
    },
    /// Every place for a support is taken.
    SupportsFull {
        /// Places.
        limit: usize,
    },
    /// This source is known as another class: forget it first.
    TaughtOtherwise {
        /// The slot of that class.
        class: u8,
    },
    /// No support was made of this source.
    NeverTaught,
    /// The feature has another dimension than the device's.
    Dimension {
        /// Length of the feature.
        found: usize,
        /// Dimension of the device.
        expected: usize,
    },
    /// The memory lent has another size than needed, or too large a one.
    Memory {
        /// Which: `names`, `records`, `features`.
        what: &'static str,
        /// Values lent.
        found: usize,
        /// Values needed, or the most that can be used.
        expected: usize,
    },
}

impl fmt::Display for TaughtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Name { found } => {
                write!(
                    f,
                    "a class name of {found} bytes: 1 to {NAME_MAX} are allowed, without control or invisible characters"
                )
            }
            Self::NameTaken { class } => write!(f, "class {class} has this name already"),
            Self::ClassesFull { limit } => write!(f, "all {limit} classes are taken"),
            Self::NoSuchClass { class } => write!(f, "there is no class {class}"),
            Self::SupportsFull { limit } => write!(f, "all {limit} places for supports are taken"),
            Self::TaughtOtherwise { class } => write!(f, "this source is known as class {class}: forget it first"),
            Self::NeverTaught => write!(f, "nothing was learned from this source"),
            Self::Dimension { found, expected } => {
                write!(f, "the feature has {found} dimensions, the device has {expected}")
            }
            Self::Memory { what, found, expected } => {
                write!(f, "memory for {what} holds {found} values, {expected} are needed")
            }
        }
    }
}

impl core::error::Error for TaughtError {}

/// A read-only view of supports, for those who compute from them.
#[derive(Clone, Copy, Debug)]
pub struct Supports<'a> {
    /// Feature dimension D.
    pub dim: usize,
    /// Where each came from, `[n]`, in the order of their sources.
    pub records: &'a [Record],
    /// Their features, `[n, D]`.
    pub features: &'a [i16],
}

impl<'a> Supports<'a> {
    /// Number of supports n.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The feature of support `index`, `[D]`.
    ///
    /// # Panics
    /// When there is no such support.
    pub fn feature(&self, index: usize) -> &'a [i16] {
        &self.features[index * self.dim..][..self.dim]
    }

    /// Class and feature of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [i16])> + use<'a> {
        let (records, features, dim) = (self.records, self.features, self.dim);
        records.iter().zip(features.chunks_exact(dim)).map(|(record, feature)| (record.class, feature))
    }
}

/// Classes and supports over memory that the caller lends.
#[derive(Debug)]
pub struct Taught<'m> {
    dim: usize,
    len: usize,
    names: &'m mut [Name],
    records: &'m mut [Record],
    features: &'m mut [i16],
}

impl<'m> Taught<'m> {
    /// Nothing taught yet; what the memory holds is cleared.
    ///
    /// * `names`: `[C]`, which decides the number of class slots
    /// * `records`: `[S]`, which decides the number of supports
    /// * `features`: `[S, D]`
    ///
    /// # Errors
    /// When a size is out of range or the memory does not fit it.
    pub fn new(
        dim: usize,
        names: &'m mut [Name],
        records: &'m mut [Record],
        features: &'m mut [i16],
    ) -> Result<Self, TaughtError> {
        if !(1..=DIM_MAX).contains(&dim) {
            return Err(TaughtError::Dimension { found: dim, expected: DIM_MAX });
        }
        if !(1..=CLASSES_MAX).contains(&names.len()) {
            return Err(TaughtError::Memory { what: "names", found: names.len(), expected: CLASSES_MAX });
        }
        // More than memory can be is more than was lent.
        let expected = records.len().saturating_mul(dim);
        if features.len() != expected {
            return Err(TaughtError::Memory { what: "features", found: features.len(), expected });
        }
        let mut taught = Self { dim, len: 0, names, records, features };
        taught.clear();
        Ok(taught)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.len = 0;
        self.names.fill(Name::FREE);
        self.records.fill(Record::EMPTY);
        self.features.fill(0);
    }

    /// The name of each slot, `[C]`.
    pub fn names(&self) -> &[Name] {
        self.names
    }

    /// Feature dimension D.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Places for supports S.
    pub fn capacity(&self) -> usize {
        self.records.len()
    }

    /// The supports, in the order of their sources.
    pub fn supports(&self) -> Supports<'_> {
        Supports { dim: self.dim, records: &self.records[..self.len], features: &self.features[..self.len * self.dim] }
    }

    /// The slot of the class called `name`.
    pub fn class_named(&self, name: &str) -> Option<u8> {
        self.names.iter().position(|known| !known.is_free() && known.as_str() == name).map(|slot| slot as u8)
    }

    /// The support made of `source`.
    pub fn find(&self, source: &Source) -> Option<usize> {
        self.place(source).ok()
    }

    /// The slot that [`Self::put_class`] may give the next class: the lowest free one.
    ///
    /// # Errors
    /// When every slot is taken.
    pub fn free_slot(&self) -> Result<u8, TaughtError> {
        let slot = self.names.iter().position(Name::is_free);
        slot.map(|slot| slot as u8).ok_or(TaughtError::ClassesFull { limit: self.names.len() })
    }

    /// Whether [`Self::put_class`] would be accepted.
    ///
    /// # Errors
    /// When there is no such slot or another class has the name.
    pub fn check_class(&self, class: u8, name: &Name) -> Result<(), TaughtError> {
        if usize::from(class) >= self.names.len() || name.is_free() {
            return Err(TaughtError::NoSuchClass { class });
        }
        match self.class_named(name.as_str()) {
            Some(taken) if taken != class => Err(TaughtError::NameTaken { class: taken }),
            _ => Ok(()),
        }
    }

    /// Names the class in slot `class`: a new one, or another name for the one there.
    ///
    /// # Errors
    /// As [`Self::check_class`].
    pub fn put_class(&mut self, class: u8, name: Name) -> Result<(), TaughtError> {
        self.check_class(class, &name)?;
        self.names[usize::from(class)] = name;
        Ok(())
    }

    /// Removes a class and all its supports.
    ///
    /// # Errors
    /// When the slot is free.
    pub fn remove_class(&mut self, class: u8) -> Result<(), TaughtError> {
        self.check_slot(class)?;
        self.names[usize::from(class)] = Name::FREE;
        for index in (0..self.len).rev() {
            if self.records[index].class == class {
                self.take_out(index);
            }
        }
        Ok(())
    }

    /// Whether [`Self::learn`] would change anything: `Ok(false)` where this source is known as this class already.
    ///
    /// # Errors
    /// When the class, the dimension or the room is missing, or the source is known as another class.
    pub fn check_learn(&self, record: &Record, feature: &[i16]) -> Result<bool, TaughtError> {
        self.check_record(record, feature.len())
    }

    fn check_record(&self, record: &Record, found: usize) -> Result<bool, TaughtError> {
        self.check_slot(record.class)?;
        if found != self.dim {
            return Err(TaughtError::Dimension { found, expected: self.dim });
        }
        if let Some(index) = self.find(&record.source) {
            let class = self.records[index].class;
            return if class == record.class { Ok(false) } else { Err(TaughtError::TaughtOtherwise { class }) };
        }
        match self.len < self.capacity() {
            true => Ok(true),
            false => Err(TaughtError::SupportsFull { limit: self.capacity() }),
        }
    }

    /// Keeps a support; `Ok(false)` where this source is known as this class already. `feature`: `[D]`.
    ///
    /// # Errors
    /// As [`Self::check_learn`].
    pub fn learn(&mut self, record: Record, feature: &[i16]) -> Result<bool, TaughtError> {
        self.learn_from(record, feature.iter().copied())
    }

    /// [`Self::learn`] of a feature that lies elsewhere in another form: bytes of a store.
    ///
    /// # Errors
    /// As [`Self::check_learn`].
    pub fn learn_from(
        &mut self,
        record: Record,
        feature: impl ExactSizeIterator<Item = i16>,
    ) -> Result<bool, TaughtError> {
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

    /// Forgets the support made of `source`; tells where it came from.
    ///
    /// # Errors
    /// When there is none.
    pub fn forget(&mut self, source: &Source) -> Result<Record, TaughtError> {
        let index = self.find(source).ok_or(TaughtError::NeverTaught)?;
        let record = self.records[index];
        self.take_out(index);
        Ok(record)
    }

    /// Hands every byte that is known to `sink`, in pieces: the canonical state.
    ///
    /// D, C and n as `u32`; each slot as length (`u8`) and name; each support as source, class, operator, time and
    /// feature; all little-endian. Two devices that know the same samples give the same bytes.
    pub fn state(&self, mut sink: impl FnMut(&[u8])) {
        for number in [self.dim, self.names.len(), self.len] {
            sink(&(number as u32).to_le_bytes());
        }
        for name in self.names.iter() {
            sink(&[name.len]);
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

    fn check_slot(&self, class: u8) -> Result<(), TaughtError> {
        match self.names.get(usize::from(class)) {
            Some(name) if !name.is_free() => Ok(()),
            _ => Err(TaughtError::NoSuchClass { class }),
        }
    }

    /// Where `source` is, or where it would be.
    fn place(&self, source: &Source) -> Result<usize, usize> {
        self.records[..self.len].binary_search_by(|record| record.source.cmp(source))
    }

    fn take_out(&mut self, index: usize) {
        self.records.copy_within(index + 1..self.len, index);
        self.features.copy_within((index + 1) * self.dim..self.len * self.dim, index * self.dim);
        self.len -= 1;
        // What is forgotten leaves no trace in memory either.
        self.records[self.len] = Record::EMPTY;
        self.features[self.len * self.dim..][..self.dim].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::vec::Vec;

    fn record(source: u8, class: u8) -> Record {
        Record { source: [source; 16], class, operator: 7, time_s: 1_700_000_000 }
    }

    fn state(taught: &Taught<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        taught.state(|piece| bytes.extend_from_slice(piece));
        bytes
    }

    #[test]
    fn order_leaves_no_trace() {
        let (mut names, mut records, mut features) = ([Name::FREE; 3], [Record::EMPTY; 4], [0; 8]);
        let mut taught = Taught::new(2, &mut names, &mut records, &mut features).unwrap();
        taught.put_class(0, Name::new("nodule").unwrap()).unwrap();
        taught.put_class(1, Name::new("vessel").unwrap()).unwrap();
        assert_eq!(taught.learn(record(5, 0), &[1, 2]), Ok(true));
        assert_eq!(taught.learn(record(3, 1), &[3, 4]), Ok(true));
        let expected = state(&taught);
        assert_eq!(taught.learn(record(3, 1), &[3, 4]), Ok(false), "a repeated learn changes nothing");
        assert_eq!(taught.learn(record(4, 1), &[9, 9]), Ok(true));
        assert_eq!(taught.supports().feature(1), [9, 9], "sorted by source");
        taught.forget(&[5; 16]).unwrap();
        taught.learn(record(5, 0), &[1, 2]).unwrap();
        assert_eq!(taught.forget(&[4; 16]), Ok(record(4, 1)));
        assert_eq!(state(&taught), expected);
        assert_eq!(expected.len(), 12 + 7 + 7 + 1 + 2 * (16 + 1 + 4 + 8 + 4));
        taught.put_class(2, Name::new("cell").unwrap()).unwrap();
        taught.learn(record(9, 2), &[7, 7]).unwrap();
        taught.remove_class(2).unwrap();
        assert_eq!(state(&taught), expected, "a class goes with its supports");
    }

    #[test]
    fn refusals() {
        let (mut names, mut records, mut features) = ([Name::FREE; 1], [Record::EMPTY; 1], [0; 2]);
        let mut taught = Taught::new(2, &mut names, &mut records, &mut features).unwrap();
        assert_eq!(taught.learn(record(1, 0), &[1, 2]), Err(TaughtError::NoSuchClass { class: 0 }));
        taught.put_class(0, Name::new("a").unwrap()).unwrap();
        assert_eq!(taught.put_class(1, Name::new("b").unwrap()), Err(TaughtError::NoSuchClass { class: 1 }));
        assert_eq!(taught.free_slot(), Err(TaughtError::ClassesFull { limit: 1 }));
        assert_eq!(taught.learn(record(1, 0), &[1]), Err(TaughtError::Dimension { found: 1, expected: 2 }));
        taught.learn(record(1, 0), &[1, 2]).unwrap();
        assert_eq!(taught.learn(record(2, 0), &[1, 2]), Err(TaughtError::SupportsFull { limit: 1 }));
        assert_eq!(taught.forget(&[2; 16]), Err(TaughtError::NeverTaught));
        assert_eq!(taught.remove_class(3), Err(TaughtError::NoSuchClass { class: 3 }));
        assert_eq!(Name::new(""), Err(TaughtError::Name { found: 0 }));
        assert_eq!(Name::new("a\nb"), Err(TaughtError::Name { found: 3 }));
        for hidden in ['\u{202e}', '\u{2066}', '\u{200f}', '\u{61c}', '\u{2028}', '\u{2029}', '\u{200b}', '\u{feff}'] {
            let mut bytes = [b'a'; 5];
            let len = 1 + hidden.encode_utf8(&mut bytes[1..]).len();
            let text = core::str::from_utf8(&bytes[..len]).unwrap();
            assert_eq!(Name::new(text), Err(TaughtError::Name { found: len }), "{hidden:?}");
            assert!(Name::stored(text).is_ok(), "a store of an earlier program still opens");
        }
        assert!(Name::stored("a\nb").is_err() && Name::new("गाँठ عقدة").is_ok());
        assert_eq!(Name::new("123456789012345678901234567890123"), Err(TaughtError::Name { found: 33 }));
    }

    #[test]
    fn a_source_has_one_class_and_a_name_one_slot() {
        let (mut names, mut records, mut features) = ([Name::FREE; 2], [Record::EMPTY; 2], [0; 2]);
        let mut taught = Taught::new(1, &mut names, &mut records, &mut features).unwrap();
        taught.put_class(0, Name::new("a").unwrap()).unwrap();
        assert_eq!(taught.put_class(1, Name::new("a").unwrap()), Err(TaughtError::NameTaken { class: 0 }));
        taught.put_class(1, Name::new("b").unwrap()).unwrap();
        taught.learn(record(1, 0), &[1]).unwrap();
        assert_eq!(taught.learn(record(1, 1), &[1]), Err(TaughtError::TaughtOtherwise { class: 0 }));
        taught.put_class(0, Name::new("c").unwrap()).unwrap();
        assert_eq!((taught.class_named("c"), taught.class_named("a")), (Some(0), None));
    }
}
