//! Decoding through its public interface: orientation, refusals, and that missing pixels are never filled in.

#[cfg(feature = "dicom")]
mod dicom;
mod tiff;

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use macula::data::decode::{self, DecodeOptions, Decoded, SampleKind};
use macula::data::{DataError, Image, ValueRange};
use tiff::Tiff;

fn read(bytes: &[u8]) -> Result<Decoded, DataError> {
    decode::decode(bytes, "test.img", &DecodeOptions::default())
}

fn read_with(bytes: &[u8], low: f64, high: f64) -> Result<Decoded, DataError> {
    let range = Some(ValueRange::new(low, high).unwrap());
    decode::decode(bytes, "test.img", &DecodeOptions { range, ..DecodeOptions::default() })
}

/// The reason of a refusal.
fn refusal(bytes: &[u8]) -> String {
    match read(bytes) {
        Err(DataError::Decode { reason, .. }) => reason,
        Err(other) => panic!("refused otherwise: {other}"),
        Ok(decoded) => panic!("not refused: {}×{}", decoded.image.width, decoded.image.height),
    }
}

/// No symmetry, odd sides, smooth for JPEG.
fn picture() -> DynamicImage {
    let pixel = |x: u32, y: u32| Rgb([(40 + 3 * x + y) as u8, (200 - 4 * y) as u8, (60 + x + 2 * y) as u8]);
    DynamicImage::ImageRgb8(RgbImage::from_fn(45, 29, pixel))
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// EXIF data with one tag.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    block[18] = orientation;
    block
}

/// Inserts `part` at `at`.
fn insert(bytes: &[u8], at: usize, part: &[u8]) -> Vec<u8> {
    [&bytes[..at], part, &bytes[at..]].concat()
}

fn png_chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut hash = crc32fast::Hasher::new();
    hash.update(name);
    hash.update(content);
    let len = (content.len() as u32).to_be_bytes();
    [&len, name.as_slice(), content, &hash.finalize().to_be_bytes()].concat()
}

/// Where the first chunk called `name` of a PNG begins.
fn png_place(bytes: &[u8], name: &[u8; 4]) -> usize {
    bytes.windows(4).position(|window| window == name).unwrap() - 4
}

/// The picture with an orientation, in each place that a format has for it.
fn oriented(orientation: u8) -> Vec<(&'static str, Vec<u8>)> {
    let block = exif(orientation);
    let jpeg = encoded(&picture(), ImageFormat::Jpeg);
    let segment = [b"Exif\0\0".as_slice(), &block].concat();
    let segment = [&[0xFF, 0xE1], &(segment.len() as u16 + 2).to_be_bytes()[..], &segment].concat();
    let png = encoded(&picture(), ImageFormat::Png);
    let chunk = png_chunk(b"eXIf", &block);
    let mut webp = encoded(&picture(), ImageFormat::WebP);
    webp.extend([b"EXIF".as_slice(), &(block.len() as u32).to_le_bytes(), &block].concat());
    let len = (webp.len() as u32 - 8).to_le_bytes();
    webp[4..8].copy_from_slice(&len);
    let rgb = picture().into_rgb8();
    let tiff = Tiff::new(45, 29, rgb.as_raw()).with(258, &[8, 8, 8]).with(262, &[2]).with(277, &[3]);
    vec![
        ("JPEG", insert(&jpeg, 2, &segment)),
        ("PNG before the pixels", insert(&png, png_place(&png, b"IDAT"), &chunk)),
        ("PNG after the pixels", insert(&png, png_place(&png, b"IEND"), &chunk)),
        ("WebP", webp),
        ("TIFF", tiff.with(274, &[orientation.into()]).bytes()),
    ]
}

#[test]
fn every_format_is_oriented() {
    for orientation in 1..=8 {
        let mut expected = picture();
        expected.apply_orientation(Orientation::from_exif(orientation).unwrap());
        let expected = expected.into_rgb8();
        for (kind, bytes) in oriented(orientation) {
            let Decoded { image, orientation: found, .. } = read(&bytes).unwrap();
            assert_eq!(found, orientation, "{kind}");
            assert_eq!((image.width as u32, image.height as u32), expected.dimensions(), "{kind} {orientation}");
            let worst = image.pixels.iter().zip(expected.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(worst <= if kind == "JPEG" { 8 } else { 0 }, "{kind} {orientation}: off by {worst}");
        }
    }
}

/// Offset of the coded pixels of a baseline JPEG.
fn scan_start(jpeg: &[u8]) -> usize {
    let at = jpeg.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]))
}

#[test]
fn a_jpeg_with_missing_pixels_is_refused() {
    let noise = GrayImage::from_fn(64, 64, |x, y| Luma([(x * 37 + y * 91 + x * y * 7) as u8]));
    let jpeg = encoded(&DynamicImage::ImageLuma8(noise), ImageFormat::Jpeg);
    assert!(read(&jpeg).is_ok());
    let (start, end) = (scan_start(&jpeg), jpeg.len() - 2);
    // Cut anywhere, followed by an end marker or by another file.
    for keep in (start..end - 1).step_by(97) {
        let with_end = [&jpeg[..keep], &[0xFF, 0xD9]].concat();
        let with_junk = [&jpeg[..keep], &jpeg[..start], &[7; 300], &[0xFF, 0xD9], &[1; 40]].concat();
        for cut in [with_end, with_junk] {
            assert!(refusal(&cut).starts_with("the JPEG is"), "cut to {keep}");
        }
    }
    // A part in the middle is missing.
    for at in [start + 100, (start + end) / 2] {
        let lost = [&jpeg[..at], &jpeg[at + 64..]].concat();
        assert!(refusal(&lost).starts_with("the JPEG is"));
    }
    // Some cameras write bytes after the end marker, or padding before it.
    assert!(read(&[&jpeg[..], &[9; 50]].concat()).is_ok());
    assert!(read(&[&jpeg[..end], &[0xFF; 5], &jpeg[end..]].concat()).is_ok());
}

#[test]
fn unsupported_kinds_of_jpeg_are_named() {
    let jpeg = encoded(&picture(), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    for (marker, name) in [(0xC3, "lossless"), (0xC9, "arithmetic"), (0xC5, "hierarchical")] {
        let mut other = jpeg.clone();
        other[frame + 1] = marker;
        assert!(refusal(&other).contains(name), "{marker:x}");
    }
    let mut deep = jpeg.clone();
    deep[frame + 4] = 12;
    assert!(refusal(&deep).contains("12"));
}

#[test]
fn a_png_needs_its_end_and_its_checksums() {
    let png = encoded(&picture(), ImageFormat::Png);
    let end = png_place(&png, b"IEND");
    assert!(refusal(&png[..end]).contains("IEND"));
    let mut damaged = png.clone();
    damaged[png_place(&png, b"IDAT") + 20] ^= 4;
    assert!(!refusal(&damaged).is_empty());
    assert!(read(&[&png[..], b"junk"].concat()).is_ok());
    // An animation: the default image and the number of frames.
    let control = png_chunk(b"acTL", &[0, 0, 0, 5, 0, 0, 0, 0]);
    let animated = read(&insert(&png, png_place(&png, b"IDAT"), &control)).unwrap();
    assert_eq!((animated.frames, animated.image), (5, read(&png).unwrap().image));
}

#[test]
fn a_truncated_gif_and_a_first_frame_smaller_than_the_canvas_are_refused() {
    let gif = encoded(&picture(), ImageFormat::Gif);
    assert_eq!(read(&gif).unwrap().frames, 1);
    assert!(!refusal(&gif[..gif.len() - 1]).is_empty());
    let mut larger = gif.clone();
    larger[6] += 1;
    assert!(!refusal(&larger).is_empty());
}

#[test]
fn run_lengths_of_a_bmp_must_cover_every_pixel() {
    let bmp = |runs: &[u8]| {
        let mut bytes = b"BM\0\0\0\0\0\0\0\0\x3e\0\0\0\x28\0\0\0\x04\0\0\0\x02\0\0\0\x01\0\x08\0\x01\0\0\0".to_vec();
        bytes.extend((runs.len() as u32).to_le_bytes());
        bytes.extend([0; 8]);
        // Two colours: black and white.
        bytes.extend([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 0]);
        bytes.extend(runs);
        bytes
    };
    let whole = read(&bmp(&[4, 1, 0, 0, 0, 4, 0, 1, 0, 1, 0, 0, 0, 1])).unwrap().image;
    let grey: Vec<u8> = whole.to_grey().pixels;
    assert_eq!(grey, [0, 255, 0, 255, 255, 255, 255, 255]);
    for runs in [
        &[4, 1, 0, 1][..],                           // a row is missing
        &[4, 1, 0, 0, 3, 1, 0, 0, 0, 1],             // a pixel is missing
        &[0, 2, 1, 0, 3, 1, 0, 0, 4, 1, 0, 0, 0, 1], // a jump skips a pixel
        &[4, 1, 0, 0, 0, 4, 0, 1],                   // truncated
        &[4, 1],
    ] {
        assert!(read(&bmp(runs)).is_err(), "{runs:?}");
    }
}

#[test]
fn a_truncated_webp_or_pnm_is_refused() {
    let webp = encoded(&picture(), ImageFormat::WebP);
    assert!(!refusal(&webp[..webp.len() - 2]).is_empty());
    let mut pnm = b"P6 2 2 255\n".to_vec();
    pnm.extend([7; 12]);
    assert_eq!(read(&pnm).unwrap().image.pixels, [7; 12]);
    assert!(read(&pnm[..pnm.len() - 1]).is_err());
}

#[test]
fn samples_of_every_type_use_the_stated_or_natural_range() {
    let deep: Vec<u8> = [0u16, 512, 1023].iter().flat_map(|value| value.to_le_bytes()).collect();
    let tiff = Tiff::new(3, 1, &deep).with(258, &[16]);
    let decoded = read(&tiff.bytes()).unwrap();
    assert_eq!(
        (decoded.raw.kind, decoded.raw.bits, decoded.raw.low, decoded.raw.high),
        (SampleKind::Unsigned, 16, 0.0, 1023.0)
    );
    assert_eq!(decoded.image.pixels, [0, 2, 4]);
    assert_eq!(read_with(&tiff.bytes(), 0.0, 1023.0).unwrap().image.pixels, [0, 128, 255]);
    // WhiteIsZero inverts the values.
    let inverted = Tiff::new(3, 1, &deep).with(258, &[16]).with(262, &[0]).bytes();
    assert_eq!(read_with(&inverted, 0.0, 1023.0).unwrap().image.pixels, [255, 127, 0]);

    let signed: Vec<u8> = [-1000i16, 0, 1000].iter().flat_map(|value| value.to_le_bytes()).collect();
    let tiff = Tiff::new(3, 1, &signed).with(258, &[16]).with(339, &[2]).bytes();
    let reason = refusal(&tiff);
    assert!(["16", "-1000", "1000"].iter().all(|part| reason.contains(part)) && reason.contains("--range"), "{reason}");
    assert_eq!(read_with(&tiff, -1000.0, 1000.0).unwrap().image.pixels, [0, 128, 255]);

    let float = |values: [f32; 3]| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tiff::new(3, 1, &bytes).with(258, &[32]).with(339, &[3]).bytes()
    };
    assert_eq!(read(&float([0.0, 0.5, 1.0])).unwrap().image.pixels, [0, 128, 255]);
    assert!(refusal(&float([0.0, 100.0, 255.0])).contains("255"));
    assert_eq!(read_with(&float([0.0, 100.0, 255.0]), 0.0, 255.0).unwrap().image.pixels, [0, 100, 255]);
    assert!(!refusal(&float([0.0, f32::NAN, 1.0])).is_empty());
    // A range does not change 8-bit samples.
    assert_eq!(read_with(&Tiff::new(3, 1, &[0, 9, 255]).bytes(), 0.0, 9.0).unwrap().image.pixels, [0, 9, 255]);
}

#[test]
fn only_deep_images_are_refused_without_a_required_range() {
    let options = DecodeOptions { needs_range: true, ..DecodeOptions::default() };
    let deep = Tiff::new(2, 1, &[0, 0, 255, 3]).with(258, &[16]).bytes();
    let flat = Tiff::new(2, 1, &[0, 255]).bytes();
    let error = decode::decode(&deep, "deep.tif", &options).unwrap_err().to_string();
    assert!(error.contains("deep.tif") && error.contains("--range"), "{error}");
    assert!(decode::decode(&flat, "flat.tif", &options).is_ok());
    let stated = DecodeOptions { range: ValueRange::new(0.0, 1023.0).ok(), ..options };
    assert_eq!(decode::decode(&deep, "deep.tif", &stated).unwrap().image.pixels, [0, 255]);
}

#[test]
fn tiff_tags_that_change_samples_are_applied_or_refused_by_name() {
    let plain = || Tiff::new(4, 2, &[1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(read(&plain().bytes()).unwrap().image.pixels, [1, 2, 3, 4, 5, 6, 7, 8]);
    let reversed = Tiff::new(4, 2, &[1, 2, 3, 4, 5, 6, 7, 8u8].map(u8::reverse_bits)).with(266, &[2]).bytes();
    assert_eq!(read(&reversed).unwrap().image, read(&plain().bytes()).unwrap().image);
    // 64-bit offsets.
    assert_eq!(read(&plain().big().bytes()).unwrap().image, read(&plain().bytes()).unwrap().image);
    for (tag, values, name) in [
        (262, &[4][..], "mask"),
        (262, &[6], "YCbCr"),
        (262, &[8], "Lab"),
        (262, &[32_803], "colour filter"),
        (259, &[6], "old-style JPEG"),
        (259, &[34_925], "LZMA"),
        (259, &[50_000], "Zstandard"),
        (266, &[3], "FillOrder"),
        (284, &[3], "PlanarConfiguration"),
        (339, &[5], "complex"),
        (258, &[7], "truncated"),
        (277, &[4], "4 samples"),
        (279, &[7], "truncated"),
        (279, &[5000], "truncated"),
        (278, &[1], "expected 2"),
        (254, &[1], "reduced"),
        (256, &[0], "0×2"),
    ] {
        let bytes = plain().with(tag, values).bytes();
        let found = if name == "truncated" && tag == 258 {
            read(&bytes).map_or_else(|e| e.to_string(), |_| "truncated".into())
        } else {
            refusal(&bytes)
        };
        assert!(found.contains(name), "tag {tag} {values:?}: {found}");
    }
}

#[test]
fn planar_tiles_are_read() {
    // Three planes of two tiles of 16 × 16; 4 columns of the second tile are inside the image.
    let tile = |value: u8| [value; 256];
    let tiles: Vec<u8> = [10, 11, 20, 21, 30, 31].into_iter().flat_map(tile).collect();
    let bytes = Tiff::new(20, 16, &tiles)
        .with(258, &[8, 8, 8])
        .with(262, &[2])
        .with(277, &[3])
        .with(284, &[2])
        .tiled(16, 16, 6)
        .bytes();
    let Image { width, height, channels, pixels } = read(&bytes).unwrap().image;
    assert_eq!((width, height, channels), (20, 16, 3));
    let pixel = |x: usize| &pixels[3 * (5 * 20 + x)..3 * (5 * 20 + x) + 3];
    assert_eq!(
        (pixel(0), pixel(15), pixel(16), pixel(19)),
        (&[10, 20, 30][..], &[10, 20, 30][..], &[11, 21, 31][..], &[11, 21, 31][..])
    );
}

#[test]
fn palette_colours_are_read() {
    let map: Vec<u32> =
        (0..3).flat_map(|channel| (0..256).map(move |index| 257 * ((index * (channel + 1)) % 256))).collect();
    let bytes = Tiff::new(3, 1, &[0, 100, 200]).with(262, &[3]).with(320, &map).bytes();
    assert_eq!(read(&bytes).unwrap().image.pixels, [0, 0, 0, 100, 200, 44, 200, 144, 88]);
    assert!(refusal(&Tiff::new(1, 1, &[0]).with(262, &[3]).bytes()).contains("ColorMap"));
}

#[test]
fn the_first_full_page_is_read_and_pages_are_counted() {
    let thumbnail = Tiff::new(1, 1, &[9]).with(254, &[1]);
    let decoded = read(&thumbnail.followed_by(&Tiff::new(2, 1, &[1, 2])).bytes()).unwrap();
    assert_eq!((decoded.frames, decoded.image.pixels), (2, vec![1, 2]));
}

#[test]
fn an_image_that_takes_too_much_memory_is_refused_before_it_is_decoded() {
    // 8,000 × 8,000 pixels in 16-bit colour and alpha, without any data.
    let mut header = vec![];
    header.extend(8_000u32.to_be_bytes());
    header.extend(8_000u32.to_be_bytes());
    header.extend([16, 6, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.extend(png_chunk(b"IHDR", &header));
    png.extend(png_chunk(b"IDAT", &[]));
    png.extend(png_chunk(b"IEND", &[]));
    assert!(refusal(&png).contains("402653184"));
    // A progressive JPEG holds all its coefficients.
    let mut jpeg = encoded(&picture(), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 1] = 0xC2;
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x1F, 0x40, 0x1F, 0x40]);
    assert!(refusal(&jpeg).contains("402653184"));
    // A tile of 16 million rows.
    let tiff = Tiff::new(20, 16, &[0; 64]).tiled(1 << 12, 1 << 24, 1).bytes();
    assert!(refusal(&tiff).contains("402653184"));
}

#[test]
fn files_that_are_not_images_are_named() {
    assert!(refusal(b"").contains("empty"));
    assert!(refusal(b"some text").contains("JPEG"));
    assert!(refusal(b"\0\0\0\x18ftypheic").contains("HEIC"));
}

#[cfg(feature = "dicom")]
mod dicom_files {
    use macula::data::decode::{FrameChoice, WindowChoice};

    use super::dicom::{DEFLATED, Dicom, EXPLICIT, IMPLICIT, bomb, file, header, item};
    use super::*;

    const FRAMES: u32 = 0x0028_0008;
    const PIXELS: u32 = 0x7FE0_0010;

    /// 12-bit samples in 16 bits, 8 × 6.
    fn grey() -> Dicom {
        let samples: Vec<u16> = (0..48).map(|index| index * 85).collect();
        Dicom::grey(8, 6, &samples).short(0x0028_0101, 12).short(0x0028_0102, 11)
    }

    fn pixels(file: &Dicom, options: &DecodeOptions) -> Vec<u8> {
        decode::decode(&file.bytes(), "test.dcm", options).unwrap().image.pixels
    }

    #[test]
    fn values_are_rescaled_and_windowed_in_every_syntax() {
        let rescaled = grey().text(0x0028_1052, b"DS", "-1024").text(0x0028_1053, b"DS", "2");
        let windowed = rescaled.clone().text(0x0028_1050, b"DS", "1000\\40").text(0x0028_1051, b"DS", "2001\\80");
        let expected: Vec<u8> = (0..48)
            .map(|index| 2.0 * f64::from(index) * 85.0 - 1024.0)
            .map(|value| (((value - 999.5) / 2000.0 + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8)
            .collect();
        for syntax in [IMPLICIT, EXPLICIT, DEFLATED] {
            let decoded = read(&windowed.clone().in_syntax(syntax).bytes()).unwrap();
            assert_eq!((decoded.image.width, decoded.image.height, decoded.image.channels), (8, 6, 1));
            assert_eq!(decoded.image.pixels, expected, "{syntax}");
            assert_eq!((decoded.raw.low, decoded.raw.high, decoded.raw.kind), (-1024.0, 6966.0, SampleKind::Signed));
        }
        let range = ValueRange::new(-1024.0, 6966.0).ok();
        let stated = pixels(&windowed, &DecodeOptions { range, ..DecodeOptions::default() });
        assert_eq!((stated[0], stated[47]), (0, 255));
        // Of 48 values, the percentiles are the smallest and the largest.
        let percentile = DecodeOptions { window: WindowChoice::Percentile, ..DecodeOptions::default() };
        assert_eq!(pixels(&windowed, &percentile), stated);
        assert_eq!(pixels(&rescaled, &DecodeOptions::default()), stated);
        let inverted = rescaled.text(0x0028_0004, b"CS", "MONOCHROME1");
        assert_eq!(
            pixels(&inverted, &DecodeOptions::default()),
            stated.iter().map(|byte| 255 - byte).collect::<Vec<_>>()
        );
        let unknown = DecodeOptions { needs_range: true, ..DecodeOptions::default() };
        assert!(decode::decode(&windowed.bytes(), "test.dcm", &unknown).unwrap_err().to_string().contains("--range"));
    }

    #[test]
    fn a_frame_is_chosen_by_number() {
        let samples: Vec<u16> = (0..15).map(|index| index * 1_000).collect();
        let file = Dicom::grey(5, 1, &samples).text(FRAMES, b"IS", "3");
        let of =
            |frame| decode::decode(&file.bytes(), "test.dcm", &DecodeOptions { frame, ..DecodeOptions::default() });
        let ends = |frame| {
            let decoded = of(frame).unwrap();
            (decoded.raw.low, decoded.raw.high, decoded.frames)
        };
        assert_eq!(ends(FrameChoice::First), (0.0, 4_000.0, 3));
        assert_eq!(ends(FrameChoice::Middle), (5_000.0, 9_000.0, 1));
        assert_eq!(ends(FrameChoice::Number(2)), (10_000.0, 14_000.0, 1));
        let error = of(FrameChoice::Number(3)).unwrap_err().to_string();
        assert!(error.contains("no frame 3") && error.contains("0 to 2"), "{error}");
    }

    #[test]
    fn a_truncated_file_is_refused_at_every_byte() {
        for syntax in [IMPLICIT, EXPLICIT, DEFLATED] {
            let bytes = grey().in_syntax(syntax).bytes();
            assert!(read(&bytes).is_ok());
            for keep in 0..bytes.len() {
                match read(&bytes[..keep]) {
                    Err(_) => {}
                    // Only the end of the compression is missing.
                    Ok(found) if syntax == DEFLATED => assert_eq!(found, read(&bytes).unwrap()),
                    Ok(_) => panic!("{syntax} cut to {keep} of {} bytes is read", bytes.len()),
                }
            }
        }
        // Three runs: 2 and 2 literal bytes, then 4 equal ones, for each byte of four 16-bit samples.
        let segment = |bytes: &[u8; 4]| [&[3][..], bytes].concat();
        let mut rle = vec![2, 0, 0, 0, 64, 0, 0, 0, 70, 0, 0, 0];
        rle.resize(64, 0);
        rle.extend(segment(&[1, 2, 3, 4]));
        rle.push(0x80);
        rle.extend([253, 7]);
        let packed = |rle: &[u8]| Dicom::grey(4, 1, &[]).compressed("1.2.840.10008.1.2.5", &[rle]).bytes();
        let decoded = read(&packed(&rle)).unwrap();
        assert_eq!((decoded.raw.low, decoded.raw.high), (263.0, 1031.0));
        for keep in 0..rle.len() - 1 {
            assert!(read(&packed(&rle[..keep])).is_err(), "RLE cut to {keep} bytes");
        }
    }

    #[test]
    fn impossible_headers_are_refused_with_tag_value_and_limit() {
        let cases: [(Dicom, &[&str]); 14] = [
            (grey().text(FRAMES, b"IS", "0"), &["(0028,0008) NumberOfFrames is 0", "at least 1"]),
            (grey().text(FRAMES, b"IS", "many"), &["(0028,0008) NumberOfFrames"]),
            (grey().text(FRAMES, b"IS", "4000000000"), &["(7FE0,0010) PixelData is 96 bytes long", "384000000000"]),
            (grey().short(0x0028_0010, 7), &["(7FE0,0010) PixelData is 96 bytes long", "expected 112"]),
            (grey().short(0x0028_0010, 0), &["8×0"]),
            (grey().without(0x0028_0011), &["no (0028,0011) Columns"]),
            (grey().short(0x0028_0100, 12), &["(0028,0100) BitsAllocated is 12", "1, 8, 16 or 32"]),
            (grey().short(0x0028_0101, 17), &["(0028,0101) BitsStored is 17", "1 to 16"]),
            (grey().short(0x0028_0102, 3), &["(0028,0102) HighBit is 3", "11 to 15"]),
            (grey().short(0x0028_0103, 2), &["(0028,0103) PixelRepresentation is 2"]),
            (grey().short(0x0028_0002, 3), &["(0028,0002) SamplesPerPixel is 3", "expected 1"]),
            (grey().text(0x0028_0004, b"CS", "CMYK"), &["(0028,0004) PhotometricInterpretation CMYK"]),
            (grey().text(0x0028_1053, b"DS", "0"), &["(0028,1053) RescaleSlope is 0"]),
            (grey().text(0x0028_1050, b"DS", "1").text(0x0028_1051, b"DS", "0.5"), &["(0028,1051) WindowWidth is 0.5"]),
        ];
        for (file, parts) in cases {
            let reason = refusal(&file.bytes());
            parts.iter().for_each(|part| assert!(reason.contains(part), "no {part:?} in {reason}"));
        }
        let huge = grey().short(0x0028_0010, 65_535).short(0x0028_0011, 65_535);
        assert!(matches!(read(&huge.bytes()), Err(DataError::TooLarge { width: 65_535, .. })));
        let no_pixels = refusal(&grey().without(PIXELS).bytes());
        assert!(no_pixels.contains("no (7FE0,0010) PixelData"), "{no_pixels}");
        let other = refusal(&grey().in_syntax("1.2.840.10008.1.2.4.102").bytes());
        assert!(other.contains("1.2.840.10008.1.2.4.102 (MPEG-4 AVC) is not supported"), "{other}");
    }

    #[test]
    fn hostile_lengths_allocate_nothing() {
        // A value, a sequence and a fragment that claim more bytes than the file has.
        let long = |kind| [header(0x0008_0000, kind, 0xFFFF_FFF0, true), vec![0; 40]].concat();
        for kind in [b"OB", b"SQ", b"UN"] {
            let reason = refusal(&file(EXPLICIT, &long(kind)));
            assert!(reason.contains("truncated or damaged"), "{reason}");
        }
        let fragment = [grey().without(PIXELS).data_set(), header(PIXELS, b"OB", u32::MAX, true)].concat();
        let fragment = [fragment, item(&[]), vec![0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0x7F, 1]].concat();
        assert!(refusal(&file("1.2.840.10008.1.2.5", &fragment)).contains("a fragment"));
        // Sequences within sequences.
        let nested: Vec<u8> = (0..100_000)
            .flat_map(|_| {
                [header(0x0008_0001, b"SQ", u32::MAX, true), vec![0xFE, 0xFF, 0x00, 0xE0, 255, 255, 255, 255]]
            })
            .flatten()
            .collect();
        assert!(refusal(&file(EXPLICIT, &nested)).contains("deeper than 32"));
        // The whole file in one deflated value of zeros.
        let bomb = bomb(210 << 20);
        assert!(bomb.len() < 4 << 20);
        assert!(refusal(&bomb).contains("201326592 bytes, which is the limit"));
    }

    #[test]
    fn sequences_of_known_and_unknown_length_are_passed_over() {
        let element = [header(0x0010_0020, b"LO", 4, true), b"ABCD".to_vec()].concat();
        let (end_item, end) = ([0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0], [0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
        let open_item = [&[0xFE, 0xFF, 0x00, 0xE0, 255, 255, 255, 255][..], &element, &end_item].concat();
        let known = item(&element);
        let unknown =
            [header(0x0008_1110, b"SQ", u32::MAX, true), open_item.clone(), known.clone(), end.to_vec()].concat();
        let known =
            [header(0x0008_1115, b"SQ", (known.len() + open_item.len()) as u32, true), open_item, known].concat();
        // A sequence of unknown type is implicit.
        let implicit = [header(0x0010_0020, b"LO", 4, false), b"ABCD".to_vec()].concat();
        let private = [header(0x0009_1001, b"UN", u32::MAX, true), item(&implicit), end.to_vec()].concat();
        let bytes = file(EXPLICIT, &[unknown, known, private, grey().data_set()].concat());
        assert_eq!(read(&bytes).unwrap().image.pixels, pixels(&grey(), &DecodeOptions::default()));
    }
}
