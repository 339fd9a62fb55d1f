//! Why a store refuses.

use core::fmt;

use base16ct::HexDisplay;
use embedded_storage::nor_flash::NorFlashErrorKind;

use crate::support_set::SupportSetError;

/// The store refused; what it held, it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The flash cannot carry a store.
    Geometry {
        /// What does not fit.
        what: &'static str,
        /// What was found.
        found: usize,
        /// What is needed.
        needed: usize,
    },
    /// The buffer lent is too small.
    Buffer {
        /// Its bytes.
        found: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// The flash holds something that is not a store.
    NotAStore,
    /// A later program wrote the store.
    NewerVersion {
        /// Its format version.
        found: u16,
        /// The latest version that this program reads.
        limit: u16,
    },
    /// The store belongs to another encoder.
    Identity {
        /// The encoder of the store.
        found: [u8; 16],
        /// The encoder of this device.
        expected: [u8; 16],
    },
    /// The flash does not hold what was written.
    Damaged {
        /// Address of the record or of the block.
        at: u32,
    },
    /// The stored classes and supports contradict each other or do not fit the memory lent.
    SupportSet(SupportSetError),
    /// There is no room: forget something first.
    Full {
        /// Bytes needed.
        needed: u32,
        /// Bytes free.
        free: u32,
    },
    /// A value has a length that is not allowed.
    Length {
        /// Its length in bytes.
        found: usize,
        /// The length allowed.
        limit: usize,
    },
    /// The flash did not keep what was written: a block is worn out.
    Worn {
        /// Address of the write.
        at: u32,
    },
    /// The flash refused, or the power failed.
    Flash {
        /// Address of the access.
        at: u32,
        /// The kind of error.
        kind: NorFlashErrorKind,
    },
    /// The flash failed in the middle of a commit: only opening the store again tells whether the commit took effect.
    Unknown,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Geometry { what, found, needed } => {
                write!(f, "the flash cannot carry a store: {what} is {found}, {needed} is needed")
            }
            Self::Buffer { found, needed } => write!(f, "the store's buffer has {found} bytes, {needed} are needed"),
            Self::NotAStore => write!(f, "the flash holds something that is not a store"),
            Self::NewerVersion { found, limit } => {
                write!(f, "the store has format version {found}, this program reads up to {limit}")
            }
            Self::Identity { found, expected } => {
                let [found, expected] = [&found, &expected].map(|identity| HexDisplay(identity));
                write!(f, "the store belongs to encoder {found:x}, the device has encoder {expected:x}")
            }
            Self::Damaged { at } => write!(f, "the store is damaged at address {at:#x}"),
            Self::SupportSet(error) => write!(f, "the store does not fit the device: {error}"),
            Self::Full { needed, free } => {
                write!(f, "the store is full: {needed} bytes are needed, {free} are free; forget something first")
            }
            Self::Length { found, limit } => write!(f, "a value has {found} bytes; {limit} are allowed"),
            Self::Worn { at } => {
                write!(f, "the flash is worn out: it does not keep what is written at address {at:#x}")
            }
            Self::Flash { at, kind } => write!(f, "the flash failed at address {at:#x}: {kind}"),
            Self::Unknown => write!(f, "the flash failed in the middle of a commit: open the store again"),
        }
    }
}

impl core::error::Error for StoreError {}
