//! Finds the bytes of one frame in the pixel data. PS3.5 annex A.4.

use std::borrow::Cow;

use super::super::FrameChoice;
use super::super::refusal::Refusal;
use super::elements::{self, Elements, Header as ElementHeader, Reader};
use super::header::{Header, refused};
use super::syntax::Codec;
use super::tags;

/// Fragments of a file at most; a frame rarely has more than one.
const FRAGMENTS_MAX: usize = 1 << 20;

/// The number of the chosen frame, counted from 0.
pub(super) fn chosen(choice: FrameChoice, frames: u32) -> Result<u32, Refusal> {
    match choice {
        FrameChoice::First => Ok(0),
        FrameChoice::Middle => Ok(frames / 2),
        FrameChoice::Number(number) if number < frames => Ok(number),
        FrameChoice::Number(number) => {
            Err(format!("there is no frame {number}; {} allows 0 to {}", tags::FRAMES, frames - 1).into())
        }
    }
}

/// The bytes of one frame.
pub(super) struct Packed<'a> {
    pub bytes: Cow<'a, [u8]>,
    /// Bits before the frame in the first byte; not 0 only for frames of single bits.
    pub skipped_bits: usize,
    /// Whether pairs of 8-bit samples are swapped, because they were written as 16-bit words.
    pub is_swapped: bool,
}

/// The bytes of frame `number`. Of a compressed file these are all fragments of the frame.
pub(super) fn locate<'a>(
    elements: &Elements<'a>,
    header: &Header,
    codec: Codec,
    number: u32,
) -> Result<Packed<'a>, Refusal> {
    let (element, reader) = elements.pixels.ok_or_else(|| format!("the DICOM file has no {}", tags::PIXELS))?;
    if element.tag != tags::PIXELS {
        return Err(format!("floating-point pixels, {}, are not supported", element.tag).into());
    }
    match (codec, element.is_undefined()) {
        (Codec::Native, false) => native(element, reader, header, number),
        (Codec::Native, true) => {
            Err(format!("{} is in fragments, but its syntax is uncompressed", tags::PIXELS).into())
        }
        (_, false) => Err(format!("{} is not in fragments, but its syntax is compressed", tags::PIXELS).into()),
        (_, true) => {
            let bytes = in_fragments(reader, header, codec, number)?;
            Ok(Packed { bytes, skipped_bits: 0, is_swapped: false })
        }
    }
}

fn native<'a>(
    element: ElementHeader,
    mut reader: Reader<'a>,
    header: &Header,
    number: u32,
) -> Result<Packed<'a>, Refusal> {
    let bytes = reader.take(element.len(), tags::PIXELS)?;
    let bits = header.bits_of_frame();
    let needed = bits.saturating_mul(header.frames.into()).div_ceil(8);
    if (bytes.len() as u64) < needed {
        let (frames, found) = (header.frames, bytes.len());
        return Err(refused(
            tags::PIXELS,
            format!("{found} bytes long"),
            format!("{needed} for {frames} frames of {}×{} pixels", header.width, header.height),
        ));
    }
    let first = bits * u64::from(number);
    let (start, end) = ((first / 8) as usize, (first + bits).div_ceil(8) as usize);
    // Words of 8-bit samples keep their order only in a little-endian syntax.
    let is_swapped = header.layout.allocated == 8 && element.is_words() && reader.is_big_endian();
    match is_swapped {
        // A frame may begin in the middle of a word.
        true if start % 2 == 1 => {
            Err(format!("frame {number} begins within a 16-bit word, which is not supported").into())
        }
        true => {
            let end = end.next_multiple_of(2).min(bytes.len());
            Ok(Packed { bytes: Cow::Borrowed(&bytes[start..end]), skipped_bits: 0, is_swapped })
        }
        false => {
            let skipped_bits = (first % 8) as usize;
            Ok(Packed { bytes: Cow::Borrowed(&bytes[start..end]), skipped_bits, is_swapped })
        }
    }
}

/// The fragments of frame `number`, joined.
fn in_fragments<'a>(
    mut reader: Reader<'a>,
    header: &Header,
    codec: Codec,
    number: u32,
) -> Result<Cow<'a, [u8]>, Refusal> {
    let (table, fragments) = fragments(&mut reader)?;
    let starts = starts(table, &fragments, header, codec)?;
    let missing = || Refusal::from(format!("{}: frame {number} has no fragments", tags::PIXELS));
    let first = *starts.get(number as usize).ok_or_else(missing)?;
    let last = starts.get(number as usize + 1).copied().unwrap_or(fragments.len());
    match fragments.get(first..last).ok_or_else(missing)? {
        [] => Err(missing()),
        [(_, one)] => Ok(Cow::Borrowed(one)),
        several => Ok(Cow::Owned(several.iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>().concat())),
    }
}

/// A fragment: its position after the table of offsets, and its bytes.
type Fragment<'a> = (u64, &'a [u8]);

/// The table of offsets, which may be empty, and all fragments.
fn fragments<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], Vec<Fragment<'a>>), Refusal> {
    let (mut table, mut fragments, mut origin) = (None, Vec::new(), reader.at);
    loop {
        let position = reader.at;
        let header = reader.header()?;
        match header {
            Some(header) if header.tag == tags::ITEM && !header.is_undefined() => {
                let bytes = reader.take(header.len(), "a fragment")?;
                match table {
                    None => (table, origin) = (Some(bytes), reader.at),
                    Some(_) if fragments.len() >= FRAGMENTS_MAX => {
                        return Err(format!("{} has more than {FRAGMENTS_MAX} fragments", tags::PIXELS).into());
                    }
                    Some(_) => fragments.push(((position - origin) as u64, bytes)),
                }
            }
            // Some writers leave the last delimiter out.
            Some(header) if header.tag == tags::SEQUENCE_END => break,
            None => break,
            Some(header) => {
                return Err(format!("element {} near byte {position} is among the fragments", header.tag).into());
            }
        }
    }
    Ok((table.unwrap_or_default(), fragments))
}

/// The index of the first fragment of each frame.
fn starts(table: &[u8], fragments: &[Fragment<'_>], header: &Header, codec: Codec) -> Result<Vec<usize>, Refusal> {
    let frames = header.frames as usize;
    if frames == 1 {
        return Ok(vec![0]);
    }
    if frames == fragments.len() {
        return Ok((0..frames).collect());
    }
    if table.len() / 4 == frames {
        let of = |offset: &[u8]| {
            let offset = u64::from(elements::number(offset, false));
            fragments.binary_search_by_key(&offset, |(position, _)| *position).ok()
        };
        let starts: Option<Vec<usize>> = table.chunks_exact(4).map(of).collect();
        let starts = starts.filter(|starts| starts.is_sorted());
        return starts.ok_or_else(|| "the table of offsets points at no fragment or is out of order".into());
    }
    let begins = |fragment: &[u8]| match codec {
        Codec::Jpeg | Codec::LosslessJpeg | Codec::JpegLs => fragment.starts_with(&[0xFF, 0xD8, 0xFF]),
        Codec::Jpeg2000 => fragment.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]),
        Codec::Native | Codec::Fragments | Codec::Rle => false,
    };
    let starts: Vec<usize> = (0..fragments.len()).filter(|&index| begins(fragments[index].1)).collect();
    match starts.len() == frames {
        true => Ok(starts),
        false => {
            let found = fragments.len();
            Err(refused(tags::FRAMES, frames, format!("the number of frames in {found} fragments without offsets")))
        }
    }
}
