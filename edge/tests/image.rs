//! Image preparation compared with Pillow and with the definition of the filter, and run on random inputs.

mod common;

use common::Xorshift;
use macula_edge::image::{Crop, ImageError, RawImage, Recipe, Rectangle, Resizer, SIDE_MAX, Shape, luma, to_pixels};

fn shape(width: usize, height: usize, channels: usize) -> Shape {
    Shape::new(width, height, channels).unwrap()
}

fn noise(shape: Shape, generator: &mut Xorshift) -> Vec<u8> {
    // Every other value is 0 or 255, to expose sums that overflow or become negative.
    let value = |bits: u64| if bits & 1 == 0 { (bits >> 8) as u8 } else { ((bits >> 1 & 1) * 255) as u8 };
    (0..shape.pixels_len()).map(|_| value(generator.bits() >> 20)).collect()
}

fn prepared(source: Shape, pixels: &[u8], recipe: Recipe) -> Vec<u8> {
    let image = RawImage::new(source.width(), source.height(), source.channels(), pixels).unwrap();
    // Not 0, to expose a sum that starts from the content of the memory.
    let mut scratch = vec![u32::MAX; Recipe::scratch_len(recipe.target, source.width())];
    let mut output = vec![0; recipe.target.pixels_len()];
    to_pixels(&image, recipe, &mut scratch, &mut output).unwrap();
    output
}

fn whole(target: Shape) -> Recipe {
    Recipe { target, crop: Crop::Whole }
}

/// Weights of one axis by the definition of the filter, in f64: `max(0, 1 - |distance| / support)`, normalised.
fn weights_by_definition(source: usize, target: usize) -> Vec<Vec<f64>> {
    let scale = source as f64 / target as f64;
    let weight =
        |o: usize, i: usize| (1.0 - ((i as f64 + 0.5) - (o as f64 + 0.5) * scale).abs() / scale.max(1.0)).max(0.0);
    (0..target)
        .map(|o| {
            let row: Vec<f64> = (0..source).map(|i| weight(o, i)).collect();
            let total: f64 = row.iter().sum();
            row.iter().map(|weight| weight / total).collect()
        })
        .collect()
}

/// One channel resized by the definition, without rounding.
fn resized_by_definition(width: usize, height: usize, pixels: &[f64], target: Shape) -> Vec<f64> {
    let (across, down) = (weights_by_definition(width, target.width()), weights_by_definition(height, target.height()));
    let dot = |weights: &[f64], values: &mut dyn Iterator<Item = f64>| -> f64 {
        weights.iter().zip(values).map(|(weight, value)| weight * value).sum()
    };
    let resized_rows: Vec<Vec<f64>> = pixels
        .chunks_exact(width)
        .map(|row| across.iter().map(|weights| dot(weights, &mut row.iter().copied())).collect())
        .collect();
    let columns = 0..target.width();
    down.iter()
        .flat_map(|weights| {
            columns.clone().map(|x| dot(weights, &mut resized_rows.iter().map(|row| row[x]))).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn pixels_equal_pillow_within_one_grey_level() {
    let mut rest: &[u8] = include_bytes!("vectors/pillow.bin");
    let (mut cases, mut values, mut differing) = (0, 0, 0);
    while !rest.is_empty() {
        let size = |i: usize| usize::from(u16::from_le_bytes([rest[2 * i], rest[2 * i + 1]]));
        let (source, target) = (shape(size(0), size(1), size(2)), shape(size(3), size(4), size(5)));
        let (pixels, others) = rest[12..].split_at(source.pixels_len());
        let (expected, others) = others.split_at(target.pixels_len());
        let found = prepared(source, pixels, whole(target));
        for (found, expected) in found.iter().zip(expected) {
            // Pillow rounds to 8 bits between its two passes, too, which changes a value by at most 1.
            assert!(found.abs_diff(*expected) <= 1, "{source:?} to {target:?}: {found} for {expected}");
            differing += usize::from(found != expected);
        }
        (cases, values, rest) = (cases + 1, values + expected.len(), others);
    }
    assert_eq!(cases, 10);
    assert!(differing * 4 < values, "{differing} of {values} differ");
}

/// The final rounding is half a grey level; the rest is the rounding of weights and rows.
#[test]
fn pixels_equal_the_definition_up_to_rounding() {
    let mut generator = Xorshift(7);
    let sizes = [(1, 1), (1, 9), (9, 1), (2, 3), (3, 2), (28, 28), (100, 7), (7, 100), (61, 64), (64, 61), (2000, 5)];
    let mut largest = 0.0f64;
    for (width, target_width) in sizes {
        for (height, target_height) in [(1, 4), (17, 6), (6, 17), (12, 12)] {
            let (source, target) = (shape(width, height, 1), shape(target_width, target_height, 1));
            let pixels = noise(source, &mut generator);
            let exact: Vec<f64> = pixels.iter().copied().map(f64::from).collect();
            let exact = resized_by_definition(width, height, &exact, target);
            for (found, exact) in prepared(source, &pixels, whole(target)).into_iter().zip(exact) {
                largest = largest.max((f64::from(found) - exact).abs());
            }
        }
    }
    assert!(largest < 0.55, "{largest} grey levels off");
}

#[test]
fn an_image_of_the_target_size_is_unchanged() {
    let mut generator = Xorshift(11);
    for size in [shape(1, 1, 1), shape(28, 28, 1), shape(32, 20, 3), shape(3000, 2, 1)] {
        let pixels = noise(size, &mut generator);
        assert_eq!(prepared(size, &pixels, whole(size)), pixels);
    }
}

#[test]
fn grey_is_converted_before_resizing_and_colour_repeats_grey() {
    let mut generator = Xorshift(13);
    for (width, height) in [(8, 6), (20, 30), (9, 9), (5, 25)] {
        let colour = noise(shape(20, 15, 3), &mut generator);
        let grey: Vec<u8> = colour.chunks_exact(3).map(|rgb| luma(rgb[0], rgb[1], rgb[2])).collect();
        let from_grey = prepared(shape(20, 15, 1), &grey, whole(shape(width, height, 1)));
        assert_eq!(prepared(shape(20, 15, 3), &colour, whole(shape(width, height, 1))), from_grey);
        let repeated: Vec<u8> = from_grey.iter().flat_map(|&value| [value; 3]).collect();
        assert_eq!(prepared(shape(20, 15, 1), &grey, whole(shape(width, height, 3))), repeated);
        // The channels of a colour image are resized independently.
        let resized = prepared(shape(20, 15, 3), &colour, whole(shape(width, height, 3)));
        for channel in 0..3 {
            let one: Vec<u8> = colour.iter().skip(channel).step_by(3).copied().collect();
            let expected = prepared(shape(20, 15, 1), &one, whole(shape(width, height, 1)));
            assert!(resized.iter().skip(channel).step_by(3).eq(&expected), "channel {channel}");
        }
    }
}

/// Copies a part of an image, pixel by pixel.
fn cut(source: Shape, pixels: &[u8], part: Rectangle) -> Vec<u8> {
    let channels = source.channels();
    (part.top..part.top + part.height)
        .flat_map(|y| &pixels[y * source.row_len()..][part.left * channels..][..part.width * channels])
        .copied()
        .collect()
}

#[test]
fn a_crop_equals_the_cut_image() {
    let mut generator = Xorshift(17);
    let parts = [(0, 0, 1, 1), (5, 2, 9, 11), (29, 19, 1, 1), (0, 0, 30, 20), (20, 0, 10, 20), (3, 19, 20, 1)];
    for channels in [1, 3] {
        let (source, target) = (shape(30, 20, channels), shape(8, 12, 1));
        let pixels = noise(source, &mut generator);
        for (left, top, width, height) in parts {
            let part = Rectangle { left, top, width, height };
            let expected = prepared(shape(width, height, channels), &cut(source, &pixels, part), whole(target));
            assert_eq!(prepared(source, &pixels, Recipe { target, crop: Crop::Rectangle(part) }), expected, "{part:?}");
        }
    }
    let middle = |width, height| Crop::CentreSquare.of(shape(width, height, 1)).unwrap();
    assert_eq!(middle(30, 20), Rectangle { left: 5, top: 0, width: 20, height: 20 });
    assert_eq!(middle(4, 7), Rectangle { left: 0, top: 1, width: 4, height: 4 });
}

#[test]
fn invalid_sizes_are_errors() {
    let side = |what, found| Err(ImageError::Side { what, found });
    assert_eq!(Shape::new(0, 4, 1), side("width", 0));
    assert_eq!(Shape::new(4, SIDE_MAX + 1, 1), side("height", SIDE_MAX + 1));
    assert_eq!(Shape::new(4, 4, 2), Err(ImageError::Channels { found: 2 }));
    assert_eq!(Shape::new(SIDE_MAX, SIDE_MAX, 3).is_ok(), usize::BITS == 64);
    assert!(Shape::new(SIDE_MAX, 1, 3).is_ok());
    let short = RawImage::new(2, 2, 3, &[0; 11]).unwrap_err();
    assert_eq!(short, ImageError::Length { what: "pixels", found: 11, expected: 12 });

    let (source, target) = (shape(4, 3, 1), shape(2, 2, 1));
    for (left, top, width, height) in [(0, 0, 5, 1), (4, 0, 1, 1), (0, 3, 1, 1), (1, 1, 0, 1), (usize::MAX, 0, 1, 1)] {
        let part = Rectangle { left, top, width, height };
        let found = Crop::Rectangle(part).of(source);
        assert_eq!(found, Err(ImageError::Crop { part, width: 4, height: 3 }));
    }

    let needed = Recipe::scratch_len(target, 4);
    let (mut scratch, mut output) = (vec![0; needed], [9; 4]);
    let short = Resizer::new(source, whole(target), &mut scratch[1..], &mut output).unwrap_err();
    assert_eq!(short, ImageError::Scratch { found: needed - 1, needed });
    let short = Resizer::new(source, whole(target), &mut scratch, &mut output[1..]).unwrap_err();
    assert_eq!(short, ImageError::Length { what: "output", found: 3, expected: 4 });
    assert_eq!(output, [9; 4], "an error writes nothing");

    let mut resizer = Resizer::new(source, whole(target), &mut scratch, &mut output).unwrap();
    assert_eq!(resizer.push_row(&[0; 3]), Err(ImageError::Length { what: "row", found: 3, expected: 4 }));
    for _ in 0..3 {
        assert!(!resizer.is_complete());
        resizer.push_row(&[200; 4]).unwrap();
    }
    assert!(resizer.is_complete());
    assert_eq!(resizer.push_row(&[0; 4]), Err(ImageError::TooManyRows { limit: 3 }));
    assert_eq!(output, [200; 4], "an error changes nothing");
}

/// A random side length, mostly small, sometimes long, with at most 40,000 pixels for the image.
fn side(generator: &mut Xorshift, other: usize) -> usize {
    let bits = generator.bits() >> 16;
    let limit = (40_000 / other).min(SIDE_MAX);
    1 + (bits >> 8) as usize % if bits.is_multiple_of(4) { limit } else { limit.min(24) }
}

/// Random sizes, crops and content: no panic, and every value lies in the range of the source.
#[test]
fn random_images_stay_in_the_range_of_the_source() {
    let mut generator = Xorshift(0xD1B5_4A32_D192_ED03);
    let mut longest = 0;
    for case in 0..3_000 {
        let bits = generator.bits();
        let channels = |bit: u32| if bits >> (30 + bit) & 1 == 0 { 1 } else { 3 };
        let width = side(&mut generator, 1);
        let source = shape(width, side(&mut generator, width), channels(0));
        // Every source row is resized to the target width, so long sides in both would take minutes.
        let target_width = side(&mut generator, source.height());
        let target = shape(target_width, side(&mut generator, target_width), channels(1));
        let mut below = |limit: usize| (generator.bits() >> 16) as usize % limit;
        let (left, top) = (below(source.width()), below(source.height()));
        let (columns, rows) = (1 + below(source.width() - left), 1 + below(source.height() - top));
        let part = Rectangle { left, top, width: columns, height: rows };
        let crop = [Crop::Whole, Crop::CentreSquare, Crop::Rectangle(part)][case % 3];
        // A narrow range of values exposes small errors of a sum.
        let (base, range) = (below(256), 1 + below(256));
        let pixels: Vec<u8> = (0..source.pixels_len()).map(|_| (base + below(range)).min(255) as u8).collect();

        let output = prepared(source, &pixels, Recipe { target, crop });
        let used = cut(source, &pixels, crop.of(source).unwrap());
        let (least, most) = (used.iter().min().unwrap(), used.iter().max().unwrap());
        for value in &output {
            assert!((least..=most).contains(&value), "case {case}: {source:?} to {target:?}: {value}");
        }
        longest = longest.max(source.width()).max(target.height());
    }
    assert!(longest > 30_000, "{longest}");
}

/// The longest sides, in every direction.
#[test]
fn one_pixel_and_the_longest_side() {
    for (from, to) in
        [((SIDE_MAX, 1), (1, 3)), ((1, SIDE_MAX), (3, 1)), ((1, 2), (1, SIDE_MAX)), ((2, 1), (SIDE_MAX, 1))]
    {
        let (source, target) = (shape(from.0, from.1, 1), shape(to.0, to.1, 1));
        assert_eq!(prepared(source, &vec![255; source.pixels_len()], whole(target)), vec![255; target.pixels_len()]);
    }
    // Half black, half bright gives the mean; two pixels give a ramp.
    let pixels: Vec<u8> = (0..SIDE_MAX).map(|i| if i <= SIDE_MAX / 2 { 0 } else { 200 }).collect();
    assert_eq!(prepared(shape(SIDE_MAX, 1, 1), &pixels, whole(shape(1, 1, 1))), [100]);
    let ramp = prepared(shape(2, 1, 1), &[0, 255], whole(shape(SIDE_MAX, 1, 1)));
    assert!(ramp.is_sorted() && ramp[0] == 0 && ramp[SIDE_MAX / 2] == 128 && ramp[SIDE_MAX - 1] == 255);
}
