//! Images to send to a device, with a name and a source.

use macula_edge::support_set::SourceId;
use sha2::{Digest, Sha256};

use crate::data::Image;

/// An image with its name in messages.
#[derive(Clone, Debug)]
pub struct NamedImage {
    /// A path, or the dataset's name for it.
    pub name: String,
    /// Its decoded pixels.
    pub image: Image,
}

/// The source of an image: the first 16 bytes of the SHA-256 of its size, channels and pixels. The same picture in another
/// file or format has the same source.
///
/// An image without colour counts as one channel, because some formats store grey in three channels.
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
    fn the_same_pixels_have_the_same_source() {
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

    /// Hosts in other languages compute sources, too.
    #[test]
    fn the_document_shows_a_source() {
        let image = Image { width: 3, height: 2, channels: 1, pixels: vec![0, 0, 0, 0, 40, 30] };
        let source = source_of(&image).map(|byte| format!("{byte:02x}")).join(" ");
        let document = include_str!("../../docs/protocol.md");
        assert!(document.contains(&format!("`{source}`")), "{source}");
    }
}
