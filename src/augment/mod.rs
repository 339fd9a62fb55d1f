//! Changes to an 8-bit image that leave what it shows: views for training.
//!
//! All act on `[height, width, channels]` row-major pixels, before normalisation, and draw from a
//! stream of their own for each image and epoch: neither the order of work nor a resume changes a view.

mod blur;
mod colour;
mod crop;
mod cut;
mod resample;
mod rotate;

use serde::{Deserialize, Serialize};

pub use blur::{Blur, Noise, blur, gaussian_blur, noise};
pub use colour::{Jitter, jitter};
pub use crop::{padded_crop, padded_random_crop};
pub use cut::{CutOut, cut_out, masked_patches};
pub use resample::{resized_crop, rotate};
pub use rotate::{flip_horizontal, rotate90};

use crate::data::Image;
use crate::rng::Rng;

/// What is drawn anew for every image in every epoch, in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Mirrors every other image left to right. Off where left and right mean something (handwriting, laterality).
    pub flip: bool,
    /// Pixels reflected outwards on each side before a crop of the old size at a random place; 0 crops nothing.
    /// 4 is what residual networks on CIFAR use (He et al. 2016, arXiv:1512.03385, section 4.2).
    pub crop_padding: usize,
    /// Whether every image is given one of the four quarter turns: for tissue and cells, which have no upright.
    #[serde(default, skip_serializing_if = "is_false")]
    pub quarter_turns: bool,
    /// Turns by up to so many degrees either way; 0 turns nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub turn_degrees: f32,
    /// Least share of the area that a random resized crop keeps; 0 crops nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub crop_area_min: f32,
    /// Changes of colour.
    #[serde(default = "no_jitter", skip_serializing_if = "is_no_jitter")]
    pub jitter: Jitter,
    /// Share of views that lose their colour.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub grey_probability: f32,
    /// Gaussian blur.
    #[serde(default = "no_blur", skip_serializing_if = "is_no_blur")]
    pub blur: Blur,
    /// Gaussian noise.
    #[serde(default = "no_noise", skip_serializing_if = "is_no_noise")]
    pub noise: Noise,
    /// A square hole.
    #[serde(default = "no_cut_out", skip_serializing_if = "is_no_cut_out")]
    pub cut_out: CutOut,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &f32) -> bool {
    *value == 0.0
}

// A run's file shows what is done, not the ten things that are not.
macro_rules! absent {
    ($kind:ty, $none:ident, $is_none:ident) => {
        fn $none() -> $kind {
            <$kind>::NONE
        }
        fn $is_none(value: &$kind) -> bool {
            *value == <$kind>::NONE
        }
    };
}
absent!(Jitter, no_jitter, is_no_jitter);
absent!(Blur, no_blur, is_no_blur);
absent!(Noise, no_noise, is_no_noise);
absent!(CutOut, no_cut_out, is_no_cut_out);

/// A set of augmentations that goes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nothing.
    None,
    /// Mirror images and shifts by a few pixels: for supervised training and rotation.
    Light,
    /// What SimCLR uses on photographs.
    Natural,
    /// What leaves small lesions in the picture and grey values meaningful.
    Medical,
    /// What leaves the middle of the picture in the middle: for patches about a point, which have no upright.
    Centred,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::None, Self::Light, Self::Natural, Self::Medical, Self::Centred];

    /// What serves most: comparing two views needs strong changes, classifying one needs mild ones.
    pub fn usual(compares_views: bool) -> Self {
        if compares_views { Self::Natural } else { Self::Light }
    }

    /// What it does to images of `size` pixels a side.
    pub fn augmentation(self, size: usize) -> Augmentation {
        match self {
            Self::None => Augmentation::NONE,
            Self::Light => Augmentation { flip: true, crop_padding: 4, ..Augmentation::NONE },
            // Chen et al. 2020, arXiv:2002.05709, appendices A and B.9: crops from 8 % of the area, strong colour,
            // a fifth grey. Blur is left out at 32 pixels, as they do on CIFAR.
            Self::Natural => Augmentation {
                flip: true,
                crop_area_min: 0.08,
                jitter: Jitter { probability: 0.8, brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
                grey_probability: 0.2,
                blur: match size > 32 {
                    true => Blur { probability: 0.5, sigma_min: 0.1, sigma_max: size as f32 / 64.0 },
                    false => Blur::NONE,
                },
                ..Augmentation::NONE
            },
            // A nodule may be a hundredth of the picture, so a crop keeps at least 40 %. Hue tells stain and
            // blood, so it stays. Exposure and detectors differ between devices: brightness, contrast, noise.
            Self::Medical => Augmentation {
                flip: true,
                turn_degrees: 15.0,
                crop_area_min: 0.4,
                jitter: Jitter { probability: 0.8, brightness: 0.4, contrast: 0.4, saturation: 0.2, hue: 0.0 },
                blur: Blur { probability: 0.3, sigma_min: 0.1, sigma_max: (size as f32 / 64.0).max(0.5) },
                noise: Noise { probability: 0.3, std_max: 8.0 },
                ..Augmentation::NONE
            },
            // A crop or a shift would move what the patch is about out of its middle; a vessel is a pixel or
            // two wide, so nothing is blurred. All else as for medical images.
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

impl Augmentation {
    /// Nothing is changed.
    pub const NONE: Self = Self {
        flip: false,
        crop_padding: 0,
        quarter_turns: false,
        turn_degrees: 0.0,
        crop_area_min: 0.0,
        jitter: Jitter::NONE,
        grey_probability: 0.0,
        blur: Blur::NONE,
        noise: Noise::NONE,
        cut_out: CutOut::NONE,
    };

    /// A view of `image`, of the same shape.
    pub fn apply(&self, image: &Image, rng: &mut Rng) -> Image {
        // Both draws are made whatever the settings, so that switching one off leaves the other as it was.
        let mirrored = rng.uniform() < 0.5;
        let cropped = padded_random_crop(image, self.crop_padding, rng);
        let mut view = if self.flip && mirrored { flip_horizontal(&cropped) } else { cropped };
        if self.quarter_turns && view.width == view.height {
            view = rotate90(&view, rng.below(4));
        }
        if self.turn_degrees > 0.0 {
            view = rotate(&view, rng.uniform_in(-self.turn_degrees, self.turn_degrees));
        }
        if self.crop_area_min > 0.0 {
            view = resized_crop(&view, self.crop_area_min, rng);
        }
        if self.jitter != Jitter::NONE || self.grey_probability > 0.0 {
            jitter(&mut view, self.jitter, self.grey_probability, rng);
        }
        if self.blur != Blur::NONE {
            blur(&mut view, self.blur, rng);
        }
        if self.noise != Noise::NONE {
            noise(&mut view, self.noise, rng);
        }
        if self.cut_out != CutOut::NONE {
            cut_out(&mut view, self.cut_out, rng);
        }
        view
    }

    /// The first setting out of its range: its name, its value, and what is allowed.
    pub fn out_of_range(&self) -> Option<(&'static str, String, &'static str)> {
        let unit = |x: f32| (0.0..=1.0).contains(&x);
        let blur =
            self.blur.sigma_min > 0.0 && self.blur.sigma_min <= self.blur.sigma_max && self.blur.sigma_max <= 64.0;
        let jitter = self.jitter;
        let checks: [(&'static str, f32, &'static str, bool); 13] = [
            ("turn_degrees", self.turn_degrees, "0 to 180", (0.0..=180.0).contains(&self.turn_degrees)),
            ("crop_area_min", self.crop_area_min, "0 to 1", unit(self.crop_area_min)),
            ("jitter.probability", jitter.probability, "0 to 1", unit(jitter.probability)),
            ("jitter.brightness", jitter.brightness, "0 to 1", unit(jitter.brightness)),
            ("jitter.contrast", jitter.contrast, "0 to 1", unit(jitter.contrast)),
            ("jitter.saturation", jitter.saturation, "0 to 1", unit(jitter.saturation)),
            ("jitter.hue", jitter.hue, "0 to 0.5", (0.0..=0.5).contains(&jitter.hue)),
            ("grey_probability", self.grey_probability, "0 to 1", unit(self.grey_probability)),
            ("blur.probability", self.blur.probability, "0 to 1", unit(self.blur.probability)),
            ("blur.sigma_max", self.blur.sigma_max, "at least sigma_min, which is above 0, and at most 64", blur),
            ("noise.probability", self.noise.probability, "0 to 1", unit(self.noise.probability)),
            ("noise.std_max", self.noise.std_max, "0 to 255", (0.0..=255.0).contains(&self.noise.std_max)),
            ("cut_out", self.cut_out.side, "0 to 1", unit(self.cut_out.side) && unit(self.cut_out.probability)),
        ];
        let wrong = checks.into_iter().find(|check| !check.3);
        wrong.map(|(setting, value, allowed, _)| (setting, value.to_string(), allowed))
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
        let both = Augmentation { flip: true, crop_padding: 4, ..Augmentation::NONE };
        let view = |index| both.apply(&image, &mut Rng::for_item(1, "augment", 0, index));
        assert_eq!(view(3), view(3));
        assert!((0..20).any(|index| view(index) != view(3)));
        assert_eq!(Augmentation::NONE.apply(&image, &mut Rng::for_item(1, "augment", 0, 3)), image);
    }

    #[test]
    fn about_half_are_mirrored() {
        let image = counted(2, 1, 1);
        let flip = Augmentation { flip: true, ..Augmentation::NONE };
        let mut rng = Rng::for_purpose(1, "test");
        let mirrored = (0..1000).filter(|_| flip.apply(&image, &mut rng).pixels == [1, 0]).count();
        assert!((400..600).contains(&mirrored), "{mirrored}");
    }

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
    fn settings_survive_toml_and_wrong_ones_are_named() {
        for policy in Policy::ALL {
            let augmentation = policy.augmentation(64);
            let text = toml::to_string(&augmentation).unwrap();
            assert_eq!(toml::from_str::<Augmentation>(&text).unwrap(), augmentation, "{text}");
        }
        let wrong = Augmentation { crop_area_min: 1.5, ..Augmentation::NONE };
        assert_eq!(wrong.out_of_range(), Some(("crop_area_min", "1.5".into(), "0 to 1")));
    }
}
