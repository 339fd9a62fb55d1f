//! Host and device prepare the same pixels from the same real image.

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma};
use macula::data::{self, Image, Preprocessing};
use macula_edge::image::{Crop, Recipe, Resizer, Shape};

mod common;

const IMAGES_EACH: usize = 50;

/// As on a device that never holds the whole image: row by row, in about 13 KiB.
fn row_by_row(image: &Image, target: Shape) -> Vec<u8> {
    let source = Shape::new(image.width, image.height, image.channels).unwrap();
    let mut scratch = vec![u32::MAX; Recipe::scratch_len(target, image.width)];
    let mut output = vec![0; target.pixels_len()];
    let mut resizer = Resizer::new(source, Recipe { target, crop: Crop::Whole }, &mut scratch, &mut output).unwrap();
    image.pixels.chunks(source.row_len()).for_each(|row| resizer.push_row(row).unwrap());
    assert!(resizer.is_complete());
    output
}

/// The image crate's resize of the same grey pixels.
fn oracle(image: &Image, target: Shape) -> Vec<u8> {
    let grey = image.to_grey();
    let buffer = ImageBuffer::<Luma<u8>, _>::from_raw(grey.width as u32, grey.height as u32, grey.pixels).unwrap();
    imageops::resize(&buffer, target.width() as u32, target.height() as u32, FilterType::Triangle).into_raw()
}

#[test]
fn host_and_device_prepare_the_same_pixels() {
    let Some(root) = common::data_or_skip("device pixels on kermany-cxr and busi") else {
        return;
    };
    let (mut compared, mut values, mut differing) = (0, 0, 0);
    for path in ["kermany-cxr/kermany-3class.csv", "busi/busi-malignant.csv"] {
        let dataset = data::open(&root.join(path)).unwrap();
        for pick in 0..IMAGES_EACH {
            let image = dataset.load(pick * dataset.len() / IMAGES_EACH).unwrap();
            for (channels, side) in [(1, 28), (3, 32), (1, 64)] {
                let recipe = Preprocessing::unit(channels, side, side);
                let (host, target) = (recipe.to_pixels(&image).pixels, recipe.shape().unwrap());
                assert_eq!(row_by_row(&image, target), host, "{path}, image {pick}, side {side}");
                if channels == 1 {
                    for (host, oracle) in host.iter().zip(oracle(&image, target)) {
                        assert!(host.abs_diff(oracle) <= 1, "{path}, image {pick}: {host}, image crate {oracle}");
                        (values, differing) = (values + 1, differing + usize::from(*host != oracle));
                    }
                }
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 2 * IMAGES_EACH);
    assert!(differing * 20 < values, "{differing} of {values} values differ from the image crate");
}
