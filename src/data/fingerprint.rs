//! Perceptual hash of an image: nearly equal for an image that was compressed, resized, brightened or slightly cropped.
//!
//! The image is reduced to 32 × 32 grey pixels. The lowest 8 × 8 frequencies of its two-dimensional DCT-II, without the mean,
//! give 63 bits, the signs of the coefficients (pHash, Zauner 2010, thresholds the same frequencies at their median). Signs
//! make the hash of a mirrored or rotated image a function of the hash: mirroring negates the odd frequencies of one axis, and
//! transposing exchanges the axes. Beside the signs the coefficients themselves are kept in 8 bits, which tells images of one
//! kind, such as chest x-rays, apart.
//!
//! All arithmetic is in integers, so that the result is the same on every machine.

use std::sync::LazyLock;

use serde::Serialize;

use super::{Image, Preprocessing};

/// Side of the grey image that is transformed.
const SIDE: usize = 32;

/// Frequencies per axis.
const FREQUENCIES: usize = 8;

/// Coefficients, the mean included.
const COEFFICIENTS: usize = FREQUENCIES * FREQUENCIES;

/// Fractional bits of the cosines.
const COSINE_BITS: u32 = 14;

/// Smallest standard deviation of the frequencies' grey levels. Below it the signs are those of noise.
const CONTRAST_MIN: f64 = 1.0;

/// A rotation or reflection of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// Unchanged.
    Upright,
    /// Left and right exchanged.
    Mirrored,
    /// Top and bottom exchanged.
    Flipped,
    /// Rotated by 180°.
    Rotated180,
    /// Rows and columns exchanged.
    Transposed,
    /// Rotated by 90° clockwise.
    Rotated90,
    /// Rotated by 90° anticlockwise.
    Rotated270,
    /// Rows and columns exchanged from the other corner.
    Transversed,
}

impl Orientation {
    /// All, the unchanged one first.
    pub const ALL: [Self; 8] = [
        Self::Upright,
        Self::Mirrored,
        Self::Flipped,
        Self::Rotated180,
        Self::Transposed,
        Self::Rotated90,
        Self::Rotated270,
        Self::Transversed,
    ];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upright => "upright",
            Self::Mirrored => "mirrored",
            Self::Flipped => "flipped",
            Self::Rotated180 => "rotated by 180°",
            Self::Transposed => "transposed",
            Self::Rotated90 => "rotated by 90°",
            Self::Rotated270 => "rotated by 270°",
            Self::Transversed => "transversed",
        }
    }

    /// Whether it exchanges rows and columns first, then left and right, then top and bottom.
    fn steps(self) -> [bool; 3] {
        match self {
            Self::Upright => [false, false, false],
            Self::Mirrored => [false, true, false],
            Self::Flipped => [false, false, true],
            Self::Rotated180 => [false, true, true],
            Self::Transposed => [true, false, false],
            Self::Rotated90 => [true, true, false],
            Self::Rotated270 => [true, false, true],
            Self::Transversed => [true, true, true],
        }
    }
}

/// Perceptual hash of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    hash: u64,
    /// `[vertical, horizontal]` frequencies, weighted by frequency, scaled to a largest magnitude of 127; 0 for the mean.
    coefficients: [i8; COEFFICIENTS],
}

impl Fingerprint {
    /// The hash of `image`; `None` if it has hardly any contrast, such as a blank page.
    pub fn of(image: &Image) -> Option<Self> {
        let grey = Preprocessing::unit(1, SIDE, SIDE).to_pixels(image);
        let coefficients = transform(&grey.pixels);
        let mut hash = 0;
        let (mut energy, mut largest) = (0.0, 0.0f64);
        let mut weighted = [0.0; COEFFICIENTS];
        for (at, &coefficient) in coefficients.iter().enumerate().skip(1) {
            let (vertical, horizontal) = (at / FREQUENCIES, at % FREQUENCIES);
            hash |= u64::from(coefficient > 0) << bit(at);
            // Orthonormal DCT: an axis of frequency 0 has the factor 1/√2.
            let norm = if vertical == 0 || horizontal == 0 { 0.5 } else { 1.0 };
            let value = coefficient as f64 / f64::from(1u32 << COSINE_BITS);
            energy += norm * value * value;
            // Images of scenes have a spectrum of about 1 / frequency. Without the weight two or three values would decide.
            weighted[at] = value * ((vertical * vertical + horizontal * horizontal) as f64).sqrt();
            largest = largest.max(weighted[at].abs());
        }
        // Each orthonormal coefficient is 2 / SIDE times the sum; their squares sum to the squares of all pixels.
        let deviation = (energy.sqrt() * 2.0 / SIDE as f64) / SIDE as f64;
        if deviation < CONTRAST_MIN {
            return None;
        }
        let coefficients = weighted.map(|value| (127.0 * value / largest).round() as i8);
        Some(Self { hash, coefficients })
    }

    /// 63 bits; bits that hardly differ between images of one kind are spread over all of them.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The hash of the image after `orientation`.
    pub fn oriented(&self, orientation: Orientation) -> Self {
        let [transposes, mirrors, flips] = orientation.steps();
        let mut oriented = Self { hash: 0, coefficients: [0; COEFFICIENTS] };
        for to in 1..COEFFICIENTS {
            let (vertical, horizontal) = (to / FREQUENCIES, to % FREQUENCIES);
            let from = if transposes { horizontal * FREQUENCIES + vertical } else { to };
            let negates = (mirrors && horizontal % 2 == 1) != (flips && vertical % 2 == 1);
            let set = (self.hash >> bit(from) & 1 == 1) != negates;
            oriented.hash |= u64::from(set) << bit(to);
            let value = self.coefficients[from];
            oriented.coefficients[to] = if negates { -value } else { value };
        }
        oriented
    }

    /// Bits of the hashes that differ, 0 to 63.
    pub fn distance(&self, other: &Self) -> u32 {
        (self.hash ^ other.hash).count_ones()
    }

    /// Cosine of the weighted coefficients, -1 to 1; 1 for images that differ in brightness and contrast only.
    pub fn similarity(&self, other: &Self) -> f64 {
        let dot = |a: &Self, b: &Self| -> i32 {
            a.coefficients.iter().zip(&b.coefficients).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
        };
        let lengths = f64::from(dot(self, self)) * f64::from(dot(other, other));
        f64::from(dot(self, other)) / lengths.sqrt()
    }
}

/// The bit of coefficient `at`. Low frequencies are equal in images of one kind, so each quarter of the hash has a quarter of
/// them: an index over quarters would otherwise find most images in one.
fn bit(at: usize) -> usize {
    static BITS: LazyLock<[usize; COEFFICIENTS]> = LazyLock::new(|| {
        let mut order: Vec<usize> = (0..COEFFICIENTS).collect();
        order.sort_by_key(|at| (at / FREQUENCIES + at % FREQUENCIES, *at));
        let mut bits = [0; COEFFICIENTS];
        for (rank, at) in order.into_iter().enumerate() {
            bits[at] = rank % 4 * (COEFFICIENTS / 4) + rank / 4;
        }
        bits
    });
    BITS[at]
}

/// `Σ_y Σ_x p[y, x] cos(π (2y + 1) v / 64) cos(π (2x + 1) u / 64)` for the lowest frequencies `[v, u]`, with the fractional
/// bits of a cosine.
fn transform(pixels: &[u8]) -> [i64; COEFFICIENTS] {
    static COSINES: LazyLock<[[i64; SIDE]; FREQUENCIES]> = LazyLock::new(|| {
        let cosine = |frequency: usize, at: usize| {
            let angle = std::f64::consts::PI * ((2 * at + 1) * frequency) as f64 / (2 * SIDE) as f64;
            (angle.cos() * f64::from(1u32 << COSINE_BITS)).round() as i64
        };
        std::array::from_fn(|frequency| std::array::from_fn(|at| cosine(frequency, at)))
    });
    let cosines = &*COSINES;
    let mut across = [[0i64; FREQUENCIES]; SIDE];
    for (row, sums) in pixels.chunks_exact(SIDE).zip(&mut across) {
        for (sum, cosines) in sums.iter_mut().zip(cosines) {
            *sum = row.iter().zip(cosines).map(|(&pixel, cosine)| i64::from(pixel) * cosine).sum();
        }
    }
    std::array::from_fn(|at| {
        let (vertical, horizontal) = (at / FREQUENCIES, at % FREQUENCIES);
        let sum: i64 = across.iter().zip(&cosines[vertical]).map(|(row, cosine)| row[horizontal] * cosine).sum();
        sum >> COSINE_BITS
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Smooth, without symmetry, different for every seed.
    fn scene(seed: usize, width: usize, height: usize) -> Image {
        let value = |x: f64, y: f64| {
            let waves = (1..7).map(|k| {
                let phase = (seed * 7 + k * k * 3) as f64;
                let (a, b) = ((phase * 1.7).sin() * k as f64, (phase * 2.3).cos() * k as f64);
                (a * x * 4.0 + b * y * 4.0 + phase).sin() / k as f64
            });
            (128.0 + 60.0 * waves.sum::<f64>()).clamp(0.0, 255.0) as u8
        };
        let pixels = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| value(x as f64 / width as f64, y as f64 / height as f64))
            .collect();
        Image { width, height, channels: 1, pixels }
    }

    fn map(image: &Image, width: usize, height: usize, from: impl Fn(usize, usize) -> (usize, usize)) -> Image {
        let pixel = |x, y| {
            let (x, y) = from(x, y);
            image.pixels[y * image.width + x]
        };
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| pixel(x, y)).collect();
        Image { width, height, channels: 1, pixels }
    }

    #[test]
    fn changes_that_leave_what_is_shown_change_few_bits() {
        for seed in 0..20 {
            let image = scene(seed, 96, 80);
            let print = Fingerprint::of(&image).unwrap();
            let brighter = Image { pixels: image.pixels.iter().map(|&v| v / 2 + 70).collect(), ..image.clone() };
            let cropped = map(&image, 92, 78, |x, y| (x + 2, y + 1));
            let small = map(&image, 48, 40, |x, y| (2 * x, 2 * y));
            for (what, changed) in [("brightness", brighter), ("crop", cropped), ("size", small)] {
                let changed = Fingerprint::of(&changed).unwrap();
                assert!(print.distance(&changed) <= 10, "{what} of {seed}: {}", print.distance(&changed));
                assert!(print.similarity(&changed) > 0.9, "{what} of {seed}: {}", print.similarity(&changed));
            }
            let rgb = Fingerprint::of(&image.to_rgb()).unwrap();
            assert_eq!(rgb, print, "grey stored as colour");
            let other = Fingerprint::of(&scene(seed + 1, 96, 80)).unwrap();
            assert!(print.distance(&other) > 10 && print.similarity(&other) < 0.9, "{seed}: another scene");
        }
    }

    #[test]
    fn the_hash_of_an_oriented_image_follows_from_the_hash() {
        let image = scene(3, SIDE, SIDE);
        let last = SIDE - 1;
        let print = Fingerprint::of(&image).unwrap();
        for orientation in Orientation::ALL {
            let oriented = map(&image, SIDE, SIDE, |x, y| match orientation {
                Orientation::Upright => (x, y),
                Orientation::Mirrored => (last - x, y),
                Orientation::Flipped => (x, last - y),
                Orientation::Rotated180 => (last - x, last - y),
                Orientation::Transposed => (y, x),
                // The first row of a clockwise rotation is the first column from the bottom.
                Orientation::Rotated90 => (y, last - x),
                Orientation::Rotated270 => (last - y, x),
                Orientation::Transversed => (last - y, last - x),
            });
            let (found, expected) = (print.oriented(orientation), Fingerprint::of(&oriented).unwrap());
            assert!(found.distance(&expected) <= 1, "{orientation:?}: {}", found.distance(&expected));
            assert!(found.similarity(&expected) > 0.999, "{orientation:?}");
            assert!(orientation == Orientation::Upright || print.distance(&found) > 8, "{orientation:?}");
        }
    }

    #[test]
    fn an_image_without_contrast_has_no_hash() {
        let flat = |value: fn(usize) -> u8| Image {
            width: 40,
            height: 40,
            channels: 1,
            pixels: (0..1600).map(value).collect(),
        };
        assert_eq!(Fingerprint::of(&flat(|_| 200)), None);
        assert_eq!(Fingerprint::of(&flat(|at| 200 + (at % 2) as u8)), None);
        assert!(Fingerprint::of(&flat(|at| 180 + (at / 40) as u8)).is_some());
    }
}
