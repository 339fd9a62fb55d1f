//! Triplet: images of one class, or without labels two views of one image, must be nearer than others by a margin.
//!
//! Schroff et al. 2015 (FaceNet), arXiv:1503.03832, on a projection head as contrastive objectives have one.

use std::collections::BTreeMap;

use super::contrastive::{EmbeddingLoss, VIEWS, contrastive_step, pair_bytes, projection_head};
use super::head::Head;
use super::interface::{MethodInfo, Objective, StepOutput, Targets};
use super::settings::{Comparison, Miner, Positives};
use super::triplet_loss::triplet_loss;
use crate::augment::Views;
use crate::encoder::Network;
use crate::ranks::Part;

pub(super) const METHOD: MethodInfo = MethodInfo {
    is_contrastive: true,
    comparison: Comparison::DEFAULT,
    build: |settings| Box::new(Triplet::new(&settings.comparison)),
};

/// Mining has stalled where the loss is within this share of the margin and embeddings are nearer than `STALLED_DISTANCE`
/// (mean squared distance, 2 between unrelated directions).
const STALLED_SHARE: f64 = 0.02;
const STALLED_DISTANCE: f64 = 0.1;

/// Triplet loss on projections of unit length, in two views of every image.
#[derive(Clone, Debug, PartialEq)]
pub struct Triplet {
    head: Head,
    margin: f32,
    miner: Miner,
    positives: Positives,
}

impl Triplet {
    /// From `margin`, `miner`, `positives`, `projection_hidden` and `projection_dim`.
    pub fn new(settings: &Comparison) -> Self {
        let Comparison { margin, miner, positives, .. } = *settings;
        Self { head: projection_head(settings), margin, miner, positives }
    }

    /// The group of each view: its label, or its image. `first` is the number of the first image.
    fn groups(&self, labels: &[Option<usize>], first: usize) -> Vec<usize> {
        let group = |(index, label): (usize, &Option<usize>)| match (self.positives, first + index, label) {
            (Positives::Labels, _, Some(label)) => *label,
            // Above all labels, so that an image without a label is a group by itself.
            (Positives::Labels, image, None) => usize::MAX - image,
            (Positives::Views, image, _) => image,
        };
        labels.iter().enumerate().map(group).flat_map(|group| [group; 2]).collect()
    }
}

/// The part of the `loss` of all ranks that belongs to the views of one, with the gradient that [`Objective`] asks for.
fn own_part(mut loss: EmbeddingLoss, part: Part, dim: usize) -> EmbeddingLoss {
    if part.ranks.is_one() {
        return loss;
    }
    let own = 2 * part.first..2 * part.range().end;
    let scale = part.all as f32 / part.images as f32;
    loss.dz = loss.dz[own.start * dim..own.end * dim].iter().map(|d| scale * d).collect();
    loss.correct = loss.correct[own].to_vec();
    loss
}

impl Objective for Triplet {
    fn views(&self) -> Views {
        VIEWS
    }

    fn head(&self) -> &Head {
        &self.head
    }

    fn needs_labels(&self) -> bool {
        self.positives == Positives::Labels
    }

    fn loss(&self, head: &[f32], features: &[f32], targets: Targets<'_>) -> StepOutput {
        let (part, dim) = (targets.part, self.head.outputs());
        let groups = part.ranks.gather(&self.groups(targets.labels, part.first));
        contrastive_step(&self.head, head, features, |z| {
            // Triplets are mined among the embeddings of all ranks, by each rank.
            let all = part.ranks.gather(z);
            let found = triplet_loss(&all, &groups, dim, self.margin, self.miner);
            own_part(found, part, dim)
        })
    }

    fn step_bytes(&self, network: &Network, images: usize) -> usize {
        let views = images * VIEWS.count();
        self.head.pass_bytes(network.trained_dim(), views) + pair_bytes(views)
    }

    /// The loss stays at the margin when anchors, positives and negatives are equally far from each other.
    fn warning(&self, loss: f64, measures: &BTreeMap<String, f64>) -> Option<String> {
        let (margin, distance) = (f64::from(self.margin), *measures.get("distance")?);
        let stalled = (loss - margin).abs() < STALLED_SHARE * margin && distance < STALLED_DISTANCE;
        stalled.then(|| {
            format!(
                "triplet mining has stalled: the loss {loss:.4} stays at the margin {} and the mean squared distance of \
                 embeddings is {distance:.4} (2 between unrelated images)",
                self.margin
            )
        })
    }

    fn collapse_advice(&self) -> Option<String> {
        Some(match self.miner {
            Miner::SemiHard => format!("a margin above {}", self.margin),
            Miner::All | Miner::BatchHard => "the semi-hard miner".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::gradient_check::check_objective;

    fn triplet(positives: Positives) -> Triplet {
        let (margin, miner) = (0.5, Miner::BatchHard);
        Triplet::new(&Comparison {
            margin,
            miner,
            positives,
            projection_hidden: 6,
            projection_dim: 4,
            ..Comparison::DEFAULT
        })
    }

    #[test]
    fn groups_are_labels_or_images() {
        let labels = [Some(7), Some(3), None, Some(7)];
        assert_eq!(triplet(Positives::Views).groups(&labels, 5), [5, 5, 6, 6, 7, 7, 8, 8]);
        let last = usize::MAX - 2;
        assert_eq!(triplet(Positives::Labels).groups(&labels, 0), [7, 7, 3, 3, last, last, 7, 7]);
    }

    #[test]
    fn gradients_agree_with_central_differences() {
        check_objective(&triplet(Positives::Views), 8, &[None; 4], 1.0 / 1024.0, 2e-3);
    }

    #[test]
    fn a_loss_at_the_margin_is_a_warning_only_where_embeddings_are_near() {
        let warning = |loss, distance| {
            triplet(Positives::Views).warning(loss, &BTreeMap::from([("distance".to_owned(), distance)]))
        };
        let text = warning(0.5003, 0.05).unwrap();
        assert!(["0.5003", "0.5 ", "0.0500"].iter().all(|figure| text.contains(figure)), "{text}");
        assert_eq!(warning(0.5003, 1.5), None, "on the way down");
        assert_eq!(warning(0.45, 0.05), None);
    }
}
