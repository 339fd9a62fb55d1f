//! Training and inference, forward.
//!
//! N images, each value `[H, W, C]`. A convolution stores only its raw output `z`. Batch norm and activation are applied
//! again at every read (`reader.rs`), which costs one multiply-add per value and halves the memory. Sums are stored.

use std::ops::Range;

use rayon::prelude::*;

use super::convolution::Convolution;
use super::network::Network;
use super::pooled::Pooled;
use super::pooling::pool;
use super::reader::Reader;
use super::spec::{Node, ValueId};
use super::workspace::{Arrays, Scratch, Workspace, add_in_order, group_len, split_by_group};
use crate::kernel::channel::{moments, sum_activation};
use crate::nn::batch_norm::{Normalisation, Sums};

/// Runs the nodes of `stage` for one image.
///
/// * `weights`: of each node of the graph
/// * `convolutions`: of each convolution node of the graph
/// * `earlier`: the stored values before the stage
/// * `outs`: the image's values of the stage's nodes, overwritten
fn run_image<'s>(
    reader: Reader<'_>,
    weights: &[&[f32]],
    convolutions: &[Option<Convolution>],
    stage: Range<usize>,
    earlier: impl Fn(ValueId) -> &'s [f32],
    outs: &mut [&mut [f32]],
    scratch: &mut Scratch,
) {
    let (isa, plan) = (reader.isa, reader.plan);
    for (position, node) in stage.clone().enumerate() {
        let (done, rest) = outs.split_at_mut(position);
        let stored =
            |value: ValueId| if value > stage.start { &*done[value - 1 - stage.start] } else { earlier(value) };
        match &plan.nodes[node] {
            Node::Conv { input: value, .. } => {
                let conv = convolutions[node].as_ref().expect("a convolution node has a convolution");
                let x = conv.input(reader, *value, stored(*value), &mut scratch.input);
                conv.forward(weights[node], x, &mut scratch.conv, rest[0]);
            }
            Node::Add { left, right, activation } => {
                let [left, right] = [*left, *right].map(|value| reader.summand(value, stored(value)));
                sum_activation(isa, plan.grids[node + 1], left, right, *activation, rest[0]);
            }
        }
    }
}

impl Network {
    /// What the objective reads ([`Self::train_on`]), `[N, D]`, of `input` `[N, H, W, C]`, with the batch's own statistics; updates the running statistics.
    ///
    /// # Panics
    /// When `input` is not a whole number of images.
    pub fn forward<'w>(&mut self, workspace: &'w mut Workspace, input: &[f32]) -> &'w [f32] {
        self.forward_without_update(workspace, input);
        let images = workspace.batch;
        for (index, norm) in workspace.norms.iter().enumerate() {
            if let (Some(norm), Some(running)) = (norm, &mut self.running[index]) {
                let grid = self.plan.grids[index + 1];
                norm.update_running(images * grid.rows * grid.columns, &mut running.mean, &mut running.variance);
            }
        }
        &workspace.features
    }

    /// As [`Self::forward`], but leaves the running statistics unchanged: for inputs that were counted already.
    ///
    /// # Panics
    /// When `input` is not a whole number of images.
    pub fn forward_without_update<'w>(&self, workspace: &'w mut Workspace, input: &[f32]) -> &'w [f32] {
        let images = self.images_in(input);
        let feature_dim = self.trained.len();
        workspace.prepare(&self.plan, &self.pooled_values(), images, feature_dim);
        workspace.convolutions = self.convolutions();
        for (time, stage) in self.plan.stages.iter().cloned().enumerate() {
            let sums = self.forward_stage(workspace, input, time, stage.clone());
            let (sums, batch) = self.sums_of_batch(stage.clone(), sums, images);
            workspace.batch = batch;
            for (index, sums) in stage.zip(sums) {
                let Some(tensors) = self.conv_tensors(index) else { continue };
                let grid = self.plan.grids[index + 1];
                let count = batch * grid.rows * grid.columns;
                let [gamma, beta] = [&tensors.gamma, &tensors.beta].map(|range| &self.parameters[range.clone()]);
                workspace.norms[index] = Some(Normalisation::from_batch(&sums, count, gamma, beta));
            }
        }
        let (mut features, mut scratch) =
            (std::mem::take(&mut workspace.features), std::mem::take(&mut workspace.scratch));
        let reader = Reader { isa: self.isa, plan: &self.plan, norms: &workspace.norms };
        let (values, group) = (workspace.values(workspace.schedule().lifetimes.pooling()), group_len(images));
        let groups = features.par_chunks_mut(group * feature_dim).zip(&mut scratch).enumerate();
        groups.for_each(|(number, (features, scratch))| {
            for (local, feature) in features.chunks_mut(feature_dim).enumerate() {
                let stored = |value: ValueId| {
                    let len = self.plan.grids[value].len();
                    &values[value][(number * group + local) * len..][..len]
                };
                pool(reader, &self.trained, stored, &mut scratch.activated, feature);
            }
        });
        (workspace.features, workspace.scratch, workspace.is_forward) = (features, scratch, true);
        &workspace.features
    }

    /// The values that the objective's readout pools.
    pub(super) fn pooled_values(&self) -> Vec<ValueId> {
        self.trained.values.iter().map(|&(value, _)| value).collect()
    }

    /// Feature maps `[N, H', W', D]` of the last forward pass, before its backward pass; their mean over pixels is that of [`super::Pooling::Mean`].
    pub fn feature_map(&self, workspace: &Workspace) -> Vec<f32> {
        let last = self.plan.nodes.len();
        let values = workspace.values(workspace.schedule().lifetimes.pooling());
        let (stored, len) = (values[last], self.plan.grids[last].len());
        let reader = Reader { isa: self.isa, plan: &self.plan, norms: &workspace.norms };
        let mut map = vec![0.0; stored.len()];
        map.par_chunks_mut(len).zip(stored.par_chunks(len)).for_each_init(Vec::new, |scratch, (map, stored)| {
            map.copy_from_slice(reader.activated(last, stored, scratch));
        });
        map
    }

    /// Rows and columns of the feature map.
    pub fn feature_map_size(&self) -> (usize, usize) {
        let grid = self.plan.grids[self.plan.nodes.len()];
        (grid.rows, grid.columns)
    }

    /// The convolutions of a training step.
    fn convolutions(&self) -> Vec<Option<Convolution>> {
        let weights = self.weights();
        let of_node = |node: usize| match &self.plan.nodes[node] {
            Node::Conv { input, .. } => {
                let geometry = self.plan.geometry(node);
                Some(Convolution::training(self.isa, geometry, self.arithmetic, weights[node], *input != 0))
            }
            Node::Add { .. } => None,
        };
        (0..self.plan.nodes.len()).into_par_iter().map(of_node).collect()
    }

    /// Runs one stage for all images; returns `Σ z` and `Σ z²` of each of its nodes (zeros for a sum).
    fn forward_stage(&self, workspace: &mut Workspace, input: &[f32], time: usize, stage: Range<usize>) -> Vec<Sums> {
        let plan = &self.plan;
        let zeros = || stage.clone().map(|index| Sums::zeros(plan.grids[index + 1].channels)).collect();
        let add = |sums: &mut Vec<Sums>, outs: &[&mut [f32]]| {
            for ((index, out), sums) in stage.clone().zip(outs).zip(sums) {
                if plan.conv(index + 1).is_some() {
                    moments(self.isa, plan.grids[index + 1], out, &mut sums.first, &mut sums.second);
                }
            }
        };
        add_in_order(self.run_nodes(workspace, input, time, stage.clone(), zeros, add))
    }

    /// Runs `nodes`, which are computed at `time`, for all images, group by group. `after_image` gets the values of each image while they are in the cache,
    /// and what `start` made for its group; returns these in the groups' order.
    pub(super) fn run_nodes<T: Send>(
        &self,
        workspace: &mut Workspace,
        input: &[f32],
        time: usize,
        nodes: Range<usize>,
        start: impl Fn() -> T + Sync,
        after_image: impl Fn(&mut T, &[&mut [f32]]) + Sync,
    ) -> Vec<T> {
        let plan = &self.plan;
        let len = |value: ValueId| plan.grids[value].len();
        let (schedule, images) = (workspace.schedule(), workspace.images);
        let mut arrays = Arrays::at(&schedule, &mut workspace.block, images, time);
        let (computed, values) = (arrays.take_values(nodes.clone()), arrays.into_values());
        let (weights, convolutions) = (self.weights(), &workspace.convolutions);
        let reader = Reader { isa: self.isa, plan, norms: &workspace.norms };
        let group = group_len(images);
        let pieces: Vec<usize> = nodes.clone().map(|index| group * len(index + 1)).collect();
        let groups = split_by_group(computed, &pieces).into_par_iter().zip(&mut workspace.scratch).enumerate();
        let of_groups = groups.map(|(number, (mut outs, scratch))| {
            let mut of_group = start();
            for local in 0..group.min(images - number * group) {
                let image = number * group + local;
                let earlier = |value: ValueId| {
                    let stored = if value == 0 { input } else { values[value] };
                    &stored[image * len(value)..][..len(value)]
                };
                let mut image_outs: Vec<&mut [f32]> = outs
                    .iter_mut()
                    .zip(nodes.clone())
                    .map(|(out, index)| &mut out[local * len(index + 1)..][..len(index + 1)])
                    .collect();
                run_image(reader, &weights, convolutions, nodes.clone(), earlier, &mut image_outs, scratch);
                after_image(&mut of_group, &image_outs);
            }
            of_group
        });
        of_groups.collect()
    }

    /// Features `[N, D]` of `input` `[N, H, W, C]` with the running statistics, D of [`Self::feature_dim`].
    ///
    /// # Panics
    /// When `input` is not a whole number of images.
    pub fn embed(&self, input: &[f32]) -> Vec<f32> {
        let pooled = self.spec().pooled(self.spec().readout.pooling);
        let Some(map) = self.map() else { return self.embed_pooled(input, &pooled) };
        let (rows, dim) = (self.embed_pooled(input, &pooled), self.feature_dim());
        let mut features = vec![0.0; rows.len() / pooled.len() * dim];
        features
            .par_chunks_mut(dim)
            .zip(rows.par_chunks(pooled.len()))
            .for_each(|(feature, row)| map.apply(row, feature));
        features
    }

    /// As [`Self::embed`], but what the objective reads ([`Self::train_on`]), D of [`Self::trained_dim`].
    ///
    /// # Panics
    /// When `input` is not a whole number of images.
    pub fn embed_trained(&self, input: &[f32]) -> Vec<f32> {
        self.embed_pooled(input, &self.trained)
    }

    /// The values `[N, P]` that `pooled` takes of `input` `[N, H, W, C]`, with the running statistics.
    ///
    /// # Panics
    /// When `input` is not a whole number of images, or `pooled` is not of this network's spec.
    pub fn embed_pooled(&self, input: &[f32], pooled: &Pooled) -> Vec<f32> {
        let images = self.images_in(input);
        let (plan, len, weights) = (&self.plan, pooled.len(), self.weights());
        let reader = Reader { isa: self.isa, plan, norms: &self.running_norms() };
        let of_node = |node: usize| matches!(plan.nodes[node], Node::Conv { .. }).then(|| plan.geometry(node));
        let convolutions: Vec<Option<Convolution>> =
            (0..plan.nodes.len()).map(|node| Some(Convolution::inference(self.isa, of_node(node)?))).collect();
        let mut features = vec![0.0; images * len];
        let (one, group) = (plan.grids[0].len(), group_len(images));
        features.par_chunks_mut(group * len).zip(input.par_chunks(group * one)).for_each(|(features, input)| {
            let mut values: Vec<Vec<f32>> = plan.grids[1..].iter().map(|grid| vec![0.0; grid.len()]).collect();
            let mut scratch = Scratch::default();
            for (feature, image) in features.chunks_mut(len).zip(input.chunks(one)) {
                let mut outs: Vec<&mut [f32]> = values.iter_mut().map(Vec::as_mut_slice).collect();
                run_image(reader, &weights, &convolutions, 0..plan.nodes.len(), |_| image, &mut outs, &mut scratch);
                pool(reader, pooled, |value| &values[value - 1], &mut scratch.activated, feature);
            }
        });
        features
    }

    fn images_in(&self, input: &[f32]) -> usize {
        let one = self.plan.grids[0].len();
        assert!(
            !(input.is_empty() && self.ranks.is_one()) && input.len().is_multiple_of(one),
            "{} floats are not a whole number of images of {one}",
            input.len()
        );
        input.len() / one
    }
}
