//! Memory that threads leave for one another.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::host::{EncodeError, HostEncoderInfo, encode_each};

/// Values for one thread at a time: as many are made as threads were at work at once.
pub struct Spares<T>(Mutex<Vec<T>>);

impl<T> Default for Spares<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Send> Spares<T> {
    /// As [`encode_each`], each image with a value that is free, or else with a new one.
    ///
    /// # Errors
    /// As [`encode_each`]; also if `make` fails.
    pub fn encode_each<E: Display>(
        &self,
        info: &HostEncoderInfo,
        images: &[u8],
        make: impl Fn() -> Result<T, E> + Sync,
        encode: impl Fn(&mut T, &[u8], &mut [f32]) -> Result<(), E> + Sync,
    ) -> Result<Vec<f32>, EncodeError> {
        encode_each(info, images, |image, feature| {
            let free = self.free().pop();
            let mut value = free.map_or_else(&make, Ok).map_err(|error| error.to_string())?;
            let encoded = encode(&mut value, image, feature);
            self.free().push(value);
            encoded.map_err(|error| error.to_string())
        })
    }

    fn free(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
