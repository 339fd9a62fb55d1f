//! Views that take pixels from between pixels: random resized crops and turns by any angle.

use crate::data::Image;
use crate::rng::Rng;

/// Fraction bits of a position and of a weight.
const BITS: u32 = 8;
const ONE: i32 = 1 << BITS;

/// Random resized crop: a part of the image, as large as before.
///
/// The part has between `area_min` and all of the area and an aspect ratio between 3/4 and 4/3, both as Inception had
/// them (Szegedy et al. 2015, arXiv:1409.4842, section 6). A part that does not fit is cut at the border.
pub fn resized_crop(image: &Image, area_min: f32, rng: &mut Rng) -> Image {
    let area = rng.uniform_in(area_min, 1.0);
    let aspect = rng.uniform_in((0.75f32).ln(), (4.0f32 / 3.0).ln()).exp();
    let (place_y, place_x) = (rng.uniform(), rng.uniform());
    let width = (area * aspect).sqrt().min(1.0) * image.width as f32;
    let height = (area / aspect).sqrt().min(1.0) * image.height as f32;
    let (left, top) = (place_x * (image.width as f32 - width), place_y * (image.height as f32 - height));
    let (step_x, step_y) = (width / image.width as f32, height / image.height as f32);
    sample(image, Affine { x: [left + 0.5 * step_x - 0.5, step_x, 0.0], y: [top + 0.5 * step_y - 0.5, 0.0, step_y] })
}

/// The image turned counter-clockwise about its middle by `degrees`; what comes in from outside is reflected.
pub fn turn(image: &Image, degrees: f32) -> Image {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (middle_x, middle_y) = ((image.width as f32 - 1.0) / 2.0, (image.height as f32 - 1.0) / 2.0);
    sample(
        image,
        Affine {
            x: [middle_x - cos * middle_x + sin * middle_y, cos, -sin],
            y: [middle_y - sin * middle_x - cos * middle_y, sin, cos],
        },
    )
}

/// Where pixel (column, row) comes from: `x = x[0] + x[1] column + x[2] row`, and `y` alike, in pixels.
struct Affine {
    x: [f32; 3],
    y: [f32; 3],
}

/// Bilinear interpolation in integers, the border reflected.
fn sample(image: &Image, from: Affine) -> Image {
    let (width, height, channels) = (image.width, image.height, image.channels);
    let mut pixels = Vec::with_capacity(image.pixels.len());
    let fixed = |value: f32| (value * ONE as f32).round() as i32;
    let step = (fixed(from.x[1]), fixed(from.y[1]));
    let aligned = step.1 == 0 && from.x[2] == 0.0;
    for row in 0..height {
        let start_x = fixed(from.x[0] + from.x[2] * row as f32);
        let start_y = fixed(from.y[0] + from.y[2] * row as f32);
        let line = |y: i32| {
            let (low, weight) = (y >> BITS, y & (ONE - 1));
            (reflect(low, height) * width, reflect(low + 1, height) * width, weight)
        };
        let whole_line = line(start_y);
        for column in 0..width as i32 {
            let x = start_x + step.0 * column;
            let (above, below, down) = if aligned { whole_line } else { line(start_y + step.1 * column) };
            let (low, right) = (x >> BITS, x & (ONE - 1));
            let (left_column, right_column) = (reflect(low, width), reflect(low + 1, width));
            for channel in 0..channels {
                let at = |line: usize, column: usize| i32::from(image.pixels[(line + column) * channels + channel]);
                let upper = at(above, left_column) * (ONE - right) + at(above, right_column) * right;
                let lower = at(below, left_column) * (ONE - right) + at(below, right_column) * right;
                let value = upper * (ONE - down) + lower * down;
                pixels.push(((value + (1 << (2 * BITS - 1))) >> (2 * BITS)) as u8);
            }
        }
    }
    Image { width, height, channels, pixels }
}

/// Folds an index into `0..len`, the border pixel not repeated.
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
    fn the_whole_area_is_the_image() {
        // With area 1 the aspect still varies, so the test draws none: the map of the whole.
        let image = ramp(9, 7);
        assert_eq!(sample(&image, Affine { x: [0.0, 1.0, 0.0], y: [0.0, 0.0, 1.0] }), image);
    }

    /// A bilinear view of a plane is the plane: each pixel is known in closed form.
    #[test]
    fn a_crop_of_a_plane_is_a_plane() {
        let image = ramp(24, 24);
        let mut rng = Rng::for_purpose(1, "test");
        let mut slopes = std::collections::BTreeSet::new();
        for _ in 0..50 {
            let view = resized_crop(&image, 0.2, &mut rng);
            let inner = |y: usize, x: usize| f32::from(view.pixels[y * 24 + x]);
            // Away from the reflected border, equal steps down a column and along a row.
            let (right, down) = ((inner(4, 20) - inner(4, 4)) / 16.0, (inner(20, 4) - inner(4, 4)) / 16.0);
            for (y, x) in [(8, 8), (12, 18), (18, 10)] {
                let expected = inner(4, 4) + right * (x - 4) as f32 + down * (y - 4) as f32;
                assert!((inner(y, x) - expected).abs() <= 1.6, "{y} {x}: {} {expected}", inner(y, x));
            }
            let area = right / 3.0 * down / 5.0;
            assert!((0.15..=1.05).contains(&area), "area {area}");
            slopes.insert((area * 10.0) as i32);
        }
        assert!(slopes.len() >= 5, "areas of all kinds: {slopes:?}");
    }

    #[test]
    fn a_quarter_turn_by_angle_is_a_quarter_turn_by_places() {
        let image = ramp(9, 9);
        for quarters in 0..4 {
            assert_eq!(turn(&image, 90.0 * quarters as f32), rotate90(&image, quarters), "{quarters}");
        }
        let small = turn(&image, 10.0);
        assert_ne!(small, image);
        assert_eq!(small.pixels[4 * 9 + 4], image.pixels[4 * 9 + 4], "the middle stays");
    }
}
