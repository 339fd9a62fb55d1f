//! Preprocessing from pixels to network input, the same for training, evaluation, export and device.
//!
//! All steps but the last work on 8-bit values and are the device's own code ([`macula_edge::image`]). Cached bytes, bytes
//! sent to a device and bytes of a device's camera therefore give the network the same input.

use macula_edge::image::{self as device, Crop, ImageError, RawImage, Recipe, Shape};
use rayon::prelude::*;

use super::{DataError, Dataset, Image, ValueRange, evenly_spread};

/// Images on which mean and standard deviation are measured. At 32×32 they are two million values, whose sampling error
/// is far below the differences between datasets.
const STATISTICS_IMAGES_MAX: usize = 2_000;

/// How an image is resized to the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResizeFilter {
    /// Linear interpolation whose support widens when shrinking, as Pillow's `BILINEAR`.
    Triangle,
}

/// Convert to `channels` (to grey by BT.601 luma, to colour by repeating grey), stretch to `width` × `height`, then
/// `(value / 255 - mean) / std` per channel.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Preprocessing {
    /// 1 or 3.
    pub channels: usize,
    /// Rows of the network's input.
    pub height: usize,
    /// Columns of the network's input.
    pub width: usize,
    /// The resize filter.
    pub filter: ResizeFilter,
    /// One per channel, in units of full scale (0 to 1).
    pub mean: Vec<f32>,
    /// One per channel, in units of full scale, greater than 0.
    pub std: Vec<f32>,
    /// The raw values that become black and white when an image file is decoded; none for the natural range of the samples.
    /// It does not apply to images that arrive as 8-bit pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<ValueRange>,
}

impl Preprocessing {
    /// Preprocessing with mean 0 and standard deviation 1: the input is `value / 255`.
    ///
    /// * `channels`: 1 or 3
    /// * `height`, `width`: at least 1
    pub fn unit(channels: usize, height: usize, width: usize) -> Self {
        let (mean, std) = (vec![0.0; channels], vec![1.0; channels]);
        Self { channels, height, width, filter: ResizeFilter::Triangle, mean, std, range: None }
    }

    /// Preprocessing with mean and standard deviation of the images `indices` of `dataset` after resizing, measured on at
    /// most 2,000 of them, spread evenly, and with the range by which the dataset is read.
    ///
    /// The sums are integers, so the result does not depend on the number of threads.
    ///
    /// # Errors
    /// If `indices` is empty, an image cannot be read, or the size is not allowed.
    pub fn for_corpus(
        dataset: &Dataset,
        indices: &[usize],
        channels: usize,
        height: usize,
        width: usize,
    ) -> Result<Self, DataError> {
        if indices.is_empty() {
            return Err(DataError::Empty { path: dataset.name.clone(), expected: "at least one image to measure" });
        }
        let mut recipe = Self { range: dataset.decode.range, ..Self::unit(channels, height, width) };
        recipe.shape().map_err(DataError::Recipe)?;
        let measured = evenly_spread(indices, STATISTICS_IMAGES_MAX);
        let sums = measured
            .par_iter()
            .map(|&index| Ok(channel_sums(&recipe.to_pixels(&dataset.load(index)?))))
            .try_reduce(|| [[0u64; 2]; 3], |a, b| Ok(add_sums(a, b)))?;
        let values = (measured.len() * height * width) as f64;
        for (channel, [sum, squares]) in sums.into_iter().take(channels).enumerate() {
            let mean = sum as f64 / values;
            let variance = (squares as f64 / values - mean * mean).max(0.0);
            recipe.mean[channel] = (mean / 255.0) as f32;
            // Blank images have deviation 0. One grey level is the smallest difference between pixels.
            recipe.std[channel] = (variance.sqrt().max(1.0) / 255.0) as f32;
        }
        Ok(recipe)
    }

    /// Values of one input image: `height * width * channels`.
    pub fn input_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// One image as network input, `[height, width, channels]`, normalised.
    pub fn apply(&self, image: &Image) -> Vec<f32> {
        self.normalise(&self.to_pixels(image).pixels)
    }

    /// The image with the network's size and channels, still 8-bit. An image that has them already is returned unchanged.
    ///
    /// # Panics
    /// If a side is 0 or above [`macula_edge::image::SIDE_MAX`], or the channels are not 1 or 3, of `self` or the image.
    /// All readers refuse such values.
    pub fn to_pixels(&self, image: &Image) -> Image {
        let Self { channels, height, width, filter: ResizeFilter::Triangle, .. } = *self;
        if (image.width, image.height, image.channels) == (width, height, channels) {
            return image.clone();
        }
        let raw = RawImage::new(image.width, image.height, image.channels, &image.pixels);
        let (raw, target) = (raw.expect("images are checked when read"), self.shape().expect("recipes are checked"));
        let mut scratch = vec![0; Recipe::scratch_len(target, image.width)];
        let mut pixels = vec![0; target.pixels_len()];
        device::to_pixels(&raw, Recipe { target, crop: Crop::Whole }, &mut scratch, &mut pixels)
            .expect("memory was made to fit");
        Image { width, height, channels, pixels }
    }

    /// The shape of the network's input.
    ///
    /// # Errors
    /// If a side or the number of channels is not allowed.
    pub fn shape(&self) -> Result<Shape, ImageError> {
        Shape::new(self.width, self.height, self.channels)
    }

    /// `(value / 255 - mean) / std` for each value of `[…, channels]`.
    pub fn normalise(&self, pixels: &[u8]) -> Vec<f32> {
        let mut input = vec![0.0; pixels.len()];
        self.normaliser().fill(&mut input, pixels);
        input
    }

    /// [`Self::normalise`] for many images.
    pub fn normaliser(&self) -> Normaliser {
        let table = |channel: usize| -> [f32; 256] {
            std::array::from_fn(|value| (value as f32 / 255.0 - self.mean[channel]) / self.std[channel])
        };
        Normaliser { tables: (0..self.channels).map(table).collect() }
    }
}

/// Table of the normalised values of each channel.
#[derive(Clone, Debug)]
pub struct Normaliser {
    /// One table per channel.
    tables: Vec<[f32; 256]>,
}

impl Normaliser {
    /// The value of each pixel, for each channel.
    pub fn tables(&self) -> &[[f32; 256]] {
        &self.tables
    }

    /// Sets `input` to the normalised `pixels`; both are `[…, channels]`.
    pub fn fill(&self, input: &mut [f32], pixels: &[u8]) {
        match self.tables.as_slice() {
            [red, green, blue] => {
                let pixels = pixels.as_chunks::<3>().0;
                for (input, &[r, g, b]) in input.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
                    *input = [red[usize::from(r)], green[usize::from(g)], blue[usize::from(b)]];
                }
            }
            tables => {
                let tables = tables.iter().cycle();
                for ((input, &value), table) in input.iter_mut().zip(pixels).zip(tables) {
                    *input = table[usize::from(value)];
                }
            }
        }
    }
}

/// Sum and sum of squares of each channel.
fn channel_sums(image: &Image) -> [[u64; 2]; 3] {
    let mut sums = [[0; 2]; 3];
    for pixel in image.pixels.chunks_exact(image.channels) {
        for (sum, &value) in sums.iter_mut().zip(pixel) {
            let value = u64::from(value);
            *sum = [sum[0] + value, sum[1] + value * value];
        }
    }
    sums
}

fn add_sums(a: [[u64; 2]; 3], b: [[u64; 2]; 3]) -> [[u64; 2]; 3] {
    std::array::from_fn(|channel| std::array::from_fn(|power| a[channel][power] + b[channel][power]))
}

#[cfg(test)]
mod tests {
    use super::*;

    use image::imageops::{self, FilterType};
    use image::{ImageBuffer, Luma, Rgb};

    #[test]
    fn an_image_of_the_right_size_is_only_normalised() {
        let image = Image { width: 2, height: 2, channels: 3, pixels: (0..12).map(|i| i * 20).collect() };
        let recipe =
            Preprocessing { mean: vec![0.1, 0.2, 0.3], std: vec![0.5, 0.25, 2.0], ..Preprocessing::unit(3, 2, 2) };
        assert_eq!(recipe.to_pixels(&image), image);
        let input = recipe.apply(&image);
        for (i, value) in input.iter().enumerate() {
            let expected = (f32::from(image.pixels[i]) / 255.0 - recipe.mean[i % 3]) / recipe.std[i % 3];
            assert_eq!(*value, expected, "value {i}");
        }
    }

    #[test]
    fn halving_averages_with_a_widened_triangle() {
        // By hand: the weights of the first output are 3/7, 3/7, 1/7, 0; those of the second are mirrored.
        let image = Image { width: 4, height: 4, channels: 1, pixels: (0..16).map(|i| i * 15).collect() };
        let half = Preprocessing::unit(1, 2, 2).to_pixels(&image);
        assert_eq!(half.pixels, [54, 77, 148, 171]);
    }

    /// The image crate's resize: the same filter in f32, rounded once.
    fn oracle(image: &Image, width: u32, height: u32) -> Vec<u8> {
        let (from_width, from_height) = (image.width as u32, image.height as u32);
        let pixels = image.pixels.clone();
        if image.channels == 1 {
            let buffer = ImageBuffer::<Luma<u8>, _>::from_raw(from_width, from_height, pixels).unwrap();
            imageops::resize(&buffer, width, height, FilterType::Triangle).into_raw()
        } else {
            let buffer = ImageBuffer::<Rgb<u8>, _>::from_raw(from_width, from_height, pixels).unwrap();
            imageops::resize(&buffer, width, height, FilterType::Triangle).into_raw()
        }
    }

    #[test]
    fn resized_pixels_agree_with_the_image_crate_within_one_grey_level() {
        let (mut values, mut differing) = (0, 0);
        for source in ["phantoms:28:8", "phantoms:97:8", "phantoms:224:8"] {
            let dataset = crate::data::open_named(source, 3).unwrap();
            for (index, (width, height)) in [(28, 28), (32, 32), (64, 40), (9, 120)].repeat(2).into_iter().enumerate() {
                let mut image = dataset.load(index).unwrap();
                if index % 2 == 1 {
                    // Three different channels: the image, its negative, its mirror image.
                    let mirrored = image.pixels.iter().rev();
                    let triples = image.pixels.iter().zip(mirrored).flat_map(|(&a, &b)| [a, 255 - a, b]);
                    image = Image { pixels: triples.collect(), channels: 3, ..image };
                }
                let found = Preprocessing::unit(image.channels, height, width).to_pixels(&image);
                let expected = oracle(&image, width as u32, height as u32);
                assert_eq!(found.pixels.len(), expected.len());
                for (found, expected) in found.pixels.iter().zip(expected) {
                    assert!(found.abs_diff(expected) <= 1, "{source} to {width}×{height}: {found} for {expected}");
                    (values, differing) = (values + 1, differing + usize::from(*found != expected));
                }
            }
        }
        // They may differ if the exact value is within a sixteenth of a level of the midpoint between two levels.
        assert!(differing * 20 < values, "{differing} of {values} differ");
    }

    #[test]
    fn normalised_images_have_mean_0_and_deviation_1() {
        let dataset = crate::data::open_named("phantoms:16:60", 5).unwrap();
        let indices = dataset.indices(None);
        let recipe = Preprocessing::for_corpus(&dataset, &indices, 1, 16, 16).unwrap();
        let values: Vec<f64> =
            indices.iter().flat_map(|&i| recipe.apply(&dataset.load(i).unwrap())).map(f64::from).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 1e-4 && (variance - 1.0).abs() < 1e-3, "{mean} {variance}");
        assert!(Preprocessing::for_corpus(&dataset, &[], 1, 16, 16).is_err());
        let error = Preprocessing::for_corpus(&dataset, &indices, 1, 70_000, 16).unwrap_err();
        assert!(matches!(error, DataError::Recipe(ImageError::Side { .. })), "{error}");
    }
}
