//! The Linux device: an encoder of the desk and a store in a file, behind the same session as a board's.

mod board; //       the device and its memory
mod encoder; //     an encoder of the host as a device's
mod error; //       why a device cannot be switched on
mod flash_file; //  a file as flash
mod in_process; //  a line to a device in this very process
mod intake; //      images on their way to a device
mod kept_images; // images of what was taught, for another encoder
mod reader; //      bundles as they are signed
mod reembed; //     a store for another encoder
mod serve; //       a device that others reach
mod slot_file; //   the file of a bundle
mod start; //       which bundle a device starts with
mod store_file; //  the file of a store

pub use board::{Bundled, Device, DeviceMemory, now_s};
pub use encoder::{DeviceEncoder, feature_of};
pub use error::DeviceError;
pub use flash_file::{FlashFile, FlashFileError};
pub use in_process::InProcess;
pub use intake::{NamedImage, source_of};
pub use kept_images::{KeptImageError, KeptImages};
pub use reader::SignedBundles;
pub use serve::{Ended, Listener, serve};
pub use start::{BundleReader, Loaded, Site, UnusableBundle};
pub use store_file::{StoreFile, StoreHeader};
