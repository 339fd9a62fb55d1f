//! Memory of a training step: activations, gradients, and scratch of each group of images.
//!
//! A batch is divided into a fixed number of groups, and the groups' sums are added in the groups' order. The results
//! therefore do not depend on the number of threads.

use super::convolution::{ConvScratch, Convolution, PaddedScratch, Pending};
use super::plan::Plan;
use super::spec::ValueId;
use crate::kernel::pages;
use crate::nn::batch_norm::{Normalisation, Sums};

/// Most groups of a batch: the most threads that help, and the number of partial sums.
const GROUPS_MAX: usize = 16;

/// Activations and gradients of a training step. Reuse it from step to step to allocate once.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Of each convolution node, with the weights of this step.
    pub(super) convolutions: Vec<Option<Convolution>>,
    /// N of the last forward pass.
    pub(super) images: usize,
    /// Images of the batch of the last forward pass: N, or those of all ranks.
    pub(super) batch: usize,
    /// `z` of each convolution, `y` of each sum; value 0 (the input) stays empty.
    pub(super) values: Vec<Vec<f32>>,
    /// The batch's normalisation at each convolution node.
    pub(super) norms: Vec<Option<Normalisation>>,
    pub(super) features: Vec<f32>,
    pub(super) scratch: Vec<Scratch>,
    pub(super) gradients: GradientArrays,
}

impl Workspace {
    /// Allocates for `images` images.
    pub(super) fn prepare(&mut self, plan: &Plan, images: usize, feature_dim: usize) {
        self.images = images;
        self.values.resize_with(plan.grids.len(), Vec::new);
        for (value, grid) in self.values.iter_mut().zip(&plan.grids).skip(1) {
            pages::resize(value, images * grid.len());
        }
        self.features.resize(images * feature_dim, 0.0);
        self.scratch.resize_with(GROUPS_MAX, Scratch::default);
        self.norms = vec![None; plan.nodes.len()];
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

/// Arrays for the gradients of values. Values with the same gradient share one; a free one is reused.
#[derive(Debug, Default)]
pub(super) struct GradientArrays {
    pub arrays: Vec<Vec<f32>>,
    /// Index of the array that holds each value's gradient, while it is needed.
    pub of_value: Vec<Option<usize>>,
}

impl GradientArrays {
    /// Frees all arrays, for a graph of `values` values.
    pub fn start(&mut self, values: usize) {
        self.of_value = vec![None; values];
    }

    /// Gives `value` a free array of `len` floats; returns its index.
    pub fn allocate(&mut self, value: ValueId, len: usize) -> usize {
        let free = |id: &usize| !self.of_value.contains(&Some(*id));
        let fits = (0..self.arrays.len()).filter(free).min_by_key(|&id| {
            let capacity = self.arrays[id].capacity();
            (capacity < len, capacity.abs_diff(len))
        });
        let id = fits.unwrap_or_else(|| {
            self.arrays.push(Vec::new());
            self.arrays.len() - 1
        });
        pages::resize(&mut self.arrays[id], len);
        self.of_value[value] = Some(id);
        id
    }

    /// Lets both summands of a sum take over its gradient, which is theirs too.
    pub fn share_with_summands(&mut self, plan: &Plan, value: ValueId) {
        for summand in plan.summands(value) {
            self.of_value[summand] = self.of_value[value];
        }
    }
}

/// Images per group of a batch of `images`. It does not depend on the number of threads.
pub(super) fn group_len(images: usize) -> usize {
    images.div_ceil(GROUPS_MAX).max(1)
}

/// Cuts each array into pieces of its length in `pieces`, and gathers the pieces of each group.
pub(super) fn split_by_group<'a>(arrays: &'a mut [Vec<f32>], pieces: &[usize]) -> Vec<Vec<&'a mut [f32]>> {
    let mut groups: Vec<Vec<&mut [f32]>> = Vec::new();
    for (array, piece) in arrays.iter_mut().zip(pieces) {
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
