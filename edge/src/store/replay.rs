//! From records to what was taught, and from a support to its record.

use super::layout::{Kind, SETTING_MAX, SUPPORT_HEAD};
use super::log::Log;
use super::{Flash, StoreError};
use crate::decide::ClassSet;
use crate::support_set::{ClassName, SupportRecord, SupportSet, SupportSetError};

/// Replays the log into `taught`; gives the bytes of the records that still say something.
///
/// Classes come first: freeing a block moves what counts in it to the end of the log, so that a class may lie behind its
/// supports. For the same thing, records keep their order.
///
/// # Errors
/// [`StoreError::Damaged`] also where a support has no class: every class is named before it is taught, and a removal
/// takes its supports with it, so no program wrote such a log. Its records would be counted once where they are read
/// and again where they are forgotten.
pub(super) fn replay<F: Flash>(log: &mut Log<'_, F>, support_set: &mut SupportSet<'_>) -> Result<u32, StoreError> {
    support_set.clear();
    replay_classes(log, support_set)?;
    replay_supports(log, support_set)?;
    let strides = |len: usize, count: usize| u64::from(log.geometry.stride(len)) * count as u64;
    let supports = strides(SUPPORT_HEAD + 2 * support_set.dim(), support_set.supports().len());
    let named = support_set.names().iter().filter(|name| !name.is_free());
    let classes: u64 = named.map(|name| strides(name.as_str().len(), 1)).sum();
    let lens = setting_lens(log)?;
    let settings: u64 =
        lens.iter().filter(|&&len| len > 0).map(|&len| u64::from(log.geometry.stride(len.into()))).sum();
    // All of it lies on the flash, once.
    u32::try_from(supports + classes + settings).map_err(|_| StoreError::Damaged { at: log.block_at(log.head.seq) })
}

/// Bytes of each setting's value; 0 where it has none.
fn setting_lens<F: Flash>(log: &mut Log<'_, F>) -> Result<[u8; 256], StoreError> {
    const { assert!(SETTING_MAX <= u8::MAX as usize) };
    let mut lens = [0; 256];
    let mut cursor = log.start();
    while let Some(entry) = log.next(&mut cursor)? {
        if entry.kind == Kind::Setting {
            lens[usize::from(entry.slot)] = entry.len as u8;
        }
    }
    Ok(lens)
}

fn replay_classes<F: Flash>(log: &mut Log<'_, F>, support_set: &mut SupportSet<'_>) -> Result<(), StoreError> {
    let mut cursor = log.start();
    while let Some(entry) = log.next(&mut cursor)? {
        match entry.kind {
            Kind::Class => {
                let name = core::str::from_utf8(log.load(&entry)?).map_err(|_| StoreError::Damaged { at: entry.at })?;
                let name = ClassName::stored(name).map_err(|_| StoreError::Damaged { at: entry.at })?;
                support_set.put_class(entry.slot, name).map_err(StoreError::SupportSet)?;
            }
            Kind::RemoveClass => expect_none(support_set.remove_class(entry.slot))?,
            _ => {}
        }
    }
    Ok(())
}

fn replay_supports<F: Flash>(log: &mut Log<'_, F>, support_set: &mut SupportSet<'_>) -> Result<(), StoreError> {
    let dim = support_set.dim();
    // Slots without a class in which a support was learned that no removal has followed yet, and the last such record.
    let (mut without_class, mut at) = (ClassSet::EMPTY, 0);
    let mut cursor = log.start();
    while let Some(entry) = log.next(&mut cursor)? {
        match entry.kind {
            // Also where the class was removed later: its name may come back.
            Kind::Learn if entry.len != SUPPORT_HEAD + 2 * dim => {
                let found = (entry.len - SUPPORT_HEAD) / 2;
                return Err(StoreError::SupportSet(SupportSetError::Dimension { found, expected: dim }));
            }
            // A class without a name was removed later, with all that came before.
            Kind::Learn if support_set.names().get(usize::from(entry.slot)).is_some_and(|name| !name.is_free()) => {
                let (record, feature) = read_support(log.load(&entry)?, entry.slot);
                support_set.learn_from(record, feature).map_err(StoreError::SupportSet)?;
            }
            // One image is no sample of two classes: it is forgotten before it is taught as another.
            Kind::Learn if support_set.find(&entry.source).is_some() => {
                return Err(StoreError::Damaged { at: entry.at });
            }
            Kind::Learn => {
                without_class.insert(entry.slot);
                at = entry.at;
            }
            Kind::Forget => expect_none(support_set.forget(&entry.source).map(|_| ()))?,
            Kind::RemoveClass => {
                without_class.remove(entry.slot);
                // The name is that of a later class in this slot.
                let name = support_set.names().get(usize::from(entry.slot)).copied().unwrap_or(ClassName::FREE);
                if !name.is_free() {
                    support_set.remove_class(entry.slot).map_err(StoreError::SupportSet)?;
                    support_set.put_class(entry.slot, name).map_err(StoreError::SupportSet)?;
                }
            }
            _ => {}
        }
    }
    if without_class.is_empty() { Ok(()) } else { Err(StoreError::Damaged { at }) }
}

/// What a removal removes may have left the log before it.
fn expect_none(removed: Result<(), SupportSetError>) -> Result<(), StoreError> {
    match removed {
        Err(SupportSetError::NoSuchClass { .. } | SupportSetError::NoSuchSource) | Ok(()) => Ok(()),
        Err(error) => Err(StoreError::SupportSet(error)),
    }
}

/// `payload`: `[SUPPORT_HEAD + 2 D]`.
pub(super) fn write_support(payload: &mut [u8], record: &SupportRecord, feature: &[i16]) {
    payload[..16].copy_from_slice(&record.source);
    payload[16..20].copy_from_slice(&record.operator.to_le_bytes());
    payload[20..SUPPORT_HEAD].copy_from_slice(&record.time_s.to_le_bytes());
    for (place, value) in payload[SUPPORT_HEAD..].chunks_exact_mut(2).zip(feature) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

pub(super) fn read_support(payload: &[u8], class: u8) -> (SupportRecord, impl ExactSizeIterator<Item = i16>) {
    let mut record = SupportRecord { class, ..SupportRecord::EMPTY };
    record.source.copy_from_slice(&payload[..16]);
    let number = |at| super::layout::u32_at(payload, at);
    record.operator = number(16);
    record.time_s = u64::from(number(20)) | u64::from(number(24)) << 32;
    let feature = payload[SUPPORT_HEAD..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
    (record, feature)
}
