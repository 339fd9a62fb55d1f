//! The pixel formats that are read, and their conversion to 8-bit pixels.
//!
//! | code | bytes |
//! |---|---|
//! | `RGB3` | red, green, blue for each pixel |
//! | `YUYV` | Y₀ Cb Y₁ Cr for two pixels, which share the colour |
//! | `MJPG`, `JPEG` | one JPEG file per frame; in `MJPG` the Huffman tables may be missing |
//! | `GREY` | one byte for each pixel |
//!
//! Y′CbCr is BT.601 in limited range, which V4L2 states for colour spaces of cameras unless the driver says otherwise
//! (Linux kernel, "Video for Linux API", section "Detailed Colorspace Descriptions": black is 16, white 235, grey has chroma
//! 128). Grey is taken as it is: sensors without colour deliver their full range.

use macula_edge::image::SIDE_MAX;

use super::huffman::with_tables;
use super::source::{FourCc, FrameFormat};
use crate::data::Image;
use crate::data::decode::{DecodeOptions, decode};

/// The names of the formats that are read.
pub const FORMAT_NAMES: &str = "RGB3, YUYV, MJPG, JPEG and GREY";

/// A pixel format that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Red, green and blue, a byte each.
    Rgb,
    /// Two pixels in four bytes: Y₀ Cb Y₁ Cr.
    Yuyv,
    /// JPEG, with or without its Huffman tables.
    Jpeg,
    /// One byte per pixel.
    Grey,
}

impl Layout {
    /// Codes and formats, the preferred ones first: uncompressed colours, compressed ones, grey.
    pub const PREFERRED: [(FourCc, Self); 5] = [
        (FourCc(*b"RGB3"), Self::Rgb),
        (FourCc(*b"YUYV"), Self::Yuyv),
        (FourCc(*b"MJPG"), Self::Jpeg),
        (FourCc(*b"JPEG"), Self::Jpeg),
        (FourCc(*b"GREY"), Self::Grey),
    ];

    /// The format with this code.
    pub fn of(code: FourCc) -> Option<Self> {
        Self::PREFERRED.iter().find(|(known, _)| *known == code).map(|(_, layout)| *layout)
    }

    /// Bytes of a row of `width` pixels; none if the format is compressed.
    fn row_len(self, width: usize) -> Option<usize> {
        match self {
            Self::Rgb => Some(3 * width),
            Self::Yuyv => Some(4 * width.div_ceil(2)),
            Self::Grey => Some(width),
            Self::Jpeg => None,
        }
    }

    /// Converts a frame to pixels; `name` names the camera in messages of the decoder.
    ///
    /// # Errors
    /// What is wrong with the frame: bytes are missing, or it is not the JPEG that its format says.
    pub fn to_image(self, bytes: &[u8], format: &FrameFormat, name: &str) -> Result<Image, String> {
        let (width, height) = (format.width as usize, format.height as usize);
        let Some(row_len) = self.row_len(width) else { return jpeg(bytes, width, height, name) };
        if width == 0 || height == 0 || width > SIDE_MAX || height > SIDE_MAX {
            return Err(format!("a frame of {width}×{height} pixels; expected sides of 1 to {SIDE_MAX}"));
        }
        // Drivers may pad rows, but not the last one.
        let stride = row_len.max(format.bytes_per_row as usize);
        let needed = stride * (height - 1) + row_len;
        if bytes.len() < needed {
            return Err(format!(
                "{} bytes; a frame of {width}×{height} pixels in {} has {needed}",
                bytes.len(),
                format.code
            ));
        }
        let rows = bytes.chunks(stride).take(height).map(|row| &row[..row_len]);
        let channels = if self == Self::Grey { 1 } else { 3 };
        let mut pixels = Vec::with_capacity(width * height * channels);
        for row in rows {
            match self {
                Self::Yuyv => {
                    let end = pixels.len() + 3 * width;
                    let pairs = row.as_chunks::<4>().0.iter();
                    pixels.extend(pairs.flat_map(|&[y0, cb, y1, cr]| [rgb(y0, cb, cr), rgb(y1, cb, cr)]).flatten());
                    // An odd width ends in half a pair.
                    pixels.truncate(end);
                }
                Self::Rgb | Self::Grey | Self::Jpeg => pixels.extend_from_slice(row),
            }
        }
        Ok(Image { width, height, channels, pixels })
    }
}

fn jpeg(bytes: &[u8], width: usize, height: usize, name: &str) -> Result<Image, String> {
    if !bytes.starts_with(&[0xFF, 0xD8]) {
        return Err(format!("{} bytes without the start marker of a JPEG", bytes.len()));
    }
    let decoded = decode(&with_tables(bytes), name, &DecodeOptions::default()).map_err(|error| error.to_string())?;
    let image = decoded.image;
    match (image.width, image.height) == (width, height) {
        true => Ok(image),
        false => Err(format!("a JPEG of {}×{} pixels; expected {width}×{height}", image.width, image.height)),
    }
}

/// Bits of the fractions below.
const BITS: u32 = 16;

/// `numerator / denominator` with [`BITS`] fractional bits, rounded.
const fn fixed(numerator: i64, denominator: i64) -> i32 {
    (((numerator << (BITS + 1)) / denominator + 1) >> 1) as i32
}

/// Y′ has 219 steps, Cb and Cr 224; kr = 0.299, kg = 0.587, kb = 0.114.
const LUMA: i32 = fixed(255, 219);
const CR_TO_RED: i32 = fixed(255 * 2 * 701, 224 * 1000);
const CB_TO_GREEN: i32 = fixed(255 * 2 * 886 * 114, 224 * 1000 * 587);
const CR_TO_GREEN: i32 = fixed(255 * 2 * 701 * 299, 224 * 1000 * 587);
const CB_TO_BLUE: i32 = fixed(255 * 2 * 886, 224 * 1000);

/// Red, green and blue of one pixel, ITU-R BT.601 in limited range:
/// `R = y + 2 (1 - kr) r`, `B = y + 2 (1 - kb) b`, `G = y - 2 kb (1 - kb) / kg b - 2 kr (1 - kr) / kg r` with
/// `y = 255 (Y - 16) / 219`, `b = 255 (Cb - 128) / 224`, `r = 255 (Cr - 128) / 224`; rounded and clamped.
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (LUMA * (i32::from(y) - 16), i32::from(cb) - 128, i32::from(cr) - 128);
    let to_byte = |value: i32| ((value + (1 << (BITS - 1))) >> BITS).clamp(0, 255) as u8;
    [to_byte(y + CR_TO_RED * cr), to_byte(y - CB_TO_GREEN * cb - CR_TO_GREEN * cr), to_byte(y + CB_TO_BLUE * cb)]
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn format(code: &[u8; 4], width: u32, height: u32, bytes_per_row: u32) -> FrameFormat {
        FrameFormat { code: FourCc(*code), width, height, bytes_per_row }
    }

    #[test]
    fn colours_are_those_of_the_formula_in_floating_point() {
        let (kr, kg, kb) = (0.299f64, 0.587, 0.114);
        for (y, cb, cr) in (0..=255).flat_map(|y| (0..=255).step_by(5).map(move |c| (y, c, (c * 7 + y) % 256))) {
            let luma = 255.0 * (f64::from(y) - 16.0) / 219.0;
            let [b, r] = [cb, cr].map(|chroma| 255.0 * (f64::from(chroma) - 128.0) / 224.0);
            let expected = [
                luma + 2.0 * (1.0 - kr) * r,
                luma - 2.0 * kb * (1.0 - kb) / kg * b - 2.0 * kr * (1.0 - kr) / kg * r,
                luma + 2.0 * (1.0 - kb) * b,
            ];
            for (found, expected) in rgb(y as u8, cb as u8, cr as u8).into_iter().zip(expected) {
                let difference = (f64::from(found) - expected.clamp(0.0, 255.0)).abs();
                assert!(difference < 0.51, "Y {y} Cb {cb} Cr {cr}: {found}, expected {expected}");
            }
        }
        // Black, white, and the red of colour bars at 100 % (BT.601, 8 bits).
        assert_eq!((rgb(16, 128, 128), rgb(235, 128, 128)), ([0; 3], [255; 3]));
        assert_eq!(rgb(81, 90, 240), [254, 0, 0]);
    }

    #[test]
    fn rows_may_be_padded_and_missing_bytes_are_refused() {
        let grey = |bytes: &[u8]| Layout::Grey.to_image(bytes, &format(b"GREY", 2, 2, 3), "cam");
        assert_eq!(grey(&[1, 2, 99, 3, 4]).unwrap().pixels, [1, 2, 3, 4]);
        assert_eq!(grey(&[1, 2, 99, 3]).unwrap_err(), "4 bytes; a frame of 2×2 pixels in GREY has 5");
        let rgb = Layout::Rgb.to_image(&[1, 2, 3, 4, 5, 6], &format(b"RGB3", 2, 1, 0), "cam").unwrap();
        assert_eq!((rgb.channels, rgb.pixels), (3, vec![1, 2, 3, 4, 5, 6]));
        // Three pixels take two pairs, of which the last half is unused.
        let yuyv = [16, 128, 235, 128, 16, 128, 77, 128];
        let image = Layout::Yuyv.to_image(&yuyv, &format(b"YUYV", 3, 1, 8), "cam").unwrap();
        assert_eq!(image.pixels, [0, 0, 0, 255, 255, 255, 0, 0, 0]);
        assert!(Layout::Yuyv.to_image(&yuyv[..7], &format(b"YUYV", 3, 1, 8), "cam").is_err());
        assert!(Layout::Grey.to_image(&[], &format(b"GREY", 0, 2, 0), "cam").is_err());
    }

    #[test]
    fn motion_jpeg_without_tables_gives_the_pixels_of_the_whole_file() {
        let drawn = image::GrayImage::from_fn(24, 16, |x, y| image::Luma([(x * 9 + y * 5) as u8]));
        let mut whole = Cursor::new(Vec::new());
        image::DynamicImage::ImageLuma8(drawn).into_rgb8().write_to(&mut whole, image::ImageFormat::Jpeg).unwrap();
        let whole = whole.into_inner();
        let bare = super::super::huffman::without_tables(&whole);
        assert!(bare.len() + 400 < whole.len(), "the file of the encoder has no tables");
        let read = |bytes: &[u8], height| Layout::Jpeg.to_image(bytes, &format(b"MJPG", 24, height, 0), "cam");
        let image = read(&bare, 16).unwrap();
        assert_eq!(image, read(&whole, 16).unwrap());
        // The same bytes as a file.
        assert_eq!(image, decode(&whole, "file", &DecodeOptions::default()).unwrap().image);
        assert!(read(&whole, 8).unwrap_err().contains("expected 24×8"));
        assert!(read(&bare[..bare.len() / 2], 16).unwrap_err().starts_with("cam: "));
        assert!(read(b"GIF89a", 16).unwrap_err().contains("start marker"));
    }

    #[test]
    fn codes_are_found_and_named() {
        assert_eq!(Layout::of(FourCc(*b"YUYV")), Some(Layout::Yuyv));
        assert_eq!(Layout::of(FourCc(*b"H264")), None);
        assert_eq!(FourCc(*b"Y8  ").to_string(), "Y8");
        assert_eq!(FourCc(*b"\x1b[2J").to_string(), "\\x1b[2J");
        for (code, _) in Layout::PREFERRED {
            assert!(FORMAT_NAMES.contains(&code.to_string()), "{code}");
        }
    }
}
