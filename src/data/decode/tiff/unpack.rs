//! Unpacks a chunk to exactly the bytes of its rows.

use std::io::Read as _;

use fax::decoder::{DecodeStatus, Group4Decoder, pels};
use flate2::read::ZlibDecoder;
use weezl::{BitOrder, LzwStatus, decode::Configuration};

use super::super::jpeg;
use super::super::refusal::Refusal;
use super::tags::{Colour, Compression, Layout};

/// Unpacks `packed` to `rows` rows of a chunk, each of [`Layout::row_len`] bytes.
pub(super) fn unpack(layout: &Layout, packed: &[u8], rows: usize) -> Result<Vec<u8>, Refusal> {
    let len = rows * layout.row_len();
    let reversed: Vec<u8>;
    // FillOrder does not apply inside JPEG.
    let packed = match layout.has_reversed_bits && layout.compression != Compression::Jpeg {
        true => {
            reversed = packed.iter().map(|byte| byte.reverse_bits()).collect();
            &reversed
        }
        false => packed,
    };
    match layout.compression {
        Compression::None => packed.get(..len).map(<[u8]>::to_vec).ok_or_else(|| short(packed.len(), len)),
        Compression::Lzw => unpack_lzw(packed, len),
        Compression::Deflate => {
            let mut bytes = vec![0; len];
            ZlibDecoder::new(packed).read_exact(&mut bytes).map_err(|error| damaged(&error))?;
            Ok(bytes)
        }
        Compression::PackBits => unpack_bits(packed, len),
        Compression::Group4 => unpack_group4(packed, layout.chunk[0], rows),
        Compression::Jpeg => unpack_jpeg(layout, packed, rows),
    }
}

fn short(found: usize, needed: usize) -> Refusal {
    format!("the TIFF is truncated: a strip or tile has {found} of {needed} bytes").into()
}

fn damaged(error: &dyn std::fmt::Display) -> Refusal {
    format!("a strip or tile of the TIFF cannot be unpacked: {error}").into()
}

fn unpack_lzw(packed: &[u8], len: usize) -> Result<Vec<u8>, Refusal> {
    let mut decoder = Configuration::with_tiff_size_switch(BitOrder::Msb, 8).with_yield_on_full_buffer(true).build();
    let (mut bytes, mut read, mut written) = (vec![0; len], 0, 0);
    while written < len {
        let step = decoder.decode_bytes(&packed[read..], &mut bytes[written..]);
        read += step.consumed_in;
        written += step.consumed_out;
        match step.status {
            Ok(LzwStatus::Ok) if step.consumed_in + step.consumed_out > 0 => {}
            Ok(_) if written == len => {}
            Ok(_) => return Err(short(written, len)),
            Err(error) => return Err(damaged(&error)),
        }
    }
    Ok(bytes)
}

/// PackBits: a count and literal bytes, or a count and one repeated byte.
fn unpack_bits(mut packed: &[u8], len: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let cut = || short(bytes.len(), len);
        let (&count, rest) = packed.split_first().ok_or_else(cut)?;
        packed = match count {
            0..=127 => {
                let (literal, rest) = rest.split_at_checked(usize::from(count) + 1).ok_or_else(cut)?;
                bytes.extend_from_slice(literal);
                rest
            }
            128 => rest,
            129.. => {
                let (&value, rest) = rest.split_first().ok_or_else(cut)?;
                bytes.resize(bytes.len() + 257 - usize::from(count), value);
                rest
            }
        };
    }
    bytes.truncate(len);
    Ok(bytes)
}

/// CCITT Group 4; black is 1.
fn unpack_group4(packed: &[u8], width: usize, rows: usize) -> Result<Vec<u8>, Refusal> {
    let width = u16::try_from(width).map_err(|_| "the rows are too long for Group 4")?;
    let bits = packed.iter().map(|byte| Ok::<u8, std::convert::Infallible>(*byte));
    let Ok(mut decoder) = Group4Decoder::new(bits, width);
    let mut bytes = Vec::new();
    for row in 0..rows {
        match decoder.advance() {
            Ok(DecodeStatus::Incomplete) => {}
            _ => {
                return Err(format!("the TIFF is truncated or damaged: row {row} of {rows} has no Group 4 code").into());
            }
        }
        let start = bytes.len();
        bytes.resize(start + usize::from(width).div_ceil(8), 0u8);
        for (x, colour) in pels(decoder.transition(), width).enumerate() {
            if colour == fax::Color::Black {
                bytes[start + x / 8] |= 0x80 >> (x % 8);
            }
        }
    }
    Ok(bytes)
}

/// JPEG of the size of the chunk. A tag holds the tables that the chunks share, as a JPEG without an image.
fn unpack_jpeg(layout: &Layout, packed: &[u8], rows: usize) -> Result<Vec<u8>, Refusal> {
    let whole = match (&layout.jpeg_tables[..], packed) {
        ([], _) => packed.to_vec(),
        ([tables @ .., 0xFF, 0xD9], [0xFF, 0xD8, rest @ ..]) => [tables, rest].concat(),
        _ => return Err("the JPEG tables have no end marker, or a JPEG no start marker".into()),
    };
    if !whole.starts_with(&[0xFF, 0xD8]) {
        return Err("a strip or tile is not a JPEG".into());
    }
    let frame = jpeg::check_part(&whole, layout.chunk[0], rows)?;
    let samples = layout.chunk_samples();
    let colour = if layout.colour == Colour::YCbCr { Some(frame.colour()?) } else { None };
    let (width, height, channels, mut pixels) = jpeg::decode_raw(&whole, colour)?;
    if channels != samples || width != layout.chunk[0] || height < rows {
        return Err(format!("a JPEG strip or tile has {channels} components; expected {samples}").into());
    }
    pixels.truncate(rows * layout.row_len());
    Ok(pixels)
}
