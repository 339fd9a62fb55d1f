//! Memory of a training step: activations, gradients, and scratch of each group of images.
//!
//! A batch is divided into a fixed number of groups, and the groups' sums are added in the groups' order. The results
//! therefore do not depend on the number of threads.

use std::ops::Range;
use std::sync::Arc;

use super::convolution::{ConvScratch, Convolution, PaddedScratch, Pending};
use super::plan::Plan;
use super::schedule::{Content, Schedule};
use super::spec::ValueId;
use crate::kernel::pages;
use crate::nn::batch_norm::{Normalisation, Sums};

/// Most groups of a batch: the most threads that help, and the number of partial sums.
pub(super) const GROUPS_MAX: usize = 16;

/// Activations and gradients of a training step. Reuse it from step to step to allocate once.
///
/// A backward pass overwrites the activations, so that there is one for each forward pass.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Of each convolution node, with the weights of this step.
    pub(super) convolutions: Vec<Option<Convolution>>,
    /// N of the last forward pass.
    pub(super) images: usize,
    /// Images of the batch of the last forward pass: N, or those of all ranks.
    pub(super) batch: usize,
    /// The order of work, and the place of each array.
    schedule: Option<Arc<Schedule>>,
    /// Whether [`Self::with_schedule`] gave it.
    has_own_schedule: bool,
    /// Values and gradients of all images.
    pub(super) block: Vec<f32>,
    /// The batch's normalisation at each convolution node.
    pub(super) norms: Vec<Option<Normalisation>>,
    pub(super) features: Vec<f32>,
    pub(super) scratch: Vec<Scratch>,
    /// Whether the values of the last forward pass are there for a backward pass.
    pub(super) is_forward: bool,
}

impl Workspace {
    /// For steps of the network that `schedule` was made for.
    pub fn with_schedule(schedule: Arc<Schedule>) -> Self {
        Self { schedule: Some(schedule), has_own_schedule: true, ..Self::default() }
    }

    /// The schedule of [`Self::with_schedule`].
    pub fn given_schedule(&self) -> Option<Arc<Schedule>> {
        self.schedule.clone().filter(|_| self.has_own_schedule)
    }

    /// Allocates for `images` images of a network that pools `pooled`.
    ///
    /// # Panics
    /// When [`Self::with_schedule`] got the schedule of another network.
    pub(super) fn prepare(&mut self, plan: &Plan, pooled: &[ValueId], images: usize, feature_dim: usize) {
        let fits = self.schedule.as_ref().is_some_and(|schedule| schedule.fits(plan, pooled));
        assert!(fits || !self.has_own_schedule, "the schedule is that of another network");
        if !fits {
            self.schedule = Some(Arc::new(Schedule::new(plan, pooled, &vec![true; plan.grids.len()])));
        }
        self.images = images;
        let len = images * self.schedule().len;
        if self.block.len() < len {
            pages::resize(&mut self.block, len);
        }
        self.features.resize(images * feature_dim, 0.0);
        self.scratch.resize_with(GROUPS_MAX, Scratch::default);
        self.norms = vec![None; plan.nodes.len()];
        // The last step's go before this step's come.
        self.convolutions.clear();
        self.is_forward = false;
    }

    /// The schedule of the last forward pass.
    pub(super) fn schedule(&self) -> Arc<Schedule> {
        Arc::clone(self.schedule.as_ref().expect("a forward pass has a schedule"))
    }

    /// The values that are alive at `time`; others are empty.
    pub(super) fn values(&self, time: usize) -> Vec<&[f32]> {
        let schedule = self.schedule();
        let mut values: Vec<&[f32]> = vec![&[]; schedule.lifetimes.forward.len()];
        for array in schedule.arrays.iter().filter(|array| array.is_alive(time)) {
            if let Content::Value(value) = array.content {
                values[value] = &self.block[array.offset * self.images..][..array.len * self.images];
            }
        }
        values
    }
}

/// The arrays of a step that are alive at one time.
pub(super) struct Arrays<'a> {
    /// Of each value.
    pub values: Vec<Option<&'a mut [f32]>>,
    /// Of each gradient of the schedule.
    pub gradients: Vec<Option<&'a mut [f32]>>,
}

impl<'a> Arrays<'a> {
    /// Those of `images` images at `time`.
    pub fn at(schedule: &Schedule, block: &'a mut [f32], images: usize, time: usize) -> Self {
        let lifetimes = &schedule.lifetimes;
        let mut found = Self {
            values: lifetimes.forward.iter().map(|_| None).collect(),
            gradients: lifetimes.gradients.iter().map(|_| None).collect(),
        };
        let (mut rest, mut start) = (block, 0);
        // They lie in order and do not overlap.
        for array in schedule.arrays.iter().filter(|array| array.is_alive(time)) {
            let (_, from) = rest.split_at_mut(array.offset * images - start);
            let (own, after) = from.split_at_mut(array.len * images);
            (rest, start) = (after, (array.offset + array.len) * images);
            match array.content {
                Content::Value(value) => found.values[value] = Some(own),
                Content::Gradient(id) => found.gradients[id] = Some(own),
            }
        }
        found
    }

    /// Takes out the values of `nodes`, to be written.
    pub fn take_values(&mut self, nodes: Range<usize>) -> Vec<&'a mut [f32]> {
        nodes.map(|index| self.values[index + 1].take().expect("a value is alive while it is computed")).collect()
    }

    /// Takes out gradients, to be read and written.
    pub fn take_gradients(&mut self, ids: &[usize]) -> Vec<&'a mut [f32]> {
        ids.iter().map(|&id| self.gradients[id].take().expect("a gradient is alive while it is computed")).collect()
    }

    /// The values that are left, to be read; others are empty.
    pub fn into_values(self) -> Vec<&'a [f32]> {
        self.values.into_iter().map(|value| value.map_or(&[][..], |value| &*value)).collect()
    }
}

/// Arrays of one image, reused by the images of a group one after another.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Input of a convolution.
    pub input: PaddedScratch,
    /// Gradient of a convolution's output.
    pub gradient: PaddedScratch,
    /// Gradient of a convolution's input.
    pub contribution: Vec<f32>,
    /// A pooled value after batch norm and activation.
    pub activated: Vec<f32>,
    /// Memory of the kernels.
    pub conv: ConvScratch,
    /// Partial gradient of the weights of each convolution of a stage.
    pub dweights: Vec<Vec<f32>>,
    /// What is not yet in it.
    pub pending: Vec<Pending>,
}

impl Scratch {
    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        let images = [&self.contribution, &self.activated].map(|values| size_of_val(&values[..]));
        let padded = [&self.input, &self.gradient].map(PaddedScratch::bytes);
        // They were as long as the largest of their place.
        let weights = self.dweights.iter().map(|values| size_of::<f32>() * values.capacity());
        let gradients = weights.chain(self.pending.iter().map(Pending::bytes));
        images.into_iter().chain(padded).chain(gradients).sum::<usize>() + self.conv.bytes()
    }
}

/// Images per group of a batch of `images`. It does not depend on the number of threads.
pub(super) fn group_len(images: usize) -> usize {
    images.div_ceil(GROUPS_MAX).max(1)
}

/// Cuts each array into pieces of its length in `pieces`, and gathers the pieces of each group.
pub(super) fn split_by_group<'a>(arrays: Vec<&'a mut [f32]>, pieces: &[usize]) -> Vec<Vec<&'a mut [f32]>> {
    let mut groups: Vec<Vec<&mut [f32]>> = Vec::new();
    for (array, piece) in arrays.into_iter().zip(pieces) {
        for (number, chunk) in array.chunks_mut(*piece).enumerate() {
            if number == groups.len() {
                groups.push(Vec::new());
            }
            groups[number].push(chunk);
        }
    }
    groups
}

/// Adds the groups' sums in the groups' order.
pub(super) fn add_in_order(groups: Vec<Vec<Sums>>) -> Vec<Sums> {
    let mut groups = groups.into_iter();
    let mut total = groups.next().unwrap_or_default();
    for group in groups {
        total.iter_mut().zip(&group).for_each(|(total, sums)| total.add(sums));
    }
    total
}
