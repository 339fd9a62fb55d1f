//! Triplet: images of one class, or without labels two views of one image, must lie nearer than others by a margin.
//!
//! Schroff et al. 2015 (FaceNet), arXiv:1503.03832, on a projection head as contrastive objectives have one.

use super::projection::Projection;
use super::triplet_loss::{Miner, triplet_loss};
use super::{Batch, HeadTensor, Objective, Verdict};
use crate::augment::Augmentation;
use crate::data::Image;
use crate::rng::Rng;

/// Triplet loss on projections of unit length, in two views of every image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Triplet {
    projection: Projection,
    margin: f32,
    miner: Miner,
    /// Whether images with the same label are positives; otherwise only the views of one image are.
    by_label: bool,
}

impl Triplet {
    /// * `margin`: of squared distances, above 0 and below 4
    /// * `hidden`, `projection_dim`: sizes of the projection head, at least 1
    pub fn new(margin: f32, miner: Miner, by_label: bool, hidden: usize, projection_dim: usize) -> Self {
        Self { projection: Projection { hidden, dim: projection_dim }, margin, miner, by_label }
    }

    /// The group of each view: its label, or its image.
    fn groups(&self, labels: &[Option<usize>]) -> Vec<usize> {
        let group = |(image, label): (usize, &Option<usize>)| match label {
            Some(label) if self.by_label => *label,
            // Behind all labels, so that an image without one is alone.
            _ if self.by_label => usize::MAX - image,
            _ => image,
        };
        labels.iter().enumerate().map(group).flat_map(|group| [group; 2]).collect()
    }
}

impl Objective for Triplet {
    fn views(&self) -> usize {
        2
    }

    fn views_of(&self, image: &Image, augmentation: &Augmentation, rng: &mut Rng) -> Vec<Image> {
        (0..2).map(|_| augmentation.apply(image, rng)).collect()
    }

    /// One question, "is the nearest view one of mine?", answered rightly or not.
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
        let groups = self.groups(labels);
        let projected = self.projection.forward(head, features, features.len() / groups.len());
        let mut dout = vec![0.0; projected.out.len()];
        let triplets = triplet_loss(&mut dout, &projected.out, &groups, self.projection.dim, self.margin, self.miner);
        self.projection.backward(head, features, &projected, &dout, dhead, dfeatures);
        Verdict {
            loss: triplets.loss,
            targets: vec![0; groups.len()],
            // Two views make sure that every view has a positive.
            answers: triplets.found.iter().map(|found| usize::from(*found != Some(true))).collect(),
            measures: vec![("zero_gradient", triplets.zero_loss), ("distance", triplets.distance)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_labels_or_images() {
        let labels = [Some(7), Some(3), None, Some(7)];
        let triplet = |by_label| Triplet::new(0.2, Miner::All, by_label, 2, 2);
        assert_eq!(triplet(false).groups(&labels), [0, 0, 1, 1, 2, 2, 3, 3]);
        let last = usize::MAX - 2;
        assert_eq!(triplet(true).groups(&labels), [7, 7, 3, 3, last, last, 7, 7]);
    }

    #[test]
    fn gradients_agree_with_central_differences() {
        let triplet = Triplet::new(0.5, Miner::BatchHard, false, 6, 4);
        let mut rng = Rng::for_purpose(2, "test");
        let (feature_dim, labels) = (5, [None; 4]);
        let head = triplet.head_start(feature_dim, &mut rng);
        let features: Vec<f32> = (0..8 * feature_dim).map(|_| rng.normal()).collect();
        let loss = |features: &[f32]| {
            triplet
                .loss(
                    &head,
                    Batch { features, labels: &labels, ..Batch::default() },
                    &mut vec![0.0; head.len()],
                    &mut vec![0.0; features.len()],
                )
                .loss
        };
        let (mut dhead, mut dfeatures) = (vec![9.0; head.len()], vec![9.0; features.len()]);
        triplet.loss(
            &head,
            Batch { features: &features, labels: &labels, ..Batch::default() },
            &mut dhead,
            &mut dfeatures,
        );
        for i in 0..features.len() {
            let nudged = |by: f32| {
                let mut nudged = features.clone();
                nudged[i] += by;
                loss(&nudged)
            };
            let numeric = (nudged(1.0 / 1024.0) - nudged(-1.0 / 1024.0)) * 512.0;
            assert!((numeric - f64::from(dfeatures[i])).abs() < 2e-3, "{i}: {numeric} {}", dfeatures[i]);
        }
    }
}
