//! Converts a raw image to the input of an encoder: crop, grey or colour, resize, all in integers.
//!
//! The host prepares images with the same code, so training, export and device agree, and the bytes are the same on every
//! CPU. Normalisation, `(value / 255 - mean) / std`, belongs to the encoder.
//!
//! [`to_pixels`] converts an image in memory. [`Resizer`] takes the rows of a larger image one by one, as a camera or a
//! line delivers them. Both give the same bytes.

mod resizer;
mod triangle;

pub use resizer::{Resizer, prepare, to_pixels};

/// Longest side of an image, before and after resizing, in pixels.
pub const SIDE_MAX: usize = u16::MAX as usize;

/// Size of an image of 8-bit pixels, checked to be within limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    width: usize,
    height: usize,
    channels: usize,
    len: usize,
}

impl Shape {
    /// Checks a size.
    ///
    /// * `width`, `height`: 1 to [`SIDE_MAX`] pixels
    /// * `channels`: 1 (grey) or 3 (red, green, blue)
    ///
    /// # Errors
    /// If one is out of range or the image has more bytes than this machine can address.
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
        // At most 1.3e10, which overflows a 32-bit usize.
        let len = width as u64 * height as u64 * channels as u64;
        if len > isize::MAX as u64 {
            return Err(ImageError::TooLarge { width, height, channels });
        }
        Ok(Self { width, height, channels, len: len as usize })
    }

    /// Pixels per row.
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

    /// Bytes of the image.
    pub const fn pixels_len(&self) -> usize {
        self.len
    }

    /// Bytes of a row.
    pub const fn row_len(&self) -> usize {
        self.width * self.channels
    }
}

/// An image as a camera or a file delivers it, with its size checked.
#[derive(Clone, Copy, Debug)]
pub struct RawImage<'a> {
    shape: Shape,
    pixels: &'a [u8],
}

impl<'a> RawImage<'a> {
    /// Checks the size of an image.
    ///
    /// * `pixels`: `[height, width, channels]`, row-major
    ///
    /// # Errors
    /// If a size is out of range or does not match the number of pixels.
    pub const fn new(width: usize, height: usize, channels: usize, pixels: &'a [u8]) -> Result<Self, ImageError> {
        match Shape::new(width, height, channels) {
            Ok(shape) if shape.len == pixels.len() => Ok(Self { shape, pixels }),
            Ok(shape) => Err(ImageError::Length { what: "pixels", found: pixels.len(), expected: shape.len }),
            Err(error) => Err(error),
        }
    }

    /// Size of the image.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// `[height, width, channels]`, row-major.
    pub const fn pixels(&self) -> &'a [u8] {
        self.pixels
    }
}

/// A part of an image, in pixels of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rectangle {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns, at least 1.
    pub width: usize,
    /// Rows, at least 1.
    pub height: usize,
}

/// Which part of an image is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Crop {
    /// The whole image.
    #[default]
    Whole,
    /// The largest centred square. If the margin is odd, the larger part is on the right or below.
    CentreSquare,
    /// A given part.
    Rectangle(Rectangle),
}

impl Crop {
    /// The part used of an image of size `source`.
    ///
    /// # Errors
    /// If a rectangle is empty or reaches beyond the image.
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

/// How an image is converted: the part `crop`, in the channels of `target` (grey by [`luma`], colour by repeating grey),
/// resized to `target` with the triangle filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Size of the result.
    pub target: Shape,
    /// Part used of the source.
    pub crop: Crop,
}

impl Recipe {
    /// Scratch, in words, for any image of up to `width_max` columns, grey or colour.
    ///
    /// For a source of 1024 columns and a grey target of 64 this is 13 KiB. The height of the source does not matter.
    pub const fn scratch_len(target: Shape, width_max: usize) -> usize {
        let longer = if width_max > target.width { width_max } else { target.width };
        // Spans of the target columns, their weights, one grey row, three target rows.
        target.width + 2 * longer + width_max + 3 * target.row_len()
    }
}

/// An image or a recipe cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// A side has 1 to [`SIDE_MAX`] pixels.
    #[error("the {what} of the image is {found}; 1 to {SIDE_MAX} pixels are allowed")]
    Side {
        /// `width` or `height`.
        what: &'static str,
        /// Its pixels.
        found: usize,
    },
    /// An image has 1 or 3 channels.
    #[error("the image has {found} channels; 1 or 3 are allowed")]
    Channels {
        /// Number of channels.
        found: usize,
    },
    /// The image has more bytes than this machine can address.
    #[error("an image of {width}×{height} pixels with {channels} channels exceeds the address space")]
    TooLarge {
        /// Pixels per row.
        width: usize,
        /// Rows.
        height: usize,
        /// Channels.
        channels: usize,
    },
    /// The crop is empty or reaches beyond the image.
    #[error("a crop of {}×{} pixels at ({}, {}) is not inside an image of {width}×{height} pixels",
        part.width, part.height, part.left, part.top)]
    Crop {
        /// The crop.
        part: Rectangle,
        /// Pixels per row of the image.
        width: usize,
        /// Rows of the image.
        height: usize,
    },
    /// A slice has the wrong length.
    #[error("{what} has {found} bytes; {expected} are needed")]
    Length {
        /// Which: `pixels`, `row`, `output`.
        what: &'static str,
        /// Bytes found.
        found: usize,
        /// Bytes needed.
        expected: usize,
    },
    /// The scratch is too small.
    #[error("scratch has {found} words; {needed} are needed")]
    Scratch {
        /// Words lent.
        found: usize,
        /// Words needed.
        needed: usize,
    },
    /// A row was pushed after the last one.
    #[error("more rows than the {limit} of the image")]
    TooManyRows {
        /// Rows of the image.
        limit: usize,
    },
}

/// Grey value of a pixel: BT.601 luma in the integer arithmetic of Pillow's `convert("L")`.
///
/// The weights sum to 2¹⁶, so equal channels keep their value.
pub fn luma(red: u8, green: u8, blue: u8) -> u8 {
    let [red, green, blue] = [red, green, blue].map(u32::from);
    ((19_595 * red + 38_470 * green + 7_471 * blue + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::luma;

    #[test]
    fn luma_equals_bt_601() {
        // 0.299 red + 0.587 green + 0.114 blue, rounded.
        for ([r, g, b], expected) in [([255, 0, 0], 76), ([0, 255, 0], 150), ([0, 0, 255], 29), ([10, 200, 90], 131)] {
            assert_eq!(luma(r, g, b), expected, "({r}, {g}, {b})");
        }
        assert!((0..=255).all(|value| luma(value, value, value) == value));
    }
}
