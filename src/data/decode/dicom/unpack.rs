//! Decompresses one frame to samples in containers.

use std::borrow::Cow;

use zune_core::colorspace::ColorSpace;

use super::super::budget;
use super::super::jpeg;
use super::super::refusal::Refusal;
use super::frames::Packed;
use super::header::{Colour, Header, SampleLayout};
use super::syntax::Codec;
use super::{jpeg_ls, jpeg2000, rle};

/// The samples of one frame.
pub(super) struct Stored<'a> {
    bytes: Cow<'a, [u8]>,
    pub layout: SampleLayout,
    pub colour: Colour,
    is_planar: bool,
    is_big_endian: bool,
    is_swapped: bool,
    skipped_bits: usize,
}

impl<'a> Stored<'a> {
    /// Decompresses `packed`. Its size must be that of `header`.
    ///
    /// * `held`: bytes of memory that the data set takes already
    pub fn unpack(
        header: &Header,
        codec: Codec,
        packed: Packed<'a>,
        is_big_endian: bool,
        held: u64,
    ) -> Result<Self, Refusal> {
        check_memory(header, codec, &packed, held)?;
        let Packed { bytes, skipped_bits, is_swapped } = packed;
        let stored = Self {
            bytes: Cow::Borrowed(&[]),
            layout: header.layout,
            colour: header.colour,
            is_planar: header.is_planar,
            is_big_endian,
            is_swapped,
            skipped_bits,
        };
        match codec {
            Codec::Native => Ok(Self { bytes, ..stored }),
            Codec::Fragments => {
                let (found, needed) = (bytes.len() as u64, header.bits_of_frame().div_ceil(8));
                match found < needed {
                    true => Err(format!("the fragment of the frame has {found} bytes; expected {needed}").into()),
                    false => Ok(Self { bytes, ..stored }),
                }
            }
            // Each byte of each sample is packed by itself, so that the samples come out in planes.
            Codec::Rle => {
                let bytes = Cow::Owned(rle::unpack(header, &bytes)?);
                Ok(Self { bytes, is_planar: header.samples > 1, ..stored })
            }
            Codec::Jpeg => {
                let frame = jpeg::check_size(&bytes, header.width, header.height)?;
                let colour = if frame.is_rgb { Colour::Rgb } else { header.colour };
                // The samples as they are stored, without a conversion of colours.
                let stored_as = match (header.samples, frame.is_rgb) {
                    (1, _) => ColorSpace::Luma,
                    (_, true) => ColorSpace::RGB,
                    (_, false) => ColorSpace::YCbCr,
                };
                let (_, _, channels, samples) = jpeg::decode_raw(&bytes, Some(stored_as))?;
                Self::of_8_bits(header, samples, channels, stored).map(|stored| Self { colour, ..stored })
            }
            Codec::LosslessJpeg => {
                let (bits, samples) = jpeg::lossless::decode(&bytes, [header.width, header.height], header.samples)?;
                Self::of_values(header, bits, &samples, stored)
            }
            Codec::JpegLs => {
                let (bits, samples) = jpeg_ls::decode(header, &bytes)?;
                Self::of_values(header, bits, &samples, stored)
            }
            Codec::Jpeg2000 => {
                let (bits, samples) = jpeg2000::decode(header, &bytes)?;
                Self::of_values(header, bits, &samples, stored)
            }
        }
    }

    fn of_8_bits(header: &Header, samples: Vec<u8>, channels: usize, stored: Self) -> Result<Self, Refusal> {
        if channels != header.samples || samples.len() != header.count() {
            return Err(format!("the JPEG of the frame has {channels} components; expected {}", header.samples).into());
        }
        let layout = SampleLayout { allocated: 8, stored: 8, high: 7, is_signed: header.layout.is_signed };
        Ok(Self { bytes: Cow::Owned(samples), layout, is_planar: false, is_big_endian: false, ..stored })
    }

    /// * `bits`: of the samples in the compressed frame. It replaces that of the file, from which some writers differ.
    fn of_values(header: &Header, bits: u32, samples: &[u16], stored: Self) -> Result<Self, Refusal> {
        if samples.len() != header.count() {
            return Err(format!("the frame has {} samples; expected {}", samples.len(), header.count()).into());
        }
        let layout = SampleLayout { allocated: 16, stored: bits, high: bits - 1, is_signed: header.layout.is_signed };
        let bytes = Cow::Owned(samples.iter().flat_map(|sample| sample.to_le_bytes()).collect());
        Ok(Self { bytes, layout, is_planar: false, is_big_endian: false, ..stored })
    }

    /// The container at `index` in the order of the file.
    pub fn container(&self, index: usize) -> u32 {
        let wide = |bytes: Option<&[u8]>| super::elements::number(bytes.unwrap_or_default(), self.is_big_endian);
        match self.layout.allocated {
            1 => {
                let bit = index + self.skipped_bits;
                u32::from(self.bytes.get(bit / 8).map_or(0, |byte| byte >> (bit % 8) & 1))
            }
            8 => {
                let at = if self.is_swapped { index ^ 1 } else { index };
                self.bytes.get(at).copied().unwrap_or(0).into()
            }
            16 => wide(self.bytes.get(2 * index..2 * index + 2)),
            _ => wide(self.bytes.get(4 * index..4 * index + 4)),
        }
    }

    /// The container of a sample of a pixel.
    ///
    /// * `pixels`: of the frame; `samples`: of a pixel
    pub fn sample(&self, pixel: usize, sample: usize, pixels: usize, samples: usize) -> u32 {
        self.container(if self.is_planar { sample * pixels + pixel } else { pixel * samples + sample })
    }
}

/// Checks the memory of the decoder of the frame, its samples, and the image.
fn check_memory(header: &Header, codec: Codec, packed: &Packed<'_>, held: u64) -> Result<(), Refusal> {
    let joined = if let Cow::Owned(bytes) = &packed.bytes { bytes.len() as u64 } else { 0 };
    let samples = header.count() as u64;
    let pixels = (header.width * header.height) as u64;
    let decoder = match codec {
        Codec::Native | Codec::Fragments => 0,
        Codec::Rle => samples * u64::from(header.layout.allocated).div_ceil(8),
        Codec::Jpeg => samples,
        // The samples, and their copy as bytes.
        Codec::LosslessJpeg | Codec::JpegLs => 4 * samples,
        // Those, the same as floats, and the coefficients of one component with their states.
        Codec::Jpeg2000 => 8 * samples + 16 * pixels,
    };
    // 32-bit grey is copied twice to find its percentiles.
    let sorted = if header.layout.allocated == 32 { 8 * samples } else { 0 };
    let image = if header.samples == 3 || header.colour == Colour::Palette { 3 * pixels } else { pixels };
    let all = [decoder, sorted, image, joined, held].iter().sum();
    budget::check_bytes(header.width as u64, header.height as u64, all)
}
