//! Recognises the format of a file by its first bytes, never by its name.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::super::DataError;

/// Bytes at the start of a file that [`format_of`] needs at most.
pub const PREFIX_LEN: usize = 352;

/// A format that [`super::decode`] supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// TIFF and BigTIFF.
    Tiff,
    /// BMP.
    Bmp,
    /// GIF.
    Gif,
    /// WebP.
    WebP,
    /// PBM, PGM, PPM and PAM.
    Pnm,
    /// DICOM.
    #[cfg(feature = "dicom")]
    Dicom,
}

/// The supported formats, for messages.
#[cfg(not(feature = "dicom"))]
pub const FORMAT_NAMES: &str = "JPEG, PNG, TIFF, BMP, GIF, WebP, PNM";
/// The supported formats, for messages.
#[cfg(feature = "dicom")]
pub const FORMAT_NAMES: &str = "JPEG, PNG, TIFF, BMP, GIF, WebP, PNM, DICOM";

impl Format {
    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Tiff => "TIFF",
            Self::Bmp => "BMP",
            Self::Gif => "GIF",
            Self::WebP => "WebP",
            Self::Pnm => "PNM",
            #[cfg(feature = "dicom")]
            Self::Dicom => "DICOM",
        }
    }
}

/// The format of a file that begins with `prefix`; `None` if it is not supported.
///
/// * `prefix`: the first [`PREFIX_LEN`] bytes, or all of a shorter file
pub fn format_of(prefix: &[u8]) -> Option<Format> {
    // First, because a preamble may be the start of a TIFF.
    #[cfg(feature = "dicom")]
    if super::dicom::is_dicom(prefix) {
        return Some(Format::Dicom);
    }
    let starts = |magic: &[u8]| prefix.starts_with(magic);
    if starts(&[0xFF, 0xD8, 0xFF]) {
        Some(Format::Jpeg)
    } else if starts(b"\x89PNG\r\n\x1a\n") {
        Some(Format::Png)
    } else if [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|magic| starts(*magic)) {
        Some(Format::Tiff)
    } else if starts(b"GIF87a") || starts(b"GIF89a") {
        Some(Format::Gif)
    } else if starts(b"RIFF") && prefix.get(8..12) == Some(b"WEBP") {
        Some(Format::WebP)
    } else if is_bmp(prefix) {
        Some(Format::Bmp)
    } else if is_pnm(prefix) {
        Some(Format::Pnm)
    } else {
        None
    }
}

/// Whether a file that begins with `prefix` is an image of a supported format.
pub fn is_image(prefix: &[u8]) -> bool {
    format_of(prefix).is_some()
}

/// The format of the file at `path`, by its content.
///
/// # Errors
/// If the file cannot be opened or read.
pub fn format_of_file(path: &Path) -> Result<Option<Format>, DataError> {
    let mut prefix = Vec::with_capacity(PREFIX_LEN);
    let file = File::open(path).map_err(DataError::io(path))?;
    file.take(PREFIX_LEN as u64).read_to_end(&mut prefix).map_err(DataError::io(path))?;
    Ok(format_of(&prefix))
}

/// Many texts begin with the letters `BM`, so the size of the second header must be valid too.
fn is_bmp(prefix: &[u8]) -> bool {
    const HEADER_SIZES: [u8; 8] = [12, 16, 40, 52, 56, 64, 108, 124];
    prefix.starts_with(b"BM") && matches!(prefix.get(14..18), Some([size, 0, 0, 0]) if HEADER_SIZES.contains(size))
}

/// `P1` to `P7`, white space, then a number, a comment, or the first keyword of a PAM header.
fn is_pnm(prefix: &[u8]) -> bool {
    let [b'P', kind @ b'1'..=b'7', space, rest @ ..] = prefix else { return false };
    let next = rest.iter().find(|byte| !byte.is_ascii_whitespace());
    space.is_ascii_whitespace()
        && match kind {
            b'7' => matches!(next, Some(b'#' | b'A'..=b'Z')),
            _ => matches!(next, Some(b'#' | b'0'..=b'9')),
        }
}

/// The name of a known but unsupported image format, for messages.
pub fn unread_format_of(prefix: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, magic: &[u8]| prefix.get(offset..offset + magic.len()) == Some(magic);
    let known: [(usize, &[u8], &str); 17] = [
        (128, b"DICM", "DICOM"),
        (4, b"ftypheic", "HEIC"),
        (4, b"ftypheix", "HEIC"),
        (4, b"ftypmif1", "HEIF"),
        (4, b"ftypavif", "AVIF"),
        (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
        (0, &[0xFF, 0x4F, 0xFF, 0x51], "JPEG 2000"),
        (0, &[0xFF, 0x0A], "JPEG XL"),
        (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
        (0, &[0x76, 0x2F, 0x31, 0x01], "OpenEXR"),
        (0, b"8BPS", "Photoshop"),
        (0, b"#?RADIANCE", "Radiance HDR"),
        (0, b"qoif", "QOI"),
        (0, b"%PDF", "PDF"),
        (0, b"SIMPLE  =", "FITS"),
        (0, b"\x89HDF", "HDF5"),
        (344, b"n+1\0", "NIfTI"),
    ];
    known.iter().find(|(offset, magic, _)| at(*offset, magic)).map(|(_, _, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_recognised_by_their_first_bytes() {
        let known: [(&[u8], Format); 12] = [
            (&[0xFF, 0xD8, 0xFF, 0xE0], Format::Jpeg),
            (b"\x89PNG\r\n\x1a\n", Format::Png),
            (b"II*\0", Format::Tiff),
            (b"MM\0*", Format::Tiff),
            (b"II+\0", Format::Tiff),
            (b"MM\0+", Format::Tiff),
            (b"GIF89a", Format::Gif),
            (b"RIFF\x10\0\0\0WEBP", Format::WebP),
            (b"BM\x10\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", Format::Bmp),
            (b"P5\n# a comment\n4 4\n255\n", Format::Pnm),
            (b"P2 4 4 255", Format::Pnm),
            (b"P7\nWIDTH 4\n", Format::Pnm),
        ];
        for (prefix, format) in known {
            assert_eq!(format_of(prefix), Some(format), "{prefix:?}");
        }
        let texts: [&[u8]; 6] =
            [b"", b"BM is the plural of", b"P5", b"P1 is a wave", b"image,label\n", b"RIFF\0\0\0\0WAVE"];
        for prefix in texts {
            assert_eq!(format_of(prefix), None, "{prefix:?}");
        }
    }

    #[test]
    fn unsupported_formats_are_named() {
        let mut dicom = b"II*\0".to_vec();
        dicom.resize(128, 0);
        dicom.extend(b"DICM");
        #[cfg(feature = "dicom")]
        assert_eq!(format_of(&dicom), Some(Format::Dicom));
        #[cfg(not(feature = "dicom"))]
        assert_eq!(unread_format_of(&dicom), Some("DICOM"));
        assert_eq!(unread_format_of(b"\0\0\0\x18ftypheic"), Some("HEIC"));
        assert_eq!(unread_format_of(b"some text"), None);
    }
}
