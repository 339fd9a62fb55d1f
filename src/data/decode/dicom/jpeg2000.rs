//! JPEG 2000 codestreams. The header is checked here, because the decoder allocates what it asks for. ITU-T T.800 annex A.

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use super::super::budget;
use super::super::bytes::{u16_be, u32_be};
use super::super::refusal::Refusal;
use super::header::Header;

/// Tiles at most; a tile number has 16 bits.
const TILES_MAX: u64 = 65_535;

/// The smallest exponent of the size of a precinct, except of the lowest resolution: 16 pixels.
const PRECINCT_MIN: u8 = 4;

/// Bytes that the decoder holds for a code-block, and for each layer of it, before it reads any.
const BLOCK_BYTES: u64 = 160;
const LAYER_BYTES: u64 = 24;

/// The facts of the codestream's header.
struct Codestream {
    size: [usize; 2],
    bits: u32,
    is_signed: bool,
    components: usize,
    blocks: Blocks,
}

/// What decides how many code-blocks the decoder holds: the smallest of them and the most layers, of all coding styles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Blocks {
    /// Samples of the smallest code-block.
    area: u64,
    layers: u64,
}

impl Blocks {
    /// Bytes of the code-blocks of `samples`, twice, because the decoder's arrays grow by doubling.
    fn bytes(self, samples: u64) -> u64 {
        2 * (samples / self.area).saturating_mul(BLOCK_BYTES + LAYER_BYTES * self.layers)
    }
}

/// Bits of a sample, and the samples in pixel order. Signed samples are in two's complement.
pub(super) fn decode(header: &Header, bytes: &[u8]) -> Result<(u32, Vec<u16>), Refusal> {
    let bytes = codestream(bytes)?;
    let Codestream { size: [width, height], bits, is_signed, components, blocks } = check(bytes)?;
    if [width, height] != [header.width, header.height] || components != header.samples {
        return Err(format!(
            "the JPEG 2000 of the frame has {width}×{height} pixels of {components} components; expected {}×{} of {}",
            header.width, header.height, header.samples
        )
        .into());
    }
    let (pixels, samples) = ((width * height) as u64, header.count() as u64);
    // The caller has checked all but the code-blocks.
    budget::check_bytes(width as u64, height as u64, 8 * samples + 16 * pixels + blocks.bytes(samples))?;
    let failed = |error: hayro_jpeg2000::DecodeError| {
        Refusal::from(format!("the JPEG 2000 of the frame cannot be decoded: {error}"))
    };
    let settings = DecodeSettings { resolve_palette_indices: false, strict: true, target_resolution: None };
    let image = Image::new(bytes, &settings).map_err(failed)?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(failed)?;
    let planes: Vec<&[f32]> = decoded.components().iter().map(|component| component.samples()).collect();
    let pixels = header.width * header.height;
    if planes.len() != components || planes.iter().any(|plane| plane.len() != pixels) {
        return Err("the decoder of JPEG 2000 found another size than the header has".into());
    }
    // The decoder adds half of the range to signed samples too.
    let (largest, half) = (((1u32 << bits) - 1) as f32, if is_signed { 1u32 << (bits - 1) } else { 0 });
    let sample = |value: f32| (value.round().clamp(0.0, largest) as u32).wrapping_sub(half) as u16;
    let samples = (0..pixels).flat_map(|pixel| planes.iter().map(move |plane| plane[pixel])).map(sample).collect();
    Ok((bits, samples))
}

/// The codestream of a frame. Some writers store a JP2 file instead, whose colours the DICOM file overrides.
fn codestream(bytes: &[u8]) -> Result<&[u8], Refusal> {
    if !bytes.starts_with(b"\0\0\0\x0CjP  \r\n\x87\n") {
        return Ok(bytes);
    }
    let mut at = 0;
    while let (Some(len), Some(kind)) = (u32_be(bytes, at), bytes.get(at + 4..at + 8)) {
        let end = if len == 0 { bytes.len() } else { at.saturating_add(len as usize).min(bytes.len()) };
        if kind == b"jp2c" {
            return Ok(bytes.get(at + 8..end).unwrap_or_default());
        }
        if end <= at + 8 {
            break;
        }
        at = end;
    }
    Err("the JP2 file of the frame has no codestream".into())
}

/// Reads the main header, and the headers of all tile-parts.
fn check(bytes: &[u8]) -> Result<Codestream, Refusal> {
    let cut = || Refusal::from("the JPEG 2000 of the frame is truncated");
    if !bytes.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]) {
        return Err("the frame is not a JPEG 2000 codestream".into());
    }
    let (mut at, mut found, mut part_end) = (2, None, None);
    let mut blocks = Blocks { area: u64::MAX, layers: 1 };
    loop {
        let marker = u16_be(bytes, at).ok_or_else(cut)?;
        match marker {
            // Start of the data of a tile-part; the next one follows it.
            0xFF93 => {
                at = part_end.take().filter(|end| *end > at).ok_or("a tile-part of JPEG 2000 has no header")?;
                continue;
            }
            0xFFD9 => break,
            _ => {}
        }
        let len = usize::from(u16_be(bytes, at + 2).ok_or_else(cut)?);
        let segment = bytes.get(at + 4..at + 2 + len).ok_or_else(cut)?;
        match marker {
            0xFF51 => found = Some(size(segment)?),
            // The default coding style, and that of a component.
            0xFF52 => {
                let area = smallest_block(segment.first(), segment.get(5..).unwrap_or_default())?;
                let layers = u16_be(segment, 2).ok_or_else(cut)?.into();
                blocks = Blocks { area: blocks.area.min(area), layers: blocks.layers.max(layers) };
            }
            0xFF53 => {
                let area = smallest_block(segment.get(1), segment.get(2..).unwrap_or_default())?;
                blocks.area = blocks.area.min(area);
            }
            0xFF90 => {
                let length = u32_be(segment, 2).ok_or_else(cut)? as usize;
                // A length of 0 reaches to the end of the codestream.
                let end = if length == 0 { end_of_codestream(bytes) } else { at.checked_add(length) };
                part_end = Some(end.filter(|end| *end < bytes.len()).ok_or_else(cut)?);
            }
            _ => {}
        }
        at += 2 + len;
    }
    let found: Codestream = found.ok_or("the JPEG 2000 of the frame has no size")?;
    Ok(Codestream { blocks, ..found })
}

/// The position of the last end marker. A fragment of odd length has a byte after it.
fn end_of_codestream(bytes: &[u8]) -> Option<usize> {
    let end = bytes.len().checked_sub(2)?;
    [end, end - usize::from(end > 0)].into_iter().find(|at| bytes[*at..].starts_with(&[0xFF, 0xD9]))
}

fn size(segment: &[u8]) -> Result<Codestream, Refusal> {
    let cut = || Refusal::from("the size of JPEG 2000 is truncated");
    let number = |at: usize| u32_be(segment, at).map(u64::from).ok_or_else(cut);
    let [right, bottom, left, top] = [number(2)?, number(6)?, number(10)?, number(14)?];
    let [across, down, tiles_left, tiles_top] = [number(18)?, number(22)?, number(26)?, number(30)?];
    if left >= right || top >= bottom || tiles_left > left || tiles_top > top || across == 0 || down == 0 {
        return Err("the size of JPEG 2000 is not valid".into());
    }
    let tiles = (right - tiles_left).div_ceil(across).saturating_mul((bottom - tiles_top).div_ceil(down));
    if tiles > TILES_MAX {
        return Err(format!("JPEG 2000 of {tiles} tiles; at most {TILES_MAX} are allowed").into());
    }
    let components = usize::from(u16_be(segment, 34).ok_or_else(cut)?);
    let all = segment.get(36..36 + 3 * components).ok_or_else(cut)?;
    let [depth, ..] = *all else { return Err("JPEG 2000 without components".into()) };
    if !all.chunks_exact(3).all(|component| component == [depth, 1, 1]) {
        return Err("JPEG 2000 with subsampled or differing components is not supported".into());
    }
    let bits = u32::from(depth & 0x7F) + 1;
    if bits > 16 {
        return Err(format!("JPEG 2000 of {bits} bits is not supported; at most 16").into());
    }
    let size = [right - left, bottom - top].map(|side| usize::try_from(side).unwrap_or(usize::MAX));
    let blocks = Blocks { area: u64::MAX, layers: 1 };
    Ok(Codestream { size, bits, is_signed: depth & 0x80 != 0, components, blocks })
}

/// Samples of the smallest code-block of a coding style. Refuses tiny precincts, of which a decoder would hold more than
/// pixels. Only the lowest of several resolutions may have them, because it has few pixels.
///
/// * `flags`: of the coding style
/// * `parameters`: number of levels, width and height of code-blocks, two others, and the sizes of precincts
fn smallest_block(flags: Option<&u8>, parameters: &[u8]) -> Result<u64, Refusal> {
    let (Some(flags), [levels, width, height, _, _, sizes @ ..]) = (flags, parameters) else {
        return Err("the coding style of JPEG 2000 is truncated".into());
    };
    // Sizes are powers of two, and the exponents of code-blocks are stored less 2.
    let mut exponents = [width & 15, height & 15].map(|exponent| u32::from(exponent) + 2);
    // Without this bit, precincts have the largest size.
    if flags & 1 == 0 {
        return Ok(1 << (exponents[0] + exponents[1]));
    }
    let few = if *levels >= 3 { 1 } else { 0 };
    let of_precincts = |size: &u8| [size & 15, size >> 4];
    if sizes.iter().skip(few).flat_map(of_precincts).any(|exponent| exponent < PRECINCT_MIN) {
        return Err(
            format!("JPEG 2000 with precincts smaller than {} pixels is not supported", 1 << PRECINCT_MIN).into()
        );
    }
    // A code-block is inside a precinct, which has half its size in a sub-band.
    for size in sizes.iter().skip(few) {
        for (exponent, of_precinct) in exponents.iter_mut().zip(of_precincts(size)) {
            *exponent = (*exponent).min(u32::from(of_precinct) - 1);
        }
    }
    let area = 1u64 << (exponents[0] + exponents[1]);
    // The lowest resolution has at most one of 64 pixels, each of which may be a precinct.
    let has_tiny = sizes.iter().take(few).flat_map(of_precincts).any(|exponent| exponent < PRECINCT_MIN);
    Ok(if has_tiny { area.min(64) } else { area })
}

#[cfg(test)]
mod tests {
    use super::super::header::{Colour, SampleLayout};
    use super::*;

    /// A codestream of one empty tile-part.
    fn empty(side: u16, components: u8, layers: u8, block_exponent: u8) -> Vec<u8> {
        let side = u32::from(side).to_be_bytes();
        let mut bytes = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 38 + 3 * components, 0, 0];
        bytes.extend([side, side, [0; 4], [0; 4], side, side, [0; 4], [0; 4]].concat());
        bytes.extend([0, components]);
        (0..components).for_each(|_| bytes.extend([7, 1, 1]));
        bytes.extend([0xFF, 0x52, 0, 12, 0, 0, 0, layers, 0, 5, block_exponent - 2, block_exponent - 2, 0, 1]);
        bytes.extend([0xFF, 0x5C, 0, 4, 0x40, 0x40]);
        bytes.extend([0xFF, 0x90, 0, 10, 0, 0, 0, 0, 0, 14, 0, 1, 0xFF, 0x93, 0xFF, 0xD9]);
        bytes
    }

    #[test]
    fn memory_of_code_blocks_is_counted() {
        let blocks = |layers, exponent| check(&empty(64, 3, layers, exponent)).unwrap().blocks;
        assert_eq!(blocks(1, 6), Blocks { area: 4_096, layers: 1 });
        assert_eq!(blocks(32, 2), Blocks { area: 16, layers: 32 });
        let layout = SampleLayout { allocated: 8, stored: 8, high: 7, is_signed: false };
        let (width, height) = (3_000, 3_000);
        let header = Header { width, height, frames: 1, colour: Colour::Rgb, samples: 3, is_planar: false, layout };
        let decoded = decode(&header, &empty(3_000, 3, 32, 2));
        assert!(matches!(decoded, Err(Refusal::TooMuchMemory { .. })), "{:?}", decoded.err());
        // The sizes of precincts limit code-blocks: 16 pixels are 8 in a sub-band.
        assert_eq!(smallest_block(Some(&1), &[1, 4, 4, 0, 1, 0x44, 0x44]), Ok(64));
        assert_eq!(smallest_block(Some(&0), &[1, 4, 4, 0, 1]), Ok(4_096));
        assert!(smallest_block(Some(&1), &[1, 4, 4, 0, 1, 0x33, 0x44]).is_err());
    }
}
