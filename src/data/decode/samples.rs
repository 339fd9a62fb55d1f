//! Maps raw samples to 8 bits and records their range.

use image::{ColorType, ImageDecoder};

use super::super::Image;
use super::range::ValueRange;
use super::refusal::Refusal;
use super::{DecodeOptions, budget};

/// What kind of number a raw sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SampleKind {
    /// An unsigned integer.
    Unsigned,
    /// A signed integer.
    Signed,
    /// A floating-point number.
    Float,
}

/// The result of the reader of one format.
pub(super) struct Read {
    /// As stored, before the orientation is applied.
    pub image: Image,
    pub raw: RawFacts,
    pub frames: u32,
    pub orientation: u8,
}

/// Facts about the samples of an image file before they are mapped to 8 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawFacts {
    /// The type of the samples.
    pub kind: SampleKind,
    /// Bits per sample. Unsigned samples of up to 8 bits and colours of a palette count as 8.
    pub bits: u32,
    /// The smallest value of all pixels and channels, without alpha.
    pub low: f64,
    /// The largest value.
    pub high: f64,
    /// Whether the file or its percentiles, not the range of the type, say which values are black and white.
    pub has_window: bool,
}

impl RawFacts {
    /// Whether a [`ValueRange`] applies to such samples.
    pub fn takes_range(&self) -> bool {
        self.kind != SampleKind::Unsigned || self.bits > 8
    }

    /// The range of such samples if none is stated; `None` if none can be assumed.
    pub fn natural_range(kind: SampleKind, bits: u32) -> Option<ValueRange> {
        match kind {
            SampleKind::Unsigned if bits <= 16 => Some(ValueRange { low: 0.0, high: f64::from((1u32 << bits) - 1) }),
            SampleKind::Float => Some(ValueRange { low: 0.0, high: 1.0 }),
            SampleKind::Unsigned | SampleKind::Signed => None,
        }
    }

    /// A name of such samples, for messages.
    pub fn describe(&self) -> String {
        match self.kind {
            SampleKind::Unsigned => format!("{}-bit", self.bits),
            SampleKind::Signed => format!("signed {}-bit", self.bits),
            SampleKind::Float => format!("{}-bit floating-point", self.bits),
        }
    }
}

/// Maps raw samples to bytes one by one, and records the smallest and the largest.
pub(super) struct Levels {
    kind: SampleKind,
    bits: u32,
    /// The byte of each unsigned value of up to 16 bits.
    table: Vec<u8>,
    /// The range for all other samples; none if it is unknown.
    range: Option<ValueRange>,
    /// Whether values outside `range` are an error. Otherwise they are clamped.
    is_strict: bool,
    /// Whether the range must be stated and is not.
    lacks_range: bool,
    /// Whether only the facts are needed.
    measure: bool,
    /// Whether the smallest value is white.
    inverted: bool,
    low: f64,
    high: f64,
    has_non_finite: bool,
}

impl Levels {
    /// Levels for samples of `kind` and `bits`. `natural` is the range that the file states, if any.
    pub fn new(
        kind: SampleKind,
        bits: u32,
        natural: Option<ValueRange>,
        inverted: bool,
        options: &DecodeOptions,
    ) -> Self {
        let is_small = kind == SampleKind::Unsigned && bits <= 8;
        let stated = options.range.filter(|_| !is_small);
        let range = stated.or(natural).or_else(|| RawFacts::natural_range(kind, bits));
        let table = match range {
            Some(range) if kind == SampleKind::Unsigned && bits <= 16 => {
                (0..1u32 << bits).map(|value| flip(range.to_byte(f64::from(value)), inverted)).collect()
            }
            _ => Vec::new(),
        };
        // Integers cannot be outside their natural range. Floats can, and then the value of white is unknown.
        let is_strict = stated.is_none() && kind == SampleKind::Float;
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        let (measure, lacks_range) = (options.measure, options.needs_range && stated.is_none() && !is_small);
        Self { kind, bits, table, range, is_strict, lacks_range, measure, inverted, low, high, has_non_finite: false }
    }

    /// Maps an unsigned sample of up to 16 bits.
    pub fn of_unsigned(&mut self, value: u16) -> u8 {
        self.record(f64::from(value));
        self.table.get(usize::from(value)).copied().unwrap_or_default()
    }

    /// Maps any sample.
    pub fn of_value(&mut self, value: f64) -> u8 {
        if !value.is_finite() {
            self.has_non_finite = true;
            return 0;
        }
        self.record(value);
        flip(self.range.map_or(0, |range| range.to_byte(value)), self.inverted)
    }

    fn record(&mut self, value: f64) {
        self.low = self.low.min(value);
        self.high = self.high.max(value);
    }

    /// The facts about all samples.
    ///
    /// # Errors
    /// If some were not finite, or their range is unknown.
    pub fn finish(self) -> Result<RawFacts, Refusal> {
        let Self { kind, bits, low, high, .. } = self;
        let facts = RawFacts {
            kind,
            bits: if kind == SampleKind::Unsigned { bits.max(8) } else { bits },
            low,
            high,
            has_window: false,
        };
        if self.has_non_finite {
            return Err(format!("some {} samples are infinite or NaN", facts.describe()).into());
        }
        if low > high {
            return Err("no samples".into());
        }
        let is_known = self.range.is_some_and(|range| !self.is_strict || range.low <= low && high <= range.high);
        match is_known && !self.lacks_range || self.measure {
            true => Ok(facts),
            false => Err(unknown_range(&facts).into()),
        }
    }
}

/// Why samples of an unknown range are refused.
pub(super) fn unknown_range(facts: &RawFacts) -> String {
    let (RawFacts { low, high, kind, .. }, what) = (facts, facts.describe());
    let expected = if *kind == SampleKind::Float { ", outside 0 to 1" } else { "" };
    format!("{what} samples from {low} to {high}{expected}; pass --range LOW,HIGH with the values of black and white")
}

fn flip(byte: u8, inverted: bool) -> u8 {
    if inverted { 255 - byte } else { byte }
}

/// Reads an image from a decoder of the `image` crate. Alpha is dropped without blending, because transparent pixels of
/// medical exports still show tissue.
///
/// * `largest`: the largest possible value of a 16-bit sample, if the format states it; the decoder scales it to 65,535
pub(super) fn read(
    decoder: impl ImageDecoder,
    largest: Option<u16>,
    options: &DecodeOptions,
) -> Result<(Image, RawFacts), Refusal> {
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    let (stored, is_deep) = match color {
        ColorType::L8 => (1, false),
        ColorType::La8 => (2, false),
        ColorType::Rgb8 => (3, false),
        ColorType::Rgba8 => (4, false),
        ColorType::L16 => (1, true),
        ColorType::La16 => (2, true),
        ColorType::Rgb16 => (3, true),
        ColorType::Rgba16 => (4, true),
        other => return Err(format!("unsupported pixel format {other:?}").into()),
    };
    budget::check(width.into(), height.into(), u64::from(color.bytes_per_pixel()))?;
    let len = usize::try_from(decoder.total_bytes()).map_err(|_| "the image does not fit into memory")?;
    let mut bytes = vec![0; len];
    decoder.read_image(&mut bytes)?;
    let channels = if stored < 3 { 1 } else { 3 };
    let raw = match is_deep {
        false => keep_channels(&mut bytes, stored, channels, options)?,
        true => to_bytes(&mut bytes, stored, channels, largest, options)?,
    };
    let (width, height) = (width as usize, height as usize);
    bytes.truncate(width * height * channels);
    bytes.shrink_to_fit();
    Ok((Image { width, height, channels, pixels: bytes }, raw))
}

/// Drops all but the first `kept` of `stored` 8-bit channels, in place.
pub(super) fn keep_channels(
    bytes: &mut [u8],
    stored: usize,
    kept: usize,
    options: &DecodeOptions,
) -> Result<RawFacts, Refusal> {
    let mut levels = Levels::new(SampleKind::Unsigned, 8, None, false, options);
    for pixel in 0..bytes.len() / stored {
        for channel in 0..kept {
            bytes[pixel * kept + channel] = levels.of_unsigned(bytes[pixel * stored + channel].into());
        }
    }
    levels.finish()
}

/// [`keep_channels`] for 16-bit samples in native byte order.
fn to_bytes(
    bytes: &mut [u8],
    stored: usize,
    kept: usize,
    largest: Option<u16>,
    options: &DecodeOptions,
) -> Result<RawFacts, Refusal> {
    let natural = largest.map(|largest| ValueRange { low: 0.0, high: f64::from(largest) });
    let mut levels = Levels::new(SampleKind::Unsigned, 16, natural, false, options);
    let unscaled = |value: u16| match largest {
        // Inverts the decoder's scaling by 65,535 / largest with rounding, exactly because the factor is at least 1.
        Some(largest) => ((u32::from(value) * u32::from(largest) + 32_767) / 65_535) as u16,
        None => value,
    };
    for pixel in 0..bytes.len() / (2 * stored) {
        for channel in 0..kept {
            let at = 2 * (pixel * stored + channel);
            let value = u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
            bytes[pixel * kept + channel] = levels.of_unsigned(unscaled(value));
        }
    }
    levels.finish()
}
