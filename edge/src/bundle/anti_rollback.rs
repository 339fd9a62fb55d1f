//! The anti-rollback counter: the highest counter of a bundle that a device has used, kept in its store.
//!
//! A signature proves who made a bundle, not that it is the latest. Without the counter, an old bundle with known
//! faults could be installed again.

use super::BundleError;
use crate::store::{Flash, Store, StoreError};

/// The setting that holds the counter, `u64` little-endian.
const COUNTER_KEY: u8 = 3;

/// The highest counter that this device has used; 0 when it has used none.
///
/// # Errors
/// When the store cannot be read, or the setting has another form.
pub fn highest_used<F: Flash>(store: &mut Store<'_, F>) -> Result<u64, StoreError> {
    let mut value = [0; 8];
    match store.get_setting(COUNTER_KEY, &mut value)? {
        0 => Ok(0),
        8 => Ok(u64::from_le_bytes(value)),
        found => Err(StoreError::Length { found, limit: 8 }),
    }
}

/// Raises the counter to that of a bundle in use; a lower one changes nothing.
///
/// Call it only once the bundle works: otherwise a bad bundle would exclude the good one before it.
///
/// # Errors
/// As [`Store::put_setting`].
pub fn raise<F: Flash>(store: &mut Store<'_, F>, counter: u64) -> Result<(), StoreError> {
    if counter > highest_used(store)? { store.put_setting(COUNTER_KEY, &counter.to_le_bytes()) } else { Ok(()) }
}

/// Refuses a bundle that is older than one this device has used, and another bundle with the counter of the one in use.
///
/// * `is_in_use`: whether the bundle is, byte for byte, the one in use
///
/// # Errors
/// [`BundleError::Older`], [`BundleError::SameCounter`].
pub fn check(counter: u64, highest: u64, is_in_use: bool) -> Result<(), BundleError> {
    match counter {
        found if found < highest => Err(BundleError::Older { found, highest }),
        found if found == highest && !is_in_use => Err(BundleError::SameCounter { found }),
        _ => Ok(()),
    }
}
