//! Golden images: raw images and the features that the encoder must give for them.
//!
//! | bytes     | field                                                        |
//! |----------:|--------------------------------------------------------------|
//! | 4         | N, images, at least 1                                        |
//! | 4         | D, dimensions of a feature                                   |
//!
//! then for each image:
//!
//! | bytes     | field                                                        |
//! |----------:|--------------------------------------------------------------|
//! | 2, 2      | W columns, H rows                                            |
//! | 1, 3      | C channels, 1 or 3; 0                                        |
//! | W H C     | pixels `[H, W, C]`, then zeros up to a multiple of 4         |
//! | 4 D       | the feature, f32, as the encoder gives it                    |

use crate::feature::DIM_MAX;
use crate::image::{RawImage, Shape};

/// Golden images, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Golden<'b> {
    count: u32,
    dim: usize,
    images: &'b [u8],
}

/// A golden image.
#[derive(Clone, Copy, Debug)]
pub struct GoldenImage<'b> {
    /// The image, before any preprocessing.
    pub image: RawImage<'b>,
    feature: &'b [u8],
}

impl<'b> GoldenImage<'b> {
    /// The expected feature, `[D]`.
    pub fn feature(&self) -> impl Iterator<Item = f32> + use<'b> {
        self.feature.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes))
    }

    /// The largest difference between `found` `[D]` and the expected feature, divided by the length of the expected feature;
    /// infinite when either is not a feature.
    pub fn error(&self, found: &[f32]) -> f64 {
        let square: f64 = self.feature().map(|value| f64::from(value) * f64::from(value)).sum();
        if found.len() * 4 != self.feature.len() || !(square.is_finite() && square > 0.0) {
            return f64::INFINITY;
        }
        let differences = self.feature().zip(found).map(|(a, &b)| (f64::from(a) - f64::from(b)).abs());
        // `f64::max` would ignore a NaN.
        let largest = differences.fold(0.0, |most: f64, d| if d.is_nan() { f64::INFINITY } else { most.max(d) });
        largest / libm::sqrt(square)
    }
}

impl<'b> Golden<'b> {
    /// Reads the part; `None` when the bytes are not a part of golden images.
    pub fn parse(bytes: &'b [u8]) -> Option<Self> {
        let (head, images) = bytes.split_first_chunk::<8>()?;
        let [n0, n1, n2, n3, d0, d1, d2, d3] = *head;
        let (count, dim) = (u32::from_le_bytes([n0, n1, n2, n3]), u32::from_le_bytes([d0, d1, d2, d3]) as usize);
        if count == 0 || dim == 0 || dim > DIM_MAX {
            return None;
        }
        let golden = Self { count, dim, images };
        let mut rest = images;
        for _ in 0..count {
            (_, rest) = golden.next(rest)?;
        }
        rest.is_empty().then_some(golden)
    }

    /// Number of images.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// Dimensions of a feature, D.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The images, in order.
    pub fn images(&self) -> impl Iterator<Item = GoldenImage<'b>> + use<'b> {
        let (golden, mut rest) = (*self, self.images);
        core::iter::from_fn(move || {
            let (image, after) = golden.next(rest)?;
            rest = after;
            Some(image)
        })
    }

    fn next(&self, bytes: &'b [u8]) -> Option<(GoldenImage<'b>, &'b [u8])> {
        let (&[w0, w1, h0, h1, channels, 0, 0, 0], rest) = bytes.split_first_chunk::<8>()? else { return None };
        let (width, height) = (u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1]));
        let len = Shape::new(width.into(), height.into(), channels.into()).ok()?.pixels_len();
        let (pixels, rest) = rest.split_at_checked(len)?;
        let (filling, rest) = rest.split_at_checked(len.next_multiple_of(4) - len)?;
        let (feature, rest) = rest.split_at_checked(4 * self.dim)?;
        let image = RawImage::new(width.into(), height.into(), channels.into(), pixels).ok()?;
        filling.iter().all(|&byte| byte == 0).then_some((GoldenImage { image, feature }, rest))
    }

    /// Writes the head of the part: `count` images with features of `dim`.
    pub fn write_head(count: u32, dim: u32, out: &mut impl FnMut(&[u8])) {
        out(&count.to_le_bytes());
        out(&dim.to_le_bytes());
    }

    /// Writes one image with its feature.
    pub fn write_image(image: &RawImage<'_>, feature: &[f32], out: &mut impl FnMut(&[u8])) {
        let (shape, pixels) = (image.shape(), image.pixels());
        // `RawImage` allows sides up to 65,535 and at most 3 channels.
        out(&(shape.width() as u16).to_le_bytes());
        out(&(shape.height() as u16).to_le_bytes());
        out(&[shape.channels() as u8, 0, 0, 0]);
        out(pixels);
        out(&[0; 4][..pixels.len().next_multiple_of(4) - pixels.len()]);
        feature.iter().for_each(|value| out(&value.to_le_bytes()));
    }
}
