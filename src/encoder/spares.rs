//! Memory that threads leave for one another.

use std::sync::{Mutex, PoisonError};

/// Values for one thread at a time: as many are made as threads were at work at once.
pub struct Spares<T>(Mutex<Vec<T>>);

impl<T> Default for Spares<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Spares<T> {
    /// Runs `work` with a value that is free, or else with a new one.
    ///
    /// # Errors
    /// That of `make`.
    pub fn with<R, E>(&self, make: impl FnOnce() -> Result<T, E>, work: impl FnOnce(&mut T) -> R) -> Result<R, E> {
        let free = self.free().pop();
        let mut value = free.map_or_else(make, Ok)?;
        let result = work(&mut value);
        self.free().push(value);
        Ok(result)
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
