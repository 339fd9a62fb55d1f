//! Errors of a store.

use base16ct::HexDisplay;
use embedded_storage::nor_flash::NorFlashErrorKind;

use crate::support_set::SupportSetError;

/// The store refused; its content is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The flash cannot carry a store.
    #[error("the flash cannot carry a store: {what} is {found}, {needed} is needed")]
    Geometry {
        /// What does not fit.
        what: &'static str,
        /// What was found.
        found: usize,
        /// What is needed.
        needed: usize,
    },
    /// The buffer lent is too small.
    #[error("the store's buffer has {found} bytes, {needed} are needed")]
    Buffer {
        /// Its bytes.
        found: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// The flash holds something that is not a store.
    #[error("the flash holds something that is not a store")]
    NotAStore,
    /// A later program wrote the store.
    #[error("the store has format version {found}, this program reads up to {limit}")]
    NewerVersion {
        /// Its format version.
        found: u16,
        /// The latest version that this program reads.
        limit: u16,
    },
    /// The store belongs to another encoder.
    #[error("the store belongs to encoder {:x}, the device has encoder {:x}", HexDisplay(found), HexDisplay(expected))]
    Identity {
        /// The encoder of the store.
        found: [u8; 16],
        /// The encoder of this device.
        expected: [u8; 16],
    },
    /// The flash does not hold what was written.
    #[error("the store is damaged at address {at:#x}")]
    Damaged {
        /// Address of the record or of the block.
        at: u32,
    },
    /// The stored classes and supports contradict each other or do not fit the memory lent.
    #[error("the store does not fit the device: {0}")]
    SupportSet(SupportSetError),
    /// There is no room: forget something first.
    #[error("the store is full: {needed} bytes are needed, {free} are free; forget something first")]
    Full {
        /// Bytes needed.
        needed: u32,
        /// Bytes free.
        free: u32,
    },
    /// A value has a length that is not allowed.
    #[error("a value has {found} bytes; {limit} are allowed")]
    Length {
        /// Its length in bytes.
        found: usize,
        /// The length allowed.
        limit: usize,
    },
    /// The flash did not keep what was written: a block is worn out.
    #[error("the flash is worn out: it does not keep what is written at address {at:#x}")]
    Worn {
        /// Address of the write.
        at: u32,
    },
    /// The flash refused, or the power failed.
    #[error("the flash failed at address {at:#x}: {kind}")]
    Flash {
        /// Address of the access.
        at: u32,
        /// The kind of error.
        kind: NorFlashErrorKind,
    },
    /// The flash failed in the middle of a commit: only opening the store again tells whether the commit took effect.
    #[error("the flash failed in the middle of a commit: open the store again")]
    Unknown,
}
