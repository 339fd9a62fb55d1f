//! SimCLR: two views of one image must be found among all views of the batch.
//!
//! Chen et al. 2020, arXiv:2002.05709: a projection head, then NT-Xent over the 2N views of N images.

use super::nt_xent::nt_xent;
use super::projection::Projection;
use super::{Batch, HeadTensor, Objective, Verdict};
use crate::augment::Augmentation;
use crate::data::Image;
use crate::rng::Rng;

/// NT-Xent on projections; no labels are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimClr {
    projection: Projection,
    temperature: f32,
}

impl SimClr {
    /// * `temperature`: above 0
    /// * `hidden`, `projection_dim`: sizes of the projection head, at least 1
    pub fn new(temperature: f32, hidden: usize, projection_dim: usize) -> Self {
        Self { projection: Projection { hidden, dim: projection_dim }, temperature }
    }
}

impl Objective for SimClr {
    fn views(&self) -> usize {
        2
    }

    fn views_of(&self, image: &Image, augmentation: &Augmentation, rng: &mut Rng) -> Vec<Image> {
        (0..2).map(|_| augmentation.apply(image, rng)).collect()
    }

    /// One question, "which view is of the same image?", answered rightly or not.
    fn num_classes(&self) -> usize {
        1
    }

    fn head_layout(&self, feature_dim: usize) -> Vec<HeadTensor> {
        self.projection.layout(feature_dim)
    }

    fn head_start(&self, feature_dim: usize, rng: &mut Rng) -> Vec<f32> {
        self.projection.start(feature_dim, rng)
    }

    fn loss(&self, head: &[f32], batch: Batch<'_>, dhead: &mut [f32], dfeatures: &mut [f32]) -> Verdict {
        let Batch { features, labels, .. } = batch;
        let projected = self.projection.forward(head, features, features.len() / (2 * labels.len()));
        let mut dout = vec![0.0; projected.out.len()];
        let contrast = nt_xent(&mut dout, &projected.out, self.projection.dim, self.temperature);
        self.projection.backward(head, features, &projected, &dout, dhead, dfeatures);
        Verdict {
            loss: contrast.loss,
            targets: vec![0; contrast.found.len()],
            answers: contrast.found.iter().map(|&found| usize::from(!found)).collect(),
            measures: vec![
                ("zero_gradient", contrast.solved),
                ("alignment", contrast.alignment),
                ("uniformity", contrast.uniformity),
                ("distance", contrast.distance),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole way from features through projection and loss.
    #[test]
    fn gradients_agree_with_central_differences() {
        let simclr = SimClr::new(0.5, 6, 4);
        let mut rng = Rng::for_purpose(1, "test");
        let (feature_dim, labels) = (5, [None; 4]);
        let head = simclr.head_start(feature_dim, &mut rng);
        let features: Vec<f32> = (0..8 * feature_dim).map(|_| rng.normal()).collect();
        let loss = |head: &[f32], features: &[f32]| {
            simclr
                .loss(
                    head,
                    Batch { features, labels: &labels, ..Batch::default() },
                    &mut vec![0.0; head.len()],
                    &mut vec![0.0; features.len()],
                )
                .loss
        };
        let (mut dhead, mut dfeatures) = (vec![9.0; head.len()], vec![9.0; features.len()]);
        simclr.loss(
            &head,
            Batch { features: &features, labels: &labels, ..Batch::default() },
            &mut dhead,
            &mut dfeatures,
        );
        let check = |analytic: &[f32], at: &[f32], loss: &dyn Fn(&[f32]) -> f64| {
            for i in 0..at.len() {
                let nudged = |by: f32| {
                    let mut nudged = at.to_vec();
                    nudged[i] += by;
                    loss(&nudged)
                };
                let numeric = (nudged(1.0 / 256.0) - nudged(-1.0 / 256.0)) * 128.0;
                assert!((numeric - f64::from(analytic[i])).abs() < 1e-3, "{i}: {numeric} {}", analytic[i]);
            }
        };
        check(&dhead, &head, &|head| loss(head, &features));
        check(&dfeatures, &features, &|features| loss(&head, features));
    }

    #[test]
    fn two_views_are_drawn_apart() {
        let image = Image { width: 6, height: 6, channels: 1, pixels: (0..36).collect() };
        let augmentation = Augmentation { crop_padding: 2, ..Augmentation::NONE };
        let views = SimClr::new(0.5, 2, 2).views_of(&image, &augmentation, &mut Rng::for_purpose(1, "test"));
        assert!(views.len() == 2 && views[0] != views[1]);
    }
}
