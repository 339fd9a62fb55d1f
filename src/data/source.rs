//! Where the pixels of a dataset come from.

use std::path::{Path, PathBuf};

use super::decode::{self, DecodeOptions, Decoded};
use super::{DataError, Image};

/// Reads the images of one dataset by number.
///
/// Every kind of dataset has one: files (`ImageFiles`), arrays of fixed-size rows (`Vec<Rows>`), phantoms, mixtures.
/// Image `item` is the same on every call, and any number of threads may call [`PixelSource::read`] at once.
pub trait PixelSource: Send + Sync {
    /// Reads image `item`, counted from 0 in the order in which the dataset was opened.
    ///
    /// `options` matters only for sources that decode image files.
    fn read(&self, item: usize, options: &DecodeOptions) -> Result<SourceImage, DataError>;

    /// The file of image `item`; `None` if the image has no file of its own.
    fn path(&self, _item: usize) -> Option<&Path> {
        None
    }

    /// Name of the part of a mixture that image `item` is from; `None` if the dataset is no mixture.
    fn part(&self, _item: usize) -> Option<&str> {
        None
    }
}

/// An image as its source gives it.
pub enum SourceImage {
    /// Decoded from an image file, with facts about its samples.
    File(Decoded),
    /// Pixels that were 8-bit from the start.
    Pixels(Image),
}

/// One image file for each item.
pub(super) struct ImageFiles(pub Vec<PathBuf>);

impl PixelSource for ImageFiles {
    fn read(&self, item: usize, options: &DecodeOptions) -> Result<SourceImage, DataError> {
        decode::read(&self.0[item], options).map(SourceImage::File)
    }

    fn path(&self, item: usize) -> Option<&Path> {
        self.0.get(item).map(PathBuf::as_path)
    }
}
