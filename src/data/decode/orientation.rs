//! The orientation of an image, 1 to 8, from EXIF or else from XMP.
//!
//! | value | how the stored image becomes upright                   |
//! |     1 | as it is                                               |
//! |     2 | mirrored left to right                                 |
//! |     3 | rotated by 180°                                        |
//! |     4 | mirrored top to bottom                                 |
//! |     5 | rows become columns                                    |
//! |     6 | rotated by 90° clockwise                               |
//! |     7 | rows become columns, then rotated by 180°              |
//! |     8 | rotated by 90° counterclockwise                        |

use super::super::Image;

/// The tag of the orientation in EXIF and TIFF.
pub(super) const TAG: u16 = 274;

/// The orientation in a block of EXIF data, with or without a leading `Exif\0\0`; none if it has no valid one.
pub(super) fn of_exif(block: &[u8]) -> Option<u8> {
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    image::metadata::Orientation::from_exif_chunk(block).map(image::metadata::Orientation::to_exif)
}

/// The orientation in XMP, an attribute or element `tiff:Orientation`. It is used if EXIF has none.
pub(super) fn of_xmp(block: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"tiff:Orientation";
    let at = block.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let digit = match block.get(at..)? {
        [b'=', b'"' | b'\'', digit, ..] | [b'>', digit, ..] => digit.wrapping_sub(b'0'),
        _ => return None,
    };
    (1..=8).contains(&digit).then_some(digit)
}

/// The orientations in the EXIF and XMP data of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OrientationTags {
    pub exif: Option<u8>,
    pub xmp: Option<u8>,
}

impl OrientationTags {
    /// The EXIF orientation, else that of XMP, else upright.
    pub fn orientation(self) -> u8 {
        self.exif.or(self.xmp).unwrap_or(1)
    }
}

/// Whether rows become columns, which takes a second buffer.
pub(super) fn is_transposing(orientation: u8) -> bool {
    (5..=8).contains(&orientation)
}

/// Rotates and mirrors `image` upright.
pub(super) fn apply(orientation: u8, mut image: Image) -> Image {
    let row = image.width * image.channels;
    match orientation {
        2 => image.pixels.chunks_exact_mut(row).for_each(|row| reverse_pixels(row, image.channels)),
        3 => reverse_pixels(&mut image.pixels, image.channels),
        4 => reverse_rows(&mut image.pixels, row),
        5..=8 => return transpose(orientation, &image),
        _ => {}
    }
    image
}

fn reverse_pixels(pixels: &mut [u8], channels: usize) {
    pixels.reverse();
    // Restore the order of the channels in each pixel.
    pixels.chunks_exact_mut(channels).for_each(<[u8]>::reverse);
}

fn reverse_rows(pixels: &mut [u8], row: usize) {
    let rows = pixels.len() / row;
    for top in 0..rows / 2 {
        let (above, below) = pixels.split_at_mut((rows - 1 - top) * row);
        above[top * row..(top + 1) * row].swap_with_slice(&mut below[..row]);
    }
}

/// Orientations 5 to 8: the stored column of an upright pixel depends on its row.
fn transpose(orientation: u8, stored: &Image) -> Image {
    let (width, height, channels) = (stored.height, stored.width, stored.channels);
    let mut pixels = Vec::with_capacity(stored.pixels.len());
    for y in 0..height {
        let column = if matches!(orientation, 5 | 6) { y } else { height - 1 - y };
        for x in 0..width {
            let row = if matches!(orientation, 5 | 8) { x } else { width - 1 - x };
            let at = (row * stored.width + column) * channels;
            pixels.extend_from_slice(&stored.pixels[at..at + channels]);
        }
    }
    Image { width, height, channels, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected pixels by hand for 2 × 3 pixels with the rows 0 1, 2 3, 4 5.
    #[test]
    fn all_eight_orientations_agree_with_exif() {
        let upright: [(u8, usize, [u8; 6]); 9] = [
            (0, 2, [0, 1, 2, 3, 4, 5]),
            (1, 2, [0, 1, 2, 3, 4, 5]),
            (2, 2, [1, 0, 3, 2, 5, 4]),
            (3, 2, [5, 4, 3, 2, 1, 0]),
            (4, 2, [4, 5, 2, 3, 0, 1]),
            (5, 3, [0, 2, 4, 1, 3, 5]),
            (6, 3, [4, 2, 0, 5, 3, 1]),
            (7, 3, [5, 3, 1, 4, 2, 0]),
            (8, 3, [1, 3, 5, 0, 2, 4]),
        ];
        for (orientation, width, expected) in upright {
            for channels in [1, 3] {
                let colours =
                    |values: &[u8]| values.iter().flat_map(|&v| (0..channels as u8).map(move |c| 10 * v + c)).collect();
                let stored = Image { width: 2, height: 3, channels, pixels: colours(&[0, 1, 2, 3, 4, 5]) };
                let found = apply(orientation, stored);
                let expected = Image { width, height: 6 / width, channels, pixels: colours(&expected) };
                assert_eq!(found, expected, "orientation {orientation}");
            }
        }
    }

    #[test]
    fn exif_is_read_in_both_byte_orders() {
        let little = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0";
        assert_eq!([of_exif(little), of_exif(big)], [Some(6), Some(8)]);
        for broken in [&b""[..], b"Exif\0\0", &little[..18], b"MM\0*\xff\xff\xff\xff"] {
            assert_eq!(of_exif(broken), None);
        }
        let mut strange = *little;
        strange[24] = 9;
        assert_eq!(of_exif(&strange), None);
    }

    #[test]
    fn xmp_is_used_if_exif_has_no_orientation() {
        assert_eq!(of_xmp(b"<x tiff:Orientation=\"6\"/>"), Some(6));
        assert_eq!(of_xmp(b"<tiff:Orientation>8</tiff:Orientation>"), Some(8));
        for none in
            [&b""[..], b"tiff:Orientation", b"tiff:Orientation=\"9\"", b"tiff:Orientation=6", b"Orientation=\"6\""]
        {
            assert_eq!(of_xmp(none), None);
        }
        let tags = |exif, xmp| OrientationTags { exif, xmp }.orientation();
        assert_eq!([tags(Some(3), Some(6)), tags(None, Some(6)), tags(None, None)], [3, 6, 1]);
    }
}
