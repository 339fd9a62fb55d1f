//! Raw pixels as they come from a camera or a file.

/// An image of 8-bit values, `[height, width, channels]` row-major.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawImage<'a> {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// `height * width * channels` of them.
    pub pixels: &'a [u8],
}
