//! What a store tells before it is known which encoder it goes with.

use core::ops::Range;

use super::layout::{Kind, SUPPORT_HEAD};
use super::log::Log;
use super::{Flash, StoreError};

/// What a store tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peeked {
    /// The encoder whose features it keeps.
    pub identity: [u8; 16],
    /// Their dimension; `None` where it never kept one, as far as its log reaches back.
    pub dim: Option<usize>,
    /// Whether it keeps any now.
    pub has_supports: bool,
    /// Bytes of the setting that was asked for; 0 where it has no value.
    pub setting_len: usize,
}

/// Tells what the store in `range` is, and writes the bytes of setting `key` to the beginning of `value`; `None` where
/// the flash is erased. Nothing is written to the flash.
///
/// A device whose encoder is chosen by a setting needs this before it can open the store.
///
/// * `buffer`: at least [`buffer_len`](super::buffer_len) of the dimension that is kept
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
    // The dimension bounds what is written, and nothing is.
    let mut log = Log::new(flash, &range, 1, buffer)?;
    if log.find_head()?.is_none() {
        return Ok(None);
    }
    let mut peeked = Peeked { identity: log.identity, dim: None, has_supports: false, setting_len: 0 };
    let mut cursor = log.start();
    while let Some(entry) = log.next(&mut cursor)? {
        if entry.kind == Kind::Learn {
            peeked.dim = Some((entry.len - SUPPORT_HEAD) / 2);
        }
    }
    let mut cursor = log.start();
    while !peeked.has_supports
        && let Some(batch) = log.next_batch(&mut cursor, |entry| entry.kind == Kind::Learn)?
    {
        peeked.has_supports = batch.is_live();
    }
    let Some(entry) = log.find(|entry| entry.kind == Kind::Setting && entry.slot == key)? else {
        return Ok(Some(peeked));
    };
    let found = log.load(&entry)?;
    match value.get_mut(..found.len()) {
        Some(place) => place.copy_from_slice(found),
        None => return Err(StoreError::Length { found: found.len(), limit: value.len() }),
    }
    Ok(Some(Peeked { setting_len: entry.len, ..peeked }))
}
