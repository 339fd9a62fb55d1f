//! The Linux device: an encoder of the desk and a store in a file, behind the same session as a board's.

mod board; //       the device and its memory
mod bundle_notes; // what a store remembers of bundles
mod embedder; //    an encoder of the desk as a device's
mod error; //       why a device cannot be switched on
mod flash_file; //  a file as flash
mod in_process; //  a line to a device in this very process
mod intake; //      images on their way to a device
mod serve; //       a device that others reach
mod store_file; //  the file of a store

pub use board::{Device, DeviceMemory, now_s};
pub use bundle_notes::BundleNotes;
pub use embedder::{DeskEncoder, feature_of, fingerprint};
pub use error::DeviceError;
pub use flash_file::{FlashFile, FlashFileError};
pub use in_process::InProcess;
pub use intake::{NamedImage, source_of};
pub use serve::{Listener, serve};
pub use store_file::{StoreCard, StoreFile};
