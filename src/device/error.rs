//! Why a device on this machine cannot be switched on.

use std::io;

use macula_edge::store::StoreError;

use super::{FlashFileError, KeptImageError};

/// A device could not be switched on.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// A device that was never started with a bundle was given none.
    #[error("the device of store {path} has no bundle yet")]
    NoBundle {
        /// The store.
        path: String,
    },
    /// The bundle cannot be used, and there is no other.
    #[error("bundle {path}: {message}")]
    Bundle {
        /// Its file.
        path: String,
        /// Why not.
        message: String,
    },
    /// The program was asked to stop while the device was switched on.
    #[error("stopped while the device was switched on")]
    Stopped,
    /// The images of what was taught cannot be kept or removed.
    #[error(transparent)]
    Images(#[from] KeptImageError),
    /// The file is something else.
    #[error("{path} is not a store: it does not begin with MACULAST")]
    NotAStore {
        /// The file.
        path: String,
    },
    /// The file is there and holds nothing: whoever made it may need it for something else.
    #[error(
        "{path} is not a store: it is empty, or holds nothing but zeros or erased bytes; learn and device make a \
             store of it with --new"
    )]
    Blank {
        /// The file.
        path: String,
    },
    /// What a store is to be of cannot be written down.
    #[error("cannot describe the store {path}: {message}")]
    Header {
        /// The file.
        path: String,
        /// Why not.
        message: String,
    },
    /// A later program wrote it.
    #[error("store {path} has format version {found}, this program reads up to {limit}")]
    NewerVersion {
        /// The file.
        path: String,
        /// Its version.
        found: u16,
        /// The last one that is read.
        limit: u16,
    },
    /// The bytes are not those that were written.
    #[error("store {path} is damaged: {message}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// It was taught with features of another encoder.
    #[error("store {path} was taught on encoder {saved}, not on {given}")]
    OtherEncoder {
        /// The file.
        path: String,
        /// Name, start of the identity and dimensions of the store's encoder.
        saved: String,
        /// The same of the encoder given.
        given: String,
    },
    /// The file cannot serve as flash.
    #[error(transparent)]
    Flash(#[from] FlashFileError),
    /// The store refuses.
    #[error("store {path}: {source}")]
    Store {
        /// The file.
        path: String,
        /// Why.
        source: StoreError,
    },
}

impl DeviceError {
    /// Whether the stored bytes are at fault.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Store { source: StoreError::Damaged { .. }, .. })
    }

    /// Whether a bundle failed a check.
    pub fn is_check(&self) -> bool {
        matches!(self, Self::Bundle { .. })
    }

    /// Whether the store or what it lies on is at fault, rather than what was asked for.
    pub fn is_device_fault(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Store { .. } | Self::Write { .. } | Self::Images(_) => true,
            Self::Flash(error) => !matches!(error, FlashFileError::Io { action: "open", .. }),
            _ => false,
        }
    }
}
