//! PNG: whole up to its last chunk, turned as its `eXIf` chunk or its XMP says. Of an animation, the still picture that viewers
//! without animation show.

use std::io::Cursor;

use image::codecs::png::PngDecoder;

use super::bytes::u32_be;
use super::orientation::{self, Told};
use super::refusal::Refusal;
use super::{DecodeOptions, Read, budget, samples};

const SIGNATURE_LEN: usize = 8;
/// Length, name and checksum of a chunk.
const CHUNK_OVERHEAD: usize = 12;

pub(super) fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Read, Refusal> {
    let Chunks { told, frames, width, height } = walk(bytes)?;
    // Before the decoder reads a byte: its own buffers are those of a row.
    budget::check(width.into(), height.into(), 1)?;
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), budget::limits())?;
    let (image, raw) = samples::read(decoder, None, options)?;
    Ok(Read { image, raw, frames, orientation: told.orientation() })
}

struct Chunks {
    told: Told,
    frames: u32,
    width: u32,
    height: u32,
}

/// Steps from chunk to chunk; what lies between them is for the decoder, which compares checksums.
fn walk(bytes: &[u8]) -> Result<Chunks, Refusal> {
    let cut = || Refusal::from(format!("the PNG is truncated: no IEND chunk in {} bytes", bytes.len()));
    let (mut at, mut chunks) = (SIGNATURE_LEN, Chunks { told: Told::default(), frames: 1, width: 0, height: 0 });
    loop {
        let len = u32_be(bytes, at).ok_or_else(cut)? as usize;
        let end = at.checked_add(CHUNK_OVERHEAD).and_then(|end| end.checked_add(len)).ok_or_else(cut)?;
        let chunk = bytes.get(at + 4..end).ok_or_else(cut)?;
        let content = &chunk[4..4 + len];
        match &chunk[..4] {
            b"IHDR" => {
                chunks.width = u32_be(content, 0).unwrap_or(0);
                chunks.height = u32_be(content, 4).unwrap_or(0);
            }
            b"eXIf" => chunks.told.exif = orientation::of_exif(content),
            b"iTXt" if content.starts_with(b"XML:com.adobe.xmp\0") => chunks.told.xmp = orientation::of_xmp(content),
            b"acTL" => chunks.frames = u32_be(content, 0).unwrap_or(1).max(1),
            b"IEND" => return Ok(chunks),
            _ => {}
        }
        at = end;
    }
}
