//! Occlusion: which parts of an image a decision needs, for any encoder and any device (Zeiler and Fergus 2014,
//! arXiv:1311.2901, section 4.2).
//!
//! A patch of the mean colour of the image is moved over it. Where the margin falls most, the decision needs most.

use super::map::HeatMap;
use crate::data::{Area, Image};

/// Images that are occluded and embedded together, at most.
const IMAGES_AT_ONCE: usize = 64;

/// Bytes of their pixels, at most, unless one image has more: a photograph of 8,192×8,192 pixels in colour has 192 MiB.
const BYTES_AT_ONCE: usize = 64 << 20;

/// The patch that is moved over an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Occlusion {
    patch: f32,
}

/// The patch is too small or too large.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a patch of {patch} of the side of the image; 0.02 to 0.9 are allowed")]
pub struct OcclusionError {
    /// The share.
    patch: f32,
}

impl Occlusion {
    /// A patch of an eighth of each side, 225 places.
    pub const DEFAULT: Self = Self { patch: 0.125 };

    /// A patch of this share of each side of the image, moved by half of its size.
    ///
    /// # Errors
    /// If the share is not 0.02 to 0.9.
    pub fn new(patch: f32) -> Result<Self, OcclusionError> {
        if (0.02..=0.9).contains(&patch) { Ok(Self { patch }) } else { Err(OcclusionError { patch }) }
    }

    /// How far the margin of `image` falls when a part is hidden, for each place of the patch.
    ///
    /// * `source`: columns and rows of the image that `image` was made from, in whose pixels the map is
    /// * `margins`: the margin of each image, in order
    ///
    /// # Errors
    /// Those of `margins`.
    pub fn map<E>(
        self,
        image: &Image,
        source: [usize; 2],
        mut margins: impl FnMut(&[Image]) -> Result<Vec<f64>, E>,
    ) -> Result<HeatMap, E> {
        let whole = margins(std::slice::from_ref(image))?;
        let whole = whole.first().copied().unwrap_or_default();
        let (places, fill) = (self.places(image), mean_colour(image));
        let scale = [source[0] as f32 / image.width as f32, source[1] as f32 / image.height as f32];
        let mut cells = Vec::with_capacity(places.len());
        for block in places.chunks(images_at_once(image.pixels.len())) {
            let occluded: Vec<Image> = block.iter().map(|place| hidden(image, *place, fill)).collect();
            for ([left, top, width, height], margin) in block.iter().zip(margins(&occluded)?) {
                let area = Area {
                    left: *left as f32 * scale[0],
                    top: *top as f32 * scale[1],
                    width: *width as f32 * scale[0],
                    height: *height as f32 * scale[1],
                };
                cells.push((area, (whole - margin) as f32));
            }
        }
        Ok(HeatMap { width: source[0], height: source[1], cells })
    }

    /// Left, top, width and height of each place. The last of a row or column is moved inside.
    fn places(self, image: &Image) -> Vec<[usize; 4]> {
        let axis = |len: usize| {
            let patch = ((len as f32 * self.patch).round() as usize).clamp(1, len);
            let starts: Vec<usize> = (0..len - patch).step_by(patch.div_ceil(2)).chain([len - patch]).collect();
            (patch, starts)
        };
        let ((width, columns), (height, rows)) = (axis(image.width), axis(image.height));
        rows.iter().flat_map(|&top| columns.iter().map(move |&left| [left, top, width, height])).collect()
    }
}

/// Copies of an image of `bytes` bytes that are held together.
fn images_at_once(bytes: usize) -> usize {
    (BYTES_AT_ONCE / bytes.max(1)).clamp(1, IMAGES_AT_ONCE)
}

/// The mean of each channel, rounded; the second and third are unused in grey.
fn mean_colour(image: &Image) -> [u8; 3] {
    let mut sums = [0u64; 3];
    for pixel in image.pixels.chunks_exact(image.channels) {
        sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += u64::from(value));
    }
    let count = (image.width * image.height) as u64;
    sums.map(|sum| ((sum + count / 2) / count) as u8)
}

/// `image` with one part of the colour `fill`.
fn hidden(image: &Image, [left, top, width, height]: [usize; 4], fill: [u8; 3]) -> Image {
    let (mut image, fill) = (image.clone(), &fill[..image.channels]);
    for row in top..top + height {
        let start = (row * image.width + left) * image.channels;
        image.pixels[start..start + width * image.channels]
            .chunks_exact_mut(image.channels)
            .for_each(|pixel| pixel.copy_from_slice(fill));
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The margin is the brightness of a planted square: hiding it is what costs.
    #[test]
    fn a_planted_square_is_found() {
        let mut image = Image { width: 64, height: 48, channels: 3, pixels: vec![20; 64 * 48 * 3] };
        let inside = |x: usize, y: usize| (40..48).contains(&x) && (12..18).contains(&y);
        for y in 0..48 {
            for x in (0..64).filter(|&x| inside(x, y)) {
                image.pixels[(y * 64 + x) * 3..][..3].fill(250);
            }
        }
        let brightness = |image: &Image| {
            let of = |(at, pixel): (usize, &[u8])| if inside(at % 64, at / 64) { f64::from(pixel[0]) } else { 0.0 };
            image.pixels.chunks_exact(3).enumerate().map(of).sum::<f64>()
        };
        let mut largest_call = 0;
        let map = Occlusion::DEFAULT
            .map(&image, [128, 96], |images| {
                largest_call = largest_call.max(images.len());
                Ok::<_, ()>(images.iter().map(brightness).collect())
            })
            .unwrap();
        assert_eq!((map.cells.len(), largest_call), (225, 64));
        let (most, drop) = *map.cells.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        // In pixels of the source, twice those of the image.
        assert_eq!(most, Area { left: 80.0, top: 24.0, width: 16.0, height: 12.0 });
        assert!(drop > 0.0 && map.cells.iter().filter(|cell| cell.1 == 0.0).count() > 200);
    }

    #[test]
    fn copies_of_large_images_are_few() {
        assert_eq!([64 * 64, 1 << 20, 48 << 20, 192 << 20].map(images_at_once), [64, 64, 1, 1]);
    }

    #[test]
    fn patches_cover_the_image_and_stay_inside() {
        for (width, height, patch) in [(1, 1, 0.125), (7, 5, 0.3), (64, 33, 0.125), (50, 50, 0.9)] {
            let image = Image { width, height, channels: 1, pixels: vec![9; width * height] };
            let places = Occlusion::new(patch).unwrap().places(&image);
            let mut seen = vec![false; width * height];
            for [left, top, across, down] in places {
                (top..top + down).for_each(|y| seen[y * width + left..][..across].fill(true));
            }
            assert!(seen.iter().all(|&seen| seen), "{width}×{height}");
        }
        assert!(Occlusion::new(0.0).is_err() && Occlusion::new(f32::NAN).is_err());
        let two = Image { width: 2, height: 1, channels: 3, pixels: vec![0, 10, 255, 1, 20, 255] };
        assert_eq!(mean_colour(&two), [1, 15, 255]);
        assert_eq!(hidden(&two, [1, 0, 1, 1], [7, 8, 9]).pixels, [0, 10, 255, 7, 8, 9]);
    }
}
