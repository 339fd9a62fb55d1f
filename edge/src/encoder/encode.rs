//! The interface of an encoder, and the steps from an image to its quantised feature.

use bytemuck::cast_slice_mut;

use crate::feature::{CorpusStats, FeatureError, Length, quantise};
use crate::image::{ImageError, RawImage, Shape, prepare};

/// Facts about an encoder that do not need a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncoderInfo<'a> {
    /// The first 16 bytes of the SHA-256 of all that determines the features: equal identities give equal features.
    pub identity: [u8; 16],
    /// Size of the images it reads; `None` for an encoder that reads none, [`FeaturesOnly`](super::FeaturesOnly).
    pub input: Option<Shape>,
    /// Feature dimensions, `D`.
    pub dim: usize,
    /// Words (4 bytes) of memory that [`Encoder::encode`] needs.
    pub arena_words: usize,
    /// Statistics of the features over the unlabelled corpus, where they were measured.
    pub corpus: Option<CorpusStats<'a>>,
}

impl EncoderInfo<'_> {
    /// Words of memory that [`encode_image`] needs: pixels, feature and arena; none for an encoder that reads no images.
    ///
    /// An image that must be resized needs [`Recipe::scratch_len`](crate::image::Recipe::scratch_len) words beside its
    /// pixels, which may be more.
    pub const fn work_words(&self) -> usize {
        match self.input {
            Some(input) => input.pixels_len().div_ceil(4) + self.dim + self.arena_words,
            None => 0,
        }
    }
}

/// Turns the pixels of an image into a feature.
pub trait Encoder {
    /// Facts about it.
    fn info(&self) -> EncoderInfo<'_>;

    /// Computes the feature of an image that has the encoder's input size.
    ///
    /// * `pixels`: `[height, width, channels]`, 8 bits each
    /// * `arena`: at least [`EncoderInfo::arena_words`], with any content
    /// * `feature`: `[D]`, not yet quantised; undefined after an error
    ///
    /// # Errors
    /// When a length does not fit, or the encoder fails.
    fn encode(&self, pixels: &[u8], arena: &mut [u32], feature: &mut [f32]) -> Result<(), EncodeError>;

    /// Computes the feature of an image of any size, if this encoder reads more of a large image than is left at its input
    /// size, such as tiles; `None` for all others.
    ///
    /// * `feature`: `[D]`, not yet quantised; undefined after an error
    fn encode_any_size(&self, image: &RawImage<'_>, feature: &mut [f32]) -> Option<Result<(), EncodeError>> {
        let _ = (image, feature);
        None
    }

    /// Whether the golden images give their features; `None` for an encoder without golden images.
    ///
    /// * `work`: at least [`EncoderInfo::work_words`]
    /// * `feature`: `[D]`, overwritten
    ///
    /// # Errors
    /// As [`encode_image`].
    fn self_test(&self, work: &mut [u32], feature: &mut [i16]) -> Result<Option<bool>, EncodeError> {
        let _ = (work, feature);
        Ok(None)
    }
}

impl<E: Encoder + ?Sized> Encoder for &E {
    fn info(&self) -> EncoderInfo<'_> {
        E::info(self)
    }

    fn encode(&self, pixels: &[u8], arena: &mut [u32], feature: &mut [f32]) -> Result<(), EncodeError> {
        E::encode(self, pixels, arena, feature)
    }

    fn encode_any_size(&self, image: &RawImage<'_>, feature: &mut [f32]) -> Option<Result<(), EncodeError>> {
        E::encode_any_size(self, image, feature)
    }

    fn self_test(&self, work: &mut [u32], feature: &mut [i16]) -> Result<Option<bool>, EncodeError> {
        E::self_test(self, work, feature)
    }
}

/// Computes the quantised feature of an image of any size. Returns the length it had before, where the encoder knows
/// its corpus.
///
/// * `work`: at least [`EncoderInfo::work_words`], with any content
/// * `feature`: `[D]`
///
/// # Errors
/// When the encoder reads no images, the memory is too small, the encoder fails, or the feature has no direction.
pub fn encode_image<E: Encoder + ?Sized>(
    encoder: &E,
    image: &RawImage<'_>,
    work: &mut [u32],
    feature: &mut [i16],
) -> Result<Option<Length>, EncodeError> {
    let info = encoder.info();
    let input = info.input.ok_or(EncodeError::Encoder { code: 0 })?;
    if let Some((values, _)) = work.split_at_mut_checked(info.dim) {
        let values = cast_slice_mut(values);
        if let Some(encoded) = encoder.encode_any_size(image, values) {
            encoded?;
            return Ok(quantise(values, info.corpus, feature)?);
        }
    }
    if image.shape() == input {
        return encode_pixels(encoder, image.pixels(), work, feature);
    }
    let (pixels, work) = split(work, input.pixels_len().div_ceil(4))?;
    let pixels = &mut cast_slice_mut(pixels)[..input.pixels_len()];
    prepare(image, input, work, pixels)?;
    encode_pixels(encoder, pixels, work, feature)
}

/// As [`encode_image`] for an image that has the encoder's input size.
///
/// * `work`: at least `D` words and the arena
///
/// # Errors
/// As [`encode_image`].
pub fn encode_pixels<E: Encoder + ?Sized>(
    encoder: &E,
    pixels: &[u8],
    work: &mut [u32],
    feature: &mut [i16],
) -> Result<Option<Length>, EncodeError> {
    let info = encoder.info();
    let (values, arena) = split(work, info.dim)?;
    let values = cast_slice_mut(values);
    encoder.encode(pixels, arena, values)?;
    Ok(quantise(values, info.corpus, feature)?)
}

fn split(work: &mut [u32], words: usize) -> Result<(&mut [u32], &mut [u32]), EncodeError> {
    let found = work.len();
    work.split_at_mut_checked(words).ok_or(EncodeError::Memory { found, needed: words })
}

/// An image could not be turned into a feature.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// The image cannot be brought to the encoder's input.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The feature cannot be quantised.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// Too little memory was lent.
    #[error("the encoder was lent {} bytes of memory, {} are needed", 4 * found, 4 * needed)]
    Memory {
        /// Words (4 bytes) lent.
        found: usize,
        /// Words needed.
        needed: usize,
    },
    /// The encoder failed.
    #[error("the encoder failed with code {code}")]
    Encoder {
        /// The encoder's error number.
        code: u32,
    },
}
