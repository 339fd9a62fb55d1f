//! From the records of a journal to classes and supports.

use super::format::{Entry, Kind, OPERATING_POINT_KEY, SETTING_MAX, SUPPORT_HEAD, read_support};
use super::journal::Journal;
use super::{Flash, StoreError};
use crate::decide::ClassSet;
use crate::support_set::{ClassName, SupportSet, SupportSetError};

/// Replays the journal into `support_set`; returns the bytes of the live records.
///
/// Classes come first: compaction moves live records to the end of the journal, so that a class may lie behind its
/// supports. Records about the same thing keep their order.
///
/// # Errors
/// [`StoreError::Damaged`] also for a journal that no device writes: a support of a slot without a class, because a class
/// is named before it is taught and its removal removes its supports; and a source that is learned as a second class
/// without being forgotten in between, also when one of the classes was removed later. Such records would be counted once
/// when they are read and again when they are forgotten.
pub(super) fn replay<F: Flash>(
    journal: &mut Journal<'_, F>,
    support_set: &mut SupportSet<'_>,
) -> Result<u32, StoreError> {
    support_set.clear();
    replay_classes(journal, support_set)?;
    replay_supports(journal, support_set)?;
    let lens = setting_lens(journal)?;
    let strides = |len: usize, count: usize| u64::from(journal.geometry.stride(len)) * count as u64;
    let supports = strides(SUPPORT_HEAD + 2 * support_set.dim(), support_set.supports().len());
    let named = support_set.names().iter().filter(|name| !name.is_free());
    let classes: u64 = named.map(|name| strides(name.as_str().len(), 1)).sum();
    let settings: u64 = lens.iter().filter(|&&len| len > 0).map(|&len| strides(len.into(), 1)).sum();
    // Each live record lies on the flash once, so their sum fits an address.
    let damaged = StoreError::Damaged { at: journal.block_at(journal.head.seq) };
    u32::try_from(supports + classes + settings).map_err(|_| damaged)
}

/// Bytes of each setting's value; 0 when it has none.
fn setting_lens<F: Flash>(journal: &mut Journal<'_, F>) -> Result<[u8; 256], StoreError> {
    const { assert!(SETTING_MAX <= u8::MAX as usize) };
    let mut lens = [0; 256];
    let mut of_class = None;
    let mut cursor = journal.start();
    while let Some(entry) = journal.next(&mut cursor)? {
        match entry.kind {
            Kind::Setting => {
                lens[usize::from(entry.slot)] = entry.len as u8;
                if entry.slot == OPERATING_POINT_KEY {
                    of_class = entry.class;
                }
            }
            Kind::RemoveClass if of_class == Some(entry.slot) => lens[usize::from(OPERATING_POINT_KEY)] = 0,
            _ => {}
        }
    }
    Ok(lens)
}

fn replay_classes<F: Flash>(journal: &mut Journal<'_, F>, support_set: &mut SupportSet<'_>) -> Result<(), StoreError> {
    let mut cursor = journal.start();
    while let Some(entry) = journal.next(&mut cursor)? {
        let damaged = StoreError::Damaged { at: entry.at };
        match entry.kind {
            Kind::Class => {
                let name = core::str::from_utf8(journal.load(&entry)?).map_err(|_| damaged)?;
                let name = ClassName::stored(name).map_err(|_| damaged)?;
                support_set.put_class(entry.slot, name).map_err(StoreError::SupportSet)?;
            }
            Kind::RemoveClass => ignore_missing(support_set.remove_class(entry.slot))?,
            _ => {}
        }
    }
    Ok(())
}

fn replay_supports<F: Flash>(journal: &mut Journal<'_, F>, support_set: &mut SupportSet<'_>) -> Result<(), StoreError> {
    let dim = support_set.dim();
    // Slots without a class for which a support was learned and no removal has followed yet, and the last such record.
    let (mut without_class, mut at) = (ClassSet::EMPTY, 0);
    let mut cursor = journal.start();
    while let Some(entry) = journal.next(&mut cursor)? {
        match entry.kind {
            // Also where the class was removed later: its slot may be used again.
            Kind::Learn if entry.len != SUPPORT_HEAD + 2 * dim => {
                let found = (entry.len - SUPPORT_HEAD) / 2;
                return Err(StoreError::SupportSet(SupportSetError::Dimension { found, expected: dim }));
            }
            Kind::Learn => {
                let slot = usize::from(entry.slot);
                if without_class.contains(entry.slot) || support_set.names().get(slot).is_none_or(ClassName::is_free) {
                    without_class.insert(entry.slot);
                    at = entry.at;
                }
                learn(journal, &entry, support_set)?;
            }
            Kind::Forget => ignore_missing(support_set.forget(&entry.source).map(|_| ()))?,
            Kind::RemoveClass => {
                let is_gone = without_class.contains(entry.slot);
                without_class.remove(entry.slot);
                // The name is that of a later class in this slot.
                let name = support_set.names().get(usize::from(entry.slot)).copied().unwrap_or(ClassName::FREE);
                if !name.is_free() {
                    support_set.remove_class(entry.slot).map_err(StoreError::SupportSet)?;
                    if !is_gone {
                        support_set.put_class(entry.slot, name).map_err(StoreError::SupportSet)?;
                    }
                }
            }
            _ => {}
        }
    }
    if without_class.is_empty() { Ok(()) } else { Err(StoreError::Damaged { at }) }
}

/// Learns a support. A class that was removed later has a placeholder for a name until its removal is replayed, so that
/// its supports are known meanwhile, as they were on the device.
fn learn<F: Flash>(
    journal: &mut Journal<'_, F>,
    entry: &Entry,
    support_set: &mut SupportSet<'_>,
) -> Result<(), StoreError> {
    match support_set.names().get(usize::from(entry.slot)) {
        // A slot that this device does not have.
        None => return Ok(()),
        Some(name) if name.is_free() => {
            support_set.put_class(entry.slot, ClassName::placeholder(entry.slot)).map_err(StoreError::SupportSet)?;
        }
        Some(_) => {}
    }
    let (record, feature) = read_support(journal.load(entry)?, entry.slot);
    match support_set.learn_from(record, feature) {
        Ok(_) => Ok(()),
        Err(SupportSetError::SourceTaken { .. }) => Err(StoreError::Damaged { at: entry.at }),
        Err(error) => Err(StoreError::SupportSet(error)),
    }
}

/// Accepts a removal of something that has left the journal before it.
fn ignore_missing(removed: Result<(), SupportSetError>) -> Result<(), StoreError> {
    match removed {
        Err(SupportSetError::NoSuchClass { .. } | SupportSetError::NoSuchSource) | Ok(()) => Ok(()),
        Err(error) => Err(StoreError::SupportSet(error)),
    }
}
