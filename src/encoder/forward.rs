//! Training and inference, forward.
//!
//! N images, each value `[H, W, C]`. A convolution stores only its raw output `z`; batch norm and
//! activation are applied again whenever somebody reads it, which costs little and halves memory.
//! Sums are stored. Images are divided into a fixed number of groups, and what groups add up is
//! added in their order, so that results do not depend on the number of threads.

use std::ops::Range;

use rayon::prelude::*;

use super::network::Network;
use super::plan::{Geometry, Plan};
use super::spec::{Node, ValueId};
use crate::kernel::Activation;
use crate::kernel::Isa;
use crate::kernel::channel::{Affine, Summand, affine_activation, moments, sum_activation};
use crate::nn::batch_norm::{Normalisation, Sums};
use crate::nn::conv::{clear_border, conv_forward, pad};
use crate::nn::depthwise::depthwise_forward;
use crate::nn::pool::global_average_pool_forward;

/// Groups a batch is divided into: the most threads that help, and the number of partial sums.
pub(super) const GROUPS_MAX: usize = 16;

/// Everything one training step needs besides the network: activations and gradients.
///
/// Kept from step to step so that memory is taken once.
#[derive(Debug, Default)]
pub struct Workspace {
    /// N of the last forward pass.
    pub(super) images: usize,
    /// `z` of each convolution, `y` of each sum; value 0 (the input) stays empty.
    pub(super) values: Vec<Vec<f32>>,
    /// The batch's normalisation of each convolution node.
    pub(super) norms: Vec<Option<Normalisation>>,
    pub(super) features: Vec<f32>,
    pub(super) scratch: Vec<Scratch>,
    pub(super) gradients: super::backward::Buffers,
}

/// Arrays of one image that a group of images uses one after another.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// What a convolution reads, with its border.
    pub input: Vec<f32>,
    /// Gradient of a convolution's output, with its border.
    pub gradient: Vec<f32>,
    /// Gradient of a convolution's input.
    pub contribution: Vec<f32>,
    /// Partial gradient of the weights of each convolution of a stage.
    pub dweights: Vec<Vec<f32>>,
}

/// What turns the stored values into what their readers see.
#[derive(Clone, Copy)]
pub(super) struct Norms<'a> {
    pub isa: Isa,
    pub plan: &'a Plan,
    pub by_node: &'a [Option<Normalisation>],
    /// As many as any value has channels: the affine map of a value that is stored as it is read.
    pub ones: &'a [f32],
    pub zeros: &'a [f32],
}

impl<'a> Norms<'a> {
    /// The map from what is stored of `value` to what its activation sees.
    pub fn affine(&self, value: ValueId) -> (Affine<'a>, Activation) {
        let norm = value.checked_sub(1).and_then(|node| self.by_node[node].as_ref());
        match (norm, self.plan.conv(value)) {
            (Some(norm), Some(conv)) => (Affine { scale: &norm.scale, shift: &norm.shift }, conv.activation),
            _ => (Affine { scale: self.ones, shift: self.zeros }, Activation::Identity),
        }
    }

    /// What node `index` reads of one image: `stored` after batch norm and activation, with the
    /// border its kernel needs. Borrows `stored` itself where nothing is to be done.
    pub fn read<'s>(
        &self,
        value: ValueId,
        stored: &'s [f32],
        geometry: Geometry,
        input: &'s mut Vec<f32>,
    ) -> &'s [f32] {
        let shape = geometry.dense();
        let (grid, padding) = (self.plan.grids[value], shape.padding());
        let is_conv = self.plan.conv(value).is_some();
        if !is_conv && padding == 0 {
            return stored;
        }
        input.resize(input.len().max(shape.input_len()), 0.0);
        if is_conv {
            let (affine, activation) = self.affine(value);
            let row = (grid.columns + 2 * padding) * grid.channels;
            clear_border(grid.rows, grid.columns, grid.channels, padding, input);
            affine_activation(
                self.isa,
                grid,
                stored,
                affine,
                activation,
                &mut input[padding * (row + grid.channels)..],
                row,
            );
        } else {
            pad(stored, grid.rows, grid.columns, grid.channels, padding, input);
        }
        input
    }
}

/// Runs the nodes of `stage` for one image. `outs` are the image's values of those nodes,
/// `earlier` gives what is stored of the values before them, `weights` those of each node.
fn run_image<'s>(
    norms: Norms<'_>,
    weights: &[&[f32]],
    stage: Range<usize>,
    earlier: impl Fn(ValueId) -> &'s [f32],
    outs: &mut [&mut [f32]],
    input: &mut Vec<f32>,
) {
    for (position, node) in stage.clone().enumerate() {
        let (made, rest) = outs.split_at_mut(position);
        let stored =
            |value: ValueId| if value > stage.start { &*made[value - 1 - stage.start] } else { earlier(value) };
        match &norms.plan.nodes[node] {
            Node::Conv { input: value, .. } => {
                let geometry = norms.plan.geometry(node);
                let x = norms.read(*value, stored(*value), geometry, input);
                match geometry {
                    Geometry::Dense(shape) => conv_forward(norms.isa, shape, x, weights[node], rest[0]),
                    Geometry::Depthwise(shape) => depthwise_forward(norms.isa, shape, x, weights[node], rest[0]),
                }
            }
            Node::Add { left, right, activation } => {
                let summand = |value: ValueId| {
                    let (affine, activation) = norms.affine(value);
                    Summand { stored: stored(value), affine, activation }
                };
                sum_activation(
                    norms.isa,
                    norms.plan.grids[node + 1],
                    summand(*left),
                    summand(*right),
                    *activation,
                    rest[0],
                );
            }
        }
    }
}

/// The feature of one image from what is stored of the last value.
fn pool(norms: Norms<'_>, stored: &[f32], activated: &mut Vec<f32>, feature: &mut [f32]) {
    let last = norms.plan.nodes.len();
    if norms.plan.conv(last).is_none() {
        return global_average_pool_forward(stored, feature);
    }
    let grid = norms.plan.grids[last];
    let (affine, activation) = norms.affine(last);
    activated.resize(activated.len().max(grid.len()), 0.0);
    affine_activation(norms.isa, grid, stored, affine, activation, activated, grid.columns * grid.channels);
    global_average_pool_forward(&activated[..grid.len()], feature);
}

impl Workspace {
    /// Takes memory for `images` images.
    fn prepare(&mut self, plan: &Plan, images: usize, feature_dim: usize) {
        self.images = images;
        self.values.resize_with(plan.grids.len(), Vec::new);
        for (value, grid) in self.values.iter_mut().zip(&plan.grids).skip(1) {
            value.resize(images * grid.len(), 0.0);
        }
        self.features.resize(images * feature_dim, 0.0);
        self.scratch.resize_with(GROUPS_MAX, Scratch::default);
        self.norms = vec![None; plan.nodes.len()];
    }
}

impl Network {
    /// Images a group of a batch of `images`: depends on nothing else, least of all on the threads.
    pub(super) fn group_len(images: usize) -> usize {
        images.div_ceil(GROUPS_MAX).max(1)
    }

    /// The weights of each node; empty for a sum.
    pub(super) fn weights(&self) -> Vec<&[f32]> {
        self.places
            .iter()
            .map(|places| places.as_ref().map_or(&[][..], |places| &self.parameters[places.weight.clone()]))
            .collect()
    }

    fn images_in(&self, input: &[f32]) -> usize {
        let one = self.plan.grids[0].len();
        assert!(
            !input.is_empty() && input.len().is_multiple_of(one),
            "{} floats are no whole number of images of {one}",
            input.len()
        );
        input.len() / one
    }

    /// Features `[N, D]` of `input` `[N, H, W, C]`, with the batch's own statistics; updates the running ones.
    ///
    /// # Panics
    /// When `input` is no whole number of images.
    pub fn forward<'w>(&mut self, workspace: &'w mut Workspace, input: &[f32]) -> &'w [f32] {
        self.forward_again(workspace, input);
        let images = workspace.images;
        for (index, norm) in workspace.norms.iter().enumerate() {
            if let (Some(norm), Some(running)) = (norm, &mut self.running[index]) {
                let grid = self.plan.grids[index + 1];
                norm.update_running(images * grid.rows * grid.columns, &mut running.mean, &mut running.variance);
            }
        }
        &workspace.features
    }

    /// As [`Self::forward`], but leaves the running statistics as they are: for inputs that went through before.
    ///
    /// # Panics
    /// When `input` is no whole number of images.
    pub fn forward_again<'w>(&self, workspace: &'w mut Workspace, input: &[f32]) -> &'w [f32] {
        let images = self.images_in(input);
        let feature_dim = self.spec().feature_dim();
        workspace.prepare(&self.plan, images, feature_dim);
        let (ones, zeros) = (vec![1.0; self.plan.channels_max()], vec![0.0; self.plan.channels_max()]);
        for stage in self.plan.stages.clone() {
            let sums = self.forward_stage(workspace, input, stage.clone(), &ones, &zeros);
            for (index, sums) in stage.zip(sums) {
                let Some(places) = &self.places[index] else { continue };
                let grid = self.plan.grids[index + 1];
                let count = images * grid.rows * grid.columns;
                let [gamma, beta] = [&places.gamma, &places.beta].map(|range| &self.parameters[range.clone()]);
                workspace.norms[index] = Some(Normalisation::from_batch(&sums, count, gamma, beta));
            }
        }
        let last = self.plan.nodes.len();
        let norms = Norms { isa: self.isa, plan: &self.plan, by_node: &workspace.norms, ones: &ones, zeros: &zeros };
        let len = self.plan.grids[last].len();
        let group = Self::group_len(images);
        let features =
            workspace.features.par_chunks_mut(group * feature_dim).zip(workspace.values[last].par_chunks(group * len));
        features.zip(&mut workspace.scratch).for_each(|((features, stored), scratch)| {
            for (feature, stored) in features.chunks_mut(feature_dim).zip(stored.chunks(len)) {
                pool(norms, stored, &mut scratch.input, feature);
            }
        });
        &workspace.features
    }

    /// The last activations `[N, H', W', D]` of the last forward pass, whose mean over pixels is the feature.
    pub fn last_map(&self, workspace: &Workspace) -> Vec<f32> {
        let last = self.plan.nodes.len();
        let stored = &workspace.values[last];
        if self.plan.conv(last).is_none() {
            return stored.clone();
        }
        let (ones, zeros) = (vec![1.0; self.plan.channels_max()], vec![0.0; self.plan.channels_max()]);
        let norms = Norms { isa: self.isa, plan: &self.plan, by_node: &workspace.norms, ones: &ones, zeros: &zeros };
        let grid = self.plan.grids[last];
        let (affine, activation) = norms.affine(last);
        let mut map = vec![0.0; stored.len()];
        map.par_chunks_mut(grid.len()).zip(stored.par_chunks(grid.len())).for_each(|(map, stored)| {
            affine_activation(self.isa, grid, stored, affine, activation, map, grid.columns * grid.channels);
        });
        map
    }

    /// Rows and columns of the last activations.
    pub fn map_size(&self) -> (usize, usize) {
        let grid = self.plan.grids[self.plan.nodes.len()];
        (grid.rows, grid.columns)
    }

    /// Runs one stage for all images; gives `Σ z` and `Σ z²` of each of its nodes (zeros for a sum).
    fn forward_stage(
        &self,
        workspace: &mut Workspace,
        input: &[f32],
        stage: Range<usize>,
        ones: &[f32],
        zeros: &[f32],
    ) -> Vec<Sums> {
        let plan = &self.plan;
        let mut made: Vec<Vec<f32>> =
            stage.clone().map(|index| std::mem::take(&mut workspace.values[index + 1])).collect();
        let (values, weights) = (&workspace.values, self.weights());
        let norms = Norms { isa: self.isa, plan, by_node: &workspace.norms, ones, zeros };
        let group = Self::group_len(workspace.images);
        let len = |value: ValueId| plan.grids[value].len();
        let outs = by_group(&mut made, &stage.clone().map(|index| group * len(index + 1)).collect::<Vec<_>>());
        let partial_sums: Vec<Vec<Sums>> = outs
            .into_par_iter()
            .zip(&mut workspace.scratch)
            .enumerate()
            .map(|(number, (mut outs, scratch))| {
                let mut sums: Vec<Sums> =
                    stage.clone().map(|index| Sums::zeros(plan.grids[index + 1].channels)).collect();
                let images = outs[0].len() / len(stage.start + 1);
                for local in 0..images {
                    let image = number * group + local;
                    let earlier = |value: ValueId| {
                        let stored = if value == 0 { input } else { &values[value] };
                        &stored[image * len(value)..][..len(value)]
                    };
                    let mut image_outs: Vec<&mut [f32]> = outs
                        .iter_mut()
                        .zip(stage.clone())
                        .map(|(out, index)| &mut out[local * len(index + 1)..][..len(index + 1)])
                        .collect();
                    run_image(norms, &weights, stage.clone(), earlier, &mut image_outs, &mut scratch.input);
                    for ((index, out), sums) in stage.clone().zip(&image_outs).zip(&mut sums) {
                        if plan.conv(index + 1).is_some() {
                            moments(norms.isa, plan.grids[index + 1], out, &mut sums.first, &mut sums.second);
                        }
                    }
                }
                sums
            })
            .collect();
        for (index, made) in stage.zip(made) {
            workspace.values[index + 1] = made;
        }
        add_in_order(partial_sums)
    }

    /// Features `[N, D]` of `input` `[N, H, W, C]` with the running statistics.
    ///
    /// # Panics
    /// When `input` is no whole number of images.
    pub fn embed(&self, input: &[f32]) -> Vec<f32> {
        let images = self.images_in(input);
        let (plan, feature_dim, weights) = (&self.plan, self.spec().feature_dim(), self.weights());
        let (ones, zeros) = (vec![1.0; plan.channels_max()], vec![0.0; plan.channels_max()]);
        let by_node = self.running_norms();
        let norms = Norms { isa: self.isa, plan, by_node: &by_node, ones: &ones, zeros: &zeros };
        let mut features = vec![0.0; images * feature_dim];
        let (one, group) = (plan.grids[0].len(), Self::group_len(images));
        features.par_chunks_mut(group * feature_dim).zip(input.par_chunks(group * one)).for_each(
            |(features, input)| {
                let mut values: Vec<Vec<f32>> = plan.grids[1..].iter().map(|grid| vec![0.0; grid.len()]).collect();
                let mut scratch = Vec::new();
                for (feature, image) in features.chunks_mut(feature_dim).zip(input.chunks(one)) {
                    let mut outs: Vec<&mut [f32]> = values.iter_mut().map(Vec::as_mut_slice).collect();
                    run_image(norms, &weights, 0..plan.nodes.len(), |_| image, &mut outs, &mut scratch);
                    pool(norms, &values[plan.nodes.len() - 1], &mut scratch, feature);
                }
            },
        );
        features
    }
}

/// Cuts each array into pieces of its length in `pieces`, and gathers the pieces of one group.
pub(super) fn by_group<'a>(arrays: &'a mut [Vec<f32>], pieces: &[usize]) -> Vec<Vec<&'a mut [f32]>> {
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
