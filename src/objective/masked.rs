//! Masked-image modelling for small convolutional encoders: reconstruct the pixels of masked patches.
//!
//! Xie et al. 2022 (SimMIM), arXiv:2111.09886: patches are masked at random, one linear layer reconstructs the pixels of
//! each patch from the encoder's last activations, and the loss is the mean absolute error on masked pixels. A patch is
//! the part of the input that corresponds to one position of the last activations.

use super::head::Head;
use super::interface::{MethodInfo, Objective, StepOutput, Targets};
use super::settings::Comparison;
use crate::augment::{Views, masked_patches};
use crate::encoder::Network;
use crate::ranks::Part;
use crate::rng::Rng;

pub(super) const METHOD: MethodInfo = MethodInfo {
    is_contrastive: false,
    comparison: Comparison::DEFAULT,
    build: |settings| {
        Box::new(Masked::new(settings.mask_share, settings.channels, settings.size, settings.map_side.max(1)))
    },
};

/// Reconstruction of masked patches; reads no labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Masked {
    /// The decoder.
    head: Head,
    share: f32,
    channels: usize,
    /// Side of the square input, in pixels.
    size: usize,
    /// Side of the square last activations.
    map: usize,
    /// The masked patches of the step before they were masked, `[M, P]`.
    hidden: Vec<f32>,
    /// Which patches of the step are masked, `[N, H' W']`.
    masked: Vec<bool>,
}

impl Masked {
    /// * `share`: of the patches that are masked, between 0 and 1
    /// * `channels`, `size`: of the square network input
    /// * `map`: side of the encoder's last activations, a divisor of `size`
    pub fn new(share: f32, channels: usize, size: usize, map: usize) -> Self {
        let patch_len = (size / map) * (size / map) * channels;
        let head = Head::linear("decoder", patch_len);
        Self { head, share, channels, size, map, hidden: Vec::new(), masked: Vec::new() }
    }

    /// Values of one network input.
    fn input_len(&self) -> usize {
        self.size * self.size * self.channels
    }

    /// Places, in a network input, of the rows of the patch at `position`.
    fn patch_rows(&self, position: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
        let (side, row) = (self.size / self.map, self.size * self.channels);
        let (top, left) = (position / self.map * side, position % self.map * side * self.channels);
        let width = side * self.channels;
        (top..top + side).map(move |y| y * row + left..y * row + left + width)
    }
}

impl Objective for Masked {
    fn views(&self) -> Views {
        Views::Independent(1)
    }

    fn head(&self) -> &Head {
        &self.head
    }

    fn reads_map(&self) -> bool {
        true
    }

    fn has_held_out_loss(&self) -> bool {
        false
    }

    /// Masked patches become 0, which is the mean of the corpus after normalisation.
    fn encoder_input<'a>(&mut self, views: &'a mut [f32], part: Part, rng: &mut Rng) -> &'a [f32] {
        let mut hidden = std::mem::take(&mut self.hidden);
        hidden.clear();
        self.masked.clear();
        // The masks of the images of the ranks before this one.
        (0..part.first).for_each(|_| drop(masked_patches(self.map * self.map, self.share, rng)));
        for input in views.chunks_exact_mut(self.input_len()) {
            let mask = masked_patches(self.map * self.map, self.share, rng);
            for (position, _) in mask.iter().enumerate().filter(|(_, masked)| **masked) {
                for row in self.patch_rows(position) {
                    hidden.extend_from_slice(&input[row.clone()]);
                    input[row].fill(0.0);
                }
            }
            self.masked.extend(mask);
        }
        self.hidden = hidden;
        views
    }

    /// The map and its gradient, the decoder on masked positions, and what the patches hide.
    fn step_bytes(&self, network: &Network, images: usize) -> usize {
        let positions = images * self.map * self.map;
        let masked = (self.share * positions as f32) as usize;
        let map = 2 * size_of::<f32>() * positions * network.trained_dim();
        let hidden = size_of::<f32>() * masked * self.head.outputs();
        map + self.head.pass_bytes(network.trained_dim(), masked) + hidden
    }

    /// An input counts as correct if its reconstruction is nearer than the mean image.
    fn loss(&self, head: &[f32], features: &[f32], _targets: Targets<'_>) -> StepOutput {
        let (outputs, positions) = (self.head.outputs(), self.map * self.map);
        let feature_dim = features.len() / self.masked.len();
        // The decoder runs on masked positions only.
        let masked: Vec<usize> = (0..self.masked.len()).filter(|&at| self.masked[at]).collect();
        let x: Vec<f32> = masked.iter().flat_map(|&at| &features[at * feature_dim..][..feature_dim]).copied().collect();
        let pass = self.head.forward(head, &x);
        let mut dout = pass.out.clone();
        let inputs = self.masked.len() / positions;
        let (mut errors, mut blank) = (vec![0.0f64; inputs], vec![0.0f64; inputs]);
        let scale = 1.0 / dout.len().max(1) as f32;
        let patches = dout.chunks_exact_mut(outputs).zip(self.hidden.chunks_exact(outputs));
        for (&at, (out, patch)) in masked.iter().zip(patches) {
            let index = at / positions;
            for (out, &pixel) in out.iter_mut().zip(patch) {
                let error = *out - pixel;
                errors[index] += f64::from(error.abs());
                blank[index] += f64::from(pixel.abs());
                // The gradient of the mean absolute error replaces the reconstruction.
                *out = if error == 0.0 { 0.0 } else { error.signum() * scale };
            }
        }
        let (dhead, dx) = self.head.backward(head, &pass, dout);
        let mut dfeatures = vec![0.0; features.len()];
        for (&at, dx) in masked.iter().zip(dx.chunks_exact(feature_dim)) {
            dfeatures[at * feature_dim..][..feature_dim].copy_from_slice(dx);
        }
        let scale = f64::from(scale);
        StepOutput {
            loss: errors.iter().sum::<f64>() * scale,
            targets: vec![0; inputs],
            predictions: errors.iter().zip(&blank).map(|(error, blank)| usize::from(error >= blank)).collect(),
            measures: vec![("mean_image_error", blank.iter().sum::<f64>() * scale)],
            dhead,
            dfeatures,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::gradient_check::check_objective;

    #[test]
    fn patches_tile_the_input() {
        let masked = Masked::new(0.5, 2, 4, 2);
        let places = |position| masked.patch_rows(position).flatten().collect::<Vec<usize>>();
        assert_eq!(places(3), [20, 21, 22, 23, 28, 29, 30, 31], "rows 2 and 3, columns 2 and 3");
        let mut all: Vec<usize> = (0..4).flat_map(places).collect();
        all.sort_unstable();
        assert_eq!(all, (0..32).collect::<Vec<usize>>());
    }

    #[test]
    fn gradients_agree_with_central_differences_and_only_masked_patches_count() {
        let mut masked = Masked::new(0.6, 1, 6, 3);
        let mut rng = Rng::for_purpose(1, "test");
        let inputs: Vec<f32> = (0..2 * 36).map(|_| rng.normal()).collect();
        let mut views = inputs.clone();
        let visible = masked.encoder_input(&mut views, Part::whole(2), &mut rng);
        let zeros = visible.iter().filter(|&&value| value == 0.0).count();
        assert_eq!(zeros, 2 * 5 * 4, "5 of 9 patches");
        // The absolute value has a kink; the step is small enough to avoid it.
        check_objective(&masked, 18, &[None; 2], 1.0 / 8192.0, 2e-3);
        let head = masked.head.initialise(5, &mut rng);
        let output = masked.loss(&head, &[1.0; 18 * 5], Targets::default());
        for (masked, dfeature) in masked.masked.iter().zip(output.dfeatures.chunks(5)) {
            assert_eq!(*masked, dfeature.iter().any(|d| *d != 0.0));
        }
    }
}
