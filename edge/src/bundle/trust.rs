//! The keys whose bundles a device accepts, kept in its store.
//!
//! The user names a key once, when the device is started; the device then accepts updates signed by that key.

use super::PublicKey;
use crate::store::{Flash, SETTING_MAX, Store, StoreError};

/// The setting that holds the keys, 32 bytes each, the latest first.
const TRUST_KEY: u8 = 4;

/// Most keys that a store keeps: the latest ones, so that a key can be replaced.
pub const KEYS_MAX: usize = SETTING_MAX / 32;

/// Keys that a device trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedKeys {
    keys: [PublicKey; KEYS_MAX],
    count: usize,
}

impl TrustedKeys {
    /// No keys: no bundle is accepted.
    pub const NONE: Self = Self { keys: [PublicKey([0; 32]); KEYS_MAX], count: 0 };

    /// Reads the keys from `store`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn load<F: Flash>(store: &mut Store<'_, F>) -> Result<Self, StoreError> {
        let mut value = [0; SETTING_MAX];
        let len = store.get_setting(TRUST_KEY, &mut value)?;
        let mut keys = [PublicKey([0; 32]); KEYS_MAX];
        let (found, _) = value[..len].as_chunks::<32>();
        keys.iter_mut().zip(found).for_each(|(key, &bytes)| *key = PublicKey(bytes));
        Ok(Self { keys, count: found.len().min(KEYS_MAX) })
    }

    /// The keys, the latest first.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys[..self.count]
    }

    /// Adds `key` as the latest key; the earliest is dropped when there is no room.
    #[must_use]
    pub fn with(mut self, key: PublicKey) -> Self {
        let place = self.keys().iter().position(|known| *known == key).unwrap_or(self.count.min(KEYS_MAX - 1));
        self.count = self.count.max(place + 1);
        self.keys[..=place].rotate_right(1);
        self.keys[0] = key;
        self
    }

    /// Writes the keys to `store`.
    ///
    /// # Errors
    /// As [`Store::put_setting`].
    pub fn save<F: Flash>(&self, store: &mut Store<'_, F>) -> Result<(), StoreError> {
        let mut value = [0; SETTING_MAX];
        self.keys().iter().zip(value.chunks_mut(32)).for_each(|(key, place)| place.copy_from_slice(&key.0));
        store.put_setting(TRUST_KEY, &value[..32 * self.count])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_keys_are_kept() {
        let key = |number| PublicKey([number; 32]);
        let mut trusted = TrustedKeys { keys: [key(0); KEYS_MAX], count: 0 };
        for (new, expected) in [
            (1, &[1][..]),
            (2, &[2, 1]),
            (1, &[1, 2]),
            (1, &[1, 2]),
            (3, &[3, 1, 2]),
            (4, &[4, 3, 1, 2]),
            (5, &[5, 4, 3, 1]),
            (3, &[3, 5, 4, 1]),
        ] {
            trusted = trusted.with(key(new));
            assert!(trusted.keys().iter().copied().eq(expected.iter().map(|&number| key(number))), "{trusted:?}");
        }
    }
}
