//! SimCLR: find the other view of the same image among all views of the batch.
//!
//! Chen et al. 2020, arXiv:2002.05709: a projection head, then NT-Xent over the 2N views of N images.

use super::contrastive::{VIEWS, contrastive_step, pair_bytes, projection_head};
use super::head::Head;
use super::interface::{MethodInfo, Objective, StepOutput, Targets};
use super::nt_xent_over::nt_xent_over;
use super::settings::Comparison;
use crate::augment::Views;
use crate::encoder::Network;

pub(super) const METHOD: MethodInfo = MethodInfo {
    is_contrastive: true,
    // The best on the tasks for development (`docs/lessons/recipe.csv`); Chen et al. found 0.5 best on CIFAR-10 (appendix B.9).
    comparison: Comparison { temperature: 0.1, ..Comparison::DEFAULT },
    build: |settings| Box::new(SimClr::new(&settings.comparison)),
};

/// NT-Xent on projections; reads no labels.
#[derive(Clone, Debug, PartialEq)]
pub struct SimClr {
    head: Head,
    temperature: f32,
}

impl SimClr {
    /// From `temperature`, `projection_hidden` and `projection_dim`.
    pub fn new(settings: &Comparison) -> Self {
        Self { head: projection_head(settings), temperature: settings.temperature }
    }
}

impl Objective for SimClr {
    fn views(&self) -> Views {
        VIEWS
    }

    fn head(&self) -> &Head {
        &self.head
    }

    fn loss(&self, head: &[f32], features: &[f32], targets: Targets<'_>) -> StepOutput {
        contrastive_step(&self.head, head, features, |z| {
            nt_xent_over(targets.part.ranks, z, self.head.outputs(), self.temperature)
        })
    }

    fn step_bytes(&self, network: &Network, images: usize) -> usize {
        let views = images * VIEWS.count();
        self.head.pass_bytes(network.trained_dim(), views) + pair_bytes(views)
    }

    fn collapse_advice(&self) -> Option<String> {
        Some(format!("a temperature above {}", self.temperature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::gradient_check::check_objective;

    /// From features through projection and loss.
    #[test]
    fn gradients_agree_with_central_differences() {
        let settings = Comparison { projection_hidden: 6, projection_dim: 4, ..Comparison::DEFAULT };
        check_objective(&SimClr::new(&settings), 8, &[None; 4], 1.0 / 256.0, 1e-3);
    }
}
