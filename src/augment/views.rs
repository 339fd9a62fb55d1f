//! The views of an image: how many network inputs it becomes, and how they differ.

use super::augmentation::Augmentation;
use super::rotate::rotate90;
use crate::data::Image;
use crate::rng::Rng;

/// How many views an image has and how they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Views {
    /// This many views, each augmented independently of the others.
    Independent(usize),
    /// One augmented view, rotated by 0°, 90°, 180° and 270°; the four differ only in rotation. Images are square.
    Rotated,
}

impl Views {
    /// Views per image, at least 1.
    pub fn count(self) -> usize {
        match self {
            Self::Independent(count) => count,
            Self::Rotated => 4,
        }
    }

    /// The views of `image`, each of its shape.
    pub fn of(self, image: &Image, augmentation: &Augmentation, rng: &mut Rng) -> Vec<Image> {
        match self {
            Self::Independent(count) => (0..count).map(|_| augmentation.apply(image, rng)).collect(),
            Self::Rotated => {
                let view = augmentation.apply(image, rng);
                (0..self.count()).map(|quarters| rotate90(&view, quarters)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_becomes_its_four_rotations() {
        let image = Image { width: 2, height: 2, channels: 1, pixels: vec![1, 2, 3, 4] };
        let views = Views::Rotated.of(&image, &Augmentation::NONE, &mut Rng::for_purpose(1, "test"));
        let pixels: Vec<_> = views.into_iter().map(|view| view.pixels).collect();
        assert_eq!(pixels, [[1, 2, 3, 4], [2, 4, 1, 3], [4, 3, 2, 1], [3, 1, 4, 2]]);
    }

    #[test]
    fn independent_views_differ() {
        let image = Image { width: 6, height: 6, channels: 1, pixels: (0..36).collect() };
        let augmentation = Augmentation { crop_padding: 2, ..Augmentation::NONE };
        let views = Views::Independent(2).of(&image, &augmentation, &mut Rng::for_purpose(1, "test"));
        assert!(views.len() == 2 && views[0] != views[1]);
    }
}
