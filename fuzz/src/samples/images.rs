//! Image files of every format that can be encoded.

use std::io::Cursor;

use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, Rgb};

/// A grey gradient of this size as PNG.
///
/// # Panics
/// If the image cannot be encoded; small images always can.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    encoded(&DynamicImage::ImageLuma8(gradient(width, height)), ImageFormat::Png)
}

fn gradient(width: u32, height: u32) -> ImageBuffer<Luma<u8>, Vec<u8>> {
    ImageBuffer::from_fn(width, height, |x, y| Luma([(x * 29 + y * 13) as u8]))
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("a small image can be encoded");
    bytes.into_inner()
}

/// Images of every format, depth and number of channels that can be encoded, by name.
pub fn images() -> Vec<(String, Vec<u8>)> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff};
    let grey = DynamicImage::ImageLuma8(gradient(9, 7));
    let colour = DynamicImage::ImageRgb8(ImageBuffer::from_fn(6, 5, |x, y| Rgb([x as u8 * 40, y as u8 * 50, 99])));
    let deep = DynamicImage::ImageLuma16(ImageBuffer::from_fn(5, 4, |x, y| Luma([(x * 900 + y * 11) as u16])));
    let float =
        DynamicImage::ImageRgb32F(ImageBuffer::from_fn(3, 2, |x, y| Rgb([x as f32 / 4.0, y as f32 / 4.0, 0.5])));
    let mut images = Vec::new();
    for (name, image) in [("grey", &grey), ("colour", &colour), ("alpha", &DynamicImage::ImageRgba8(colour.to_rgba8()))]
    {
        for format in [Png, Jpeg, Tiff, Bmp, Gif] {
            // JPEG has no alpha, GIF no grey.
            let known = !matches!((name, format), ("alpha", Jpeg) | ("grey", Gif));
            if known {
                images.push((format!("{name}-{format:?}").to_lowercase(), encoded(image, format)));
            }
        }
    }
    images.push(("deep-png".into(), encoded(&deep, Png)));
    images.push(("deep-tiff".into(), encoded(&deep, Tiff)));
    images.push(("float-tiff".into(), encoded(&float, Tiff)));
    images.push(("palette-gif".into(), encoded(&colour, Gif)));
    images.push(("turned-jpeg".into(), turned(&encoded(&colour, Jpeg), 6)));
    images
}

/// A JPEG with an EXIF orientation after its first marker.
fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xFF, 0xE1]);
    bytes.extend((exif.len() as u16 + 2).to_be_bytes());
    bytes.extend(exif);
    bytes.extend(&jpeg[2..]);
    bytes
}

/// Inputs of the target `resize`: smaller, larger, cropped, from and to each number of channels.
pub fn resizes() -> [(&'static str, Vec<u8>); 6] {
    // Width (2 bytes), height (1) of source and target, flags, rectangle of four 16-bit numbers, pixels.
    let pixels: Vec<u8> = (0..64).map(|index: u8| index.wrapping_mul(41)).collect();
    let input = |sizes: [u8; 4], flags: u8, rectangle: [u8; 4]| {
        let [width, height, target_width, target_height] = sizes;
        let mut bytes = vec![width, 0, height, target_width, 0, target_height, flags];
        rectangle.iter().for_each(|&number| bytes.extend([number, 0]));
        bytes.extend(&pixels);
        bytes
    };
    [
        ("shrunken", input([40, 30, 8, 8], 0, [0; 4])),
        ("enlarged", input([5, 7, 64, 48], 3, [0; 4])),
        ("to-grey", input([64, 9, 28, 28], 1, [0; 4])),
        ("to-colour", input([9, 64, 28, 28], 2, [0; 4])),
        ("square", input([33, 20, 16, 16], 0b1000, [0; 4])),
        ("rectangle", input([30, 30, 12, 9], 0b1111, [3, 4, 20, 21])),
    ]
}
