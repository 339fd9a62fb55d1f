//! The store: classes, supports and settings on flash, safe against power cuts.
//!
//! A journal of records in a ring of erase blocks. A power cut during any program or erase leaves the state before the
//! request or after it. `docs/store-format.md` draws the bytes.
//!
//! The map of `sequential-storage` 8.0.2 was tried first, on the flash of `firmware-sim`. A torn erase lost all supports
//! (both marks of a page gone, its items still there: it counts as empty); a torn mark was programmed a second time; and
//! one flipped bit in the entry of a forgotten sample brought the sample back, because the map ignores an item that does
//! not match its checksum and uses the one before it. The tests under `firmware-sim/tests` check that this store does
//! none of that.

mod error; //      errors of a store
mod flash; //      the flash under a store
pub mod format; // the bytes of a header and of a record, with their offsets
mod geometry; //   where blocks and records lie on the flash
mod journal; //    finding and reading records
mod append; //     adding a record, in an order that survives a power cut
mod compaction; // freeing blocks when the flash is full, and restarting the journal
mod peek; //       facts about a store that do not need its encoder
mod replay; //     from records to classes and supports
mod verify; //     checks that flash and memory agree

use core::ops::Range;

pub use error::StoreError;
pub use flash::{Flash, FlashSizes, Synchronous};
pub use format::{OPERATING_POINT_KEY, SETTING_MAX};
pub use geometry::{buffer_len, buffer_len_of};
pub use peek::{Peeked, peek};

use crate::decide::ClassSet;
use crate::support_set::{ClassName, SourceId, SupportRecord, SupportSet, SupportSetError};
use compaction::Kept;
use format::{Entry, Kind, Opening, SUPPORT_HEAD};
use journal::Journal;

/// Wear of the flash since the first use of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wear {
    /// Bytes programmed, without writes that a power cut interrupted.
    pub bytes_programmed: u64,
    /// Erases of all blocks together, without those of an interrupted opening of a block.
    pub erases: u32,
    /// Bytes that supports and classes may still take.
    pub free_bytes: u32,
}

/// Classes, supports and settings on flash.
///
/// A method that changes something returns `Ok` once the change is durable; otherwise nothing has changed.
pub struct Store<'m, F> {
    journal: Journal<'m, F>,
    dim: usize,
    classes: usize,
    /// Bytes of the live records: those that no later record supersedes.
    live: u32,
}

impl<'m, F: Flash> Store<'m, F> {
    /// Opens the store in `range` and replays it into `support_set`, which is cleared first. Erased flash becomes a new store.
    ///
    /// * `identity`: of the encoder whose features are kept
    /// * `buffer`: at least [`buffer_len`]
    ///
    /// # Errors
    /// When the flash cannot carry a store; when it holds the store of another encoder, of a later version, a damaged
    /// store or something else; or when `support_set` has no room for all of it.
    pub fn open(
        flash: F,
        range: Range<u32>,
        identity: [u8; 16],
        buffer: &'m mut [u8],
        support_set: &mut SupportSet<'_>,
    ) -> Result<Self, StoreError> {
        let mut journal = Journal::new(flash, &range, support_set.dim(), buffer)?;
        match journal.find_head()? {
            None => journal.restart(identity, Kept::Nothing)?,
            Some(_) if journal.identity != identity => {
                return Err(StoreError::Identity { found: journal.identity, expected: identity });
            }
            Some(newest) if newest.opening == Opening::Restart => journal.finish_restart()?,
            Some(_) => {}
        }
        let live = replay::replay(&mut journal, support_set)?;
        Ok(Self { journal, dim: support_set.dim(), classes: support_set.names().len(), live })
    }

    /// Makes `range` with any content an empty store of `identity`, and clears `support_set`.
    ///
    /// After a power cut, a sound store is empty or as before.
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
        let mut journal = Journal::new(flash, &range, support_set.dim(), buffer)?;
        match journal.find_head() {
            Ok(_) | Err(StoreError::Damaged { .. }) => {}
            Err(StoreError::NotAStore | StoreError::NewerVersion { .. }) => journal.erase_everything()?,
            Err(error) => return Err(error),
        }
        journal.restart(identity, Kept::Nothing)?;
        support_set.clear();
        Ok(Self { journal, dim: support_set.dim(), classes: support_set.names().len(), live: 0 })
    }

    /// Restarts the store in `range` for another encoder in one atomic step: classes and supports are forgotten, settings
    /// stay apart from that of a class, and `setting` gets this value. `support_set` is cleared.
    ///
    /// # Errors
    /// As [`Self::open`], except that the encoder may differ.
    pub fn change_encoder(
        flash: F,
        range: Range<u32>,
        identity: [u8; 16],
        setting: (u8, &[u8]),
        buffer: &'m mut [u8],
        support_set: &mut SupportSet<'_>,
    ) -> Result<Self, StoreError> {
        let mut journal = Journal::new(flash, &range, support_set.dim(), buffer)?;
        journal.find_head()?;
        journal.restart(identity, Kept::Settings(Some(setting)))?;
        support_set.clear();
        let live = journal.head.end - journal.geometry.record_start();
        Ok(Self { journal, dim: support_set.dim(), classes: support_set.names().len(), live })
    }

    /// Names a new class in slot `class`, or renames the class there.
    ///
    /// A rename appends one class record with the new name; nothing is overwritten. The record supersedes the one with the
    /// old name, which stays on the flash until compaction frees its block. Supports name their class by slot, so none of
    /// them is rewritten.
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
        self.journal.append(Kind::Class, class, name.len(), |payload| payload.copy_from_slice(name))?;
        self.live = live;
        Ok(())
    }

    /// The slots whose class is called `name`: at most one, unless something else wrote to the flash.
    fn classes_named(&mut self, name: &[u8]) -> Result<ClassSet, StoreError> {
        let (mut named, mut cursor) = (ClassSet::EMPTY, self.journal.start());
        while let Some(entry) = self.journal.next(&mut cursor)? {
            match entry.kind {
                Kind::Class if self.journal.load(&entry)? == name => named.insert(entry.slot),
                Kind::Class | Kind::RemoveClass => named.remove(entry.slot),
                _ => {}
            }
        }
        Ok(named)
    }

    /// Removes a class, all its supports and the setting that belongs to it.
    ///
    /// * `support_set`: the content of the store with the class, whose supports are counted to know how much is freed
    ///
    /// # Errors
    /// When there is no such class or the flash fails.
    pub fn remove_class(&mut self, class: u8, support_set: &SupportSet<'_>) -> Result<(), StoreError> {
        let Some(named) = self.class(class)? else {
            return Err(StoreError::SupportSet(SupportSetError::NoSuchClass { class }));
        };
        let setting = self.setting(OPERATING_POINT_KEY)?.filter(|setting| setting.class == Some(class));
        let supports = support_set.supports().records.iter().filter(|record| record.class == class).count();
        let records: u64 =
            [Some(named), setting].iter().flatten().map(|e| u64::from(self.journal.geometry.stride(e.len))).sum();
        let freed = u64::from(self.support_bytes()) * supports as u64 + records;
        let live = self.live_without(freed, named.at)?;
        self.journal.append(Kind::RemoveClass, class, 0, |_| ())?;
        self.live = live;
        Ok(())
    }

    /// Stores a support; changes nothing when a support of the same source and class is stored already. `feature`: `[D]`.
    ///
    /// # Errors
    /// When the class is missing, the dimension differs, the source belongs to another class, the store is full or the
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
        self.journal
            .append(Kind::Learn, record.class, len, |payload| format::write_support(payload, record, feature))?;
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
        let live = self.live_without(self.journal.geometry.stride(known.len).into(), known.at)?;
        self.journal.append(Kind::Forget, 0, source.len(), |payload| payload.copy_from_slice(source))?;
        self.live = live;
        Ok(())
    }

    /// Sets setting `key` to `value`; an empty value removes it.
    ///
    /// Settings may use room that is closed to supports and classes, so they can still be changed on a full device.
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
        self.journal.append(Kind::Setting, key, value.len(), |payload| payload.copy_from_slice(value))?;
        self.live = live;
        Ok(())
    }

    /// Writes the value of setting `key` to the beginning of `value` and returns its length, 0 when there is none.
    ///
    /// # Errors
    /// When `value` is too short or the flash fails.
    pub fn get_setting(&mut self, key: u8, value: &mut [u8]) -> Result<usize, StoreError> {
        let Some(entry) = self.setting(key)? else { return Ok(0) };
        let found = self.journal.load(&entry)?;
        match value.get_mut(..found.len()) {
            Some(place) => place.copy_from_slice(found),
            None => return Err(StoreError::Length { found: found.len(), limit: value.len() }),
        }
        Ok(entry.len)
    }

    /// Removes all classes, supports and settings and erases them from the flash.
    ///
    /// # Errors
    /// When the flash fails; the next [`Self::open`] finds everything or nothing.
    pub fn erase_all(&mut self) -> Result<(), StoreError> {
        if self.journal.uncertain {
            return Err(StoreError::Unknown);
        }
        self.journal.restart(self.journal.identity, Kept::Nothing)?;
        self.live = 0;
        Ok(())
    }

    /// Removes all classes and supports and erases them from the flash; settings stay, apart from that of a class.
    ///
    /// # Errors
    /// As [`Self::erase_all`].
    pub fn forget_all(&mut self) -> Result<(), StoreError> {
        if self.journal.uncertain {
            return Err(StoreError::Unknown);
        }
        self.journal.restart(self.journal.identity, Kept::Settings(None))?;
        self.live = self.journal.head.end - self.journal.geometry.record_start();
        Ok(())
    }

    /// Wear of the flash and free room.
    pub fn wear(&self) -> Wear {
        let record = SUPPORT_HEAD + 2 * self.dim;
        Wear {
            bytes_programmed: self.journal.programmed,
            erases: self.journal.erases,
            free_bytes: self.limit(record, true).saturating_sub(self.live),
        }
    }

    /// Bytes of flash that a support takes.
    pub fn support_bytes(&self) -> u32 {
        self.journal.geometry.stride(SUPPORT_HEAD + 2 * self.dim)
    }

    /// The encoder whose features are kept.
    pub fn identity(&self) -> [u8; 16] {
        self.journal.identity
    }

    /// The flash under the store, for callers that keep other things outside the store's range.
    pub fn flash_mut(&mut self) -> &mut F {
        &mut self.journal.flash
    }

    fn class(&mut self, class: u8) -> Result<Option<Entry>, StoreError> {
        self.journal.find(|entry| entry.kind == Kind::Class && entry.slot == class)
    }

    fn support(&mut self, source: &SourceId) -> Result<Option<Entry>, StoreError> {
        self.journal.find(|entry| entry.kind == Kind::Learn && entry.source == *source)
    }

    fn setting(&mut self, key: u8) -> Result<Option<Entry>, StoreError> {
        self.journal.find(|entry| entry.kind == Kind::Setting && entry.slot == key)
    }

    /// Bytes of the live records once `freed` of them are gone; a record at `at` took them.
    ///
    /// # Errors
    /// When fewer are live: something else changed the journal.
    fn live_without(&self, freed: u64, at: u32) -> Result<u32, StoreError> {
        let freed = u32::try_from(freed).map_err(|_| StoreError::Damaged { at })?;
        self.live.checked_sub(freed).ok_or(StoreError::Damaged { at })
    }

    fn without_record(&self, old: Option<Entry>) -> Result<u32, StoreError> {
        old.map_or(Ok(self.live), |old| self.live_without(self.journal.geometry.stride(old.len).into(), old.at))
    }

    /// Bytes that live records may take so that a record with a payload of `len` still fits.
    ///
    /// The journal has N - 1 blocks with P bytes of records each. While fewer than `(N - 1) (P - stride)` bytes are live,
    /// compacting some block leaves room for `stride`. A removal takes less than a support, so it always fits. Supports
    /// and classes leave an eighth free: it is room for settings, and without it each learned sample would make compaction
    /// copy nearly all others.
    fn limit(&self, len: usize, eighth_free: bool) -> u32 {
        let geometry = &self.journal.geometry;
        let stride = geometry.stride(len.max(SUPPORT_HEAD + 2 * self.dim));
        let all = u64::from(geometry.blocks - 1) * u64::from(geometry.payload() - stride);
        (if eighth_free { all / 8 * 7 } else { all }).min(u64::from(u32::MAX)) as u32
    }

    /// Bytes of the live records once a record with a payload of `len` supersedes `old`.
    ///
    /// # Errors
    /// [`StoreError::Full`] when there is no room for it.
    fn check_room(&self, len: usize, old: Option<Entry>, eighth_free: bool) -> Result<u32, StoreError> {
        let needed = self.journal.geometry.stride(len);
        let limit = self.limit(len, eighth_free);
        let after = self.without_record(old)?.saturating_add(needed);
        // The old record counts until the new one is written.
        match after <= limit && self.live <= self.limit(len, false) {
            true => Ok(after),
            false => Err(StoreError::Full { needed, free: limit.saturating_sub(self.live) }),
        }
    }
}
