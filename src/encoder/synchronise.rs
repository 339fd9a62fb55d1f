//! Batch norm over the images of several ranks: the sums of forward and backward pass are those of all of them.

use std::ops::Range;

use super::network::{Network, Running};
use super::spec::ValueId;
use crate::nn::batch_norm::Sums;
use crate::ranks::Ranks;

impl Network {
    /// Synchronises batch norm: in training the batch is that of all `ranks` from now on. A copy of the network does the
    /// same.
    ///
    /// Every forward and backward pass is then collective. A forward pass of no images takes part in it.
    pub fn synchronise(&mut self, ranks: Ranks) {
        self.ranks = ranks;
    }

    /// The ranks whose images are one batch; a single one unless [`Self::synchronise`] was called.
    pub fn batch_ranks(&self) -> Ranks {
        self.ranks
    }

    /// Replaces the running statistics by their means over `ranks`.
    pub fn average_statistics(&mut self, ranks: Ranks) {
        if ranks.is_one() {
            return;
        }
        let of = |running: &Running| [running.mean.clone(), running.variance.clone()].concat();
        let mut values: Vec<f32> = self.running.iter().flatten().flat_map(of).collect();
        ranks.sum_f32(&mut values);
        let scale = 1.0 / ranks.size() as f32;
        let mut means = values.into_iter().map(|sum| sum * scale);
        for running in self.running.iter_mut().flatten() {
            for value in running.mean.iter_mut().chain(&mut running.variance) {
                *value = means.next().unwrap_or(*value);
            }
        }
    }

    /// The sums of the nodes of `stage` over the images of all ranks, and the number of these images.
    pub(super) fn sums_of_batch(&self, stage: Range<usize>, mut sums: Vec<Sums>, images: usize) -> (Vec<Sums>, usize) {
        if self.ranks.is_one() {
            return (sums, images);
        }
        if sums.is_empty() {
            sums = stage.map(|index| Sums::zeros(self.plan.grids[index + 1].channels)).collect();
        }
        let images = sum_over(self.ranks, images as f64, sums.iter_mut()) as usize;
        (sums, images)
    }

    /// Replaces the sums of `completed` values by those over the images of all ranks.
    pub(super) fn sum_gradients(&self, completed: &[ValueId], sums: &mut [Sums]) {
        if self.ranks.is_one() || completed.is_empty() {
            return;
        }
        let places = sums.iter_mut().enumerate().filter(|(value, _)| completed.contains(value));
        sum_over(self.ranks, 0.0, places.map(|(_, sums)| sums));
    }
}

/// Sums `sums` and `count` over the ranks, in one message; returns the sum of `count`.
fn sum_over<'s>(ranks: Ranks, count: f64, sums: impl Iterator<Item = &'s mut Sums>) -> f64 {
    let places: Vec<&mut f64> = sums.flat_map(|Sums { first, second }| first.iter_mut().chain(second)).collect();
    let mut values: Vec<f64> = places.iter().map(|value| **value).chain([count]).collect();
    ranks.sum(&mut values);
    places.into_iter().zip(&values).for_each(|(place, value)| *place = *value);
    values.last().copied().unwrap_or(count)
}
