//! Sets of augmentations by name.

use super::augmentation::Augmentation;
use super::blur::{Blur, Noise};
use super::colour::Jitter;

/// A set of augmentations for one kind of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// No augmentation.
    None,
    /// Flips and shifts by a few pixels: for supervised training and rotation.
    Light,
    /// The augmentations of SimCLR, for photographs.
    Natural,
    /// Keeps small lesions in the image and grey values meaningful.
    Medical,
    /// Keeps the centre of the image at the centre: for patches around a point, which have no upright orientation.
    Centred,
}

impl Policy {
    /// All policies.
    pub const ALL: [Self; 5] = [Self::None, Self::Light, Self::Natural, Self::Medical, Self::Centred];

    /// The default: a contrastive method needs strong augmentation, a classifier needs mild augmentation.
    pub fn default_for(compares_views: bool) -> Self {
        if compares_views { Self::Natural } else { Self::Light }
    }

    /// Its augmentation of images of `size` × `size` pixels.
    pub fn augmentation(self, size: usize) -> Augmentation {
        match self {
            Self::None => Augmentation::NONE,
            Self::Light => Augmentation { flip: true, crop_padding: 4, ..Augmentation::NONE },
            // Chen et al. 2020, arXiv:2002.05709, appendices A and B.9: crops, strong colour, a fifth grey. Blur is left
            // out at 32 pixels, as they do on CIFAR. Their crops begin at 8 % of the area, of 224 pixels; at 64 pixels
            // such a crop shows nothing, and 30 % is better (docs/lessons/recipe.csv).
            Self::Natural => Augmentation {
                flip: true,
                crop_area_min: 0.3,
                jitter: Jitter { probability: 0.8, brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
                grey_probability: 0.2,
                blur: match size > 32 {
                    true => Blur { probability: 0.5, sigma_min: 0.1, sigma_max: size as f32 / 64.0 },
                    false => Blur::NONE,
                },
                ..Augmentation::NONE
            },
            // A nodule can be 1 % of the image, so a crop keeps at least 40 %. Hue distinguishes stain and blood, so it
            // is not changed. Exposure and detectors differ between devices: brightness, contrast, noise.
            Self::Medical => Augmentation {
                flip: true,
                turn_degrees: 15.0,
                crop_area_min: 0.4,
                jitter: Jitter { probability: 0.8, brightness: 0.4, contrast: 0.4, saturation: 0.2, hue: 0.0 },
                blur: Blur { probability: 0.3, sigma_min: 0.1, sigma_max: (size as f32 / 64.0).max(0.5) },
                noise: Noise { probability: 0.3, std_max: 8.0 },
                ..Augmentation::NONE
            },
            // A crop or a shift would move the labelled point away from the centre; a vessel is one or two pixels wide,
            // so there is no blur. Otherwise as for medical images.
            Self::Centred => Augmentation {
                flip: true,
                quarter_turns: true,
                turn_degrees: 45.0,
                jitter: Jitter { probability: 0.8, brightness: 0.4, contrast: 0.4, saturation: 0.2, hue: 0.0 },
                noise: Noise { probability: 0.3, std_max: 8.0 },
                ..Augmentation::NONE
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Image;
    use crate::rng::Rng;

    #[test]
    fn every_policy_is_in_range_keeps_the_shape_and_repeats() {
        for policy in Policy::ALL {
            for (size, channels) in [(28, 1), (32, 3), (64, 1)] {
                let augmentation = policy.augmentation(size);
                assert_eq!(augmentation.out_of_range(), None, "{policy:?}");
                let pixels = (0..size * size * channels).map(|i| (i * 7 % 251) as u8).collect();
                let image = Image { width: size, height: size, channels, pixels };
                let view = |index| augmentation.apply(&image, &mut Rng::for_item(1, "augment", 0, index));
                assert_eq!(view(3), view(3));
                assert_eq!((view(0).width, view(0).height, view(0).channels), (size, size, channels));
                let changed = (0..20).filter(|&index| view(index) != image).count();
                assert_eq!(changed, if policy == Policy::None { 0 } else { 20 }, "{policy:?}");
            }
        }
    }

    #[test]
    fn settings_survive_toml() {
        for policy in Policy::ALL {
            let augmentation = policy.augmentation(64);
            let text = toml::to_string(&augmentation).unwrap();
            assert_eq!(toml::from_str::<Augmentation>(&text).unwrap(), augmentation, "{text}");
        }
    }
}
