//! The Linux device: an encoder of the host and a store in a file, behind the same session as on a board.

mod board; //       the device and its memory
mod encoder; //     an encoder of the host as a device's
mod error; //       why a device cannot be started
mod flash_file; //  a file as flash
mod in_process; //  a line to a device in this process
mod intake; //      images on their way to a device
mod kept_images; // images of supports, to embed again with another encoder
mod reader; //      reads signed bundles
mod reembed; //     embeds kept images again for another encoder
mod serve; //       serves a device on a socket or serial line
mod slot_file; //   a firmware slot in a file
mod start; //       selects the bundle of a start, confirms it or rolls back
mod store_file; //  the file of a store

pub use board::{Bundled, Device, DeviceMemory, now_s};
pub use encoder::{DeviceEncoder, feature_of};
pub use error::DeviceError;
pub use flash_file::{FlashFile, FlashFileError};
pub use in_process::InProcess;
pub use intake::{NamedImage, source_of};
pub use kept_images::{KeptImageError, KeptImages, encode_image};
pub use reader::SignedBundles;
pub use serve::{Ended, ListenError, Listener, listen, serve};
pub use start::{BundleReader, Loaded, Site, UnusableBundle};
pub use store_file::{StoreFile, StoreHeader};
