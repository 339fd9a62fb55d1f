//! Facts about a store that do not need its encoder.

use core::ops::Range;

use super::format::{Kind, SUPPORT_HEAD};
use super::journal::Journal;
use super::{Flash, StoreError};

/// Result of [`peek`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peeked {
    /// The encoder whose features it keeps.
    pub identity: [u8; 16],
    /// Their dimension; `None` when the journal has no support.
    pub dim: Option<usize>,
    /// Whether any support is live.
    pub has_supports: bool,
    /// Bytes of the requested setting; 0 when it has no value.
    pub setting_len: usize,
}

/// Describes the store in `range` and writes the value of setting `key` to the beginning of `value`; `None` when the flash
/// is erased. Writes nothing to the flash.
///
/// A device whose encoder depends on a setting calls this before it opens the store.
///
/// * `buffer`: at least [`buffer_len`](super::buffer_len) of the stored dimension
///
/// # Errors
/// When the flash holds no store or a damaged one, or `value` is too short.
pub fn peek<F: Flash>(
    flash: &mut F,
    range: Range<u32>,
    buffer: &mut [u8],
    key: u8,
    value: &mut [u8],
) -> Result<Option<Peeked>, StoreError> {
    // The dimension only bounds writes, and there are none.
    let mut journal = Journal::new(flash, &range, 1, buffer)?;
    if journal.find_head()?.is_none() {
        return Ok(None);
    }
    let mut peeked = Peeked { identity: journal.identity, dim: None, has_supports: false, setting_len: 0 };
    let mut cursor = journal.start();
    while let Some(entry) = journal.next(&mut cursor)? {
        if entry.kind == Kind::Learn {
            peeked.dim = Some((entry.len - SUPPORT_HEAD) / 2);
        }
    }
    let mut cursor = journal.start();
    while !peeked.has_supports
        && let Some(batch) = journal.next_batch(&mut cursor, |entry| entry.kind == Kind::Learn)?
    {
        peeked.has_supports = batch.is_live();
    }
    let Some(entry) = journal.find(|entry| entry.kind == Kind::Setting && entry.slot == key)? else {
        return Ok(Some(peeked));
    };
    let found = journal.load(&entry)?;
    match value.get_mut(..found.len()) {
        Some(place) => place.copy_from_slice(found),
        None => return Err(StoreError::Length { found: found.len(), limit: value.len() }),
    }
    Ok(Some(Peeked { setting_len: entry.len, ..peeked }))
}
