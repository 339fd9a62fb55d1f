//! PNG: complete up to its last chunk, oriented by its `eXIf` chunk or XMP; of an animation, the default image.

use std::io::Cursor;

use image::codecs::png::PngDecoder;

use super::bytes::u32_be;
use super::orientation::{self, OrientationTags};
use super::refusal::Refusal;
use super::{DecodeOptions, Read, budget, samples};

const SIGNATURE_LEN: usize = 8;
/// Length, name and checksum of a chunk.
const CHUNK_OVERHEAD: usize = 12;

pub(super) fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Read, Refusal> {
    let Chunks { tags, frames, width, height } = walk(bytes)?;
    // Checked before the decoder starts; its own buffers hold one row.
    budget::check(width.into(), height.into(), 1)?;
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), budget::limits())?;
    let (image, raw) = samples::read(decoder, None, options)?;
    Ok(Read { image, raw, frames, orientation: tags.orientation() })
}

struct Chunks {
    tags: OrientationTags,
    frames: u32,
    width: u32,
    height: u32,
}

/// Walks the chunks. The decoder checks their content and checksums.
fn walk(bytes: &[u8]) -> Result<Chunks, Refusal> {
    let cut = || Refusal::from(format!("the PNG is truncated: no IEND chunk in {} bytes", bytes.len()));
    let (mut at, mut chunks) =
        (SIGNATURE_LEN, Chunks { tags: OrientationTags::default(), frames: 1, width: 0, height: 0 });
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
            b"eXIf" => chunks.tags.exif = orientation::of_exif(content),
            b"iTXt" if content.starts_with(b"XML:com.adobe.xmp\0") => chunks.tags.xmp = orientation::of_xmp(content),
            b"acTL" => chunks.frames = u32_be(content, 0).unwrap_or(1).max(1),
            b"IEND" => return Ok(chunks),
            _ => {}
        }
        at = end;
    }
}
