//! Interprets the tags of a page. Unsupported tags that change samples are refused by name.

use super::super::refusal::Refusal;
use super::super::samples::SampleKind;
use super::super::{budget, orientation};
use super::directory::{Directory, File};

/// The tag of XMP.
const XMP: u16 = 700;

/// The meaning of the samples of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    /// One sample, 0 is black.
    Grey,
    /// One sample, 0 is white.
    InvertedGrey,
    /// Red, green, blue.
    Rgb,
    /// One sample, an index into the colour map.
    Palette,
    /// Cyan, magenta, yellow, black.
    Cmyk,
    /// Luma and two chroma samples, inside JPEG.
    YCbCr,
}

impl Colour {
    fn samples(self) -> usize {
        match self {
            Self::Grey | Self::InvertedGrey | Self::Palette => 1,
            Self::Rgb | Self::YCbCr => 3,
            Self::Cmyk => 4,
        }
    }
}

/// The compression of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Group4,
    Lzw,
    Jpeg,
    Deflate,
    PackBits,
}

/// How each sample is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Predictor {
    /// As its value.
    None,
    /// As the difference from the previous sample.
    Horizontal,
    /// As byte differences, with the bytes of a row ordered by significance.
    FloatingPoint,
}

/// One page.
pub(super) struct Layout {
    pub width: usize,
    pub height: usize,
    pub kind: SampleKind,
    pub bits: usize,
    /// Samples per pixel, with the extra one.
    pub samples: usize,
    pub colour: Colour,
    /// Whether the colours are premultiplied by the extra sample.
    pub is_premultiplied: bool,
    pub compression: Compression,
    pub predictor: Predictor,
    /// Whether each sample has its own chunks.
    pub is_planar: bool,
    /// Whether the lowest bit of a byte is the first.
    pub has_reversed_bits: bool,
    /// Width and height of a chunk (a strip or tile) in pixels.
    pub chunk: [usize; 2],
    pub is_tiled: bool,
    /// Offset and number of bytes of each chunk.
    pub places: Vec<(u64, u64)>,
    pub orientation: u8,
    /// Red, green and blue of each index.
    pub palette: Vec<[u8; 3]>,
    /// Tables shared by the JPEG chunks.
    pub jpeg_tables: Vec<u8>,
}

impl Layout {
    pub fn read(page: &Directory<'_>, file: File<'_>) -> Result<Self, Refusal> {
        let (width, height) = (page.required(256, "ImageWidth")?, page.required(257, "ImageLength")?);
        budget::check(width, height, 1)?;
        let (width, height) = (width as usize, height as usize);
        let compression = compression(page.number(259, 1)?)?;
        let samples = page.number(277, 1)? as usize;
        let colour = colour(page.required(262, "PhotometricInterpretation")?, compression)?;
        let is_planar = match page.number(284, 1)? {
            1 => false,
            2 => samples > 1,
            other => return Err(format!("PlanarConfiguration is {other}; expected 1 or 2").into()),
        };
        let extra = extra(page, samples, colour)?;
        let (kind, bits) = sample(page, colour, compression)?;
        let is_premultiplied = extra == Some(1);
        if is_premultiplied && kind != SampleKind::Unsigned {
            return Err("premultiplied alpha that is not an unsigned integer is not supported".into());
        }
        if is_planar && colour == Colour::YCbCr {
            return Err("YCbCr in planes is not supported".into());
        }
        let (chunk, is_tiled) = chunk(page, width, height)?;
        let planes = if is_planar { samples } else { 1 };
        let count = width.div_ceil(chunk[0]) * height.div_ceil(chunk[1]) * planes;
        Ok(Self {
            width,
            height,
            kind,
            bits,
            samples,
            colour,
            is_premultiplied,
            compression,
            predictor: predictor(page.number(317, 1)?, kind, bits, compression)?,
            is_planar,
            has_reversed_bits: match page.number(266, 1)? {
                1 => false,
                2 => true,
                other => return Err(format!("FillOrder is {other}; expected 1 or 2").into()),
            },
            chunk,
            is_tiled,
            places: places(page, is_tiled, count)?,
            orientation: orientation(page)?,
            palette: if colour == Colour::Palette { palette(page, bits)? } else { Vec::new() },
            jpeg_tables: page.bytes(347).map(<[u8]>::to_vec).unwrap_or_default(),
        })
        .and_then(|layout| layout.checked(file))
    }

    /// Samples per pixel, without the extra one.
    pub fn samples_of_colour(&self) -> usize {
        self.colour.samples()
    }

    /// Samples per pixel in one chunk.
    pub fn chunk_samples(&self) -> usize {
        if self.is_planar { 1 } else { self.samples }
    }

    /// Bytes of one row of a chunk.
    pub fn row_len(&self) -> usize {
        (self.chunk[0] * self.chunk_samples() * self.bits).div_ceil(8)
    }

    /// Channels of the image before its colours are converted.
    pub fn kept(&self) -> usize {
        match self.colour {
            Colour::Palette => 3,
            colour => colour.samples() + usize::from(self.is_premultiplied),
        }
    }

    /// Checks the memory, and that all chunks are inside the file.
    fn checked(self, file: File<'_>) -> Result<Self, Refusal> {
        let (width, height) = (self.width as u64, self.height as u64);
        // The unpacked bytes of a chunk, and the image.
        let chunk = (self.chunk[0] as u64 * self.chunk_samples() as u64 * self.bits as u64).div_ceil(8);
        let chunk = chunk.saturating_mul(self.chunk[1] as u64);
        budget::check_bytes(width, height, (width * height * self.kept() as u64).saturating_add(chunk))?;
        for (index, (at, len)) in self.places.iter().enumerate() {
            if at.checked_add(*len).is_none_or(|end| end > file.bytes.len() as u64) {
                let what = if self.is_tiled { "tile" } else { "strip" };
                return Err(format!(
                    "the TIFF is truncated: {what} {index} has {len} bytes at byte {at}, the file has {}",
                    file.bytes.len()
                )
                .into());
            }
        }
        Ok(self)
    }
}

/// The orientation of the tag, else that of XMP.
fn orientation(page: &Directory<'_>) -> Result<u8, Refusal> {
    let tag = page.numbers(orientation::TAG)?.and_then(|numbers| numbers.first().copied());
    let exif = tag.and_then(|number| u8::try_from(number).ok()).filter(|number| (1..=8).contains(number));
    let xmp = page.bytes(XMP).and_then(orientation::of_xmp);
    Ok(orientation::OrientationTags { exif, xmp }.orientation())
}

fn colour(photometric: u64, compression: Compression) -> Result<Colour, Refusal> {
    let is_jpeg = compression == Compression::Jpeg;
    let name = match photometric {
        0 => return Ok(Colour::InvertedGrey),
        1 => return Ok(Colour::Grey),
        2 => return Ok(Colour::Rgb),
        3 if !is_jpeg => return Ok(Colour::Palette),
        5 if !is_jpeg => return Ok(Colour::Cmyk),
        6 if is_jpeg => return Ok(Colour::YCbCr),
        3 => "palette inside JPEG",
        4 => "transparency mask",
        5 => "CMYK inside JPEG",
        6 => "YCbCr without JPEG",
        8..=10 => "Lab",
        32_803 => "colour filter array (a camera's raw data)",
        34_892 => "linear raw",
        _ => "unknown",
    };
    Err(format!("PhotometricInterpretation {photometric} ({name}) is not supported").into())
}

fn compression(number: u64) -> Result<Compression, Refusal> {
    let name = match number {
        1 => return Ok(Compression::None),
        4 => return Ok(Compression::Group4),
        5 => return Ok(Compression::Lzw),
        7 => return Ok(Compression::Jpeg),
        8 | 32_946 => return Ok(Compression::Deflate),
        32_773 => return Ok(Compression::PackBits),
        2 => "CCITT run lengths",
        3 => "CCITT Group 3",
        6 => "old-style JPEG",
        34_712 | 33_003 | 33_005 => "JPEG 2000",
        34_887 => "LERC",
        34_925 => "LZMA",
        34_892 => "lossy DNG",
        50_000 | 34_926 => "Zstandard",
        50_001 | 34_927 => "WebP",
        50_002 | 52_546 => "JPEG XL",
        _ => "unknown",
    };
    Err(format!("Compression {number} ({name}) is not supported").into())
}

/// The kind of the one extra sample: 0 unknown, 1 premultiplied alpha, 2 alpha.
fn extra(page: &Directory<'_>, samples: usize, colour: Colour) -> Result<Option<u64>, Refusal> {
    match samples.checked_sub(colour.samples()) {
        Some(0) => Ok(None),
        Some(1) if colour != Colour::Palette => page.number(338, 0).map(Some),
        _ => Err(format!(
            "{samples} samples per pixel for {colour:?}; expected {} and at most one extra",
            colour.samples()
        )
        .into()),
    }
}

fn sample(page: &Directory<'_>, colour: Colour, compression: Compression) -> Result<(SampleKind, usize), Refusal> {
    let bits = page.shared(258, "BitsPerSample", 1)? as usize;
    let kind = match page.shared(339, "SampleFormat", 1)? {
        // 4 means undefined; all readers treat it as 1.
        1 | 4 => SampleKind::Unsigned,
        2 => SampleKind::Signed,
        3 => SampleKind::Float,
        other => return Err(format!("SampleFormat {other} (complex numbers) is not supported").into()),
    };
    let is_possible = match (kind, colour) {
        (SampleKind::Unsigned, Colour::Palette) => bits <= 8,
        (_, Colour::Palette) => false,
        (SampleKind::Float, _) => matches!(bits, 16 | 32 | 64),
        (_, Colour::Cmyk) => matches!(bits, 8 | 16) && kind == SampleKind::Unsigned,
        _ => bits <= 32 || bits == 64,
    };
    if bits == 0 || !is_possible {
        return Err(format!("{kind:?} samples of {bits} bits for {colour:?} are not supported").into());
    }
    let is_fixed = match compression {
        Compression::Jpeg => (kind, bits) != (SampleKind::Unsigned, 8),
        Compression::Group4 => bits != 1,
        _ => false,
    };
    match is_fixed {
        true => Err(format!("{compression:?} does not pack {kind:?} samples of {bits} bits").into()),
        false => Ok((kind, bits)),
    }
}

fn predictor(number: u64, kind: SampleKind, bits: usize, compression: Compression) -> Result<Predictor, Refusal> {
    let packs = matches!(compression, Compression::Lzw | Compression::Deflate);
    match number {
        // The tag applies only to these two; readers ignore it otherwise.
        _ if !packs => Ok(Predictor::None),
        1 => Ok(Predictor::None),
        2 if matches!(bits, 8 | 16 | 32 | 64) => Ok(Predictor::Horizontal),
        3 if kind == SampleKind::Float => Ok(Predictor::FloatingPoint),
        other => Err(format!("Predictor {other} for {kind:?} samples of {bits} bits is not supported").into()),
    }
}

/// Width and height of a chunk, and whether it is a tile.
fn chunk(page: &Directory<'_>, width: usize, height: usize) -> Result<([usize; 2], bool), Refusal> {
    let size = |number: u64| usize::try_from(number).ok().filter(|size| (1..=1 << 24).contains(size));
    match page.numbers(322)? {
        Some(_) => {
            let (across, down) = (page.required(322, "TileWidth")?, page.required(323, "TileLength")?);
            match (size(across), size(down)) {
                (Some(across), Some(down)) => Ok(([across, down], true)),
                _ => Err(format!("tiles of {across}×{down} pixels").into()),
            }
        }
        None => {
            let rows = page.number(278, u64::MAX)?.min(height as u64);
            if rows == 0 { Err("strips without rows".into()) } else { Ok(([width, rows as usize], false)) }
        }
    }
}

fn places(page: &Directory<'_>, is_tiled: bool, count: usize) -> Result<Vec<(u64, u64)>, Refusal> {
    let (what, tags) = if is_tiled { ("tile", [324, 325]) } else { ("strip", [273, 279]) };
    let [starts, lens] = tags.map(|tag| page.numbers(tag));
    let (starts, lens) = (starts?.unwrap_or_default(), lens?.unwrap_or_default());
    match starts.len() == lens.len() && starts.len() >= count {
        true => Ok(starts.into_iter().zip(lens).take(count).collect()),
        false => {
            let (starts, lens) = (starts.len(), lens.len());
            Err(format!("{starts} offsets and {lens} byte counts; expected {count}, one per {what}").into())
        }
    }
}

/// The colour map: all reds, all greens, all blues, 16 bits each.
fn palette(page: &Directory<'_>, bits: usize) -> Result<Vec<[u8; 3]>, Refusal> {
    let map = page.numbers(320)?.ok_or("palette colours without a ColorMap")?;
    let colours = 1 << bits;
    if map.len() != 3 * colours {
        return Err(format!("ColorMap has {} values; expected {}", map.len(), 3 * colours).into());
    }
    // Some writers store 8 bits.
    let is_deep = map.iter().any(|value| *value > 255);
    let byte = |value: u64| if is_deep { ((value * 255 + 32_767) / 65_535) as u8 } else { value as u8 };
    Ok((0..colours).map(|index| [0, 1, 2].map(|channel| byte(map[channel * colours + index]))).collect())
}
