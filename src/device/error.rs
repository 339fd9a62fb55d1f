//! Errors from starting a device on this machine.

use std::io;

use macula_edge::store::StoreError;

use super::{FlashFileError, KeptImageError};

/// A device could not be started.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// The device has never been started with a bundle, and none was given.
    #[error("the device of store {path} has no bundle yet; name one with --encoder")]
    NoBundle {
        /// The store.
        path: String,
    },
    /// The confirmed bundle cannot be used.
    #[error("bundle {path}: {message}")]
    Bundle {
        /// Its file.
        path: String,
        /// The cause.
        message: String,
    },
    /// The program was stopped while the device was starting.
    #[error("stopped while the device was starting")]
    Stopped,
    /// The images of supports cannot be stored or removed.
    #[error(transparent)]
    Images(#[from] KeptImageError),
    /// The file is not a store.
    #[error("{path} is not a store: it does not begin with MACULAST")]
    NotAStore {
        /// The file.
        path: String,
    },
    /// The file exists and is blank: it may be meant for something else.
    #[error(
        "{path} is not a store: it is empty or holds only zeros or erased bytes; pass --new to learn or device to \
             make it a store"
    )]
    Blank {
        /// The file.
        path: String,
    },
    /// The header of a new store cannot be written.
    #[error("cannot make the store {path}: {message}")]
    Header {
        /// The file.
        path: String,
        /// The cause.
        message: String,
    },
    /// A later program wrote the store.
    #[error("store {path} has format version {found}; this program reads up to {limit}")]
    NewerVersion {
        /// The file.
        path: String,
        /// Its version.
        found: u16,
        /// The latest version that this program reads.
        limit: u16,
    },
    /// The file does not hold what was written.
    #[error("store {path} is damaged: {message}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// The store belongs to another encoder.
    #[error("store {path} belongs to encoder {saved}, not to {given}")]
    OtherEncoder {
        /// The file.
        path: String,
        /// Name, beginning of the identity and dimension of the store's encoder.
        saved: String,
        /// The same of the given encoder.
        given: String,
    },
    /// The file cannot serve as flash.
    #[error(transparent)]
    Flash(#[from] FlashFileError),
    /// The store refused.
    #[error("store {path}: {source}")]
    Store {
        /// The file.
        path: String,
        /// The cause.
        source: StoreError,
    },
}

impl DeviceError {
    /// Whether the stored bytes are damaged.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Store { source: StoreError::Damaged { .. }, .. })
    }

    /// Whether a bundle failed a check.
    pub fn is_check(&self) -> bool {
        matches!(self, Self::Bundle { .. })
    }

    /// Whether the store or its medium is at fault, not the request.
    pub fn is_device_fault(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Store { .. } | Self::Write { .. } | Self::Images(_) => true,
            Self::Flash(error) => !matches!(error, FlashFileError::Io { action: "open", .. }),
            _ => false,
        }
    }
}
