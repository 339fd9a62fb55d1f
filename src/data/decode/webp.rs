//! WebP: as long as its header says, oriented by EXIF or XMP; of an animation, the first frame.

use std::io::Cursor;

use image::ImageDecoder;
use image::codecs::webp::WebPDecoder;

use super::bytes::u32_le;
use super::orientation::{self, OrientationTags};
use super::refusal::Refusal;
use super::{DecodeOptions, Read, budget, samples};

const RIFF_HEADER_LEN: usize = 12;
const CHUNK_HEADER_LEN: usize = 8;
/// Luma and chroma planes, alpha, and the resulting pixels.
const BYTES_PER_PIXEL: u64 = 6;

pub(super) fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Read, Refusal> {
    let (orientation, frames) = walk(bytes)?;
    let mut decoder = WebPDecoder::new(Cursor::new(bytes))?;
    let (width, height) = decoder.dimensions();
    budget::check(width.into(), height.into(), BYTES_PER_PIXEL)?;
    decoder.set_limits(budget::limits())?;
    let (image, raw) = samples::read(decoder, None, options)?;
    Ok(Read { image, raw, frames, orientation })
}

/// The orientation and the number of frames.
fn walk(bytes: &[u8]) -> Result<(u8, u32), Refusal> {
    let cut = |needed: usize| Refusal::from(format!("the WebP is truncated: {} of {needed} bytes", bytes.len()));
    let end = u32_le(bytes, 4).map_or(usize::MAX, |len| (len as usize).saturating_add(8));
    let riff = bytes.get(..end).ok_or_else(|| cut(end))?;
    let (mut at, mut tags, mut frames) = (RIFF_HEADER_LEN, OrientationTags::default(), 0);
    while at < riff.len() {
        let len = u32_le(riff, at + 4).ok_or_else(|| cut(at + CHUNK_HEADER_LEN))? as usize;
        let start = at + CHUNK_HEADER_LEN;
        let end = start.saturating_add(len);
        let content = riff.get(start..end).ok_or_else(|| cut(end))?;
        match &riff[at..at + 4] {
            b"EXIF" => tags.exif = orientation::of_exif(content),
            b"XMP " => tags.xmp = orientation::of_xmp(content),
            b"ANMF" => frames += 1,
            _ => {}
        }
        at = end + len % 2;
    }
    Ok((tags.orientation(), frames.max(1)))
}
