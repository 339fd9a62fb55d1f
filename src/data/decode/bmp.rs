//! BMP. Run-length data must cover every pixel, because the decoder makes missing pixels black.

use std::io::Cursor;

use image::ImageDecoder;
use image::codecs::bmp::BmpDecoder;

use super::bytes::u32_le;
use super::refusal::Refusal;
use super::{DecodeOptions, Read, budget, samples};

pub(super) fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Read, Refusal> {
    let mut decoder = BmpDecoder::new(Cursor::new(bytes))?;
    let (width, height) = decoder.dimensions();
    budget::check(width.into(), height.into(), u64::from(decoder.color_type().bytes_per_pixel()))?;
    decoder.set_limits(budget::limits())?;
    check_runs(bytes, width as usize, height as usize)?;
    let (image, raw) = samples::read(decoder, None, options)?;
    Ok(Read { image, raw, frames: 1, orientation: 1 })
}

/// Refuses run-length data that do not cover all pixels.
fn check_runs(bytes: &[u8], width: usize, height: usize) -> Result<(), Refusal> {
    const RLE8: u32 = 1;
    const RLE4: u32 = 2;
    let header_len = u32_le(bytes, 14).unwrap_or(0);
    let compression = if header_len >= 40 { u32_le(bytes, 30).unwrap_or(0) } else { 0 };
    if compression != RLE8 && compression != RLE4 {
        return Ok(());
    }
    let left_out = |row: usize| Refusal::from(format!("the run-length data miss pixels of row {row}"));
    let start = u32_le(bytes, 10).unwrap_or(u32::MAX) as usize;
    let mut pairs = bytes.get(start..).ok_or("the pixels are outside the file")?;
    let (mut x, mut y) = (0, 0);
    while let [count, value, rest @ ..] = pairs {
        pairs = rest;
        match (count, value) {
            // The end of a row, or of the image.
            (0, 0 | 1) => {
                if x < width && y < height {
                    return Err(left_out(y));
                }
                (x, y) = (0, y + 1);
                if *value == 1 {
                    break;
                }
            }
            (0, 2) => return Err(left_out(y)),
            (0, &literal) => {
                let len = if compression == RLE4 { usize::from(literal).div_ceil(2) } else { literal.into() };
                pairs = pairs.get(len.next_multiple_of(2)..).ok_or("the run-length data are truncated")?;
                x += usize::from(literal);
            }
            (&run, _) => x += usize::from(run),
        }
    }
    // The image may end without an end of the last row.
    if x >= width {
        y += 1;
    }
    if y < height { Err(left_out(y)) } else { Ok(()) }
}
