//! Gaussian blur and Gaussian noise.

use serde::{Deserialize, Serialize};

use crate::data::Image;
use crate::rng::Rng;

/// Settings of the blur.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blur {
    /// Share of views that are blurred, 0 to 1.
    pub probability: f32,
    /// Smallest standard deviation, in pixels, above 0.
    pub sigma_min: f32,
    /// Largest standard deviation, in pixels.
    pub sigma_max: f32,
}

impl Blur {
    /// No blur.
    pub const NONE: Self = Self { probability: 0.0, sigma_min: 1.0, sigma_max: 1.0 };
}

impl Default for Blur {
    fn default() -> Self {
        Self::NONE
    }
}

/// The sum of the weights of a kernel.
const ONE: i32 = 1 << 12;

/// Blurs `image` with a random probability and standard deviation.
pub fn blur(image: &mut Image, settings: Blur, rng: &mut Rng) {
    let wanted = rng.uniform() < settings.probability;
    let sigma = rng.uniform_in(settings.sigma_min, settings.sigma_max);
    if wanted {
        gaussian_blur(image, sigma);
    }
}

/// Blurs with a Gaussian of standard deviation `sigma` (pixels), cut at 3 sigma; the border pixel is repeated.
pub fn gaussian_blur(image: &mut Image, sigma: f32) {
    let kernel = kernel(sigma);
    let (height, channels) = (image.height, image.channels);
    let (row, radius) = (image.width * channels, kernel.len() / 2);
    let mut sums = vec![0; row];
    // Along rows: the row with repeated border pixels, shifted by one pixel per weight.
    let mut padded = Vec::with_capacity(row + 2 * radius * channels);
    for line in image.pixels.chunks_exact_mut(row) {
        padded.clear();
        (0..radius).for_each(|_| padded.extend_from_slice(&line[..channels]));
        padded.extend_from_slice(line);
        (0..radius).for_each(|_| padded.extend_from_slice(&line[row - channels..]));
        weigh(line, &mut sums, &kernel, |tap| &padded[tap * channels..][..row]);
    }
    // Along columns: whole rows.
    let across = image.pixels.clone();
    for (y, out) in image.pixels.chunks_exact_mut(row).enumerate() {
        weigh(out, &mut sums, &kernel, |tap| {
            let line = (y + tap).saturating_sub(radius).min(height - 1);
            &across[line * row..][..row]
        });
    }
}

/// `out` becomes the sum over the kernel of weight times line; `sums` is scratch of the same length.
fn weigh<'a>(out: &mut [u8], sums: &mut [i32], kernel: &[i16], line: impl Fn(usize) -> &'a [u8]) {
    sums.fill(ONE / 2);
    for (tap, &weight) in kernel.iter().enumerate() {
        sums.iter_mut().zip(line(tap)).for_each(|(sum, &value)| *sum += i32::from(weight) * i32::from(value));
    }
    out.iter_mut().zip(sums).for_each(|(out, sum)| *out = (*sum / ONE) as u8);
}

/// Weights from `-radius` to `radius` with the sum [`ONE`]. 16 bits, for SIMD multiplication.
fn kernel(sigma: f32) -> Vec<i16> {
    let radius = (3.0 * sigma).ceil().max(1.0) as i32;
    let weight = |offset: i32| (-f64::from(offset * offset) / (2.0 * f64::from(sigma).powi(2))).exp();
    let total: f64 = (-radius..=radius).map(weight).sum();
    let mut kernel: Vec<i16> =
        (-radius..=radius).map(|o| (weight(o) / total * f64::from(ONE)).round() as i16).collect();
    // The rounding error is added to the centre, so that a constant image does not change.
    kernel[radius as usize] += ONE as i16 - kernel.iter().sum::<i16>();
    kernel
}

/// Settings of the noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// Share of views with noise, 0 to 1.
    pub probability: f32,
    /// Largest standard deviation, in grey levels of 255; drawn from 0 to this.
    pub std_max: f32,
}

impl Noise {
    /// No noise.
    pub const NONE: Self = Self { probability: 0.0, std_max: 0.0 };
}

/// Adds noise to each value, with a random probability and standard deviation.
pub fn noise(image: &mut Image, settings: Noise, rng: &mut Rng) {
    let wanted = rng.uniform() < settings.probability;
    let std = rng.uniform_in(0.0, settings.std_max);
    if wanted {
        for value in &mut image.pixels {
            // The sum of four random bytes is close to normal (standard deviation 147.8).
            let bits = rng.bits();
            let sum: u64 = (0..4).map(|byte| bits >> (8 * byte) & 0xFF).sum();
            *value = (f32::from(*value) + (sum as f32 - 510.0) / 147.8 * std + 0.5) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_image_stays_and_a_point_becomes_a_gaussian() {
        let mut flat = Image { width: 7, height: 5, channels: 3, pixels: vec![77; 105] };
        gaussian_blur(&mut flat, 1.3);
        assert!(flat.pixels.iter().all(|&value| value == 77));
        let mut point = Image { width: 9, height: 9, channels: 1, pixels: vec![0; 81] };
        point.pixels[40] = 255;
        gaussian_blur(&mut point, 1.0);
        for (at, &value) in point.pixels.iter().enumerate() {
            let squared = (at as f64 % 9.0 - 4.0).powi(2) + ((at / 9) as f64 - 4.0).powi(2);
            let expected = 255.0 * (-squared / 2.0).exp() / std::f64::consts::TAU;
            assert!((f64::from(value) - expected).abs() < 1.2, "{at}: {value} {expected}");
        }
    }

    #[test]
    fn noise_has_the_chosen_deviation() {
        let mut image = Image { width: 100, height: 100, channels: 1, pixels: vec![128; 10_000] };
        let mut rng = Rng::for_purpose(2, "test");
        noise(&mut image, Noise { probability: 1.0, std_max: 20.0 }, &mut rng);
        let mean = image.pixels.iter().map(|v| f64::from(*v)).sum::<f64>() / 1e4;
        let std = (image.pixels.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / 1e4).sqrt();
        assert!((mean - 128.0).abs() < 1.0 && (1.0..20.5).contains(&std), "{mean} {std}");
    }
}
