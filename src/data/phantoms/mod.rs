//! Phantoms: synthetic images that resemble medical ones, so that demos and tests need no download.
//!
//! Six classes of fine structure on a tissue-like background. Position, size, number, contrast, brightness and noise vary
//! so much that a comparison of pixels says little about the class. Up and down differ in every structure (vessels branch
//! upwards, nodules cast a shadow downwards), so that rotations cannot be predicted without knowing the structures.

mod anatomy;
mod canvas;

use std::path::Path;

use super::budget::Budget;
use super::decode::DecodeOptions;
use super::source::{PixelSource, SourceImage};
use super::{DataError, Dataset, Image, Record, Split};
use crate::rng::Rng;
use canvas::Canvas;

const SIZE_DEFAULT: usize = 32;
const COUNT_DEFAULT: usize = 1_200;
const SIZE_MIN: usize = 16;
/// A side of 4,096 is 16 million pixels, more than an encoder for small devices takes.
const SIZE_MAX: usize = 4_096;
const COUNT_MAX: usize = 10_000_000;
/// Bytes of a phantom's name at most.
const NAME_LEN: u64 = 24;
/// One image in five is a test image.
const TEST_EVERY: usize = 5;

/// The images of one seed.
struct Phantoms {
    size: usize,
    count: usize,
    seed: u64,
}

/// Size and count of `phantoms[:SIZE[:COUNT]]`; `None` for any other name.
fn parse_name(name: &str) -> Option<Result<(usize, usize), DataError>> {
    let mut parts = name.split(':');
    if parts.next() != Some("phantoms") {
        return None;
    }
    let mut number = |what: &str, default: usize, min: usize, max: usize| match parts.next() {
        None => Ok(default),
        Some(text) => text
            .parse()
            .ok()
            .filter(|value| (min..=max).contains(value))
            .ok_or_else(|| format!("{what} {text:?} is not a number from {min} to {max}")),
    };
    let size = number("size", SIZE_DEFAULT, SIZE_MIN, SIZE_MAX);
    let count = number("count", COUNT_DEFAULT, 1, COUNT_MAX);
    let rest = parts.next().map_or(Ok(()), |text| Err(format!("unexpected {text:?} after the count")));
    let parsed = size.and_then(|size| count.and_then(|count| rest.map(|()| (size, count))));
    Some(parsed.map_err(|reason| DataError::PhantomName { name: name.to_owned(), reason }))
}

/// The phantoms of `seed`, with alternating classes, so that any count is as balanced as possible; `None` if `name` is not
/// `phantoms[:SIZE[:COUNT]]`.
pub(super) fn open(name: &str, seed: u64) -> Result<Option<Dataset>, DataError> {
    let Some((size, count)) = parse_name(name).transpose()? else { return Ok(None) };
    let phantoms = Phantoms { size, count, seed };
    let classes = anatomy::CLASSES.len();
    Budget::new(Path::new(name)).take(count as u64, NAME_LEN)?;
    let record = |index: usize| {
        let label = index % classes;
        let split = if (index / classes) % TEST_EVERY == TEST_EVERY - 1 { Split::Test } else { Split::Train };
        let name = format!("{}[{index}]", anatomy::CLASSES[label].0);
        Record { name, label: Some(label), split: Some(split), group: None }
    };
    let mut dataset = Dataset::new(name.to_owned(), (0..count).map(record).collect(), phantoms);
    dataset.class_names = anatomy::CLASSES.iter().map(|class| class.0.to_owned()).collect();
    Ok(Some(dataset))
}

impl PixelSource for Phantoms {
    fn read(&self, item: usize, _: &DecodeOptions) -> Result<SourceImage, DataError> {
        Ok(SourceImage::Pixels(self.draw(item)))
    }
}

impl Phantoms {
    /// Draws one phantom, `[size, size, 1]`. Seed, size and item determine it.
    fn draw(&self, item: usize) -> Image {
        debug_assert!(item < self.count);
        let mut rng = Rng::for_item(self.seed, "phantom", 0, item as u64);
        let mut canvas = Canvas::new(self.size);
        tissue(&mut canvas, &mut rng);
        let (_, draw) = anatomy::CLASSES[item % anatomy::CLASSES.len()];
        draw(&mut canvas, &mut rng);
        let pixels = expose(&canvas, &mut rng);
        Image { width: self.size, height: self.size, channels: 1, pixels }
    }
}

/// Uneven background: clouds of two sizes and a brightness gradient in a random direction.
fn tissue(canvas: &mut Canvas, rng: &mut Rng) {
    let (coarse, fine) = (rng.uniform_in(0.05, 0.25), rng.uniform_in(0.0, 0.12));
    canvas.clouds(3, coarse, rng);
    canvas.clouds(9, fine, rng);
    let (slope_x, slope_y) = (0.2 * rng.normal(), 0.2 * rng.normal());
    canvas.map(|x, y, value| value + slope_x * (x - 0.5) + slope_y * (y - 0.5));
}

/// Pixels of a simulated camera: random exposure, contrast and noise.
fn expose(canvas: &Canvas, rng: &mut Rng) -> Vec<u8> {
    let brightness = rng.uniform_in(60.0, 140.0);
    let contrast = rng.uniform_in(70.0, 150.0);
    let noise = rng.uniform_in(2.0, 10.0);
    canvas.values.iter().map(|value| (brightness + contrast * value + noise * rng.normal()).round() as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_and_item_determine_every_pixel() {
        let draw = |seed, item| Phantoms { size: 24, count: 100, seed }.draw(item).pixels;
        assert_eq!(draw(1, 5), draw(1, 5));
        assert_ne!(draw(1, 5), draw(2, 5));
        assert_ne!(draw(1, 5), draw(1, 11), "same class, another image");
    }

    #[test]
    fn structures_stand_out_at_any_size() {
        for size in [16, 33, 200] {
            for item in 0..60 {
                let pixels = Phantoms { size, count: 60, seed: 3 }.draw(item).pixels;
                assert_eq!(pixels.len(), size * size);
                let (dark, bright) = (pixels.iter().min().unwrap(), pixels.iter().max().unwrap());
                assert!(bright - dark > 40, "size {size}, item {item}: from {dark} to {bright}");
            }
        }
    }

    #[test]
    fn sizes_and_counts_outside_the_limits_are_refused() {
        assert_eq!(parse_name("phantoms").unwrap().unwrap(), (32, 1_200));
        assert_eq!(parse_name("phantoms:64:10").unwrap().unwrap(), (64, 10));
        assert!(parse_name("phantoms/of/the/opera").is_none());
        for wrong in ["phantoms:15", "phantoms:x", "phantoms:32:0", "phantoms:32:1:1"] {
            assert!(parse_name(wrong).unwrap().is_err(), "{wrong}");
        }
    }
}
