//! Crop, channels and size of raw images, with the code of the device.
//!
//! | bytes | field                                                      |
//! |------:|------------------------------------------------------------|
//! |     6 | source width and height, target width and height (see code) |
//! |     1 | flags: channels of source and target, kind of crop          |
//! |     8 | left, top, width and height of a rectangle                  |
//! |  rest | pixels, repeated                                            |

use macula_edge::image::{Crop, ImageError, RawImage, Recipe, Rectangle, Resizer, Shape, luma, to_pixels};

use crate::Outcome;
use crate::input::{Input, cycled};

/// Resizes an image at once and row by row. The bytes are equal and within the range of the source.
pub fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let (width, height) = (usize::from(input.u16() % 400), usize::from(input.byte()));
    let (target_width, target_height) = (usize::from(input.u16() % 300), usize::from(input.byte()));
    let flags = input.byte();
    let channels = |bit: u8| if flags & bit == 0 { 1 } else { 3 };
    let mut number = || usize::from(input.u16());
    let rectangle = Rectangle { left: number(), top: number(), width: number(), height: number() };
    let crop = match flags >> 2 & 3 {
        0 | 1 => Crop::Whole,
        2 => Crop::CentreSquare,
        _ => Crop::Rectangle(rectangle),
    };
    let pixels = cycled(input.rest(), width * height * channels(1));
    let raw = RawImage::new(width, height, channels(1), &pixels);
    let target = Shape::new(target_width, target_height, channels(2));
    let (Ok(raw), Ok(target)) = (raw, target) else {
        assert!(width * height * target_width * target_height == 0, "a size within the limits is refused");
        return Outcome::Refused;
    };
    match resized(&raw, Recipe { target, crop }) {
        Ok(output) => {
            check_range(&raw, target.channels(), &output);
            Outcome::Accepted
        }
        Err(ImageError::Crop { .. }) => Outcome::Refused,
        Err(error) => panic!("{error}"),
    }
}

fn resized(raw: &RawImage<'_>, recipe: Recipe) -> Result<Vec<u8>, ImageError> {
    let mut scratch = vec![0xA5A5_A5A5; Recipe::scratch_len(recipe.target, raw.shape().width())];
    let mut whole = vec![0xA5; recipe.target.pixels_len()];
    to_pixels(raw, recipe, &mut scratch, &mut whole)?;
    let mut by_rows = vec![0x5A; recipe.target.pixels_len()];
    let mut resizer = Resizer::new(raw.shape(), recipe, &mut scratch, &mut by_rows)?;
    raw.pixels().chunks_exact(raw.shape().row_len()).try_for_each(|row| resizer.push_row(row))?;
    assert!(resizer.is_complete(), "rows are missing");
    assert_eq!(whole, by_rows, "row by row gives different bytes");
    Ok(whole)
}

/// The weights of the filter are positive and sum to 1, so every value is within the range of its sources.
fn check_range(raw: &RawImage<'_>, channels: usize, output: &[u8]) {
    let grey: Vec<u8> = match (raw.shape().channels(), channels) {
        (3, 1) => raw.pixels().chunks_exact(3).map(|rgb| luma(rgb[0], rgb[1], rgb[2])).collect(),
        _ => raw.pixels().to_vec(),
    };
    let (low, high) = (grey.iter().min(), grey.iter().max());
    assert!(output.iter().all(|value| Some(value) >= low && Some(value) <= high), "outside the range of the source");
}
