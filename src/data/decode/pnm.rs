//! PBM, PGM, PPM and PAM. The largest value of the header is white.

use std::io::Cursor;

use image::codecs::pnm::PnmDecoder;
use image::{ColorType, ImageDecoder};

use super::refusal::Refusal;
use super::{DecodeOptions, Read, budget, samples};

pub(super) fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Read, Refusal> {
    let decoder = PnmDecoder::new(Cursor::new(bytes))?;
    let (width, height) = decoder.dimensions();
    budget::check(width.into(), height.into(), u64::from(decoder.color_type().bytes_per_pixel()))?;
    let is_deep =
        matches!(decoder.color_type(), ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16);
    let largest = u16::try_from(decoder.header().maximal_sample()).ok().filter(|_| is_deep);
    let (image, raw) = samples::read(decoder, largest, options)?;
    Ok(Read { image, raw, frames: 1, orientation: 1 })
}
