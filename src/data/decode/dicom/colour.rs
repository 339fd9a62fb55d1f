//! Maps a frame of three samples, or of indices into a palette, to RGB bytes. PS3.3 section C.7.6.3.1.

use super::super::DecodeOptions;
use super::super::refusal::Refusal;
use super::super::samples::{Levels, RawFacts, SampleKind};
use super::elements::{self, Elements};
use super::header::{Colour, Header};
use super::tags::{self, Tag};
use super::unpack::Stored;

/// RGB samples of up to 16 bits.
pub(super) fn rgb(
    header: &Header,
    stored: &Stored<'_>,
    options: &DecodeOptions,
) -> Result<(Vec<u8>, RawFacts), Refusal> {
    let mut levels = Levels::new(SampleKind::Unsigned, stored.layout.stored, None, false, options);
    let count = header.width * header.height;
    let mut pixels = Vec::with_capacity(3 * count);
    for pixel in 0..count {
        for sample in 0..3 {
            let value = stored.layout.value(stored.sample(pixel, sample, count, 3));
            pixels.push(levels.of_unsigned(value as u16));
        }
    }
    Ok((pixels, levels.finish()?))
}

/// 8-bit luma and chroma.
pub(super) fn ybr(header: &Header, stored: &Stored<'_>) -> (Vec<u8>, RawFacts) {
    let (width, count) = (header.width, header.width * header.height);
    let half_row = width.div_ceil(2);
    let sample = |pixel: usize, sample: usize| {
        let container = match stored.colour {
            // Y Y Cb Cr for two pixels.
            Colour::YbrHalf => {
                let (x, y) = (pixel % width, pixel / width);
                let place = if sample == 0 { x % 2 } else { sample + 1 };
                stored.container(4 * (y * half_row + x / 2) + place)
            }
            _ => stored.sample(pixel, sample, count, 3),
        };
        stored.layout.value(container) as f64
    };
    let mut pixels = Vec::with_capacity(3 * count);
    for pixel in 0..count {
        let [luma, blue, red] = [sample(pixel, 0), sample(pixel, 1) - 128.0, sample(pixel, 2) - 128.0];
        let rgb = [luma + 1.402 * red, luma - 0.344_136 * blue - 0.714_136 * red, luma + 1.772 * blue];
        // The cast saturates.
        pixels.extend(rgb.map(|value| (value + 0.5).floor() as u8));
    }
    let facts = facts(&pixels);
    (pixels, facts)
}

/// Colours of a palette.
pub(super) fn palette(
    header: &Header,
    stored: &Stored<'_>,
    elements: &Elements<'_>,
) -> Result<(Vec<u8>, RawFacts), Refusal> {
    let [red, green, blue] = [0, 1, 2].map(|channel| Table::read(elements, channel, header.layout.is_signed));
    let tables = [red?, green?, blue?];
    let count = header.width * header.height;
    let mut pixels = Vec::with_capacity(3 * count);
    for pixel in 0..count {
        let index = stored.layout.value(stored.container(pixel));
        pixels.extend(tables.each_ref().map(|table| table.byte(index)));
    }
    let facts = facts(&pixels);
    Ok((pixels, facts))
}

/// Facts about bytes that were converted.
fn facts(pixels: &[u8]) -> RawFacts {
    let [low, high] = [pixels.iter().min(), pixels.iter().max()].map(|byte| byte.copied().unwrap_or(0).into());
    RawFacts { kind: SampleKind::Unsigned, bits: 8, low, high, has_window: false }
}

/// One channel of a palette.
struct Table {
    /// The index of the first byte; lower ones have its colour too.
    first: i64,
    bytes: Vec<u8>,
}

impl Table {
    fn read(elements: &Elements<'_>, channel: usize, is_signed: bool) -> Result<Self, Refusal> {
        let (descriptor, data) = (tags::PALETTE_DESCRIPTORS[channel], tags::PALETTES[channel]);
        if elements.bytes(tags::SEGMENTED_PALETTE).is_some() && elements.bytes(data).is_none() {
            return Err("a palette in segments is not supported".into());
        }
        let missing = |tag: Tag| Refusal::from(format!("the DICOM file has no {tag}"));
        let numbers = elements.shorts(descriptor).ok_or_else(|| missing(descriptor))?;
        let [count, first, bits] = numbers[..] else {
            return Err(format!("{descriptor} has {} numbers; expected 3", numbers.len()).into());
        };
        let first = if is_signed { i64::from(first as i16) } else { i64::from(first) };
        // 2^16 entries do not fit 16 bits.
        let count = if count == 0 { 1 << 16 } else { usize::from(count) };
        let values = elements.bytes(data).ok_or_else(|| missing(data))?;
        let is_big_endian = elements.syntax.is_big_endian;
        let words = || values.chunks_exact(2).map(move |pair| elements::number(pair, is_big_endian));
        let bytes: Vec<u8> = match bits {
            // Two entries in a word.
            8 if values.len() == count.next_multiple_of(2) && is_big_endian => {
                words().flat_map(|word| [word as u8, (word >> 8) as u8]).take(count).collect()
            }
            8 if values.len() == count.next_multiple_of(2) => values[..count].to_vec(),
            // Some writers give each entry of 8 bits a word.
            8 if values.len() == 2 * count => words().map(|word| word as u8).collect(),
            16 if values.len() == 2 * count => words().map(|word| ((word * 255 + 32_767) / 65_535) as u8).collect(),
            8 | 16 => {
                let (found, bytes) = (values.len(), count * usize::from(bits) / 8);
                return Err(
                    format!("{data} has {found} bytes; expected {bytes} for {count} entries of {bits} bits").into()
                );
            }
            _ => return Err(format!("{descriptor} states {bits} bits; expected 8 or 16").into()),
        };
        Ok(Self { first, bytes })
    }

    fn byte(&self, index: i64) -> u8 {
        let place = (index - self.first).clamp(0, self.bytes.len() as i64 - 1);
        self.bytes.get(place as usize).copied().unwrap_or(0)
    }
}
