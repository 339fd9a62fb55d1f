//! JPEG: baseline, extended and progressive, 8 bits, Huffman-coded; oriented by EXIF or XMP.
//!
//! The decoder fills missing blocks with grey and reports success. Therefore [`scan`] first counts the coded blocks.

mod entropy;
mod frame;
#[cfg(feature = "dicom")]
pub(super) mod lossless;
mod scan;

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use super::super::Image;
use super::refusal::Refusal;
use super::{DecodeOptions, Read, samples};

pub(super) fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Read, Refusal> {
    let whole = scan::check(bytes)?;
    let (width, height) = (whole.frame.width, whole.frame.height);
    let (image, raw) = decode(bytes, whole.frame.colour()?, options)?;
    if (image.width, image.height) != (width, height) {
        return Err("the decoder found another size than the frame header has".into());
    }
    Ok(Read { image, raw, frames: 1, orientation: whole.orientation })
}

/// Pixels in `colour`, which has one or three channels, or in the colours of the file for a TIFF.
pub(super) fn decode(
    bytes: &[u8],
    colour: ColorSpace,
    options: &DecodeOptions,
) -> Result<(Image, super::RawFacts), Refusal> {
    let (width, height, channels, mut pixels) = decode_raw(bytes, Some(colour))?;
    let raw = samples::keep_channels(&mut pixels, channels, channels, options)?;
    Ok((Image { width, height, channels, pixels }, raw))
}

/// Width, height, channels and samples, in the stored colours if `colour` is none.
pub(super) fn decode_raw(bytes: &[u8], colour: Option<ColorSpace>) -> Result<(usize, usize, usize, Vec<u8>), Refusal> {
    let refuse = |error: zune_jpeg::errors::DecodeErrors| Refusal::from(error.to_string());
    let options = DecoderOptions::default().set_max_width(usize::from(u16::MAX)).set_max_height(usize::from(u16::MAX));
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(refuse)?;
    let (width, height) = decoder.dimensions().ok_or("no size")?;
    let stored = decoder.input_colorspace().ok_or("no colour type")?;
    decoder.set_options(options.jpeg_set_out_colorspace(colour.unwrap_or(stored)));
    let len = decoder.output_buffer_size().ok_or("no size")?;
    let mut pixels = vec![0; len];
    decoder.decode_into(&mut pixels).map_err(refuse)?;
    let channels = len / (width * height).max(1);
    Ok((width, height, channels, pixels))
}

/// Checks a JPEG inside another file. It must have this width and at least this height: some writers pad the last one.
pub(super) fn check_part(bytes: &[u8], width: usize, height: usize) -> Result<frame::Frame, Refusal> {
    let frame = scan::check(bytes)?.frame;
    match frame.width == width && frame.height >= height {
        true => Ok(frame),
        false => {
            let (found_width, found_height) = (frame.width, frame.height);
            Err(format!("a JPEG strip or tile has {found_width}×{found_height} pixels; expected {width}×{height}")
                .into())
        }
    }
}

/// Facts about a JPEG of a known size inside another file.
#[cfg(feature = "dicom")]
pub(super) struct InFile {
    /// Whether it says itself that its three components are red, green and blue.
    pub is_rgb: bool,
}

/// Checks a JPEG of exactly this size inside another file.
#[cfg(feature = "dicom")]
pub(super) fn check_size(bytes: &[u8], width: usize, height: usize) -> Result<InFile, Refusal> {
    if !bytes.starts_with(&[0xFF, 0xD8]) {
        return Err("the frame is not a JPEG".into());
    }
    let scan::Whole { frame, adobe_transform, .. } = scan::check(bytes)?;
    if (frame.width, frame.height) != (width, height) {
        let (found_width, found_height) = (frame.width, frame.height);
        return Err(format!(
            "the JPEG of the frame has {found_width}×{found_height} pixels; expected {width}×{height}"
        )
        .into());
    }
    let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
    let is_rgb = ids.len() == 3 && adobe_transform.map_or(ids == *b"RGB", |transform| transform == 0);
    Ok(InFile { is_rgb })
}
