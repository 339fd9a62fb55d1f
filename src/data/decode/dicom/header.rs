//! The elements that describe the pixels, checked before anything is decoded. PS3.3 section C.7.6.3.

use super::super::budget;
use super::super::refusal::Refusal;
use super::elements::Elements;
use super::syntax::Codec;
use super::tags::{self, Tag};

/// The meaning of the samples of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    /// One sample, the smallest value is black.
    Grey,
    /// One sample, the smallest value is white.
    InvertedGrey,
    /// One sample, an index into three tables.
    Palette,
    Rgb,
    /// Luma and two chroma samples for each pixel.
    Ybr,
    /// [`Self::Ybr`] with chroma for every second pixel of a row.
    YbrHalf,
}

/// What the file says about its pixels.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub width: usize,
    pub height: usize,
    pub frames: u32,
    pub colour: Colour,
    /// Samples of a pixel, 1 or 3.
    pub samples: usize,
    /// Whether each sample has its own plane.
    pub is_planar: bool,
    pub layout: SampleLayout,
}

/// Where a sample is in its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SampleLayout {
    /// Bits of the container: 1, 8, 16 or 32.
    pub allocated: u32,
    /// Bits of the sample.
    pub stored: u32,
    /// Position of its highest bit.
    pub high: u32,
    pub is_signed: bool,
}

impl SampleLayout {
    /// The sample in a container.
    pub fn value(self, container: u32) -> i64 {
        // `high` is at least `stored - 1` and at most 31.
        let low = self.high + 1 - self.stored;
        let value = i64::from(container >> low) & ((1 << self.stored) - 1);
        match self.is_signed && value >> (self.stored - 1) == 1 {
            true => value - (1 << self.stored),
            false => value,
        }
    }
}

impl Header {
    pub fn read(elements: &Elements<'_>, codec: Codec) -> Result<Self, Refusal> {
        let (width, height) = (elements.required(tags::COLUMNS)?, elements.required(tags::ROWS)?);
        budget::check(width.into(), height.into(), 1)?;
        let samples = elements.required(tags::SAMPLES)?;
        let colour = colour(elements, codec)?;
        let expected = if matches!(colour, Colour::Rgb | Colour::Ybr | Colour::YbrHalf) { 3 } else { 1 };
        if samples != expected {
            let photometric = tags::PHOTOMETRIC;
            return Err(refused(tags::SAMPLES, samples, format!("{expected} for its {photometric}")));
        }
        let is_planar = match elements.short(tags::PLANAR) {
            // The element matters only for colour.
            None | Some(0) => false,
            Some(_) if samples == 1 => false,
            Some(1) => true,
            Some(other) => return Err(refused(tags::PLANAR, other, "0 or 1")),
        };
        if is_planar && colour == Colour::YbrHalf && matches!(codec, Codec::Native | Codec::Fragments) {
            return Err(format!("{} is 1, which halved chroma does not allow", tags::PLANAR).into());
        }
        Ok(Self {
            width: width.into(),
            height: height.into(),
            frames: frames(elements)?,
            colour,
            samples: samples.into(),
            is_planar,
            layout: layout(elements, colour)?,
        })
    }

    /// Samples of one frame.
    pub fn count(&self) -> usize {
        self.width * self.height * self.samples
    }

    /// Bytes of one uncompressed frame; a frame of single bits may end within a byte.
    pub fn bits_of_frame(&self) -> u64 {
        let count = match self.colour {
            // Two luma and two chroma samples for each pair of pixels.
            Colour::YbrHalf => 2 * self.width.next_multiple_of(2) * self.height,
            _ => self.count(),
        };
        count as u64 * u64::from(self.layout.allocated)
    }
}

/// The error for an element with a value that is not allowed.
pub(super) fn refused(tag: Tag, found: impl std::fmt::Display, expected: impl std::fmt::Display) -> Refusal {
    format!("{tag} is {found}; expected {expected}").into()
}

/// The number of frames; 1 if the file has no such element.
pub(super) fn frames(elements: &Elements<'_>) -> Result<u32, Refusal> {
    let Some(text) = elements.text(tags::FRAMES)? else { return Ok(1) };
    match text.parse::<u32>() {
        Ok(0) => Err(refused(tags::FRAMES, 0, "at least 1")),
        Ok(frames) => Ok(frames),
        Err(_) => Err(format!("{} is not a number from 1 to {}", tags::FRAMES, u32::MAX).into()),
    }
}

fn colour(elements: &Elements<'_>, codec: Codec) -> Result<Colour, Refusal> {
    let name =
        elements.text(tags::PHOTOMETRIC)?.ok_or_else(|| format!("the DICOM file has no {}", tags::PHOTOMETRIC))?;
    let is_native = matches!(codec, Codec::Native | Codec::Fragments);
    match name {
        "MONOCHROME1" => Ok(Colour::InvertedGrey),
        "MONOCHROME2" => Ok(Colour::Grey),
        "PALETTE COLOR" => Ok(Colour::Palette),
        "RGB" => Ok(Colour::Rgb),
        "YBR_FULL" => Ok(Colour::Ybr),
        "YBR_FULL_422" if is_native => Ok(Colour::YbrHalf),
        // A decoder repeats the chroma.
        "YBR_FULL_422" => Ok(Colour::Ybr),
        // The decoder of JPEG 2000 undoes its colour transform.
        "YBR_ICT" | "YBR_RCT" if codec == Codec::Jpeg2000 => Ok(Colour::Rgb),
        "YBR_ICT" | "YBR_RCT" | "YBR_PARTIAL_420" | "YBR_PARTIAL_422" | "HSV" | "ARGB" | "CMYK" | "XYB" => {
            Err(format!("{} {name} is not supported here", tags::PHOTOMETRIC).into())
        }
        _ => Err(format!("{} has an unknown value", tags::PHOTOMETRIC).into()),
    }
}

fn layout(elements: &Elements<'_>, colour: Colour) -> Result<SampleLayout, Refusal> {
    let allocated = elements.required(tags::BITS_ALLOCATED)?;
    if !matches!(allocated, 1 | 8 | 16 | 32) {
        return Err(refused(tags::BITS_ALLOCATED, allocated, "1, 8, 16 or 32"));
    }
    let (smallest, largest) = match colour {
        Colour::Grey | Colour::InvertedGrey => (1, allocated),
        Colour::Palette | Colour::Rgb => (1, allocated.min(16)),
        Colour::Ybr | Colour::YbrHalf => (8, 8),
    };
    let stored = elements.required(tags::BITS_STORED)?;
    if !(smallest..=largest).contains(&stored) {
        return Err(refused(tags::BITS_STORED, stored, format!("{smallest} to {largest}")));
    }
    let high = elements.short(tags::HIGH_BIT).unwrap_or(stored - 1);
    if !(stored - 1..allocated).contains(&high) {
        return Err(refused(tags::HIGH_BIT, high, format!("{} to {}", stored - 1, allocated - 1)));
    }
    let is_signed = match elements.short(tags::REPRESENTATION).unwrap_or(0) {
        0 => false,
        1 if matches!(colour, Colour::Grey | Colour::InvertedGrey | Colour::Palette) => true,
        other => return Err(refused(tags::REPRESENTATION, other, "0, or 1 for grey")),
    };
    Ok(SampleLayout { allocated: allocated.into(), stored: stored.into(), high: high.into(), is_signed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_taken_from_their_container() {
        let of = |allocated, stored, high, is_signed, container| {
            SampleLayout { allocated, stored, high, is_signed }.value(container)
        };
        assert_eq!(of(16, 12, 11, false, 0xF123), 0x123);
        assert_eq!(of(16, 12, 15, false, 0x123F), 0x123);
        assert_eq!(of(16, 12, 11, true, 0x0FFF), -1);
        assert_eq!(of(16, 16, 15, true, 0x8000), -32_768);
        assert_eq!(of(32, 32, 31, true, u32::MAX), -1);
        assert_eq!(of(32, 32, 31, false, u32::MAX), i64::from(u32::MAX));
        assert_eq!(of(1, 1, 0, false, 1), 1);
    }
}
