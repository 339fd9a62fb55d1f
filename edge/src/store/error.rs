//! Why a store refuses.

use core::fmt;

use base16ct::HexDisplay;
use embedded_storage::nor_flash::NorFlashErrorKind;

use crate::support_set::SupportSetError;

/// The store did not take it; what it held, it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The flash cannot carry a store of this kind.
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
    /// The flash holds something that is no store.
    NotAStore,
    /// A later program wrote it.
    NewerVersion {
        /// Its format version.
        found: u16,
        /// The last one that is read.
        limit: u16,
    },
    /// It was taught with features of another encoder.
    Identity {
        /// The encoder it was taught with.
        found: [u8; 16],
        /// The encoder there is.
        expected: [u8; 16],
    },
    /// What was written is not what is read.
    Damaged {
        /// Address of the record or of the block.
        at: u32,
    },
    /// What is stored does not fit the memory lent, or contradicts itself.
    SupportSet(SupportSetError),
    /// There is no room: forget something first.
    Full {
        /// Bytes it would take.
        needed: u32,
        /// Bytes there are.
        free: u32,
    },
    /// A value has another length than allowed.
    Length {
        /// Its length.
        found: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The flash did not keep what was written: a block is worn out.
    Worn {
        /// Where.
        at: u32,
    },
    /// The flash refused, or the power failed.
    Flash {
        /// Where.
        at: u32,
        /// The kind of error.
        kind: NorFlashErrorKind,
    },
    /// The flash failed in the middle of a commit: only opening the store again tells whether it is there.
    Unknown,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Geometry { what, found, needed } => {
                write!(f, "the flash cannot carry a store: {what} is {found}, needed is {needed}")
            }
            Self::Buffer { found, needed } => write!(f, "the store's buffer has {found} bytes, {needed} are needed"),
            Self::NotAStore => write!(f, "the flash holds something that is no store"),
            Self::NewerVersion { found, limit } => {
                write!(f, "the store has format version {found}, this program reads up to {limit}")
            }
            Self::Identity { found, expected } => {
                let [found, expected] = [&found, &expected].map(|identity| HexDisplay(identity));
                write!(f, "the store was taught with encoder {found:x}, this is encoder {expected:x}")
            }
            Self::Damaged { at } => write!(f, "the store is damaged at {at:#x}"),
            Self::SupportSet(error) => write!(f, "the store does not fit the device: {error}"),
            Self::Full { needed, free } => {
                write!(f, "the store is full: {needed} bytes are needed, {free} are free; forget something first")
            }
            Self::Length { found, limit } => write!(f, "a value of {found} bytes, the limit is {limit}"),
            Self::Worn { at } => write!(f, "the flash does not keep what is written at {at:#x}: it is worn out"),
            Self::Flash { at, kind } => write!(f, "the flash failed at {at:#x}: {kind}"),
            Self::Unknown => write!(f, "the flash failed in the middle of a commit: the store has to be opened again"),
        }
    }
}

impl core::error::Error for StoreError {}
