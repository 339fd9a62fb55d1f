//! From raw pixels to network input, one recipe for training, evaluation, export and device.
//!
//! The recipe works on 8-bit values until the last step, and these are made by the device's own code
//! ([`macula_edge::image`]): a cache of bytes, a device that sends bytes and a device that sees by itself give the
//! network the same input.

use macula_edge::image::{self as device, Crop, ImageError, RawImage, Recipe, Shape};
use rayon::prelude::*;

use super::{DataError, Dataset, Image, ValueRange, evenly_spread};

/// Images that mean and standard deviation are measured on. At 32×32 they are two million values,
/// whose sampling error is far below the difference between data sets.
const STATISTICS_IMAGES_MAX: usize = 2_000;

/// How an image is brought to the network's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResizeFilter {
    /// Linear interpolation whose support widens when shrinking, as in Pillow's `BILINEAR`.
    Triangle,
}

/// The recipe: to `channels` (grey by BT.601 luma, colour by repeating grey), to
/// `width` × `height` (stretched), then `(value / 255 - mean) / std` for each channel.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Preprocessing {
    /// 1 or 3.
    pub channels: usize,
    /// Rows of the network's input.
    pub height: usize,
    /// Columns of the network's input.
    pub width: usize,
    /// How sizes are matched.
    pub filter: ResizeFilter,
    /// One a channel, in units of full scale (0 to 1).
    pub mean: Vec<f32>,
    /// One a channel, in units of full scale, greater than 0.
    pub std: Vec<f32>,
    /// The raw values that are black and white in the images it was made for; none where the natural range of the
    /// samples is meant. It applies when an image file is decoded: pixels that arrive as bytes have it behind them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<ValueRange>,
}

impl Preprocessing {
    /// A recipe with mean 0 and standard deviation 1: input is `value / 255`.
    ///
    /// * `channels`: 1 or 3
    /// * `height`, `width`: at least 1
    pub fn unit(channels: usize, height: usize, width: usize) -> Self {
        let (mean, std) = (vec![0.0; channels], vec![1.0; channels]);
        Self { channels, height, width, filter: ResizeFilter::Triangle, mean, std, range: None }
    }

    /// A recipe whose mean and standard deviation are those of the images `indices` of `dataset`
    /// after resizing, measured on at most 2,000 of them spread evenly.
    ///
    /// The range is the one that the data set is read with. The sums are integers, so the result does not depend on the number of threads. An image
    /// that cannot be read is an error; no image at all and an impossible size are as well.
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
            // A blank corpus has deviation 0; one grey level is the least that pixels can differ by.
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

    /// The image in the network's size and channels, still 8-bit. An image that has them already
    /// is passed through untouched.
    ///
    /// # Panics
    /// When the recipe or the image has a side of 0 or above [`macula_edge::image::SIDE_MAX`], or another number of
    /// channels than 1 or 3: whatever reads recipes and images refuses those.
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

    /// The size of the network's input.
    ///
    /// # Errors
    /// When no image has this size.
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

/// What each of the 256 values of each channel becomes.
#[derive(Clone, Debug)]
pub struct Normaliser {
    /// One a channel.
    tables: Vec<[f32; 256]>,
}

impl Normaliser {
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
    fn equal_size_is_untouched_and_normalised_by_the_formula() {
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
        // Worked by hand: the weights of the first output are 3/7, 3/7, 1/7, 0, of the second the mirror image.
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
    fn pixels_are_those_of_another_resize_within_one_grey_level() {
        let (mut values, mut differing) = (0, 0);
        for source in ["phantoms:28:8", "phantoms:97:8", "phantoms:224:8"] {
            let dataset = crate::data::open_named(source, 3).unwrap();
            for (index, (width, height)) in [(28, 28), (32, 32), (64, 40), (9, 120)].repeat(2).into_iter().enumerate() {
                let mut image = dataset.load(index).unwrap();
                if index % 2 == 1 {
                    // Colour whose channels differ: the image, its negative, its mirror image.
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
        // Where the exact value lies within a sixteenth of the middle between two levels.
        assert!(differing * 20 < values, "{differing} of {values} differ");
    }

    #[test]
    fn statistics_are_those_of_the_images() {
        let dataset = crate::data::open_named("phantoms:16:60", 5).unwrap();
        let indices = dataset.indices(None);
        let recipe = Preprocessing::for_corpus(&dataset, &indices, 1, 16, 16).unwrap();
        let values: Vec<f64> =
            indices.iter().flat_map(|&i| recipe.apply(&dataset.load(i).unwrap())).map(f64::from).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 1e-4 && (variance - 1.0).abs() < 1e-3, "{mean} {variance}");
        assert!(Preprocessing::for_corpus(&dataset, &[], 1, 16, 16).is_err());
        let error = Preprocessing::for_corpus(&dataset, &indices, 1, 70_000, 16).unwrap_err().to_string();
        assert!(error.ends_with("an image has height 70000, the limits are 1 and 65535"), "{error}");
    }
}
