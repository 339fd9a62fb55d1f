//! DICOM: grey of 1 to 32 bits, signed or not, palette, RGB and YBR; uncompressed, RLE, JPEG, lossless JPEG, JPEG-LS or
//! JPEG 2000; one frame of several. Grey values are rescaled and windowed.
//!
//! The container is read here, within bounds, and only the elements of [`tags`]; names of patients are passed over.
//! Compressed frames are decoded by libraries after their headers are checked.

mod tags;
mod syntax;
mod elements;
mod file;
mod header;
mod frames;
mod rle;
mod jpeg_ls;
mod jpeg2000;
mod unpack;
mod window;
mod grey;
mod colour;
mod identity;

use super::super::Image;
use super::refusal::Refusal;
use super::{DecodeOptions, FrameChoice, Read};
use elements::Elements;
use file::File;
use header::{Colour, Header};
use unpack::Stored;
use window::Display;

pub(super) use file::is_dicom;
pub use identity::{Identity, IdentityHash, IdentityKey, identity};
pub use window::range_of_window;

pub(super) fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Read, Refusal> {
    let file = File::read(bytes)?;
    let elements = Elements::read(file.reader(), None)?;
    let codec = file.syntax.codec;
    let header = Header::read(&elements, codec)?;
    let frame = frames::chosen(options.frame, header.frames)?;
    let packed = frames::locate(&elements, &header, codec, frame)?;
    let stored = Stored::unpack(&header, codec, packed, file.syntax.is_big_endian, file.unpacked_len())?;
    let (channels, (pixels, raw)) = match stored.colour {
        Colour::Grey | Colour::InvertedGrey => {
            let display = Display::read(&elements, &elements.of_frame(frame)?)?;
            (1, grey::read(&header, &stored, &elements, display, options)?)
        }
        Colour::Palette => (3, colour::palette(&header, &stored, &elements)?),
        Colour::Rgb => (3, colour::rgb(&header, &stored, options)?),
        Colour::Ybr | Colour::YbrHalf => (3, colour::ybr(&header, &stored)),
    };
    let image = Image { width: header.width, height: header.height, channels, pixels };
    // A chosen frame is not the first of several that a remark would count.
    let frames = if options.frame == FrameChoice::First { header.frames } else { 1 };
    Ok(Read { image, raw, frames, orientation: 1 })
}
