//! The Linux device: a taught head in a file, made from the same sums as on a board.

mod flash_file;
mod head_file;
mod intake;
mod taught;
#[cfg(test)]
mod tests;

pub use flash_file::{BLOCK_LEN, FlashFile, FlashFileError};
pub use head_file::{HeadFileError, load, save};
pub use intake::{ImageError, NamedImage, embed_images, pixels_sha256};
pub use taught::{EncoderRecord, HeadKind, Learned, Prediction, Sample, TaughtHead, TeachError};
