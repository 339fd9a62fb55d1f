//! What was taught, kept on flash through power cuts.
//!
//! A log of records in a ring of erase blocks: names of classes, supports, their removal, small settings. A power cut
//! during any program or erase leaves the state before the request or after it. `docs/store-format.md` draws the bytes.
//!
//! The map of `sequential-storage` 8.0.2 was tried first, on the flash of `firmware-sim`. An erase that was torn lost all
//! supports (both marks of a page gone, its items still there: it counts as empty); a mark that was torn was programmed a
//! second time; and one flipped bit in the entry of a forgotten sample brought the sample back, unnoticed, because an item
//! that does not match its checksum is passed over and the one before it holds. The tests under `firmware-sim/tests` hold
//! this log to the opposite.

mod append; //     writing, in an order that survives a power cut after any step
mod error; //      why a store refuses
mod flash; //      the flash a store lies on
mod layout; //     the bytes of a header and of a record
mod log; //        finding and reading the records
mod peek; //       what a store tells before it is opened
mod replay; //     from records to what was taught
mod verify; //     whether the store still says what memory says

use core::ops::Range;

pub use error::StoreError;
pub use flash::{Flash, Synchronous};
pub use layout::{SETTING_MAX, buffer_len};
pub use peek::{Peeked, peek};

use crate::decide::ClassSet;
use crate::support_set::{ClassName, SourceId, SupportRecord, SupportSet, SupportSetError};
use append::Kept;
use layout::{Entry, Kind, SUPPORT_HEAD};
use log::Log;

/// What the flash has gone through, since the first use of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wear {
    /// Bytes programmed. Those of a write that a power cut interrupted are not counted.
    pub bytes_programmed: u64,
    /// Erases, of all blocks together. Those of an interrupted opening of a block are not counted.
    pub erases: u32,
    /// Bytes that supports and classes may still take.
    pub free_bytes: u32,
}

/// A durable copy of what was taught, and of settings.
///
/// Every method that changes something returns when the change will be found again, or leaves everything as it was.
pub struct Store<'m, F> {
    log: Log<'m, F>,
    dim: usize,
    classes: usize,
    /// Bytes of the records that still say something.
    live: u32,
}

impl<'m, F: Flash> Store<'m, F> {
    /// Opens the store in `range` and replays it into `taught`, which is cleared first. Erased flash is a new store.
    ///
    /// * `identity`: of the encoder whose features are kept
    /// * `buffer`: at least [`buffer_len`]
    ///
    /// # Errors
    /// When the flash cannot carry a store, holds another encoder's, a later version's, a damaged one or something else,
    /// or more than `taught` has room for.
    pub fn open(
        flash: F,
        range: Range<u32>,
        identity: [u8; 16],
        buffer: &'m mut [u8],
        support_set: &mut SupportSet<'_>,
    ) -> Result<Self, StoreError> {
        let mut log = Log::new(flash, &range, support_set.dim(), buffer)?;
        match log.find_head()? {
            None => log.begin_anew(identity, Kept::Nothing)?,
            Some(_) if log.identity != identity => {
                return Err(StoreError::Identity { found: log.identity, expected: identity });
            }
            Some(newest) if log::is_anew(&newest) => log.finish_anew()?,
            Some(_) => {}
        }
        let live = replay::replay(&mut log, support_set)?;
        Ok(Self { log, dim: support_set.dim(), classes: support_set.names().len(), live })
    }

    /// Makes `range` an empty store of `identity`, whatever it holds, and clears `taught`.
    ///
    /// A store that was whole is afterwards empty or, when the power failed, as before.
    ///
    /// # Errors
    /// When the flash cannot carry a store or fails.
    pub fn format(
        flash: F,
        range: Range<u32>,
        identity: [u8; 16],
        buffer: &'m mut [u8],
        support_set: &mut SupportSet<'_>,
    ) -> Result<Self, StoreError> {
        let mut log = Log::new(flash, &range, support_set.dim(), buffer)?;
        match log.find_head() {
            Ok(_) | Err(StoreError::Damaged { .. }) => {}
            Err(StoreError::NotAStore | StoreError::NewerVersion { .. }) => log.erase_everything()?,
            Err(error) => return Err(error),
        }
        log.begin_anew(identity, Kept::Nothing)?;
        support_set.clear();
        Ok(Self { log, dim: support_set.dim(), classes: support_set.names().len(), live: 0 })
    }

    /// Makes the store in `range` one of another encoder: what was taught is void, the settings stay, and `setting` has
    /// this value. All of it in one step. `taught` is cleared.
    ///
    /// # Errors
    /// As [`Self::open`], but for the encoder.
    pub fn change_encoder(
        flash: F,
        range: Range<u32>,
        identity: [u8; 16],
        setting: (u8, &[u8]),
        buffer: &'m mut [u8],
        support_set: &mut SupportSet<'_>,
    ) -> Result<Self, StoreError> {
        let mut log = Log::new(flash, &range, support_set.dim(), buffer)?;
        log.find_head()?;
        log.begin_anew(identity, Kept::Settings(Some(setting)))?;
        support_set.clear();
        let live = log.head.end - log.geometry.record_start();
        Ok(Self { log, dim: support_set.dim(), classes: support_set.names().len(), live })
    }

    /// Names the class in slot `class`: a new one, or another name for the one there.
    ///
    /// # Errors
    /// When there is no such slot, another class has the name, the store is full or the flash fails.
    pub fn put_class(&mut self, class: u8, name: &ClassName) -> Result<(), StoreError> {
        if usize::from(class) >= self.classes || name.is_free() {
            return Err(StoreError::SupportSet(SupportSetError::NoSuchClass { class }));
        }
        let name = name.as_str().as_bytes();
        if let Some(taken) = self.classes_named(name)?.iter().find(|&other| other != class) {
            return Err(StoreError::SupportSet(SupportSetError::NameTaken { class: taken }));
        }
        let old = self.class(class)?;
        let live = self.check_room(name.len(), old, true)?;
        self.log.append(Kind::Class, class, name.len(), |payload| payload.copy_from_slice(name))?;
        self.live = live;
        Ok(())
    }

    /// The slots whose class is called `name`: one at most, where nothing else wrote to the flash.
    fn classes_named(&mut self, name: &[u8]) -> Result<ClassSet, StoreError> {
        let (mut named, mut cursor) = (ClassSet::EMPTY, self.log.start());
        while let Some(entry) = self.log.next(&mut cursor)? {
            match entry.kind {
                Kind::Class if self.log.load(&entry)? == name => named.insert(entry.slot),
                Kind::Class | Kind::RemoveClass => named.remove(entry.slot),
                _ => {}
            }
        }
        Ok(named)
    }

    /// Removes a class and all its supports.
    ///
    /// * `taught`: what the store holds, with the class still in it; it tells how much room becomes free
    ///
    /// # Errors
    /// When there is no such class or the flash fails.
    pub fn remove_class(&mut self, class: u8, support_set: &SupportSet<'_>) -> Result<(), StoreError> {
        let Some(named) = self.class(class)? else {
            return Err(StoreError::SupportSet(SupportSetError::NoSuchClass { class }));
        };
        let supports = support_set.supports().records.iter().filter(|record| record.class == class).count();
        let freed = u64::from(self.support_bytes()) * supports as u64 + u64::from(self.log.geometry.stride(named.len));
        let live = self.without(freed, named.at)?;
        self.log.append(Kind::RemoveClass, class, 0, |_| ())?;
        self.live = live;
        Ok(())
    }

    /// Keeps a support. `feature`: `[D]`. One that is kept already, of the same class, is kept as it is.
    ///
    /// # Errors
    /// When the class is missing, the dimension differs, the source is known as another class, the store is full or the
    /// flash fails.
    pub fn learn(&mut self, record: &SupportRecord, feature: &[i16]) -> Result<(), StoreError> {
        if feature.len() != self.dim {
            let wrong = SupportSetError::Dimension { found: feature.len(), expected: self.dim };
            return Err(StoreError::SupportSet(wrong));
        }
        if self.class(record.class)?.is_none() {
            return Err(StoreError::SupportSet(SupportSetError::NoSuchClass { class: record.class }));
        }
        match self.support(&record.source)? {
            Some(known) if known.slot == record.class => return Ok(()),
            Some(known) => return Err(StoreError::SupportSet(SupportSetError::SourceTaken { class: known.slot })),
            None => {}
        }
        let len = SUPPORT_HEAD + 2 * feature.len();
        let live = self.check_room(len, None, true)?;
        self.log.append(Kind::Learn, record.class, len, |payload| replay::write_support(payload, record, feature))?;
        self.live = live;
        Ok(())
    }

    /// Forgets the support made of `source`.
    ///
    /// # Errors
    /// When there is none or the flash fails.
    pub fn forget(&mut self, source: &SourceId) -> Result<(), StoreError> {
        let Some(known) = self.support(source)? else {
            return Err(StoreError::SupportSet(SupportSetError::NoSuchSource));
        };
        let live = self.without(self.log.geometry.stride(known.len).into(), known.at)?;
        self.log.append(Kind::Forget, 0, source.len(), |payload| payload.copy_from_slice(source))?;
        self.live = live;
        Ok(())
    }

    /// Keeps `value` as setting `key`, instead of the value it had; nothing, with an empty value.
    ///
    /// Settings may take room that supports and classes may not, so a device that is full can still change them.
    ///
    /// # Errors
    /// When the value is longer than [`SETTING_MAX`], the store is full or the flash fails.
    pub fn put_setting(&mut self, key: u8, value: &[u8]) -> Result<(), StoreError> {
        if value.len() > SETTING_MAX {
            return Err(StoreError::Length { found: value.len(), limit: SETTING_MAX });
        }
        let old = self.setting(key)?;
        let with_value = self.check_room(value.len(), old, false)?;
        let live = match value.is_empty() {
            true => self.without_record(old)?,
            false => with_value,
        };
        self.log.append(Kind::Setting, key, value.len(), |payload| payload.copy_from_slice(value))?;
        self.live = live;
        Ok(())
    }

    /// The bytes of setting `key`, written to the beginning of `value`; gives their number, 0 where it has no value.
    ///
    /// # Errors
    /// When `value` is too short or the flash fails.
    pub fn get_setting(&mut self, key: u8, value: &mut [u8]) -> Result<usize, StoreError> {
        let Some(entry) = self.setting(key)? else { return Ok(0) };
        let found = self.log.load(&entry)?;
        match value.get_mut(..found.len()) {
            Some(place) => place.copy_from_slice(found),
            None => return Err(StoreError::Length { found: found.len(), limit: value.len() }),
        }
        Ok(entry.len)
    }

    /// Nothing is taught and no setting has a value. What was there is erased from the flash.
    ///
    /// # Errors
    /// When the flash fails; after the next [`Self::open`] everything is there or nothing.
    pub fn erase_all(&mut self) -> Result<(), StoreError> {
        if self.log.uncertain {
            return Err(StoreError::Unknown);
        }
        self.log.begin_anew(self.log.identity, Kept::Nothing)?;
        self.live = 0;
        Ok(())
    }

    /// Forgets everything that was taught, and keeps the settings. What was there is erased from the flash.
    ///
    /// # Errors
    /// As [`Self::erase_all`].
    pub fn forget_all(&mut self) -> Result<(), StoreError> {
        if self.log.uncertain {
            return Err(StoreError::Unknown);
        }
        self.log.begin_anew(self.log.identity, Kept::Settings(None))?;
        self.live = self.log.head.end - self.log.geometry.record_start();
        Ok(())
    }

    /// What the flash has gone through.
    pub fn wear(&self) -> Wear {
        let record = SUPPORT_HEAD + 2 * self.dim;
        Wear {
            bytes_programmed: self.log.programmed,
            erases: self.log.erases,
            free_bytes: self.limit(record, true).saturating_sub(self.live),
        }
    }

    /// Bytes of flash that a support takes.
    pub fn support_bytes(&self) -> u32 {
        self.log.geometry.stride(SUPPORT_HEAD + 2 * self.dim)
    }

    /// The encoder whose features are kept.
    pub fn identity(&self) -> [u8; 16] {
        self.log.identity
    }

    /// The flash below, for those who keep other things on it outside the store's range.
    pub fn flash_mut(&mut self) -> &mut F {
        &mut self.log.flash
    }

    fn class(&mut self, class: u8) -> Result<Option<Entry>, StoreError> {
        self.log.find(|entry| entry.kind == Kind::Class && entry.slot == class)
    }

    fn support(&mut self, source: &SourceId) -> Result<Option<Entry>, StoreError> {
        self.log.find(|entry| entry.kind == Kind::Learn && entry.source == *source)
    }

    fn setting(&mut self, key: u8) -> Result<Option<Entry>, StoreError> {
        self.log.find(|entry| entry.kind == Kind::Setting && entry.slot == key)
    }

    /// Bytes of the live records without `freed` of them, which a record at `at` took.
    ///
    /// # Errors
    /// When they are more than there are: the log was changed by something else.
    fn without(&self, freed: u64, at: u32) -> Result<u32, StoreError> {
        let freed = u32::try_from(freed).map_err(|_| StoreError::Damaged { at })?;
        self.live.checked_sub(freed).ok_or(StoreError::Damaged { at })
    }

    fn without_record(&self, old: Option<Entry>) -> Result<u32, StoreError> {
        old.map_or(Ok(self.live), |old| self.without(self.log.geometry.stride(old.len).into(), old.at))
    }

    /// Bytes that live records may take so that one with a payload of `len` finds room.
    ///
    /// N - 1 blocks make up the log, P bytes of records each. While less than `(N - 1) (P - stride)` bytes live, there is
    /// a block in which copying what lives leaves room for `stride`. A removal takes less than a support, so it always
    /// finds room. An eighth stays free of supports and classes: room for settings, and without it each learned sample
    /// would copy nearly all others.
    fn limit(&self, len: usize, eighth_free: bool) -> u32 {
        let geometry = &self.log.geometry;
        let stride = geometry.stride(len.max(SUPPORT_HEAD + 2 * self.dim));
        let all = u64::from(geometry.blocks - 1) * u64::from(geometry.payload() - stride);
        (if eighth_free { all / 8 * 7 } else { all }).min(u64::from(u32::MAX)) as u32
    }

    /// Bytes of the live records once one with a payload of `len` has taken the place of `old`, where there is room.
    fn check_room(&self, len: usize, old: Option<Entry>, eighth_free: bool) -> Result<u32, StoreError> {
        let needed = self.log.geometry.stride(len);
        let limit = self.limit(len, eighth_free);
        let after = self.without_record(old)?.saturating_add(needed);
        // The old value counts until the new one is written.
        match after <= limit && self.live <= self.limit(len, false) {
            true => Ok(after),
            false => Err(StoreError::Full { needed, free: limit.saturating_sub(self.live) }),
        }
    }
}
