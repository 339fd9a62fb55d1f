//! Augmentations with bilinear interpolation: random resized crops and rotations by any angle.

use crate::data::Image;
use crate::rng::Rng;

/// Fraction bits of a position and of a weight.
const BITS: u32 = 8;
const ONE: i32 = 1 << BITS;

/// Random resized crop: a random part of the image, scaled to the size of the image.
///
/// The part has between `area_min` and all of the area and an aspect ratio between 3/4 and 4/3, as in Inception
/// (Szegedy et al. 2015, arXiv:1409.4842, section 6). A part that does not fit is cut at the border.
pub fn resized_crop(image: &Image, area_min: f32, rng: &mut Rng) -> Image {
    let area = rng.uniform_in(area_min, 1.0);
    let aspect = rng.uniform_in((0.75f32).ln(), (4.0f32 / 3.0).ln()).exp();
    let (place_y, place_x) = (rng.uniform(), rng.uniform());
    let width = (area * aspect).sqrt().min(1.0) * image.width as f32;
    let height = (area / aspect).sqrt().min(1.0) * image.height as f32;
    let (left, top) = (place_x * (image.width as f32 - width), place_y * (image.height as f32 - height));
    let (step_x, step_y) = (width / image.width as f32, height / image.height as f32);
    let columns: Vec<Between> = (0..image.width as i32)
        .map(|column| Between::at(fixed(left + 0.5 * step_x - 0.5) + fixed(step_x) * column, image.width))
        .collect();
    let rows: Vec<Between> = (0..image.height)
        .map(|row| Between::at(fixed(top + 0.5 * step_y - 0.5 + step_y * row as f32), image.height))
        .collect();
    let pixels = match image.channels {
        1 => stretch::<1, 1>(&image.pixels, &columns, &rows),
        _ => stretch::<3, 4>(&image.pixels, &columns, &rows),
    };
    Image { pixels, ..*image }
}

/// A position between two pixels of a row or a column.
struct Between {
    low: usize,
    high: usize,
    /// Weight of the higher pixel, in 256ths.
    weight: u16,
}

impl Between {
    /// The fixed-point `position` on an axis of `len` pixels with reflected borders.
    fn at(position: i32, len: usize) -> Self {
        let low = position >> BITS;
        Self { low: reflect(low, len), high: reflect(low + 1, len), weight: (position & (ONE - 1)) as u16 }
    }
}

/// Bilinear interpolation at every crossing of `columns` and `rows`: first along the lines that a row needs, then between
/// lines, without rounding in between. A pixel of C values is stored in L values, which fill a vector.
fn stretch<const C: usize, const L: usize>(pixels: &[u8], columns: &[Between], rows: &[Between]) -> Vec<u8> {
    let width = columns.len();
    let needed = rows.iter().flat_map(|row| [row.low, row.high]);
    let (first, last) = (needed.clone().min().unwrap_or(0), needed.max().unwrap_or(0));
    let mut lines = Vec::with_capacity((last + 1 - first) * width);
    let mut wide = vec![[0; L]; width];
    for line in pixels.as_chunks::<C>().0.chunks_exact(width).take(last + 1).skip(first) {
        wide.iter_mut().zip(line).for_each(|(wide, pixel)| wide[..C].copy_from_slice(&pixel.map(u16::from)));
        lines.extend(columns.iter().map(|at| mixed(wide[at.low], wide[at.high], at.weight)));
    }
    let mut stretched = Vec::with_capacity(rows.len() * width);
    let mut levels = vec![[0; L]; width];
    for row in rows {
        let [upper, lower] = [row.low, row.high].map(|line| lines[(line - first) * width..][..width].as_flattened());
        for ((level, &upper), &lower) in levels.as_flattened_mut().iter_mut().zip(upper).zip(lower) {
            *level = level_between(upper, lower, row.weight);
        }
        stretched.extend(levels.iter().map(|level| -> [u8; C] { std::array::from_fn(|channel| level[channel]) }));
    }
    stretched.into_flattened()
}

/// `low` and `high` mixed by `weight` 256ths, times 256: at most 255 · 256, which fits 16 bits.
fn mixed<const L: usize>(low: [u16; L], high: [u16; L], weight: u16) -> [u16; L] {
    std::array::from_fn(|lane| low[lane] * (ONE as u16 - weight) + high[lane] * weight)
}

/// Two results of [`mixed`], mixed by `weight` 256ths and rounded to the nearest integer.
fn level_between(upper: u16, lower: u16, weight: u16) -> u8 {
    let sum = u32::from(upper) * u32::from(ONE as u16 - weight) + u32::from(lower) * u32::from(weight);
    ((sum + (1 << (2 * BITS - 1))) >> (2 * BITS)) as u8
}

fn fixed(value: f32) -> i32 {
    (value * ONE as f32).round() as i32
}

/// The image rotated counter-clockwise about its centre by `degrees`, with reflected borders.
pub fn rotate(image: &Image, degrees: f32) -> Image {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (middle_x, middle_y) = ((image.width as f32 - 1.0) / 2.0, (image.height as f32 - 1.0) / 2.0);
    let from = Affine {
        x: [middle_x - cos * middle_x + sin * middle_y, cos, -sin],
        y: [middle_y - sin * middle_x - cos * middle_y, sin, cos],
    };
    let pixels = match image.channels {
        1 => sample::<1>(image, from),
        _ => sample::<3>(image, from),
    };
    Image { pixels, ..*image }
}

/// The source of pixel (column, row), in pixels: `x = x[0] + x[1] column + x[2] row`, and `y` likewise.
#[derive(Clone, Copy)]
struct Affine {
    x: [f32; 3],
    y: [f32; 3],
}

/// Bilinear interpolation in integers, with reflected borders.
fn sample<const C: usize>(image: &Image, from: Affine) -> Vec<u8> {
    let (width, height) = (image.width, image.height);
    let (pixels, _) = image.pixels.as_chunks::<C>();
    let (step_x, step_y) = (fixed(from.x[1]), fixed(from.y[1]));
    let mut sampled = Vec::with_capacity(pixels.len());
    for row in 0..height {
        let start_x = fixed(from.x[0] + from.x[2] * row as f32);
        let start_y = fixed(from.y[0] + from.y[2] * row as f32);
        sampled.extend((0..width as i32).map(|column| -> [u8; C] {
            let x = Between::at(start_x + step_x * column, width);
            let y = Between::at(start_y + step_y * column, height);
            let line = |line: usize| {
                let [low, high] = [x.low, x.high].map(|column| pixels[line * width + column].map(u16::from));
                mixed(low, high, x.weight)
            };
            let (upper, lower) = (line(y.low), line(y.high));
            std::array::from_fn(|channel| level_between(upper[channel], lower[channel], y.weight))
        }));
    }
    sampled.into_flattened()
}

/// Reflects an index into `0..len` without repeating the border pixel.
fn reflect(at: i32, len: usize) -> usize {
    if (0..len as i32).contains(&at) {
        return at as usize;
    }
    let period = (2 * (len as i32 - 1)).max(1);
    let folded = at.rem_euclid(period);
    folded.min(period - folded).min(len as i32 - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::rotate90;

    fn ramp(width: usize, height: usize) -> Image {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (3 * x + 5 * y) as u8)).collect();
        Image { width, height, channels: 1, pixels }
    }

    #[test]
    fn a_crop_of_the_whole_area_is_the_image() {
        // With area 1 the aspect ratio still varies, so the test samples each pixel at its own position.
        let image = ramp(9, 7);
        let whole = |len: usize| -> Vec<Between> { (0..len as i32).map(|at| Between::at(at * ONE, len)).collect() };
        assert_eq!(stretch::<1, 1>(&image.pixels, &whole(9), &whole(7)), image.pixels);
        let colour: Vec<u8> = image.pixels.iter().flat_map(|&value| [value, 255 - value, 7]).collect();
        assert_eq!(stretch::<3, 4>(&colour, &whole(9), &whole(7)), colour);
    }

    /// Bilinear interpolation of a linear ramp is the ramp, so each pixel is known in closed form.
    #[test]
    fn a_crop_of_a_ramp_is_a_ramp() {
        let image = ramp(24, 24);
        let mut rng = Rng::for_purpose(1, "test");
        let mut slopes = std::collections::BTreeSet::new();
        for _ in 0..50 {
            let view = resized_crop(&image, 0.2, &mut rng);
            let inner = |y: usize, x: usize| f32::from(view.pixels[y * 24 + x]);
            // Away from the border, the steps along a row and down a column are equal.
            let (right, down) = ((inner(4, 20) - inner(4, 4)) / 16.0, (inner(20, 4) - inner(4, 4)) / 16.0);
            for (y, x) in [(8, 8), (12, 18), (18, 10)] {
                let expected = inner(4, 4) + right * (x - 4) as f32 + down * (y - 4) as f32;
                assert!((inner(y, x) - expected).abs() <= 1.6, "{y} {x}: {} {expected}", inner(y, x));
            }
            let area = right / 3.0 * down / 5.0;
            assert!((0.15..=1.05).contains(&area), "area {area}");
            slopes.insert((area * 10.0) as i32);
        }
        assert!(slopes.len() >= 5, "areas differ: {slopes:?}");
    }

    #[test]
    fn a_rotation_by_90_degrees_is_exact() {
        let image = ramp(9, 9);
        for quarters in 0..4 {
            assert_eq!(rotate(&image, 90.0 * quarters as f32), rotate90(&image, quarters), "{quarters}");
        }
        let small = rotate(&image, 10.0);
        assert_ne!(small, image);
        assert_eq!(small.pixels[4 * 9 + 4], image.pixels[4 * 9 + 4], "the centre stays");
    }
}
