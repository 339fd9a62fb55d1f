//! One image file to 8-bit pixels, with limits on what a file may ask for.

mod format;
mod range;

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use macula_edge::image::SIDE_MAX;

use super::{DataError, Image};

pub use format::{FORMAT_NAMES, Format, PREFIX_LEN, format_of, format_of_file, is_image, unread_format_of};
pub use range::{RangeError, ValueRange};

/// Pixels an image may have. 2²⁷ (16,384 × 8,192) holds the largest radiograph and photograph in
/// use, and keeps a decompression bomb below half a gibibyte of 8-bit RGB.
pub const PIXELS_MAX: u64 = 1 << 27;

/// Bytes a decoder may allocate: [`PIXELS_MAX`] of 16-bit RGBA.
const DECODER_BYTES_MAX: u64 = 8 * PIXELS_MAX;

/// Endings, in lower case, of the files that count as images.
const ENDINGS: [&str; 7] = ["jpg", "jpeg", "png", "tif", "tiff", "bmp", "gif"];

/// Whether the name of a file says that it is an image.
pub fn is_image_name(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("");
    ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending))
}

/// Whether an image may have this size: no side is 0 or beyond what can be resized, and the area has a limit.
pub(super) fn is_allowed(width: u64, height: u64) -> bool {
    let sides = 1..=SIDE_MAX as u64;
    sides.contains(&width) && sides.contains(&height) && width * height <= PIXELS_MAX
}

/// Reads one image file: the format by its content, the first frame, 8 bits a channel.
///
/// 16-bit values are scaled to 8 bits and rounded, alpha is dropped without blending (a medical export's
/// transparent pixels still carry tissue), grey stays one channel.
pub fn read_image(path: &Path) -> Result<Image, DataError> {
    let bytes = std::fs::read(path).map_err(DataError::io(path))?;
    decode(&bytes, &path.display().to_string())
}

/// Decodes the bytes of an image file; `name` is what an error calls it.
pub fn decode(bytes: &[u8], name: &str) -> Result<Image, DataError> {
    let refuse = |reason: String| DataError::Decode { name: name.to_owned(), reason };
    let reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| refuse(error.to_string()))?;
    match reader.format() {
        None if bytes.is_empty() => return Err(refuse("the file is empty".to_owned())),
        None => return Err(refuse("it is none of JPEG, PNG, TIFF, BMP, GIF".to_owned())),
        // The decoder fills a truncated JPEG with grey and reports success.
        Some(ImageFormat::Jpeg) if !jpeg_is_whole(bytes) => {
            return Err(refuse(format!("the JPEG is truncated: no end marker in {} bytes", bytes.len())));
        }
        Some(_) => {}
    }
    let mut decoder = reader.into_decoder().map_err(|error| refuse(error.to_string()))?;
    let (width, height) = decoder.dimensions();
    let (width, height) = (u64::from(width), u64::from(height));
    if width * height == 0 {
        return Err(refuse(format!("it is {width}×{height} pixels")));
    }
    if !is_allowed(width, height) {
        return Err(DataError::TooLarge { name: name.to_owned(), width, height, limit: PIXELS_MAX });
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(DECODER_BYTES_MAX);
    decoder.set_limits(limits).map_err(|error| refuse(error.to_string()))?;
    let decoded = DynamicImage::from_decoder(decoder).map_err(|error| refuse(error.to_string()))?;
    Ok(to_eight_bits(decoded))
}

fn to_eight_bits(decoded: DynamicImage) -> Image {
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let grey = !decoded.color().has_color();
    let (channels, pixels) =
        if grey { (1, decoded.into_luma8().into_raw()) } else { (3, decoded.into_rgb8().into_raw()) };
    Image { width, height, channels, pixels }
}

/// Whether the end-of-image marker follows the first scan.
///
/// Segments before the scan are stepped over by their length, so the end marker of an embedded
/// thumbnail does not count. Bytes after the end marker are allowed: cameras and scanners pad.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xDA;
    const END_OF_IMAGE: u8 = 0xD9;
    let mut at = 2; // after the start-of-image marker, which the guessed format has checked
    while let Some(&[first, marker, high, low]) = bytes.get(at..at + 4) {
        if first != 0xFF {
            return false;
        }
        if marker == 0xFF {
            at += 1; // fill byte
            continue;
        }
        if marker == START_OF_SCAN {
            // Inside a scan 0xFF is followed by 0 or a restart marker, so this pair can only be the end.
            return bytes[at..].windows(2).any(|pair| pair == [0xFF, END_OF_IMAGE]);
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, RgbaImage};

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn gradient() -> DynamicImage {
        DynamicImage::ImageLuma8(GrayImage::from_fn(24, 20, |x, y| image::Luma([(x * 7 + y * 3) as u8])))
    }

    #[test]
    fn every_format_whole_is_read_and_cut_is_refused() {
        use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff};
        for format in [Jpeg, Png, Tiff, Bmp, Gif] {
            // There is no grey GIF.
            let drawn = if format == Gif { DynamicImage::ImageRgb8(gradient().into_rgb8()) } else { gradient() };
            let bytes = encoded(&drawn, format);
            let image = decode(&bytes, "whole").unwrap();
            assert_eq!((image.width, image.height), (24, 20), "{format:?}");
            let expected = gradient().into_luma8().into_raw();
            let grey = image.to_grey().pixels;
            let worst = grey.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(worst <= if format == Jpeg { 12 } else { 0 }, "{format:?}: off by {worst}");
            for keep in [0, 1, 10, bytes.len() / 2, bytes.len() * 3 / 4] {
                let error = decode(&bytes[..keep], "cut.img").unwrap_err().to_string();
                assert!(error.starts_with("cut.img: not a readable image"), "{format:?} cut to {keep}: {error}");
            }
        }
    }

    #[test]
    fn alpha_is_dropped_and_sixteen_bits_become_eight() {
        let rgba = DynamicImage::ImageRgba8(RgbaImage::from_pixel(2, 2, image::Rgba([200, 10, 30, 0])));
        let image = decode(&encoded(&rgba, ImageFormat::Png), "rgba").unwrap();
        assert_eq!((image.channels, &image.pixels[..3]), (3, &[200u8, 10, 30][..]));
        let deep = image::ImageBuffer::from_pixel(2, 1, image::Luma([0x80FFu16]));
        let image = decode(&encoded(&DynamicImage::ImageLuma16(deep), ImageFormat::Png), "deep").unwrap();
        assert_eq!((image.channels, image.pixels), (1, vec![0x80, 0x80]));
    }

    #[test]
    fn a_decompression_bomb_is_refused_before_it_is_unpacked() {
        // A BMP header that claims 60,000 × 60,000 pixels.
        let mut bytes = encoded(&gradient(), ImageFormat::Bmp);
        bytes[18..22].copy_from_slice(&60_000u32.to_le_bytes());
        bytes[22..26].copy_from_slice(&60_000u32.to_le_bytes());
        let error = decode(&bytes, "bomb.bmp").unwrap_err().to_string();
        assert_eq!(
            error,
            "bomb.bmp: 60000×60000 pixels are more than an image may have: 134217728, at most 65535 a side"
        );
        // Few pixels, but in a row that is too long; 65,535 is not.
        let row = |width| encoded(&DynamicImage::ImageLuma8(GrayImage::new(width, 1)), ImageFormat::Png);
        let error = decode(&row(65_536), "long.png").unwrap_err().to_string();
        assert_eq!(error, "long.png: 65536×1 pixels are more than an image may have: 134217728, at most 65535 a side");
        assert_eq!(decode(&row(65_535), "long.png").unwrap().width, 65_535);
    }
}
