//! Training, backward: the stages in reverse.
//!
//! # Batch norm
//!
//! Per channel, over the `M = N H W` values `z` of the batch with mean `μ` and variance `σ²`:
//!
//! ```text
//! r = 1 / √(σ² + ε)      ẑ = (z - μ) r      y = γ ẑ + β
//! ```
//!
//! Let `g = ∂L/∂y`. The parameters' gradients are `∂L/∂β = Σ g` and `∂L/∂γ = Σ g ẑ = r Σ g (z - μ)`. Every `z` also moves
//! `μ` and `σ²`: `dμ = mean(dz)`, `dr = -½ r³ dσ² = -r² mean(ẑ dz)`, hence
//!
//! ```text
//! dẑ    = r (dz - mean(dz) - ẑ mean(ẑ dz))
//! ∂L/∂z = γ r (g - mean(g) - ẑ mean(g ẑ))
//!       = g a + z b + c      a = γ r      b = -γ r³ Σ g (z - μ) / M      c = -b μ - a Σ g / M
//! ```
//!
//! (the middle line because the map from `dz` to `dẑ` is symmetric). Per channel the gradient is an affine map of `g` and `z`
//! that needs the two sums `Σ g` and `Σ g (z - μ)` over the batch. Hence a stage, which runs image by image, ends at a batch
//! norm.
//!
//! # Recomputation
//!
//! The forward pass stored `z` only. `x = activation(y)`, the input of the next convolution, is computed again for the
//! weight gradient `∂L/∂W = xᵀ ∂L/∂z`, and `y` again for the activation's mask (ReLU passes `g` where `y > 0`). This costs
//! one multiply-add per value and saves half the memory. A `z` that a limit of memory left no room for is computed again too
//! (`recompute.rs`).
//!
//! # Order of work
//!
//! `g` of a value is the gradient with respect to its batch norm's (or sum's) output, already masked by the activation. A
//! stage turns the `g` of its nodes into contributions to the values they read. The value's last reader writes its
//! contribution first; the first reader adds the last one and that of the pooled values (`pooling.rs`), masks the total, and
//! takes both sums while the image is still in the cache.

use std::ops::Range;

use rayon::prelude::*;

use super::convolution::Convolution;
use super::network::Network;
use super::plan::Plan;
use super::pooling::PooledGradient;
use super::reader::Reader;
use super::spec::{Node, ValueId};
use super::workspace::{Arrays, Scratch, Workspace, add_in_order, group_len, split_by_group};
use crate::kernel::Activation;
use crate::kernel::channel::{GradientMoments, Mask, complete_gradient};
use crate::nn::batch_norm::{NormGradient, Sums};
use crate::ranks::Completed;

/// Shared by the groups of a stage.
struct Stage<'a> {
    reader: Reader<'a>,
    input: &'a [f32],
    /// Values that are alive.
    values: &'a [&'a [f32]],
    /// Of each node of the stage; none for a sum.
    gradients: &'a [Option<NormGradient>],
    /// Of each node of the graph.
    weights: &'a [&'a [f32]],
    /// Of each convolution node of the graph.
    convolutions: &'a [Option<Convolution>],
    nodes: Range<usize>,
    /// Numbers of the arrays in `Group::arrays`.
    array_ids: &'a [usize],
    /// Array of each value.
    of_value: &'a [Option<usize>],
    /// Convolutions whose gradient becomes complete here: their sums are taken.
    completed: &'a [ValueId],
    /// The gradient of pooled values, which contribute to the values they were taken of.
    pooled: Option<PooledGradient<'a>>,
}

/// Where the gradient of the last value comes from.
#[derive(Clone, Copy)]
enum Last<'a> {
    /// From pooled values, of it and of others.
    Pooled(PooledGradient<'a>),
    /// `[N, H', W', D]`, itself.
    Map(&'a [f32]),
}

impl<'a> Last<'a> {
    fn pooled(self) -> Option<PooledGradient<'a>> {
        match self {
            Self::Pooled(pooled) => Some(pooled),
            Self::Map(_) => None,
        }
    }
}

/// The gradient that a backward pass starts from.
#[derive(Clone, Copy)]
pub enum FeatureGradient<'a> {
    /// Of the features, `[N, D]`.
    Features(&'a [f32]),
    /// Of the feature map, `[N, H', W', D]`.
    Map(&'a [f32]),
}

/// A group's part of a stage.
struct Group<'a> {
    arrays: Vec<&'a mut [f32]>,
    scratch: &'a mut Scratch,
    sums: Vec<Sums>,
}

impl Stage<'_> {
    fn plan(&self) -> &Plan {
        self.reader.plan
    }

    fn stored(&self, value: ValueId, image: usize) -> &[f32] {
        let len = self.plan().grids[value].len();
        let stored = if value == 0 { self.input } else { self.values[value] };
        &stored[image * len..][..len]
    }

    fn norm_mean(&self, value: ValueId) -> &[f32] {
        &self.reader.norms[value - 1].as_ref().expect("the forward pass has normalised it").mean
    }

    fn array(&self, value: ValueId) -> usize {
        let id = self.of_value[value].expect("a value has an array from its first contribution on");
        self.array_ids.iter().position(|other| *other == id).expect("a stage holds the arrays it touches")
    }

    /// Weight gradient of convolution `index` for one image, and its contribution to the gradient of its input.
    ///
    /// `local` is the image's index in the group.
    fn conv_backward(&self, group: &mut Group<'_>, index: usize, image: usize, local: usize) {
        let plan = self.plan();
        let Node::Conv { input: value, .. } = &plan.nodes[index] else { return };
        let position = index - self.nodes.start;
        let out = plan.grids[index + 1];
        let norm = self.reader.norms[index].as_ref().expect("the forward pass has normalised it");
        let of_norm = self.gradients[position].as_ref().expect("a convolution has a norm's gradient");
        let Scratch { input, gradient, contribution, dweights, activated, conv: scratch, pending } =
            &mut *group.scratch;
        let conv = self.convolutions[index].as_ref().expect("a convolution node has a convolution");

        let g = &group.arrays[self.array(index + 1)][local * out.len()..][..out.len()];
        let dz = conv.output_gradient(norm, of_norm, g, self.stored(index + 1, image), gradient);
        let x = conv.input(self.reader, *value, self.stored(*value, image), input);
        conv.weight_gradient(x, dz, scratch, &mut pending[position], &mut dweights[position]);
        if *value == 0 {
            return;
        }
        let read = plan.grids[*value];
        let target = &mut group.arrays[self.array(*value)][local * read.len()..][..read.len()];
        // The first contribution is written in place, later ones to scratch.
        let first = plan.last_reader[*value] == Some(index);
        let dx = if first {
            &mut *target
        } else {
            contribution.resize(contribution.len().max(read.len()), 0.0);
            &mut contribution[..read.len()]
        };
        conv.data_gradient(self.weights[index], dz, scratch, dx);
        let more = (!first).then_some(&contribution[..]);
        if plan.first_reader[*value] == Some(index) {
            self.add_pooled(*value, image, target, activated);
            self.complete(*value, image, target, more, &mut group.sums);
        } else if let Some(more) = more {
            target.iter_mut().zip(more).for_each(|(sum, value)| *sum += value);
        }
    }

    /// Adds the contribution of the pooled values to the gradient of `value`, if it is pooled. That of the last value is written
    /// instead.
    fn add_pooled(&self, value: ValueId, image: usize, g: &mut [f32], scratch: &mut Vec<f32>) {
        if let Some(pooled) = self.pooled.filter(|pooled| pooled.reads(value)) {
            pooled.backward(self.reader, value, image, self.stored(value, image), scratch, g);
        }
    }

    /// Masks the total `g + more` of all contributions to `value`, and adds to the sums that the batch norms before need.
    fn complete(&self, value: ValueId, image: usize, g: &mut [f32], more: Option<&[f32]>, sums: &mut [Sums]) {
        let (plan, isa, grid) = (self.plan(), self.reader.isa, self.plan().grids[value]);
        let (affine, activation) = match &plan.nodes[value - 1] {
            // The stored sum is past its activation: positive where that passes the gradient.
            Node::Add { activation, .. } => (plan.identity(), *activation),
            Node::Conv { .. } => self.reader.norm_and_activation(value),
        };
        let mask = Mask { z: self.stored(value, image), affine, activation };
        let moments = self.completed.iter().zip(sums).filter_map(|(&of, sums)| {
            let is_of_value = of == value || plan.summands(value).contains(&of);
            is_of_value.then(|| GradientMoments {
                z: self.stored(of, image),
                mean: self.norm_mean(of),
                sum: &mut sums.first,
                product: &mut sums.second,
            })
        });
        let mut moments = moments.fuse();
        match (moments.next(), moments.next()) {
            (Some(first), Some(second)) => complete_gradient(isa, grid, g, more, mask, [first, second]),
            (Some(only), None) => complete_gradient(isa, grid, g, more, mask, [only]),
            _ if more.is_some() || activation != Activation::Identity => {
                complete_gradient(isa, grid, g, more, mask, []);
            }
            _ => {}
        }
    }

    fn zero_sums(&self) -> Vec<Sums> {
        self.completed.iter().map(|&value| Sums::zeros(self.plan().grids[value].channels)).collect()
    }
}

impl Network {
    /// Gradient of the loss with respect to `parameters`, from `dfeatures` `[N, D]`; overwrites `gradient`.
    ///
    /// `workspace` and `input` are those of the last [`Self::forward`], whose values it overwrites.
    ///
    /// # Panics
    /// When the lengths are not those of the last forward pass, or it has had its backward pass.
    pub fn backward(&self, workspace: &mut Workspace, input: &[f32], dfeatures: &[f32], gradient: &mut [f32]) {
        self.backward_by_stage(workspace, input, FeatureGradient::Features(dfeatures), gradient, &mut |_, _| ());
    }

    /// As [`Self::backward`], from the gradient of [`Self::feature_map`], `[N, H', W', D]`.
    ///
    /// # Panics
    /// When the lengths are not those of the last forward pass.
    pub fn backward_feature_map(&self, workspace: &mut Workspace, input: &[f32], dmap: &[f32], gradient: &mut [f32]) {
        self.backward_by_stage(workspace, input, FeatureGradient::Map(dmap), gradient, &mut |_, _| ());
    }

    /// As [`Self::backward`] or [`Self::backward_feature_map`]; reports each range of `gradient` that is complete, from the
    /// end to the start.
    ///
    /// # Panics
    /// When the lengths are not those of the last forward pass.
    pub fn backward_by_stage(
        &self,
        workspace: &mut Workspace,
        input: &[f32],
        from: FeatureGradient<'_>,
        gradient: &mut [f32],
        completed: &mut Completed<'_>,
    ) {
        match from {
            FeatureGradient::Features(dfeatures) => {
                assert_eq!(dfeatures.len(), workspace.features.len(), "one gradient per feature");
                let features = std::mem::take(&mut workspace.features);
                let pooled = PooledGradient { pooled: &self.trained, features: &features, dfeatures };
                self.backward_from(workspace, input, Last::Pooled(pooled), gradient, completed);
                workspace.features = features;
            }
            FeatureGradient::Map(dmap) => {
                let len = workspace.images * self.plan.grids[self.plan.nodes.len()].len();
                assert_eq!(dmap.len(), len, "one gradient per activation");
                self.backward_from(workspace, input, Last::Map(dmap), gradient, completed);
            }
        }
    }

    /// Place of the parameters of a stage. Tensors are in the order of nodes, so stages in reverse cover all from the end.
    fn stage_parameters(&self, stage: Range<usize>) -> Range<usize> {
        let tensors = || stage.clone().filter_map(|index| self.conv_tensors(index));
        let start = tensors().next().map_or(0, |first| first.weight.start);
        start..tensors().next_back().map_or(start, |last| last.beta.end)
    }

    fn backward_from(
        &self,
        workspace: &mut Workspace,
        input: &[f32],
        from: Last<'_>,
        gradient: &mut [f32],
        completed: &mut Completed<'_>,
    ) {
        assert_eq!(gradient.len(), self.parameters.len(), "one gradient per parameter");
        let schedule = workspace.schedule();
        let is_ready = std::mem::take(&mut workspace.is_forward) && schedule.has_backward();
        assert!(is_ready, "a backward pass belongs to one forward pass, of a schedule with backward passes");
        let mut sums: Vec<Sums> = vec![Sums::default(); self.plan.grids.len()];
        self.recompute(workspace, input, schedule.lifetimes.last());
        self.last_backward(workspace, from, &mut sums);
        for (number, stage) in self.plan.stages.iter().enumerate().rev() {
            let time = schedule.lifetimes.stage_backward(number);
            self.recompute(workspace, input, time);
            self.backward_stage(workspace, input, (time, stage.clone()), from.pooled(), &mut sums, gradient);
            let own = self.stage_parameters(stage.clone());
            if !own.is_empty() {
                completed(gradient, own);
            }
        }
    }

    /// Writes the gradient of the last value and completes it.
    fn last_backward(&self, workspace: &mut Workspace, from: Last<'_>, sums: &mut [Sums]) {
        let (plan, images) = (&self.plan, workspace.images);
        let last = plan.nodes.len();
        let len = plan.grids[last].len();
        let (schedule, completed) = (workspace.schedule(), plan.completed_with(last));
        let time = schedule.lifetimes.last();
        let of_value = schedule.lifetimes.gradient_of(time);
        let mut arrays = Arrays::at(&schedule, &mut workspace.block, images, time);
        let id = of_value[last].expect("the last value has a gradient");
        let (array, values) = (arrays.take_gradients(&[id]).remove(0), arrays.into_values());
        let stage = Stage {
            reader: Reader { isa: self.isa, plan, norms: &workspace.norms },
            input: &[],
            values: &values,
            gradients: &[],
            weights: &[],
            convolutions: &[],
            nodes: last..last,
            array_ids: &[id],
            of_value,
            completed: &completed,
            pooled: from.pooled(),
        };
        let group = group_len(images);
        let groups = array.par_chunks_mut(group * len).zip(&mut workspace.scratch).enumerate();
        let partial = groups.map(|(number, (arrays, scratch))| {
            let mut sums = stage.zero_sums();
            for (local, g) in arrays.chunks_mut(len).enumerate() {
                let image = number * group + local;
                match from {
                    Last::Map(dmap) => g.copy_from_slice(&dmap[image * len..][..len]),
                    Last::Pooled(_) => stage.add_pooled(last, image, g, &mut scratch.activated),
                }
                stage.complete(last, image, g, None, &mut sums);
            }
            sums
        });
        let partial: Vec<Vec<Sums>> = partial.collect();
        for (value, total) in completed.iter().zip(add_in_order(partial)) {
            sums[*value] = total;
        }
        self.sum_gradients(&completed, sums);
    }

    fn backward_stage(
        &self,
        workspace: &mut Workspace,
        input: &[f32],
        (time, stage): (usize, Range<usize>),
        pooled: Option<PooledGradient<'_>>,
        sums: &mut [Sums],
        gradient: &mut [f32],
    ) {
        let (plan, images, schedule) = (&self.plan, workspace.images, workspace.schedule());
        let gradients = self.norm_gradients(workspace, stage.clone(), sums, gradient);
        let completed = self.completed_in(stage.clone());

        // Every gradient that the stage reads or writes, cut into groups.
        let of_value = schedule.lifetimes.gradient_of(time);
        let mut touched: Vec<ValueId> = stage.clone().map(|index| index + 1).collect();
        touched.extend(stage.clone().flat_map(|index| plan.nodes[index].inputs()).filter(|&value| value != 0));
        let mut array_ids: Vec<usize> = touched.iter().filter_map(|&value| of_value[value]).collect();
        array_ids.sort_unstable();
        array_ids.dedup();
        let group = group_len(images);
        let mut alive = Arrays::at(&schedule, &mut workspace.block, images, time);
        let (arrays, values) = (alive.take_gradients(&array_ids), alive.into_values());
        let pieces: Vec<usize> = arrays.iter().map(|array| group * (array.len() / images)).collect();
        let weights = self.weights();
        let shared = Stage {
            reader: Reader { isa: self.isa, plan, norms: &workspace.norms },
            input,
            values: &values,
            gradients: &gradients,
            weights: &weights,
            convolutions: &workspace.convolutions,
            nodes: stage.clone(),
            array_ids: &array_ids,
            of_value,
            completed: &completed,
            pooled,
        };
        let groups = split_by_group(arrays, &pieces).into_par_iter().zip(&mut workspace.scratch).enumerate();
        let partial = groups.map(|(number, (arrays, scratch))| {
            scratch.dweights.resize_with(scratch.dweights.len().max(stage.len()), Vec::new);
            scratch.pending.resize_with(scratch.pending.len().max(stage.len()), Default::default);
            for (dweight, index) in scratch.dweights.iter_mut().zip(stage.clone()) {
                dweight.clear();
                dweight.resize(weights[index].len(), 0.0);
            }
            let mut part = Group { arrays, scratch, sums: shared.zero_sums() };
            for local in 0..group.min(images - number * group) {
                for index in stage.clone().rev() {
                    shared.conv_backward(&mut part, index, number * group + local, local);
                }
            }
            let Scratch { pending, dweights, .. } = part.scratch;
            for ((index, pending), dweight) in stage.clone().zip(pending).zip(dweights) {
                shared.convolutions[index].iter().for_each(|conv| conv.finish_weight_gradient(pending, dweight));
            }
            part.sums
        });
        let partial: Vec<Vec<Sums>> = partial.collect();
        let used = partial.len();
        for (value, total) in completed.iter().zip(add_in_order(partial)) {
            sums[*value] = total;
        }
        self.sum_gradients(&completed, sums);
        self.add_weight_gradients(workspace, used, stage, gradient);
    }

    /// The maps through the stage's batch norms, from the sums over the batch; writes the gradients of scale and shift.
    fn norm_gradients(
        &self,
        workspace: &Workspace,
        stage: Range<usize>,
        sums: &[Sums],
        gradient: &mut [f32],
    ) -> Vec<Option<NormGradient>> {
        let of_node = |index: usize| {
            let (tensors, norm) = (self.conv_tensors(index)?, workspace.norms[index].as_ref()?);
            let grid = self.plan.grids[index + 1];
            let found = norm.backward(&sums[index + 1], workspace.batch * grid.rows * grid.columns);
            // Sums over the ranks are in the gradient of one rank only, because gradients are summed as well.
            let share = if self.ranks.is_first() { 1.0 } else { 0.0 };
            for (range, of_norm) in [(&tensors.gamma, &found.dgamma), (&tensors.beta, &found.dbeta)] {
                gradient[range.clone()].iter_mut().zip(of_norm).for_each(|(d, value)| *d = share * value);
            }
            Some(found)
        };
        stage.map(of_node).collect()
    }

    /// The convolutions whose gradient becomes complete in `stage`.
    fn completed_in(&self, stage: Range<usize>) -> Vec<ValueId> {
        let plan = &self.plan;
        let completed = stage.rev().filter_map(|index| match &plan.nodes[index] {
            Node::Conv { input, .. } if *input != 0 && plan.first_reader[*input] == Some(index) => Some(*input),
            _ => None,
        });
        completed.flat_map(|value| plan.completed_with(value)).collect()
    }

    /// Adds the groups' weight gradients in the groups' order.
    fn add_weight_gradients(
        &self,
        workspace: &mut Workspace,
        groups: usize,
        stage: Range<usize>,
        gradient: &mut [f32],
    ) {
        const PIECE: usize = 4096;
        for (position, index) in stage.enumerate() {
            let Some(tensors) = self.conv_tensors(index) else { continue };
            let (first, others) = workspace.scratch[..groups].split_first_mut().expect("a batch has a group");
            let total = &mut first.dweights[position];
            total.par_chunks_mut(PIECE).enumerate().for_each(|(number, total)| {
                let start = number * PIECE;
                for group in &*others {
                    let part = &group.dweights[position][start..][..total.len()];
                    total.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
                }
            });
            gradient[tensors.weight.clone()].copy_from_slice(total);
        }
    }
}
