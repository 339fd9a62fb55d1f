//! Images that show whether an encoder still gives the features it gave where its bundle was made.

use macula_edge::image::RawImage;

use super::MakeError;
use crate::data::{Image, Preprocessing, open_named};
use crate::encoder::HostEncoder;

/// Golden images of a bundle, unless more or fewer are asked for.
pub const GOLDEN_IMAGES: usize = 4;

/// Drawn images for an encoder of `preprocessing`: half of them in its own size, half of them larger, so that resizing
/// is tested, too; in colour where it sees colour, so that the order of channels is.
///
/// # Errors
/// None that the phantoms themselves do not have.
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

/// Red the image, green its negative, blue its mirror image.
fn coloured(image: &Image) -> Image {
    let grey = image.to_grey();
    let triples = grey.pixels.iter().zip(grey.pixels.iter().rev());
    let pixels = triples.flat_map(|(&value, &mirrored)| [value, 255 - value, mirrored]).collect();
    Image { channels: 3, pixels, ..grey }
}

/// The part: `images` with the features that `encoder` gives them, or with `reference` `[N, D]`, the features that
/// another runtime gave them.
///
/// # Errors
/// Images that would test nothing: none, or features that hardly differ between them, as those of a dead encoder; and a
/// reference of another size, or with a value that is not finite.
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

/// Least difference between the features of two images, as a share of the first one's length: ten times what f16 may err.
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
