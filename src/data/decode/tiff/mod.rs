//! TIFF and BigTIFF: strips and tiles, interleaved and planar; integers and floats of all common sizes; grey, colour,
//! palette and CMYK; uncompressed, LZW, Deflate, PackBits, CCITT Group 4 or JPEG.
//!
//! The container is read here, compressed data by libraries. The crate `tiff` (0.11) is not used: it panics on planar
//! tiles, ignores FillOrder, misreads predictors with an extra sample, and has no palettes.

mod directory;
mod tags;
mod rows;
mod unpack;

use super::super::Image;
use super::refusal::Refusal;
use super::samples::{Levels, RawFacts, SampleKind};
use super::{DecodeOptions, Read};
use directory::{Directory, File};
use tags::{Colour, Layout};

pub(super) fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Read, Refusal> {
    let file = File::new(bytes);
    let pages = file.directories()?;
    let layout = Layout::read(first_full_page(&pages)?, file)?;
    let (mut pixels, raw) = read_pixels(&layout, file, options)?;
    let Layout { width, height, orientation, .. } = layout;
    let channels = convert_colours(&layout, &mut pixels);
    pixels.shrink_to_fit();
    let image = Image { width, height, channels, pixels };
    Ok(Read { image, raw, frames: pages.len() as u32, orientation })
}

/// The first page that is neither a thumbnail nor a mask.
fn first_full_page<'p, 'a>(pages: &'p [Directory<'a>]) -> Result<&'p Directory<'a>, Refusal> {
    const REDUCED: u64 = 1;
    const MASK: u64 = 4;
    for page in pages {
        if page.number(254, 0)? & (REDUCED | MASK) == 0 && page.number(255, 1)? != 2 {
            return Ok(page);
        }
    }
    match pages.is_empty() {
        true => Err("the TIFF has no image".into()),
        false => Err("the TIFF has only reduced images or masks; a full image in a SubIFD is not supported".into()),
    }
}

/// The pixels with [`Layout::kept`] channels.
fn read_pixels(layout: &Layout, file: File<'_>, options: &DecodeOptions) -> Result<(Vec<u8>, RawFacts), Refusal> {
    let Layout { width, height, chunk, kind, bits, .. } = *layout;
    let kept = layout.kept();
    let mut pixels = vec![0; width * height * kept];
    let levels =
        |options: &DecodeOptions| Levels::new(kind, bits as u32, None, layout.colour == Colour::InvertedGrey, options);
    // Alpha has its natural range and is not part of the facts about the samples.
    let (mut of_colours, mut of_alpha) = (levels(options), levels(&DecodeOptions::default()));
    let [across, down] = [width.div_ceil(chunk[0]), height.div_ceil(chunk[1])];
    for (index, &(at, len)) in layout.places.iter().enumerate() {
        let (plane, place) = (index / (across * down), index % (across * down));
        let (left, top) = (place % across * chunk[0], place / across * chunk[1]);
        let visible = [chunk[0].min(width - left), chunk[1].min(height - top)];
        let is_extra = |sample: usize| sample >= layout.samples_of_colour();
        if layout.is_planar && is_extra(plane) && !layout.is_premultiplied {
            continue;
        }
        let packed = &file.bytes[at as usize..(at + len) as usize];
        let unpacked = unpack::unpack(layout, packed, if layout.is_tiled { chunk[1] } else { visible[1] })?;
        for (y, row) in unpacked.chunks_exact(layout.row_len()).take(visible[1]).enumerate() {
            let values = rows::values(layout, file.is_big_endian, row);
            let out = &mut pixels[((top + y) * width + left) * kept..];
            for (x, pixel) in values.chunks_exact(layout.chunk_samples()).take(visible[0]).enumerate() {
                let out = &mut out[x * kept..(x + 1) * kept];
                for (sample, &value) in pixel.iter().enumerate() {
                    let sample = sample + plane;
                    if layout.colour == Colour::Palette {
                        out.copy_from_slice(&layout.palette[value as usize]);
                    } else if sample < kept {
                        let levels = if is_extra(sample) { &mut of_alpha } else { &mut of_colours };
                        out[sample] = rows::byte(layout, value, levels);
                    }
                }
            }
        }
    }
    match layout.colour {
        Colour::Palette => {
            let (low, high) = (pixels.iter().min(), pixels.iter().max());
            let [low, high] = [low, high].map(|byte| f64::from(byte.copied().unwrap_or(0)));
            Ok((pixels, RawFacts { kind: SampleKind::Unsigned, bits: 8, low, high, has_window: false }))
        }
        _ => Ok((pixels, of_colours.finish()?)),
    }
}

/// Converts colours to one or three channels in place, and returns their number.
fn convert_colours(layout: &Layout, pixels: &mut Vec<u8>) -> usize {
    let kept = layout.kept();
    let channels = if layout.samples_of_colour() == 1 && layout.colour != Colour::Palette { 1 } else { 3 };
    if kept == channels {
        return channels;
    }
    for at in 0..pixels.len() / kept {
        let mut colour = [0; 5];
        colour[..kept].copy_from_slice(&pixels[at * kept..(at + 1) * kept]);
        if layout.is_premultiplied {
            let alpha = u32::from(colour[kept - 1]);
            for value in &mut colour[..kept - 1] {
                *value = (u32::from(*value) * 255 + alpha / 2).checked_div(alpha).unwrap_or(0).min(255) as u8;
            }
        }
        if layout.colour == Colour::Cmyk {
            let [cyan, magenta, yellow, black, _] = colour.map(u32::from);
            let of = |ink: u32| ((255 - ink) * (255 - black) + 127) / 255;
            for (value, ink) in colour.iter_mut().zip([cyan, magenta, yellow]) {
                *value = of(ink) as u8;
            }
        }
        pixels[at * channels..(at + 1) * channels].copy_from_slice(&colour[..channels]);
    }
    pixels.truncate(layout.width * layout.height * channels);
    channels
}
