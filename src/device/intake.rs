//! Images on their way into a head: named, hashed and embedded.

use sha2::{Digest, Sha256};

use crate::data::Image;
use crate::encoder::{EmbedError, Embedder};

/// Images embedded in one call of the encoder: enough to keep it busy, few enough to stay in cache.
const IMAGES_AT_ONCE: usize = 32;

/// An image with the name a person knows it by.
#[derive(Clone, Debug)]
pub struct NamedImage {
    /// A path, or a data set's own name for it.
    pub name: String,
    /// Its decoded pixels.
    pub image: Image,
}

/// Images could not be embedded.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The encoder failed, or gave a value that is not finite.
    #[error("{first}: {source}")]
    Embed {
        /// The first image of the call.
        first: String,
        /// Why.
        source: EmbedError,
    },
    /// The encoder gave another number of values than it promised.
    #[error("{encoder} gave {found} values for {images} images of {dim} dimensions")]
    Shape {
        /// The encoder.
        encoder: String,
        /// Values it gave.
        found: usize,
        /// Images of the call.
        images: usize,
        /// D.
        dim: usize,
    },
}

/// SHA-256 of an image's size, channels and pixels: the same for the same picture in another file or format.
///
/// An image without colour counts as one channel, because some formats store grey in three.
pub fn pixels_sha256(image: &Image) -> [u8; 32] {
    if image.channels > 1 && image.is_grey() {
        return pixels_sha256(&image.to_grey());
    }
    let mut hash = Sha256::new();
    for size in [image.width, image.height, image.channels] {
        hash.update((size as u64).to_le_bytes());
    }
    hash.update(&image.pixels);
    hash.finalize().into()
}

/// Features `[N, D]` of `images`.
///
/// # Errors
/// When the encoder fails.
pub fn embed_images(encoder: &dyn Embedder, images: &[NamedImage]) -> Result<Vec<f32>, ImageError> {
    let mut features = Vec::with_capacity(images.len() * encoder.feature_dim());
    for block in images.chunks(IMAGES_AT_ONCE) {
        let input: Vec<f32> = block.iter().flat_map(|named| encoder.preprocessing().apply(&named.image)).collect();
        let embedded =
            encoder.embed_input(&input).map_err(|source| ImageError::Embed { first: block[0].name.clone(), source })?;
        let (dim, images) = (encoder.feature_dim(), block.len());
        if embedded.len() != images * dim {
            return Err(ImageError::Shape { encoder: encoder.name(), found: embedded.len(), images, dim });
        }
        features.extend_from_slice(&embedded);
    }
    Ok(features)
}
