//! Flash by callbacks.

use core::ffi::c_void;
use core::ops::Range;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use macula_edge::store::{self, FlashSizes};

use crate::status::{Failure, Status};

/// Reads `size` bytes at `address`. Returns 0, or anything else when the flash failed.
pub type ReadFlash = Option<unsafe extern "C" fn(user: *mut c_void, address: u32, bytes: *mut u8, size: usize) -> i32>;
/// Programs `size` bytes at `address`. Returns 0 once they are on the flash.
pub type ProgramFlash =
    Option<unsafe extern "C" fn(user: *mut c_void, address: u32, bytes: *const u8, size: usize) -> i32>;
/// Erases the block at `address` to 0xff. Returns 0 once it is erased.
pub type EraseFlash = Option<unsafe extern "C" fn(user: *mut c_void, address: u32) -> i32>;
/// Makes durable what was programmed and erased before. Returns 0.
pub type SyncFlash = Option<unsafe extern "C" fn(user: *mut c_void) -> i32>;

/// NOR flash, or a file that is used like it: programming clears bits, erasing a block sets them.
///
/// Callbacks run while a function of the device runs, and must not call one.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Flash {
    /// Given to every callback.
    pub user: *mut c_void,
    /// Reads `size` bytes at `address`, both multiples of `read_size`. Returns 0, or another number when the flash failed.
    pub read: ReadFlash,
    /// Programs `size` bytes at `address`, both multiples of `program_size`, in blocks that were erased before.
    pub program: ProgramFlash,
    /// Erases the block of `erase_size` bytes at `address`.
    pub erase: EraseFlash,
    /// Returns once everything programmed and erased before is durable (fsync). Null for the flash of a chip, where that is
    /// so when the other callbacks return.
    pub sync: SyncFlash,
    /// A power of two, at most 64.
    pub read_size: u32,
    /// A power of two, at most 256.
    pub program_size: u32,
    /// Bytes of an erase block, a power of two.
    pub erase_size: u32,
    /// Where the store begins, a multiple of `erase_size`.
    pub address: u32,
    /// Bytes of the store, a multiple of `erase_size`, at least two blocks. Nothing else may write there.
    pub size: u32,
}

/// The caller's flash.
pub(crate) struct CallbackFlash {
    flash: Flash,
    end: u32,
}

/// The largest size of reads and writes that a store takes.
const UNIT_MAX: u32 = 256;

/// A callback is missing.
const MISSING: Failure = Failure { status: Status::NullPointer, found: 0, limit: 0 };

impl CallbackFlash {
    /// Checks callbacks and range; the store checks the sizes, apart from those that would overflow the size of its memory.
    pub fn new(flash: Flash) -> Result<Self, Failure> {
        if flash.read.is_none() || flash.program.is_none() || flash.erase.is_none() {
            return Err(MISSING);
        }
        let unit = flash.read_size.max(flash.program_size);
        if unit > UNIT_MAX {
            return Err(Status::FlashGeometry.with(unit.into(), UNIT_MAX.into()));
        }
        let end = flash.address.checked_add(flash.size);
        let end = end.ok_or(Status::FlashGeometry.with(flash.size.into(), (u32::MAX - flash.address).into()))?;
        Ok(Self { flash, end })
    }

    /// Where the store lies.
    pub fn range(&self) -> Range<u32> {
        self.flash.address..self.end
    }
}

/// A callback returned another number than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallbackFailed;

impl NorFlashError for CallbackFailed {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

fn done(code: i32) -> Result<(), CallbackFailed> {
    if code == 0 { Ok(()) } else { Err(CallbackFailed) }
}

impl ErrorType for CallbackFlash {
    type Error = CallbackFailed;
}

impl ReadNorFlash for CallbackFlash {
    // The sizes are known at run time only: see `sizes`.
    const READ_SIZE: usize = 1;

    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), CallbackFailed> {
        let Flash { user, read: Some(read), .. } = self.flash else { return Err(CallbackFailed) };
        // SAFETY: the caller gave this function for this pointer; the bytes are borrowed for the call.
        done(unsafe { read(user, address, bytes.as_mut_ptr(), bytes.len()) })
    }

    fn capacity(&self) -> usize {
        self.end as usize
    }
}

impl NorFlash for CallbackFlash {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = 1;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), CallbackFailed> {
        let Flash { user, erase: Some(erase), erase_size, .. } = self.flash else { return Err(CallbackFailed) };
        // Not 0, since the store was opened.
        for address in (from..to).step_by(erase_size.max(1) as usize) {
            // SAFETY: as in `read`.
            done(unsafe { erase(user, address) })?;
        }
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), CallbackFailed> {
        let Flash { user, program: Some(program), .. } = self.flash else { return Err(CallbackFailed) };
        // SAFETY: as in `read`.
        done(unsafe { program(user, address, bytes.as_ptr(), bytes.len()) })
    }
}

impl store::Flash for CallbackFlash {
    fn sizes(&self) -> FlashSizes {
        let Flash { read_size, program_size, erase_size, .. } = self.flash;
        FlashSizes { read: read_size as usize, write: program_size as usize, erase: erase_size as usize }
    }

    fn sync(&mut self) -> Result<(), CallbackFailed> {
        let Flash { user, sync: Some(sync), .. } = self.flash else { return Ok(()) };
        // SAFETY: as in `read`.
        done(unsafe { sync(user) })
    }
}
