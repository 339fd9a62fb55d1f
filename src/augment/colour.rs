//! Colour jitter: brightness, contrast, saturation, hue and grey in one matrix.
//!
//! Each is an affine map of (red, green, blue), so any chain of them is one map and each pixel is computed once. Values
//! are clamped to 0 … 255 once, at the end; libraries that apply the changes one after the other clamp after each.

use serde::{Deserialize, Serialize};

use crate::data::Image;
use crate::rng::Rng;

/// Settings of the jitter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jitter {
    /// Share of views that are changed, 0 to 1.
    pub probability: f32,
    /// Values are multiplied by a factor within `1 ± brightness`.
    pub brightness: f32,
    /// The distance from the mean grey of the image is multiplied by a factor within `1 ± contrast`.
    pub contrast: f32,
    /// The distance from a pixel's own grey is multiplied by a factor within `1 ± saturation`.
    pub saturation: f32,
    /// Colours are rotated about the grey axis by at most this share of 360°, 0 to 0.5.
    pub hue: f32,
}

impl Jitter {
    /// No jitter.
    pub const NONE: Self = Self { probability: 0.0, brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.0 };
}

/// BT.601 luma.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// From (red, green, blue) to luma and two colour differences (NTSC's YIQ), in which hue is an angle.
const TO_YIQ: [[f32; 3]; 3] = [LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]];
const FROM_YIQ: [[f32; 3]; 3] = [[1.0, 0.956, 0.619], [1.0, -0.272, -0.647], [1.0, -1.106, 1.703]];

/// `out = matrix · rgb + shift`.
#[derive(Clone, Copy)]
struct Map {
    matrix: [[f32; 3]; 3],
    shift: f32,
}

impl Map {
    const SAME: Self = Self { matrix: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], shift: 0.0 };

    /// This map, then `matrix`. The shift is equal for all three colours, that is grey, which `matrix` does not change.
    fn then(self, matrix: [[f32; 3]; 3]) -> Self {
        Self { matrix: times(matrix, self.matrix), shift: self.shift }
    }

    fn scaled(self, factor: f32, shift: f32) -> Self {
        Self { matrix: self.matrix.map(|row| row.map(|v| v * factor)), shift: self.shift * factor + shift }
    }
}

/// Applies a random change of colour. On a grey image only brightness and contrast have an effect.
pub fn jitter(image: &mut Image, jitter: Jitter, grey_probability: f32, rng: &mut Rng) {
    let factor = |range: f32, rng: &mut Rng| (1.0 + rng.uniform_in(-range, range)).max(0.0);
    let changed = rng.uniform() < jitter.probability;
    let grey = rng.uniform() < grey_probability;
    let [brightness, contrast, saturation] =
        [jitter.brightness, jitter.contrast, jitter.saturation].map(|range| factor(range, rng));
    let hue = rng.uniform_in(-jitter.hue, jitter.hue);
    let mut map = Map::SAME;
    if changed {
        map = map.scaled(brightness, 0.0);
        map = map.scaled(contrast, (1.0 - contrast) * brightness * mean_grey(image));
        map = map.then(saturated(saturation)).then(hue_rotated(hue));
    }
    if grey {
        map = map.then(saturated(0.0));
    }
    if changed || grey {
        apply(image, map);
    }
}

fn apply(image: &mut Image, map: Map) {
    if image.channels == 1 {
        // A grey pixel is a colour with three equal values, for which all rows of the matrix give the same.
        let scale: f32 = map.matrix[0].iter().sum();
        let table: [u8; 256] = std::array::from_fn(|value| clamped(scale * value as f32 + map.shift));
        image.pixels.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
        return;
    }
    for block in image.pixels.as_chunks_mut::<3>().0.chunks_mut(BLOCK) {
        let mut words = [0; BLOCK];
        words.iter_mut().zip(&*block).for_each(|(word, pixel)| *word = to_word(*pixel));
        // Also the unused end of a short block: the compiler vectorises a loop of constant length.
        words.iter_mut().for_each(|word| *word = mapped_word(*word, map));
        block.iter_mut().zip(&words).for_each(|(pixel, word)| *pixel = from_word(*word));
    }
}

/// Pixels per block; as words they fill four cache lines.
const BLOCK: usize = 64;

/// Red in the lowest byte, then green, then blue: three values in one vector lane, without a shuffle.
fn to_word([red, green, blue]: [u8; 3]) -> u32 {
    u32::from_le_bytes([red, green, blue, 0])
}

fn from_word(word: u32) -> [u8; 3] {
    let [red, green, blue, _] = word.to_le_bytes();
    [red, green, blue]
}

fn mapped_word(word: u32, Map { matrix, shift }: Map) -> u32 {
    let [red, green, blue] = [word, word >> 8, word >> 16].map(|value| (value & 0xFF) as f32);
    let [red, green, blue] = matrix.map(|row| level(row[0] * red + row[1] * green + row[2] * blue + shift));
    red | green << 8 | blue << 16
}

fn clamped(value: f32) -> u8 {
    level(value) as u8
}

/// The nearest integer in 0 … 255; halves are rounded up.
fn level(value: f32) -> u32 {
    // Floats above 2²³ are integers, so adding 2²³ rounds to even; the next line corrects that. A cast gives the same, but
    // is not vectorised.
    const WHOLE: f32 = (1u32 << 23) as f32;
    let raised = value + 0.5;
    let held = if raised > 0.0 { raised.min(255.0) } else { 0.0 };
    let rounded = held + WHOLE;
    rounded.to_bits().wrapping_sub(WHOLE.to_bits()).wrapping_sub(u32::from(rounded - WHOLE > held))
}

fn mean_grey(image: &Image) -> f32 {
    let pixels = (image.width * image.height) as f32;
    if image.channels == 1 {
        return sum(&image.pixels) as f32 / pixels;
    }
    let mut sums = [0u64; 3];
    for block in image.pixels.as_chunks::<3>().0.chunks(BLOCK) {
        let mut words = [0; BLOCK];
        words.iter_mut().zip(block).for_each(|(word, pixel)| *word = to_word(*pixel));
        for (sum, shift) in sums.iter_mut().zip([0, 8, 16]) {
            *sum += u64::from(words.iter().map(|word| word >> shift & 0xFF).sum::<u32>());
        }
    }
    sums.iter().zip(LUMA).map(|(&sum, luma)| sum as f32 / pixels * luma).sum()
}

fn sum(values: &[u8]) -> u64 {
    // The sum of a block fits 32 bits, of which a vector holds twice as many.
    values.chunks(1 << 16).map(|block| u64::from(block.iter().map(|&value| u32::from(value)).sum::<u32>())).sum()
}

/// `factor · rgb + (1 - factor) · grey`.
fn saturated(factor: f32) -> [[f32; 3]; 3] {
    std::array::from_fn(|row| {
        std::array::from_fn(|column| (1.0 - factor) * LUMA[column] + if row == column { factor } else { 0.0 })
    })
}

/// A rotation about the grey axis by `share` of 360°.
fn hue_rotated(share: f32) -> [[f32; 3]; 3] {
    let (sin, cos) = (share * std::f32::consts::TAU).sin_cos();
    let rotation = [[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]];
    times(FROM_YIQ, times(rotation, TO_YIQ))
}

fn times(a: [[f32; 3]; 3], b: [[f32; 3]; 3]) -> [[f32; 3]; 3] {
    std::array::from_fn(|row| std::array::from_fn(|column| (0..3).map(|k| a[row][k] * b[k][column]).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour(pixels: &[u8]) -> Image {
        Image { width: pixels.len() / 3, height: 1, channels: 3, pixels: pixels.to_vec() }
    }

    fn mapped(image: &Image, map: Map) -> Vec<u8> {
        let mut image = image.clone();
        apply(&mut image, map);
        image.pixels
    }

    #[test]
    fn each_change_by_hand() {
        let image = colour(&[200, 100, 50, 10, 10, 10]);
        assert_eq!(mapped(&image, Map::SAME), image.pixels);
        assert_eq!(mapped(&image, Map::SAME.scaled(1.5, 0.0)), [255, 150, 75, 15, 15, 15], "clamped to white");
        // 0.299 · 200 + 0.587 · 100 + 0.114 · 50 = 124.2
        assert_eq!(mapped(&image, Map::SAME.then(saturated(0.0))), [124, 124, 124, 10, 10, 10]);
        assert_eq!(mapped(&image, Map::SAME.then(saturated(0.5))), [162, 112, 87, 10, 10, 10]);
        // A hue rotation does not change grey; a full one changes nothing.
        assert_eq!(mapped(&image, Map::SAME.then(hue_rotated(0.3)))[3..], [10, 10, 10]);
        assert_eq!(mapped(&image, Map::SAME.then(hue_rotated(1.0))), image.pixels);
        assert_ne!(mapped(&image, Map::SAME.then(hue_rotated(0.1)))[..3], image.pixels[..3]);
    }

    /// Both ways of rounding agree on every float near an integer or a half, and far outside.
    #[test]
    fn rounding_equals_a_cast() {
        for half in -4..=520 {
            let value = half as f32 / 2.0;
            for value in [value.next_down().next_down(), value.next_down(), value, value.next_up()] {
                assert_eq!(level(value), u32::from((value + 0.5) as u8), "{value}");
            }
        }
        assert_eq!([-1e30, f32::NEG_INFINITY, f32::NAN, 1e30, f32::INFINITY].map(level), [0, 0, 0, 255, 255]);
    }

    #[test]
    fn contrast_keeps_the_mean() {
        let mut image = Image { width: 4, height: 1, channels: 1, pixels: vec![80, 90, 110, 120] };
        let mut rng = Rng::for_purpose(3, "test");
        let change = Jitter { probability: 1.0, contrast: 0.5, ..Jitter::NONE };
        let original = image.clone();
        jitter(&mut image, change, 0.0, &mut rng);
        assert_ne!(image, original);
        assert!((mean_grey(&image) - 100.0).abs() <= 1.0, "{:?}", image.pixels);
    }

    #[test]
    fn grey_and_colour_agree_on_a_grey_image() {
        let grey = Image { width: 5, height: 1, channels: 1, pixels: vec![0, 40, 128, 200, 255] };
        let change = Jitter { probability: 1.0, brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 };
        for seed in 0..20 {
            let (mut one, mut three) = (grey.clone(), grey.to_rgb());
            jitter(&mut one, change, 0.2, &mut Rng::for_purpose(seed, "test"));
            jitter(&mut three, change, 0.2, &mut Rng::for_purpose(seed, "test"));
            for (value, pixel) in one.pixels.iter().zip(three.pixels.chunks_exact(3)) {
                assert!(pixel.iter().all(|channel| channel.abs_diff(*value) <= 1), "{value} {pixel:?}");
            }
        }
    }

    #[test]
    fn probabilities_are_respected() {
        let mut rng = Rng::for_purpose(1, "test");
        let image = colour(&[200, 100, 50]);
        let views: Vec<Image> = (0..1000)
            .map(|_| {
                let mut view = image.clone();
                jitter(&mut view, Jitter::NONE, 0.2, &mut rng);
                view
            })
            .collect();
        let grey = views.iter().filter(|view| view.is_grey()).count();
        assert!((150..250).contains(&grey), "{grey}");
        assert!(views.iter().all(|view| view.is_grey() || *view == image));
    }
}
