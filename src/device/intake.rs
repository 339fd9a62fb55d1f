//! Images on their way to a device: named, and known by the hash of their pixels.

use macula_edge::support_set::SourceId;
use sha2::{Digest, Sha256};

use crate::data::Image;

/// An image with the name a person knows it by.
#[derive(Clone, Debug)]
pub struct NamedImage {
    /// A path, or a data set's own name for it.
    pub name: String,
    /// Its decoded pixels.
    pub image: Image,
}

/// What a device knows an image by: the first 16 bytes of the SHA-256 of its size, channels and pixels, the same for
/// the same picture in another file or format.
///
/// An image without colour counts as one channel, because some formats store grey in three.
pub fn source_of(image: &Image) -> SourceId {
    if image.channels > 1 && image.is_grey() {
        return source_of(&image.to_grey());
    }
    let mut hash = Sha256::new();
    for size in [image.width, image.height, image.channels] {
        hash.update((size as u64).to_le_bytes());
    }
    hash.update(&image.pixels);
    let mut source = SourceId::default();
    let len = source.len();
    source.copy_from_slice(&hash.finalize()[..len]);
    source
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_picture_has_one_source() {
        let grey = Image { width: 2, height: 1, channels: 1, pixels: vec![7, 200] };
        let in_colour = Image { channels: 3, pixels: vec![7, 7, 7, 200, 200, 200], ..grey.clone() };
        assert_eq!(source_of(&grey), source_of(&in_colour));
        let others = [
            Image { pixels: vec![7, 201], ..grey.clone() },
            Image { width: 1, height: 2, ..grey.clone() },
            Image { channels: 3, pixels: vec![7, 7, 7, 200, 200, 201], ..grey.clone() },
        ];
        for other in others {
            assert_ne!(source_of(&grey), source_of(&other), "{other:?}");
        }
    }
}
