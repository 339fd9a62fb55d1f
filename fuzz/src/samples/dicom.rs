//! DICOM files of every kind of pixels that can be written without a codec, and baseline JPEG.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use image::{DynamicImage, GrayImage, ImageFormat, Luma};

use crate::dicom::SYNTAXES;

/// One element: tag, type and value.
type Element<'a> = (u32, &'a [u8; 2], Vec<u8>);

fn short(tag: u32, value: u16) -> Element<'static> {
    (tag, b"US", value.to_le_bytes().to_vec())
}

/// The elements that describe an image of 4 × 3 pixels.
fn described(photometric: &str, samples: u16, bits: [u16; 3], is_signed: bool) -> Vec<Element<'static>> {
    let [allocated, stored, high] = bits;
    vec![
        short(0x0028_0002, samples),
        (0x0028_0004, b"CS", photometric.as_bytes().to_vec()),
        short(0x0028_0010, 3),
        short(0x0028_0011, 4),
        short(0x0028_0100, allocated),
        short(0x0028_0101, stored),
        short(0x0028_0102, high),
        short(0x0028_0103, is_signed.into()),
    ]
}

/// The input of the target.
fn input(ending: &str, mut elements: Vec<Element<'_>>) -> Vec<u8> {
    elements.sort_by_key(|(tag, _, _)| *tag);
    let is_implicit = ending.is_empty();
    let mut data_set = Vec::new();
    for (tag, kind, mut value) in elements {
        value.resize(value.len().next_multiple_of(2), 0);
        data_set.extend(((tag >> 16) as u16).to_le_bytes());
        data_set.extend((tag as u16).to_le_bytes());
        let len = value.len() as u32;
        if is_implicit {
            data_set.extend(len.to_le_bytes());
        } else if matches!(kind, b"OB" | b"OW" | b"SQ") {
            data_set.extend([kind[0], kind[1], 0, 0]);
            // Fragments have no common length.
            data_set.extend(if value.starts_with(&ITEM) && kind == b"OB" { u32::MAX } else { len }.to_le_bytes());
        } else {
            data_set.extend(kind);
            data_set.extend((len as u16).to_le_bytes());
        }
        data_set.extend(value);
    }
    if ending == ".1.99" {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&data_set).expect("memory can be written");
        data_set = encoder.finish().expect("memory can be written");
    }
    let syntax = SYNTAXES.iter().position(|known| *known == ending).expect("a supported syntax");
    [&[syntax as u8, 1], &data_set[..]].concat()
}

const ITEM: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];

fn item(content: &[u8]) -> Vec<u8> {
    [&ITEM[..], &(content.len() as u32).to_le_bytes(), content].concat()
}

/// An empty table of offsets, and one fragment for each of `frames`.
fn fragments(frames: &[&[u8]]) -> Element<'static> {
    let mut value = item(&[]);
    for frame in frames {
        let mut frame = frame.to_vec();
        frame.resize(frame.len().next_multiple_of(2), 0);
        value.extend(item(&frame));
    }
    value.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
    (0x7FE0_0010, b"OB", value)
}

fn pixels(bytes: Vec<u8>) -> Element<'static> {
    (0x7FE0_0010, b"OW", bytes)
}

/// Inputs of the target `dicom`.
pub fn files() -> [(&'static str, Vec<u8>); 12] {
    let text = |tag, kind, text: &str| (tag, kind, text.as_bytes().to_vec());
    let words = |count: u16| (0..count).flat_map(|index| (index * 321).to_le_bytes()).collect::<Vec<u8>>();
    let bytes = |count: u8| (0..count).map(|index| index.wrapping_mul(23)).collect::<Vec<u8>>();
    let grey = || described("MONOCHROME2", 1, [16, 12, 11], false);
    let window = || {
        vec![
            text(0x0028_1050, b"DS", "100\\500"),
            text(0x0028_1051, b"DS", "2000\\80"),
            text(0x0028_1052, b"DS", "-1024"),
            text(0x0028_1053, b"DS", "2"),
        ]
    };
    let frames = text(0x0028_0008, b"IS", "2");
    let nested = |inner: &[u8]| item(inner);
    let mut voi =
        vec![0x28, 0, 0x50, 0x10, b'D', b'S', 2, 0, b'9', b' ', 0x28, 0, 0x51, 0x10, b'D', b'S', 2, 0, b'7', b' '];
    voi = nested(&voi);
    let mut group = vec![0x28, 0, 0x32, 0x91, b'S', b'Q', 0, 0];
    group.extend((voi.len() as u32).to_le_bytes());
    group.extend(voi);
    let groups = [nested(&group), nested(&group)].concat();
    let palette: Vec<Element<'_>> = (0u32..3)
        .flat_map(|channel| {
            let descriptor = [4u16, 0, 16].iter().flat_map(|number| number.to_le_bytes()).collect();
            [(0x0028_1101 + channel, b"US", descriptor), (0x0028_1201 + channel, b"OW", words(4))]
        })
        .collect();
    let mut rle = vec![2, 0, 0, 0, 64, 0, 0, 0, 78, 0, 0, 0];
    rle.resize(64, 0);
    rle.extend([&[11][..], &bytes(12), &[0x80], &[245, 7]].concat());
    let image = DynamicImage::ImageLuma8(GrayImage::from_fn(4, 3, |x, y| Luma([(x * 50 + y * 9) as u8])));
    let mut jpeg = Cursor::new(Vec::new());
    image.write_to(&mut jpeg, ImageFormat::Jpeg).expect("a small image can be encoded");
    // One Huffman code of one bit for each of the sizes 0 and 1, and 12 samples that equal the first.
    let lossless = [
        &[0xFF, 0xD8, 0xFF, 0xC3, 0, 11, 12, 0, 3, 0, 4, 1, 1, 0x11, 0][..],
        &[0xFF, 0xC4, 0, 21, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 0, 0, 0, 0x0F, 0xFF, 0xD9],
    ]
    .concat();
    [
        ("grey", input(".1", [grey(), window(), vec![pixels(words(12))]].concat())),
        ("implicit", input("", [grey(), window(), vec![pixels(words(12))]].concat())),
        ("deflated", input(".1.99", [grey(), vec![pixels(words(12))]].concat())),
        ("signed", input(".1", [described("MONOCHROME1", 1, [16, 16, 15], true), vec![pixels(words(12))]].concat())),
        (
            "rgb",
            input(
                ".1",
                [described("RGB", 3, [8, 8, 7], false), vec![short(0x0028_0006, 1), pixels(bytes(36))]].concat(),
            ),
        ),
        ("ybr-422", input(".1", [described("YBR_FULL_422", 3, [8, 8, 7], false), vec![pixels(bytes(24))]].concat())),
        (
            "palette",
            input(".1", [described("PALETTE COLOR", 1, [8, 2, 1], false), palette, vec![pixels(bytes(12))]].concat()),
        ),
        ("frames", input(".1", [grey(), vec![frames, pixels(words(24))]].concat())),
        ("groups", input(".1", [grey(), vec![(0x5200_9230, b"SQ", groups), pixels(words(12))]].concat())),
        ("rle", input(".5", [grey(), vec![fragments(&[&rle])]].concat())),
        (
            "jpeg",
            input(
                ".4.50",
                [described("MONOCHROME2", 1, [8, 8, 7], false), vec![fragments(&[&jpeg.into_inner()])]].concat(),
            ),
        ),
        ("lossless", input(".4.70", [grey(), vec![fragments(&[&lossless])]].concat())),
    ]
}
