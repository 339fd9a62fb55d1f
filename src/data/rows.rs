//! Arrays of images in files, read one image at a time.
//!
//! MedMNIST arrays, CIFAR batches and IDX files are all an offset, a stride and a shape. A compressed array is unpacked
//! once into an unnamed temporary file, which the operating system removes when the process ends. Neither is held in
//! memory.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::decode::DecodeOptions;
use super::source::{PixelSource, SourceImage};
use super::{DataError, Image};

/// Bytes of an unpacked array at most. The largest MedMNIST split at 224×224 takes 13.5 GB.
pub(super) const UNPACKED_BYTES_MAX: u64 = 16 << 30;

/// Order of the values of an RGB image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// `[height, width, channels]`.
    Interleaved,
    /// `[channels, height, width]`, as in CIFAR.
    Planar,
}

/// `count` images of one shape in one file.
pub(super) struct Rows {
    /// The file that errors name, also if a temporary one is read.
    pub path: PathBuf,
    pub file: File,
    /// Offset of the pixels of row 0 in bytes.
    pub offset: u64,
    /// Bytes from the pixels of one row to those of the next.
    pub stride: u64,
    /// Number of images.
    pub count: usize,
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    pub order: Order,
}

impl Rows {
    /// Reads one image.
    pub fn image(&self, row: usize) -> Result<Image, DataError> {
        let area = self.width * self.height;
        let mut pixels = vec![0; area * self.channels];
        read_at(&self.file, &mut pixels, self.offset + row as u64 * self.stride).map_err(DataError::io(&self.path))?;
        if self.order == Order::Planar {
            pixels = (0..area).flat_map(|i| (0..self.channels).map(move |c| c * area + i)).map(|i| pixels[i]).collect();
        }
        Ok(Image { width: self.width, height: self.height, channels: self.channels, pixels })
    }
}

/// The images of several arrays, one array after the other.
impl PixelSource for Vec<Rows> {
    fn read(&self, item: usize, _: &DecodeOptions) -> Result<SourceImage, DataError> {
        let mut row = item;
        for rows in self {
            if row < rows.count {
                return rows.image(row).map(SourceImage::Pixels);
            }
            row -= rows.count;
        }
        unreachable!("item {item} is within the index, which has as many images as the arrays")
    }
}

/// Fills `buffer` from `offset` without a shared file position, so that threads can read at once.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset);
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < buffer.len() {
            match std::os::windows::fs::FileExt::seek_read(file, &mut buffer[done..], offset + done as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => done += read,
            }
        }
        Ok(())
    }
}

/// Writes `bytes` from `offset` without a shared file position.
pub(super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::write_all_at(file, bytes, offset);
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < bytes.len() {
            match std::os::windows::fs::FileExt::seek_write(file, &bytes[done..], offset + done as u64)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => done += written,
            }
        }
        Ok(())
    }
}

/// Unpacks exactly `len` bytes of `packed` into an unnamed temporary file.
///
/// # Errors
/// If there are fewer or more bytes, or `len` is above [`UNPACKED_BYTES_MAX`]; `what` names the packed part.
pub(super) fn unpack(packed: &mut impl Read, len: u64, path: &Path, what: &str) -> Result<File, DataError> {
    if len > UNPACKED_BYTES_MAX {
        let limit = format!("at most {UNPACKED_BYTES_MAX} bytes");
        return Err(DataError::malformed(path, what, format!("{len} bytes unpacked"), limit));
    }
    let mut file = tempfile::tempfile().map_err(DataError::io(&std::env::temp_dir()))?;
    let mut buffer = vec![0; 1 << 16];
    let mut done = 0;
    loop {
        let read = packed.read(&mut buffer).map_err(DataError::io(path))?;
        done += read as u64;
        if done > len || (read == 0 && done < len) {
            let found = if read == 0 { format!("{done} bytes") } else { format!("more than {len} bytes") };
            return Err(DataError::malformed(path, what, found, format!("{len} bytes")));
        }
        if read == 0 {
            return Ok(file);
        }
        file.write_all(&buffer[..read]).map_err(DataError::io(&std::env::temp_dir()))?;
    }
}
