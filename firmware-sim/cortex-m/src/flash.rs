//! NOR flash for the store: the board's 16 MB of PSRAM, used like flash.
//!
//! The emulator maps a shared file there, so the content outlives the emulator. Programming only clears bits, word by word;
//! erasing sets all bits of a block. A power cut leaves later words and blocks unchanged.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

const BASE: usize = 0x6000_0000;

/// Bytes of the flash.
pub const CAPACITY: usize = 512 * 1024;

/// Bytes of an erase block.
pub const BLOCK: usize = 4096;

/// Bytes of a program word.
pub const WORD: usize = 4;

/// The flash, which only one owner can hold.
pub struct Flash {
    words: &'static mut [u32],
}

/// An access that is out of bounds or unaligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlashError(NorFlashErrorKind);

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        self.0
    }
}

impl Flash {
    /// Takes the flash; `None` when it is taken already.
    #[allow(unsafe_code)]
    pub fn take() -> Option<Self> {
        cortex_m::singleton!(FLASH: () = ())?;
        // SAFETY: PSRAM is mapped at `BASE` on this board, is word-aligned and larger than CAPACITY; the linker script
        // places nothing there, and the singleton above makes this the only reference to it.
        let words = unsafe { core::slice::from_raw_parts_mut(BASE as *mut u32, CAPACITY / WORD) };
        Some(Self { words })
    }
}

impl macula_edge::store::Flash for Flash {}

impl ErrorType for Flash {
    type Error = FlashError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        check_read(self, offset, bytes.len()).map_err(FlashError)?;
        for (byte, at) in bytes.iter_mut().zip(offset as usize..) {
            *byte = self.words[at / WORD].to_le_bytes()[at % WORD];
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        CAPACITY
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = BLOCK;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        check_erase(self, from, to).map_err(FlashError)?;
        self.words[from as usize / WORD..to as usize / WORD].fill(u32::MAX);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        check_write(self, offset, bytes.len()).map_err(FlashError)?;
        let words = self.words[offset as usize / WORD..].iter_mut();
        for (word, value) in words.zip(bytes.chunks_exact(WORD)) {
            *word &= u32::from_le_bytes([value[0], value[1], value[2], value[3]]);
        }
        Ok(())
    }
}
