//! How large an image may be.
//!
//! The largest images of the intended uses fit: a mammogram of 4,096 × 6,144 at 16 bits, a retina photograph of 50 million
//! pixels in colour, a phone's picture of 64 million. A whole-slide scan does not: cut it into tiles first.

use macula_edge::image::SIDE_MAX;

/// Pixels of an image at most: 2²⁶, as 8,192 × 8,192.
pub const PIXELS_MAX: u64 = 1 << 26;

/// Bytes that decoding one image may take at once, besides the file itself: 384 MiB. That is 6 per pixel of
/// [`PIXELS_MAX`]: 16-bit colour, or 8-bit colour and its rotated copy.
pub const BYTES_MAX: u64 = 6 * PIXELS_MAX;

/// Bytes of an image file at most: uncompressed 16-bit colour with the most pixels.
pub const FILE_BYTES_MAX: u64 = BYTES_MAX;

/// Whether an image may have this size: each side is 1 to [`SIDE_MAX`], and the area is at most [`PIXELS_MAX`].
pub fn is_allowed(width: u64, height: u64) -> bool {
    let sides = 1..=SIDE_MAX as u64;
    sides.contains(&width) && sides.contains(&height) && width * height <= PIXELS_MAX
}
