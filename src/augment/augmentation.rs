//! The augmentation of one view, as settings and as a function.

use serde::{Deserialize, Serialize};

use super::blur::{Blur, Noise, blur, noise};
use super::colour::{Jitter, jitter};
use super::crop::padded_random_crop;
use super::cut::{CutOut, cut_out};
use super::resample::{resized_crop, rotate};
use super::rotate::{flip_horizontal, rotate90};
use crate::data::Image;
use crate::rng::Rng;

/// The augmentation of an image, drawn for each view in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Flip half of the views left to right. Off where left and right have a meaning (handwriting, laterality).
    pub flip: bool,
    /// Pixels of reflected padding on each side before a random crop of the original size; 0 is no crop. Residual networks
    /// on CIFAR use 4 (He et al. 2016, arXiv:1512.03385, section 4.2).
    pub crop_padding: usize,
    /// Rotate by a random multiple of 90°: for tissue and cells, which have no upright orientation.
    #[serde(default, skip_serializing_if = "is_off")]
    pub quarter_turns: bool,
    /// Rotate by at most this many degrees either way; 0 is no rotation.
    #[serde(default, skip_serializing_if = "is_off")]
    pub turn_degrees: f32,
    /// Smallest share of the area that a random resized crop keeps; 0 is no crop.
    #[serde(default, skip_serializing_if = "is_off")]
    pub crop_area_min: f32,
    /// Colour jitter.
    #[serde(default, skip_serializing_if = "is_off")]
    pub jitter: Jitter,
    /// Share of views that are converted to grey.
    #[serde(default, skip_serializing_if = "is_off")]
    pub grey_probability: f32,
    /// Gaussian blur.
    #[serde(default, skip_serializing_if = "is_off")]
    pub blur: Blur,
    /// Gaussian noise.
    #[serde(default, skip_serializing_if = "is_off")]
    pub noise: Noise,
    /// Cutout: a grey square.
    #[serde(default, skip_serializing_if = "is_off")]
    pub cut_out: CutOut,
}

/// The configuration of a run shows only the augmentations that are on.
fn is_off<T: Default + PartialEq>(setting: &T) -> bool {
    *setting == T::default()
}

impl Augmentation {
    /// No augmentation.
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
        // Both are always drawn, so that switching one off does not change the other.
        let flipped = rng.uniform() < 0.5;
        let cropped = padded_random_crop(image, self.crop_padding, rng);
        let mut view = if self.flip && flipped { flip_horizontal(&cropped) } else { cropped };
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

    /// The augmentation of the same image with `scale` times its side: draws give the same view, larger or smaller.
    ///
    /// Lengths in pixels are scaled. Noise is left out: its values belong to pixels.
    #[must_use]
    pub fn at_scale(&self, scale: f32) -> Self {
        let Blur { probability, sigma_min, sigma_max } = self.blur;
        let blur = match self.blur == Blur::NONE {
            true => Blur::NONE,
            false => Blur { probability, sigma_min: scale * sigma_min, sigma_max: scale * sigma_max },
        };
        let crop_padding = (scale * self.crop_padding as f32).round() as usize;
        Self { crop_padding, blur, noise: Noise::NONE, ..*self }
    }

    /// The first setting that is out of range: its name, its value and the allowed range.
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

    /// An image whose pixels all differ.
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

    /// A view of a smooth image is the same view of the image at four times its side, reduced again.
    #[test]
    fn a_view_is_the_same_at_another_scale() {
        let smooth = |side: usize| {
            let level = |at: usize| (at as f32 + 0.5) / side as f32;
            let pixel = |y: usize, x: usize| 40.0 + 90.0 * level(x) + 70.0 * level(y) * level(y);
            let pixels = (0..side * side).map(|at| pixel(at / side, at % side) as u8).collect();
            Image { width: side, height: side, channels: 1, pixels }
        };
        let (small, large) = (smooth(32), smooth(128));
        let reduce = crate::data::Preprocessing::unit(1, 32, 32);
        for policy in crate::augment::Policy::ALL {
            let augmentation = Augmentation { noise: Noise::NONE, ..policy.augmentation(32) };
            let scaled = augmentation.at_scale(4.0);
            for index in 0..20 {
                let rng = || Rng::for_item(1, "augment", 0, index);
                let (view, other) = (augmentation.apply(&small, &mut rng()), scaled.apply(&large, &mut rng()));
                let other = reduce.to_pixels(&other);
                let apart: f32 = view.pixels.iter().zip(&other.pixels).map(|(a, b)| f32::from(a.abs_diff(*b))).sum();
                assert!(apart / 1024.0 < 4.0, "{policy:?} {index}: {}", apart / 1024.0);
            }
        }
    }

    #[test]
    fn about_half_are_flipped() {
        let image = counted(2, 1, 1);
        let flip = Augmentation { flip: true, ..Augmentation::NONE };
        let mut rng = Rng::for_purpose(1, "test");
        let flipped = (0..1000).filter(|_| flip.apply(&image, &mut rng).pixels == [1, 0]).count();
        assert!((400..600).contains(&flipped), "{flipped}");
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        let wrong = Augmentation { crop_area_min: 1.5, ..Augmentation::NONE };
        assert_eq!(wrong.out_of_range(), Some(("crop_area_min", "1.5".into(), "0 to 1")));
    }
}
