//! Decodes an image file of any format to 8-bit pixels, for all commands.
//!
//! [`decode`] recognises the format by its content, checks size and memory before it allocates, refuses files with missing
//! pixels, applies the orientation, and maps samples to 8 bits by the stated or natural range.

mod bmp;
mod budget;
mod bytes;
mod catch_panics;
#[cfg(feature = "dicom")]
mod dicom;
mod format;
mod gif;
mod jpeg;
mod limits;
mod options;
mod orientation;
mod png;
mod pnm;
mod range;
mod refusal;
mod samples;
mod tiff;
mod webp;

use std::path::Path;

use super::{DataError, Image};
use crate::files;
use refusal::Refusal;
use samples::Read;

#[cfg(feature = "dicom")]
pub use dicom::{Identity, IdentityHash, IdentityKey, identity, range_of_window};
pub use format::{FORMAT_NAMES, Format, PREFIX_LEN, format_of, format_of_file, is_image, unread_format_of};
pub use limits::{BYTES_MAX, FILE_BYTES_MAX, PIXELS_MAX, is_allowed};
pub use options::{DecodeOptions, FrameChoice, WindowChoice};
pub use range::{EncoderRange, RangeError, ValueRange};
pub use samples::{RawFacts, SampleKind};

/// A decoded image file.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The pixels, upright.
    pub image: Image,
    /// The format, recognised by content.
    pub format: Format,
    /// The samples before they were mapped to 8 bits.
    pub raw: RawFacts,
    /// Number of pages or frames, of which [`Self::image`] is the first full one; 1 if the options choose a frame.
    pub frames: u32,
    /// The EXIF orientation that was applied, 1 to 8; 1 is upright.
    pub orientation: u8,
}

/// Reads one image file with the natural range of its samples.
///
/// # Errors
/// As [`read`].
pub fn read_image(path: &Path) -> Result<Image, DataError> {
    read(path, &DecodeOptions::default()).map(|decoded| decoded.image)
}

/// Reads one image file.
///
/// # Errors
/// As [`decode`], and if the file cannot be read or is larger than [`FILE_BYTES_MAX`].
pub fn read(path: &Path, options: &DecodeOptions) -> Result<Decoded, DataError> {
    let bytes = files::read_bounded(path, FILE_BYTES_MAX)
        .map_err(|error| DataError::Io { path: error.path, source: error.source })?;
    decode(&bytes, &path.display().to_string(), options)
}

/// Decodes the bytes of an image file; errors name it `name`.
///
/// Alpha is dropped without blending, and grey stays one channel. Of several pages or frames, the first full one is read.
///
/// # Errors
/// If the format is unknown, the file is damaged or truncated, it has more than [`PIXELS_MAX`] or takes more than
/// [`BYTES_MAX`], or the range of its samples is unknown.
pub fn decode(bytes: &[u8], name: &str, options: &DecodeOptions) -> Result<Decoded, DataError> {
    let decoded = recognise(bytes).and_then(|format| {
        catch_panics::catch_panics(|| budget::one_large_at_a_time(|| decode_as(format, bytes, options)))
    });
    decoded.map_err(|refusal| refusal.named(name))
}

/// Extensions of image files, in lower case.
const EXTENSIONS: [&str; 7] = ["jpg", "jpeg", "png", "tif", "tiff", "bmp", "gif"];

/// Extensions of DICOM files, in lower case.
const DICOM_EXTENSIONS: [&str; 3] = ["dcm", "dicom", "ima"];

/// Whether a file has the extension of an image.
pub fn is_image_name(path: &Path) -> bool {
    has_extension(path, &EXTENSIONS) || cfg!(feature = "dicom") && has_extension(path, &DICOM_EXTENSIONS)
}

/// Whether a file may be DICOM: its extension is not that of another format.
pub fn may_be_dicom(path: &Path) -> bool {
    cfg!(feature = "dicom") && !has_extension(path, &EXTENSIONS)
}

fn has_extension(path: &Path, known: &[&str]) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("");
    known.iter().any(|known| known.eq_ignore_ascii_case(ending))
}

fn recognise(bytes: &[u8]) -> Result<Format, Refusal> {
    format_of(bytes).ok_or_else(|| match unread_format_of(bytes) {
        _ if bytes.is_empty() => "the file is empty".into(),
        Some(other) => format!("unsupported format {other}; expected {FORMAT_NAMES}").into(),
        None => format!("unknown format; expected {FORMAT_NAMES}").into(),
    })
}

fn decode_as(format: Format, bytes: &[u8], options: &DecodeOptions) -> Result<Decoded, Refusal> {
    let reader = match format {
        Format::Jpeg => jpeg::read,
        Format::Png => png::read,
        Format::Tiff => tiff::read,
        Format::Bmp => bmp::read,
        Format::Gif => gif::read,
        Format::WebP => webp::read,
        Format::Pnm => pnm::read,
        #[cfg(feature = "dicom")]
        Format::Dicom => dicom::read,
    };
    let Read { image, raw, frames, orientation } = reader(bytes, options)?;
    if orientation::is_transposing(orientation) {
        budget::check(image.width as u64, image.height as u64, 2 * image.channels as u64)?;
    }
    Ok(Decoded { image: orientation::apply(orientation, image), format, raw, frames, orientation })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use image::{DynamicImage, GrayImage, ImageFormat, RgbaImage};

    fn read_bytes(bytes: &[u8]) -> Result<Image, DataError> {
        decode(bytes, "test.img", &DecodeOptions::default()).map(|decoded| decoded.image)
    }

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn gradient() -> DynamicImage {
        DynamicImage::ImageLuma8(GrayImage::from_fn(24, 20, |x, y| image::Luma([(x * 7 + y * 3) as u8])))
    }

    #[test]
    fn every_format_is_read_and_a_truncated_file_is_refused() {
        use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff};
        for format in [Jpeg, Png, Tiff, Bmp, Gif] {
            // GIF has no grey.
            let drawn = if format == Gif { DynamicImage::ImageRgb8(gradient().into_rgb8()) } else { gradient() };
            let bytes = encoded(&drawn, format);
            let image = read_bytes(&bytes).unwrap();
            assert_eq!((image.width, image.height), (24, 20), "{format:?}");
            let expected = gradient().into_luma8().into_raw();
            let grey = image.to_grey().pixels;
            let worst = grey.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(worst <= if format == Jpeg { 12 } else { 0 }, "{format:?}: off by {worst}");
            for keep in [0, 1, 10, bytes.len() / 2, bytes.len() * 3 / 4] {
                let error = read_bytes(&bytes[..keep]).unwrap_err().to_string();
                assert!(error.starts_with("test.img: "), "{format:?} cut to {keep}: {error}");
            }
        }
    }

    #[test]
    fn alpha_is_dropped_and_sixteen_bits_become_eight() {
        let rgba = DynamicImage::ImageRgba8(RgbaImage::from_pixel(2, 2, image::Rgba([200, 10, 30, 0])));
        let image = read_bytes(&encoded(&rgba, ImageFormat::Png)).unwrap();
        assert_eq!((image.channels, &image.pixels[..3]), (3, &[200u8, 10, 30][..]));
        let deep = image::ImageBuffer::from_pixel(2, 1, image::Luma([0x80FFu16]));
        let image = read_bytes(&encoded(&DynamicImage::ImageLuma16(deep), ImageFormat::Png)).unwrap();
        assert_eq!((image.channels, image.pixels), (1, vec![0x80, 0x80]));
    }

    #[test]
    fn a_decompression_bomb_is_refused_before_it_is_decoded() {
        // A BMP header that claims 60,000 × 60,000 pixels.
        let mut bytes = encoded(&gradient(), ImageFormat::Bmp);
        bytes[18..22].copy_from_slice(&60_000u32.to_le_bytes());
        bytes[22..26].copy_from_slice(&60_000u32.to_le_bytes());
        let is_too_large = |bytes: &[u8]| matches!(read_bytes(bytes), Err(DataError::TooLarge { .. }));
        assert!(is_too_large(&bytes));
        // Few pixels, but a row that is too long; 65,535 is allowed.
        let row = |width| encoded(&DynamicImage::ImageLuma8(GrayImage::new(width, 1)), ImageFormat::Png);
        assert!(is_too_large(&row(65_536)));
        assert_eq!(read_bytes(&row(65_535)).unwrap().width, 65_535);
    }
}
