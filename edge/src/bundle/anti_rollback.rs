//! The highest counter of a bundle that a device has used, kept in its store.
//!
//! A signature says who made a bundle, not that it is the latest: without the counter, whoever kept an old bundle could
//! bring its faults back.

use super::BundleError;
use crate::store::{Flash, Store, StoreError};

/// The setting that holds it, `u64` little-endian.
const COUNTER_KEY: u8 = 3;

/// The highest counter that this device has used; 0 where it has used none.
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

/// Notes that a bundle of this counter is used. A lower one than that seen changes nothing: the number only grows.
///
/// Call it when the bundle has shown that it works, else a bad one would shut out the good one before it.
///
/// # Errors
/// As [`Store::put_setting`].
pub fn raise<F: Flash>(store: &mut Store<'_, F>, counter: u64) -> Result<(), StoreError> {
    if counter > highest_used(store)? { store.put_setting(COUNTER_KEY, &counter.to_le_bytes()) } else { Ok(()) }
}

/// Refuses a bundle older than one that this device has used, and another one of the counter in use.
///
/// * `is_in_use`: whether it is, byte for byte, the one in use
///
/// # Errors
/// [`BundleError::Older`], [`BundleError::SameCounter`].
pub fn check(counter: u64, seen: u64, is_in_use: bool) -> Result<(), BundleError> {
    match counter {
        found if found < seen => Err(BundleError::Older { found, seen }),
        found if found == seen && !is_in_use => Err(BundleError::SameCounter { found }),
        _ => Ok(()),
    }
}
