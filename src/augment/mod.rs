//! Changes to an 8-bit image that leave what it shows.
//!
//! All act on `[height, width, channels]` row-major pixels, before normalisation, and draw from a
//! stream of their own for each image and epoch: neither the order of work nor a resume changes a view.

mod crop;
mod turn;

use serde::{Deserialize, Serialize};

pub use crop::{padded_crop, padded_random_crop};
pub use turn::{flip_horizontal, rotate90};

use crate::data::Image;
use crate::rng::Rng;

/// What is drawn anew for every image in every epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Mirrors every other image left to right. Off where left and right mean something (handwriting, laterality).
    pub flip: bool,
    /// Pixels reflected outwards on each side before a crop of the old size at a random place; 0 crops nothing.
    /// 4 is what residual networks on CIFAR use (He et al. 2016, arXiv:1512.03385, section 4.2).
    pub crop_padding: usize,
}

impl Augmentation {
    /// Nothing is changed.
    pub const NONE: Self = Self { flip: false, crop_padding: 0 };

    /// A view of `image`, of the same shape.
    pub fn apply(&self, image: &Image, rng: &mut Rng) -> Image {
        // Both draws are made whatever the settings, so that switching one off leaves the other as it was.
        let mirrored = rng.uniform() < 0.5;
        let cropped = padded_random_crop(image, self.crop_padding, rng);
        if self.flip && mirrored { flip_horizontal(&cropped) } else { cropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pixel its own value.
    fn counted(width: usize, height: usize, channels: usize) -> Image {
        Image { width, height, channels, pixels: (0..(width * height * channels) as u8).collect() }
    }

    #[test]
    fn a_view_depends_on_its_stream_alone() {
        let image = counted(8, 8, 3);
        let both = Augmentation { flip: true, crop_padding: 4 };
        let view = |index| both.apply(&image, &mut Rng::for_item(1, "augment", 0, index));
        assert_eq!(view(3), view(3));
        assert!((0..20).any(|index| view(index) != view(3)));
        assert_eq!(Augmentation::NONE.apply(&image, &mut Rng::for_item(1, "augment", 0, 3)), image);
    }

    #[test]
    fn about_half_are_mirrored() {
        let image = counted(2, 1, 1);
        let flip = Augmentation { flip: true, crop_padding: 0 };
        let mut rng = Rng::for_purpose(1, "test");
        let mirrored = (0..1000).filter(|_| flip.apply(&image, &mut rng).pixels == [1, 0]).count();
        assert!((400..600).contains(&mirrored), "{mirrored}");
    }
}
