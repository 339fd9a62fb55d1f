//! Masked-image modelling for small convolutional encoders: what was under the masked patches?
//!
//! Xie et al. 2022 (SimMIM), arXiv:2111.09886: patches are masked at random, one linear layer reconstructs the pixels of
//! each patch from the encoder's last activations, and the loss is the mean absolute error on masked pixels. A patch is
//! what one place of the last activations stands for. The linear layer is left behind at export.

use super::{Batch, HeadTensor, Objective, Verdict};
use crate::augment::Augmentation;
use crate::data::Image;
use crate::nn::linear::{linear_backward, linear_forward, linear_initialise};
use crate::rng::Rng;

/// Reconstruction of masked patches; no labels are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Masked {
    share: f32,
    channels: usize,
    /// Side of the square input, in pixels.
    size: usize,
    /// Side of the square last activations.
    map: usize,
}

impl Masked {
    /// * `share`: of the patches that are masked, above 0 and below 1
    /// * `channels`, `size`: of the square network input
    /// * `map`: side of the encoder's last activations, a divisor of `size`
    pub fn new(share: f32, channels: usize, size: usize, map: usize) -> Self {
        Self { share, channels, size, map }
    }

    fn patch(self) -> usize {
        self.size / self.map
    }

    /// Values of one patch.
    fn patch_len(self) -> usize {
        self.patch() * self.patch() * self.channels
    }

    /// Copies the pixels of one patch of one input `[H, W, C]`.
    fn pixels(self, input: &[f32], place: usize, pixels: &mut Vec<f32>) {
        pixels.clear();
        let (side, row) = (self.patch(), self.size * self.channels);
        let (top, left) = (place / self.map * side, place % self.map * side);
        for y in top..top + side {
            pixels.extend_from_slice(&input[y * row + left * self.channels..][..side * self.channels]);
        }
    }
}

impl Objective for Masked {
    fn views(&self) -> usize {
        1
    }

    fn views_of(&self, image: &Image, augmentation: &Augmentation, rng: &mut Rng) -> Vec<Image> {
        vec![augmentation.apply(image, rng)]
    }

    /// One question, "is the reconstruction nearer than the mean image?", for each input.
    fn num_classes(&self) -> usize {
        1
    }

    fn head_layout(&self, feature_dim: usize) -> Vec<HeadTensor> {
        let (outputs, weights) = (self.patch_len(), self.patch_len() * feature_dim);
        let tensor = |name, shape, range, decayed| HeadTensor { name, shape, range, decayed };
        vec![
            tensor("decoder.weight", vec![outputs, feature_dim], 0..weights, true),
            tensor("decoder.bias", vec![outputs], weights..weights + outputs, false),
        ]
    }

    fn head_start(&self, feature_dim: usize, rng: &mut Rng) -> Vec<f32> {
        linear_initialise(feature_dim, self.patch_len(), rng)
    }

    fn mask_share(&self) -> Option<f32> {
        Some(self.share)
    }

    fn loss(&self, head: &[f32], batch: Batch<'_>, dhead: &mut [f32], dfeatures: &mut [f32]) -> Verdict {
        let (outputs, places) = (self.patch_len(), self.map * self.map);
        let feature_dim = batch.features.len() / batch.masked.len();
        let (weight, bias) = head.split_at(head.len() - outputs);
        // Only masked places are asked for; the decoder never sees the others.
        let asked: Vec<usize> = (0..batch.masked.len()).filter(|&place| batch.masked[place]).collect();
        let x: Vec<f32> =
            (asked.iter()).flat_map(|&at| &batch.features[at * feature_dim..][..feature_dim]).copied().collect();
        let mut y = vec![0.0; asked.len() * outputs];
        linear_forward(&mut y, &x, weight, bias);
        let input_len = self.size * self.size * self.channels;
        let inputs = batch.masked.len() / places;
        let (mut errors, mut blank) = (vec![0.0f64; inputs], vec![0.0f64; inputs]);
        let mut pixels = Vec::with_capacity(outputs);
        let scale = 1.0 / y.len().max(1) as f32;
        for (&at, y) in asked.iter().zip(y.chunks_exact_mut(outputs)) {
            let input = at / places;
            self.pixels(&batch.inputs[input * input_len..][..input_len], at % places, &mut pixels);
            for (y, &pixel) in y.iter_mut().zip(&pixels) {
                let error = *y - pixel;
                errors[input] += f64::from(error.abs());
                blank[input] += f64::from(pixel.abs());
                // The gradient of the mean absolute error takes the place of the reconstruction.
                *y = if error == 0.0 { 0.0 } else { error.signum() * scale };
            }
        }
        let (dweight, dbias) = dhead.split_at_mut(weight.len());
        let mut dx = vec![0.0; x.len()];
        linear_backward(dweight, dbias, &mut dx, &x, weight, &y);
        dfeatures.fill(0.0);
        for (&at, dx) in asked.iter().zip(dx.chunks_exact(feature_dim)) {
            dfeatures[at * feature_dim..][..feature_dim].copy_from_slice(dx);
        }
        let total = f64::from(scale);
        Verdict {
            loss: errors.iter().sum::<f64>() * total,
            targets: vec![0; inputs],
            answers: errors.iter().zip(&blank).map(|(error, blank)| usize::from(error >= blank)).collect(),
            measures: vec![("mean_image_error", blank.iter().sum::<f64>() * total)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_tile_the_input() {
        let masked = Masked::new(0.5, 2, 4, 2);
        let input: Vec<f32> = (0..32).map(|i| i as f32).collect();
        let mut pixels = Vec::new();
        masked.pixels(&input, 3, &mut pixels);
        assert_eq!(pixels, [20.0, 21.0, 22.0, 23.0, 28.0, 29.0, 30.0, 31.0], "rows 2 and 3, columns 2 and 3");
        let mut all: Vec<f32> = Vec::new();
        for place in 0..4 {
            masked.pixels(&input, place, &mut pixels);
            all.extend(&pixels);
        }
        all.sort_by(f32::total_cmp);
        assert_eq!(all, input);
    }

    #[test]
    fn gradients_agree_with_central_differences_and_unmasked_places_cost_nothing() {
        let masked = Masked::new(0.5, 1, 6, 3);
        let (feature_dim, mut rng) = (5, Rng::for_purpose(1, "test"));
        let head = masked.head_start(feature_dim, &mut rng);
        let features: Vec<f32> = (0..2 * 9 * feature_dim).map(|_| rng.normal()).collect();
        let inputs: Vec<f32> = (0..2 * 36).map(|_| rng.normal()).collect();
        let mask: Vec<bool> = (0..18).map(|place| place % 3 != 0).collect();
        let loss = |head: &[f32], features: &[f32], dhead: &mut [f32], dfeatures: &mut [f32]| {
            let batch = Batch { features, inputs: &inputs, masked: &mask, ..Batch::default() };
            masked.loss(head, batch, dhead, dfeatures).loss
        };
        let (h, f) = (head.len(), features.len());
        let (mut dhead, mut dfeatures) = (vec![9.0; h], vec![9.0; f]);
        loss(&head, &features, &mut dhead, &mut dfeatures);
        assert!(dfeatures[..feature_dim].iter().all(|d| *d == 0.0), "place 0 was not masked");
        let check = |analytic: &[f32], at: &[f32], loss: &dyn Fn(&[f32]) -> f64| {
            for i in 0..at.len() {
                let nudged = |by: f32| {
                    let mut nudged = at.to_vec();
                    nudged[i] += by;
                    loss(&nudged)
                };
                // The absolute value has a kink; the step is small enough to meet none.
                let numeric = (nudged(1.0 / 8192.0) - nudged(-1.0 / 8192.0)) * 4096.0;
                assert!((numeric - f64::from(analytic[i])).abs() < 2e-3, "{i}: {numeric} {}", analytic[i]);
            }
        };
        check(&dhead, &head, &|head| loss(head, &features, &mut vec![0.0; h], &mut vec![0.0; f]));
        check(&dfeatures, &features, &|features| loss(&head, features, &mut vec![0.0; h], &mut vec![0.0; f]));
    }
}
