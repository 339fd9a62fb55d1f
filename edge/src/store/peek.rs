//! What a store tells before it is known which encoder it goes with.

use core::ops::Range;

use super::layout::Kind;
use super::log::Log;
use super::{Flash, StoreError};

/// The encoder whose features the store in `range` keeps, and the length of setting `key`, whose bytes are written to the
/// beginning of `value`; 0 where it has no value, `None` where the flash is erased. Nothing is written to the flash.
///
/// A device whose encoder is chosen by a setting needs this before it can open the store.
///
/// * `buffer`: at least [`buffer_len`](super::buffer_len) of one dimension
///
/// # Errors
/// When the flash holds no store or a damaged one, or `value` is too short.
pub fn peek<F: Flash>(
    flash: &mut F,
    range: Range<u32>,
    buffer: &mut [u8],
    key: u8,
    value: &mut [u8],
) -> Result<Option<([u8; 16], usize)>, StoreError> {
    // The dimension bounds what is written, and nothing is.
    let mut log = Log::new(flash, &range, 1, buffer)?;
    if log.find_head()?.is_none() {
        return Ok(None);
    }
    let identity = log.identity;
    let Some(entry) = log.find(|entry| entry.kind == Kind::Setting && entry.slot == key)? else {
        return Ok(Some((identity, 0)));
    };
    let found = log.load(&entry)?;
    match value.get_mut(..found.len()) {
        Some(place) => place.copy_from_slice(found),
        None => return Err(StoreError::Length { found: found.len(), limit: value.len() }),
    }
    Ok(Some((identity, entry.len)))
}
