//! Cutout and patch masks.

use serde::{Deserialize, Serialize};

use crate::data::Image;
use crate::rng::Rng;

/// Settings of cutout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutOut {
    /// Share of views with a grey square, 0 to 1.
    pub probability: f32,
    /// Side of the square as a share of the image's shorter side, 0 to 1.
    pub side: f32,
}

impl CutOut {
    /// No cutout.
    pub const NONE: Self = Self { probability: 0.0, side: 0.0 };
}

/// Fills a random square with grey, with a random probability. The square may extend beyond the border (DeVries and Taylor
/// 2017, arXiv:1708.04552).
pub fn cut_out(image: &mut Image, settings: CutOut, rng: &mut Rng) {
    let wanted = rng.uniform() < settings.probability;
    let (middle_y, middle_x) = (rng.below(image.height), rng.below(image.width));
    if !wanted {
        return;
    }
    let side = (settings.side * image.width.min(image.height) as f32).round() as usize;
    let span = |middle: usize, len: usize| middle.saturating_sub(side / 2)..(middle + side.div_ceil(2)).min(len);
    for y in span(middle_y, image.height) {
        for x in span(middle_x, image.width) {
            let at = (y * image.width + x) * image.channels;
            image.pixels[at..at + image.channels].fill(128);
        }
    }
}

/// Which of the `patches` patches of an image are masked: `share` of them, drawn without repetition.
pub fn masked_patches(patches: usize, share: f32, rng: &mut Rng) -> Vec<bool> {
    let mut masked = vec![false; patches];
    let count = (share * patches as f32).round() as usize;
    rng.sample(patches, count).into_iter().for_each(|patch| masked[patch] = true);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_may_extend_beyond_the_border() {
        let image = Image { width: 8, height: 6, channels: 3, pixels: vec![200; 144] };
        let mut rng = Rng::for_purpose(1, "test");
        let mut sizes = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut view = image.clone();
            cut_out(&mut view, CutOut { probability: 1.0, side: 0.5 }, &mut rng);
            let holes = view.pixels.chunks_exact(3).filter(|pixel| **pixel == [128; 3]).count();
            assert!((1..=9).contains(&holes) && view.pixels.iter().all(|v| [128, 200].contains(v)), "{holes}");
            sizes.insert(holes);
        }
        assert!(sizes.contains(&9) && sizes.len() > 1, "complete and partial squares: {sizes:?}");
    }

    #[test]
    fn masks_have_the_chosen_share() {
        let mut rng = Rng::for_purpose(1, "test");
        let masks: Vec<_> = (0..10).map(|_| masked_patches(16, 0.6, &mut rng)).collect();
        assert!(masks.iter().all(|mask| mask.iter().filter(|&&masked| masked).count() == 10));
        assert!(masks.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
