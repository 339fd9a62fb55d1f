//! The flash under a store.

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// Sizes of reads, writes and erases in bytes, each a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlashSizes {
    /// Reads begin and end at multiples of it.
    pub read: usize,
    /// Writes begin and end at multiples of it.
    pub write: usize,
    /// Bytes of an erase block.
    pub erase: usize,
}

impl FlashSizes {
    /// The sizes that a driver states as constants.
    pub const fn of<F: NorFlash + ?Sized>() -> Self {
        Self { read: F::READ_SIZE, write: F::WRITE_SIZE, erase: F::ERASE_SIZE }
    }
}

/// NOR flash with a `sync` that makes writes durable.
///
/// On a chip, every program and erase has ended when its call returns, and `sync` does nothing. A file of an operating
/// system may lose any of the writes since the last `sync` (fsync).
pub trait Flash: NorFlash {
    /// The sizes of this flash. A driver that learns them at run time overrides this; the constants of [`NorFlash`] do not
    /// count then.
    fn sizes(&self) -> FlashSizes {
        FlashSizes::of::<Self>()
    }

    /// Returns once everything written and erased before is durable.
    ///
    /// # Errors
    /// When the medium fails.
    fn sync(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Drops caches, so that the following reads return the content of the medium.
    ///
    /// # Errors
    /// When the medium does not hold what was written to it.
    fn refresh(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl<F: Flash> Flash for &mut F {
    fn sizes(&self) -> FlashSizes {
        F::sizes(self)
    }

    fn sync(&mut self) -> Result<(), Self::Error> {
        F::sync(self)
    }

    fn refresh(&mut self) -> Result<(), Self::Error> {
        F::refresh(self)
    }
}

/// The flash of a chip: a [`NorFlash`] whose writes and erases have ended when their calls return.
#[derive(Clone, Debug)]
pub struct Synchronous<F>(pub F);

impl<F: ErrorType> ErrorType for Synchronous<F> {
    type Error = F::Error;
}

impl<F: ReadNorFlash> ReadNorFlash for Synchronous<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl<F: NorFlash> NorFlash for Synchronous<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.0.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.write(offset, bytes)
    }
}

impl<F: NorFlash> Flash for Synchronous<F> {}
