//! From raw pixels to the pixels an encoder sees: crop, grey or colour, resize; all in integers.
//!
//! The desk prepares every image with this very code, so that training, export and device cannot disagree, and the
//! bytes are the same on every CPU. What follows, `(value / 255 - mean) / std`, is a table of 256 numbers a channel and
//! belongs to the encoder.
//!
//! An image that is held whole goes through [`to_pixels`]; one that is larger than memory goes row by row through a
//! [`Resizer`], as it comes from a camera or a line. Both give the same bytes.

mod resizer;
mod triangle;

use core::fmt;

pub use resizer::{Resizer, prepare, to_pixels};

/// Longest side of an image, before and after resizing, in pixels.
pub const SIDE_MAX: usize = u16::MAX as usize;

/// Size of an image of 8-bit pixels; whoever has a `Shape` knows that it is within limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    width: usize,
    height: usize,
    channels: usize,
    len: usize,
}

impl Shape {
    /// * `width`, `height`: 1 to [`SIDE_MAX`] pixels
    /// * `channels`: 1 (grey) or 3 (red, green, blue)
    ///
    /// # Errors
    /// When one is out of range, or the image has more bytes than this machine can address.
    pub const fn new(width: usize, height: usize, channels: usize) -> Result<Self, ImageError> {
        if width == 0 || width > SIDE_MAX {
            return Err(ImageError::Side { what: "width", found: width });
        }
        if height == 0 || height > SIDE_MAX {
            return Err(ImageError::Side { what: "height", found: height });
        }
        if channels != 1 && channels != 3 {
            return Err(ImageError::Channels { found: channels });
        }
        // At most 1.3e10, which does not fit the addresses of a small machine.
        let len = width as u64 * height as u64 * channels as u64;
        if len > isize::MAX as u64 {
            return Err(ImageError::TooLarge { width, height, channels });
        }
        Ok(Self { width, height, channels, len: len as usize })
    }

    /// Pixels a row.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub const fn height(&self) -> usize {
        self.height
    }

    /// 1 (grey) or 3 (red, green, blue).
    pub const fn channels(&self) -> usize {
        self.channels
    }

    /// Bytes of the whole image.
    pub const fn pixels_len(&self) -> usize {
        self.len
    }

    /// Bytes of a row.
    pub const fn row_len(&self) -> usize {
        self.width * self.channels
    }
}

/// An image as a camera or a file gives it, checked once.
#[derive(Clone, Copy, Debug)]
pub struct RawImage<'a> {
    shape: Shape,
    pixels: &'a [u8],
}

impl<'a> RawImage<'a> {
    /// * `pixels`: `[height, width, channels]`, row-major
    ///
    /// # Errors
    /// When a size is out of range or does not fit the number of pixels.
    pub const fn new(width: usize, height: usize, channels: usize, pixels: &'a [u8]) -> Result<Self, ImageError> {
        match Shape::new(width, height, channels) {
            Ok(shape) if shape.len == pixels.len() => Ok(Self { shape, pixels }),
            Ok(shape) => Err(ImageError::Length { what: "pixels", found: pixels.len(), expected: shape.len }),
            Err(error) => Err(error),
        }
    }

    /// Its size.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// `[height, width, channels]`, row-major.
    pub const fn pixels(&self) -> &'a [u8] {
        self.pixels
    }
}

/// The part of an image that is used, in pixels of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rectangle {
    /// Columns left of it.
    pub left: usize,
    /// Rows above it.
    pub top: usize,
    /// Its columns, at least 1.
    pub width: usize,
    /// Its rows, at least 1.
    pub height: usize,
}

/// Which part of an image is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Crop {
    /// All of it.
    #[default]
    Whole,
    /// The largest square in the middle; the odd pixel goes to the right or below.
    CentreSquare,
    /// A part that was chosen by hand.
    Rectangle(Rectangle),
}

impl Crop {
    /// The part of an image of size `source` that this means.
    ///
    /// # Errors
    /// When a rectangle is empty or reaches beyond the image.
    pub const fn of(self, source: Shape) -> Result<Rectangle, ImageError> {
        let Shape { width, height, .. } = source;
        match self {
            Self::Whole => Ok(Rectangle { left: 0, top: 0, width, height }),
            Self::CentreSquare => {
                let side = if width < height { width } else { height };
                Ok(Rectangle { left: (width - side) / 2, top: (height - side) / 2, width: side, height: side })
            }
            Self::Rectangle(part) => {
                let fits = part.width > 0
                    && part.height > 0
                    && part.width <= width
                    && part.height <= height
                    && part.left <= width - part.width
                    && part.top <= height - part.height;
                if fits { Ok(part) } else { Err(ImageError::Crop { part, width, height }) }
            }
        }
    }
}

/// What becomes of an image: the part `crop` of it, in the channels of `target` (grey by [`luma`], colour by
/// repeating grey), stretched to the size of `target` by the triangle filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// What comes out.
    pub target: Shape,
    /// What is used of the source.
    pub crop: Crop,
}

impl Recipe {
    /// Words of scratch that any image up to `width_max` columns needs, grey or colour.
    ///
    /// For a source of 1024 columns and a grey target of 64 this is 13 KiB. The height of the source does not matter.
    pub const fn scratch_len(target: Shape, width_max: usize) -> usize {
        let longer = if width_max > target.width { width_max } else { target.width };
        // Where the taps of each column begin, their weights, one row in grey, three rows being made.
        target.width + 2 * longer + width_max + 3 * target.row_len()
    }
}

/// An image or a recipe that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// A side has 1 to [`SIDE_MAX`] pixels.
    Side {
        /// `width` or `height`.
        what: &'static str,
        /// Its pixels.
        found: usize,
    },
    /// An image has 1 or 3 channels.
    Channels {
        /// What was found.
        found: usize,
    },
    /// The image has more bytes than this machine can address.
    TooLarge {
        /// Pixels a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Channels.
        channels: usize,
    },
    /// The part asked for is empty or reaches beyond the image.
    Crop {
        /// What was asked for.
        part: Rectangle,
        /// Pixels a row of the image.
        width: usize,
        /// Its rows.
        height: usize,
    },
    /// A slice has another length than needed.
    Length {
        /// Which: `pixels`, `row`, `output`.
        what: &'static str,
        /// Its bytes.
        found: usize,
        /// Bytes needed.
        expected: usize,
    },
    /// Too little scratch was lent.
    Scratch {
        /// Words lent.
        found: usize,
        /// Words needed.
        needed: usize,
    },
    /// A row after the last.
    TooManyRows {
        /// Rows of the image.
        limit: usize,
    },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Side { what, found } => write!(f, "an image has {what} {found}, the limits are 1 and {SIDE_MAX}"),
            Self::Channels { found } => write!(f, "an image has {found} channels, 1 and 3 are possible"),
            Self::TooLarge { width, height, channels } => {
                write!(f, "an image of {width}×{height} pixels in {channels} channels does not fit this machine")
            }
            Self::Crop { part: Rectangle { left, top, width: columns, height: rows }, width, height } => {
                write!(f, "a crop of {columns}×{rows} pixels at ({left}, {top}) is not within {width}×{height} pixels")
            }
            Self::Length { what, found, expected } => write!(f, "{what} of {found} bytes, {expected} are needed"),
            Self::Scratch { found, needed } => write!(f, "scratch holds {found} words, {needed} are needed"),
            Self::TooManyRows { limit } => write!(f, "the image has {limit} rows, and they were all given"),
        }
    }
}

impl core::error::Error for ImageError {}

/// Grey of a pixel: BT.601 luma in the integer arithmetic of Pillow's `convert("L")`.
///
/// The weights sum to 2¹⁶, so that equal channels keep their value.
pub fn luma(red: u8, green: u8, blue: u8) -> u8 {
    let [red, green, blue] = [red, green, blue].map(u32::from);
    ((19_595 * red + 38_470 * green + 7_471 * blue + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::luma;

    #[test]
    fn luma_is_that_of_bt_601() {
        // 0.299 red + 0.587 green + 0.114 blue, rounded.
        for ([r, g, b], expected) in [([255, 0, 0], 76), ([0, 255, 0], 150), ([0, 0, 255], 29), ([10, 200, 90], 131)] {
            assert_eq!(luma(r, g, b), expected, "({r}, {g}, {b})");
        }
        assert!((0..=255).all(|value| luma(value, value, value) == value));
    }
}
