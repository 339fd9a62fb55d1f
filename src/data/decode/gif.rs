//! GIF: complete up to its trailer; of an animation, the first frame.

use std::io::Cursor;

use image::ImageDecoder;
use image::codecs::gif::GifDecoder;

use super::refusal::Refusal;
use super::{DecodeOptions, Read, budget, samples};

const HEADER_LEN: usize = 13;
/// The decoder returns red, green, blue and alpha.
const BYTES_PER_PIXEL: u64 = 4;

pub(super) fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Read, Refusal> {
    let frames = walk(bytes)?;
    let mut decoder = GifDecoder::new(Cursor::new(bytes))?;
    let (width, height) = decoder.dimensions();
    budget::check(width.into(), height.into(), BYTES_PER_PIXEL)?;
    decoder.set_limits(budget::limits())?;
    let (image, raw) = samples::read(decoder, None, options)?;
    Ok(Read { image, raw, frames, orientation: 1 })
}

/// Walks the blocks up to the trailer and counts the frames.
///
/// A first frame that does not cover the canvas is refused: the uncovered part depends on the viewer.
fn walk(bytes: &[u8]) -> Result<u32, Refusal> {
    let cut = || Refusal::from(format!("the GIF is truncated: no trailer in {} bytes", bytes.len()));
    let table_len = |flags: u8| if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 };
    let header = bytes.get(..HEADER_LEN).ok_or_else(cut)?;
    let canvas = [&header[6..8], &header[8..10]];
    let (mut at, mut frames) = (HEADER_LEN + table_len(header[10]), 0);
    loop {
        match bytes.get(at).ok_or_else(cut)? {
            0x3B if frames == 0 => return Err("the GIF has no image".into()),
            0x3B => return Ok(frames),
            0x21 => at += 2,
            0x2C => {
                let frame = bytes.get(at + 1..at + 10).ok_or_else(cut)?;
                if frames == 0 && (frame[..4] != [0; 4] || [&frame[4..6], &frame[6..8]] != canvas) {
                    return Err("the first frame does not cover the canvas".into());
                }
                frames += 1;
                at += 10 + table_len(frame[8]) + 1;
            }
            other => return Err(format!("byte {at}: unknown GIF block {other:#04x}").into()),
        }
        // Sub-blocks end with an empty one.
        loop {
            let len = usize::from(*bytes.get(at).ok_or_else(cut)?);
            at += 1 + len;
            if len == 0 {
                break;
            }
        }
    }
}
