//! RLE Lossless: PackBits of each byte of each sample. PS3.5 annex G.
//!
//! | bytes | field                                                   |
//! |------:|---------------------------------------------------------|
//! |     4 | number of segments S, little-endian                     |
//! |    60 | positions of 15 segments, little-endian; unused are 0   |
//! |     … | segments: highest byte of the first sample first        |

use super::super::bytes::u32_le;
use super::super::refusal::Refusal;
use super::header::Header;

const HEADER_LEN: usize = 64;

/// The samples in planes, little-endian.
pub(super) fn unpack(header: &Header, packed: &[u8]) -> Result<Vec<u8>, Refusal> {
    let width = (header.layout.allocated / 8) as usize;
    let (pixels, expected) = (header.width * header.height, header.samples * width);
    let found = u32_le(packed, 0).ok_or("the RLE header is truncated")? as usize;
    if width == 0 || found != expected {
        return Err(format!("the RLE frame has {found} segments; expected {expected}").into());
    }
    let mut bytes = vec![0; pixels * expected];
    for segment in 0..found {
        let place = |index: usize| u32_le(packed, 4 + 4 * index).map(|at| at as usize);
        let start = place(segment).filter(|start| *start >= HEADER_LEN);
        let end = if segment + 1 < found { place(segment + 1) } else { Some(packed.len()) };
        let range = start.zip(end).and_then(|(start, end)| packed.get(start..end));
        let range = range.ok_or_else(|| format!("RLE segment {segment} is outside of the frame"))?;
        // Segments hold the highest byte first, and samples are little-endian.
        let (sample, weight) = (segment / width, width - 1 - segment % width);
        let plane = bytes[sample * pixels * width..][..pixels * width].iter_mut().skip(weight).step_by(width);
        unpack_segment(range, plane, segment)?;
    }
    Ok(bytes)
}

/// Writes exactly the bytes of `out`.
fn unpack_segment<'o>(
    mut packed: &[u8],
    mut out: impl ExactSizeIterator<Item = &'o mut u8>,
    segment: usize,
) -> Result<(), Refusal> {
    let cut = || Refusal::from(format!("RLE segment {segment} is truncated"));
    while out.len() > 0 {
        let (&count, rest) = packed.split_first().ok_or_else(cut)?;
        packed = match count {
            0..=127 => {
                let (literal, rest) = rest.split_at_checked(usize::from(count) + 1).ok_or_else(cut)?;
                literal.iter().zip(out.by_ref()).for_each(|(from, to)| *to = *from);
                rest
            }
            128 => rest,
            129.. => {
                let (&value, rest) = rest.split_first().ok_or_else(cut)?;
                out.by_ref().take(257 - usize::from(count)).for_each(|to| *to = value);
                rest
            }
        };
    }
    Ok(())
}
