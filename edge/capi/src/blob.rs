//! Facts about a blob, before a device is opened with it.

use macula_edge::encoder::{Blob, Encoder};
use macula_edge::image::{Recipe, SIDE_MAX, Shape};

use crate::pointer::{place, slice};
use crate::status::{Failure, Status};

/// Facts about a blob.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct BlobInfo {
    /// Equal identities give equal features.
    pub identity: [u8; 16],
    /// Its bytes.
    pub size: u32,
    /// Dimensions of a feature.
    pub dim: u32,
    /// Words of 4 bytes between an image of the encoder's size and its feature.
    pub work_words: u32,
    /// Columns of the image that the encoder reads; others are resized.
    pub width: u16,
    /// Its rows.
    pub height: u16,
    /// Its channels: 1 grey, 3 red green blue.
    pub channels: u8,
}

/// Checks a blob and tells what it needs.
///
/// * `blob`: at a multiple of 4 bytes
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_read_blob(blob: *const u8, blob_size: usize, info: *mut BlobInfo) -> Status {
    // SAFETY: pointers are null or what the header asks for.
    let read = || unsafe {
        let info = place(info)?;
        let (blob, input) = parse(blob, blob_size)?;
        info.write(BlobInfo {
            identity: blob.identity(),
            size: blob.len_bytes() as u32,
            dim: blob.dim() as u32,
            work_words: work_words(&blob, input, input.width()),
            width: input.width() as u16,
            height: input.height() as u16,
            channels: input.channels() as u8,
        });
        Ok(())
    };
    status(read())
}

/// Words of 4 bytes between an image of up to `width` columns and its feature.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_blob_work_words(
    blob: *const u8,
    blob_size: usize,
    width: u32,
    words: *mut u32,
) -> Status {
    // SAFETY: pointers are null or what the header asks for.
    let read = || unsafe {
        let words = place(words)?;
        let (blob, input) = parse(blob, blob_size)?;
        if width == 0 || width as usize > SIDE_MAX {
            return Err(Status::OutOfRange.into());
        }
        words.write(work_words(&blob, input, width as usize));
        Ok(())
    };
    status(read())
}

fn status(result: Result<(), Failure>) -> Status {
    result.err().map_or(Status::Ok, |failure| failure.status)
}

/// A blob and the shape of its input.
///
/// # Safety
/// As for [`slice`].
unsafe fn parse<'a>(blob: *const u8, size: usize) -> Result<(Blob<'a>, Shape), Failure> {
    // SAFETY: by the promise above.
    let blob = Blob::parse(unsafe { slice(blob, size) }?)?;
    let input = blob.info().input.ok_or(Status::Internal)?;
    Ok((blob, input))
}

/// Words for an image of `width` columns: the pixels of the input, and behind them what resizing or encoding needs.
fn work_words(blob: &Blob<'_>, input: Shape, width: usize) -> u32 {
    let encoding = blob.info().work_words() + blob.extra_words();
    let resizing = input.pixels_len().div_ceil(4) + Recipe::scratch_len(input, width);
    (if width == input.width() { encoding } else { encoding.max(resizing) }) as u32
}
