//! Golden images: they show whether an encoder still computes the features that were signed.

use macula_edge::image::RawImage;

use super::MakeError;
use crate::data::{Image, Preprocessing, open_named};
use crate::encoder::HostEncoder;

/// Default number of golden images in a bundle.
pub const GOLDEN_IMAGES: usize = 4;

/// Phantoms as golden images for `preprocessing`: half have the input size, half are larger, which tests resizing; in
/// colour if the input is, which tests the order of channels.
///
/// # Errors
/// When phantoms cannot be drawn in this size.
pub fn drawn(preprocessing: &Preprocessing, count: usize, seed: u64) -> Result<Vec<Image>, MakeError> {
    let side = preprocessing.height.max(preprocessing.width);
    let draw = |side: usize| open_named(&format!("phantoms:{side}:{count}"), seed);
    let (own, larger) = (draw(side)?, draw(side + side / 4 + 1)?);
    let images = (0..count).map(|index| {
        let image = if index % 2 == 0 { &own } else { &larger }.load(index)?;
        Ok(if preprocessing.channels == 3 { coloured(&image) } else { image })
    });
    images.collect()
}

/// Red: the image; green: its negative; blue: its mirror image.
fn coloured(image: &Image) -> Image {
    let grey = image.to_grey();
    let triples = grey.pixels.iter().zip(grey.pixels.iter().rev());
    let pixels = triples.flat_map(|(&value, &mirrored)| [value, 255 - value, mirrored]).collect();
    Image { channels: 3, pixels, ..grey }
}

/// The part: `images` with their features by `encoder`, or with `reference` `[N, D]`, their features by another runtime.
///
/// # Errors
/// When there are no images, their features hardly differ (as those of a dead encoder do), or the reference has another size
/// or a value that is not finite.
pub(super) fn part(
    encoder: &dyn HostEncoder,
    images: &[Image],
    reference: Option<&[f32]>,
) -> Result<Vec<u8>, MakeError> {
    let dim = encoder.feature_dim();
    let features = match reference {
        Some(values) => {
            check_reference(values, images.len(), dim)?;
            values.chunks_exact(dim).map(<[f32]>::to_vec).collect()
        }
        None => (images.iter())
            .map(|image| encoder.encode_batch(&encoder.preprocessing().to_pixels(image).pixels))
            .collect::<Result<Vec<_>, _>>()?,
    };
    check_features(&features)?;
    let mut part = Vec::new();
    let mut out = |piece: &[u8]| part.extend_from_slice(piece);
    macula_edge::bundle::Golden::write_head(images.len() as u32, dim as u32, &mut out);
    for (image, feature) in images.iter().zip(&features) {
        let raw = RawImage::new(image.width, image.height, image.channels, &image.pixels)?;
        macula_edge::bundle::Golden::write_image(&raw, feature, &mut out);
    }
    Ok(part)
}

fn check_reference(values: &[f32], images: usize, dim: usize) -> Result<(), MakeError> {
    if values.len() != images * dim {
        return Err(MakeError::ReferenceSize { found: values.len(), images, dim });
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(MakeError::ReferenceValue { image: at / dim, position: at % dim, value: values[at] }),
        None => Ok(()),
    }
}

/// Least difference between the features of two images, as a share of the first feature's length.
const LEAST_DIFFERENCE: f64 = 1e-3;

fn check_features(features: &[Vec<f32>]) -> Result<(), MakeError> {
    let Some((first, others)) = features.split_first() else { return Err(MakeError::NoGolden) };
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let scale = length(&mut first.iter().map(|&value| f64::from(value)));
    let is_zero = |feature: &Vec<f32>| feature.iter().all(|&value| value == 0.0);
    let differs = |other: &Vec<f32>| {
        let differences = first.iter().zip(other).map(|(&a, &b)| f64::from(a) - f64::from(b));
        length(&mut { differences }) > LEAST_DIFFERENCE * scale
    };
    match features.iter().any(is_zero) || !others.is_empty() && !others.iter().any(differs) {
        true => Err(MakeError::DeadGolden),
        false => Ok(()),
    }
}
