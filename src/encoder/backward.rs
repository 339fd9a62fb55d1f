//! Training, backward: the stages in reverse.
//!
//! `g` of a value is the gradient of the loss with respect to what its batch norm (or sum) gives,
//! already masked by the activation. A stage turns the `g` of its nodes into contributions to the
//! values they read. Whoever contributes last (the first reader) masks the sum of contributions and
//! gathers `Σ g` and `Σ g (z - mean)` while the image is still in the cache; with those sums the
//! stage before can take the gradient through its batch norm.

use std::ops::Range;

use rayon::prelude::*;

use super::forward::{Norms, Scratch, Workspace, add_in_order, by_group};
use super::network::Network;
use super::plan::{Geometry, Plan};
use super::spec::{Node, ValueId};
use crate::kernel::Activation;
use crate::kernel::channel::{Affine, gradient_moments, mask, norm_backward};
use crate::nn::batch_norm::{NormGradient, Sums};
use crate::nn::conv::{clear_border, conv_data_gradient, conv_weight_gradient, transpose_weight};
use crate::nn::depthwise::{depthwise_data_gradient, depthwise_weight_gradient};
use crate::nn::pool::global_average_pool_backward;

/// Memory for gradients, shared by values that have the same one.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    arrays: Vec<Vec<f32>>,
    /// Which array holds each value's gradient, while it is needed.
    of_value: Vec<Option<usize>>,
}

impl Buffers {
    fn start(&mut self, values: usize) {
        self.of_value = vec![None; values];
    }

    /// An array nobody uses, for the gradient of `value`.
    fn take(&mut self, value: ValueId, len: usize) {
        let free = |id: &usize| !self.of_value.contains(&Some(*id));
        let fits = (0..self.arrays.len()).filter(free).min_by_key(|&id| {
            let capacity = self.arrays[id].capacity();
            (capacity < len, capacity.abs_diff(len))
        });
        let id = fits.unwrap_or_else(|| {
            self.arrays.push(Vec::new());
            self.arrays.len() - 1
        });
        self.arrays[id].resize(len, 0.0);
        self.of_value[value] = Some(id);
    }
}

/// What a stage's groups share.
struct Stage<'a> {
    norms: Norms<'a>,
    input: &'a [f32],
    values: &'a [Vec<f32>],
    /// Of each node of the stage; none for a sum.
    gradients: &'a [Option<NormGradient>],
    weights: &'a [&'a [f32]],
    /// Of each node of the stage, for the data gradient; empty where not needed.
    transposed: &'a [Vec<f32>],
    nodes: Range<usize>,
    /// The arrays in `Group::arrays`, by their number.
    array_ids: &'a [usize],
    /// Array of each value.
    of_value: &'a [Option<usize>],
    /// Values whose gradient becomes complete here and are convolutions: sums are gathered for them.
    completed: &'a [ValueId],
}

/// One group's part of a stage.
struct Group<'a> {
    arrays: Vec<&'a mut [f32]>,
    scratch: &'a mut Scratch,
    sums: Vec<Sums>,
}

impl Stage<'_> {
    fn plan(&self) -> &Plan {
        self.norms.plan
    }

    fn stored(&self, value: ValueId, image: usize) -> &[f32] {
        let len = self.plan().grids[value].len();
        let stored = if value == 0 { self.input } else { &self.values[value] };
        &stored[image * len..][..len]
    }

    fn array(&self, value: ValueId) -> usize {
        let id = self.of_value[value].expect("a value has an array from its first contribution on");
        self.array_ids.iter().position(|other| *other == id).expect("a stage holds the arrays it touches")
    }

    /// Takes node `index` of one image backward: its weights' gradient, and its contribution to what it read.
    fn conv_backward(&self, group: &mut Group<'_>, index: usize, image: usize, local: usize) {
        let (plan, isa) = (self.plan(), self.norms.isa);
        let Node::Conv { input: value, .. } = &plan.nodes[index] else { return };
        let position = index - self.nodes.start;
        let geometry = plan.geometry(index);
        let shape = geometry.dense();
        let out = plan.grids[index + 1];
        let norm = self.norms.by_node[index].as_ref().expect("the forward pass has normalised it");
        let gradient = self.gradients[position].as_ref().expect("a convolution has a norm's gradient");
        let Scratch { input, gradient: dz, contribution, dweights } = &mut *group.scratch;

        // dz, with a border, from g and z.
        let (padding, row) = (shape.padding(), (out.columns + 2 * shape.padding()) * out.channels);
        dz.resize(dz.len().max(shape.padded_output_len()), 0.0);
        clear_border(out.rows, out.columns, out.channels, padding, dz);
        let g = &group.arrays[self.array(index + 1)][local * out.len()..][..out.len()];
        let by_value = Affine { scale: &gradient.by_value, shift: &gradient.constant };
        let inside = padding * (row + out.channels);
        norm_backward(isa, out, g, self.stored(index + 1, image), &norm.scale, by_value, &mut dz[inside..], row);

        let x = self.norms.read(*value, self.stored(*value, image), geometry, input);
        match geometry {
            Geometry::Dense(shape) => conv_weight_gradient(isa, shape, x, dz, &mut dweights[position]),
            Geometry::Depthwise(shape) => depthwise_weight_gradient(isa, shape, x, dz, &mut dweights[position]),
        }
        if *value == 0 {
            return;
        }
        let read = plan.grids[*value];
        let target = &mut group.arrays[self.array(*value)][local * read.len()..][..read.len()];
        // The first contribution is written where it stays, later ones beside it.
        let first = plan.last_reader[*value] == Some(index);
        let dx = if first {
            &mut *target
        } else {
            contribution.resize(contribution.len().max(read.len()), 0.0);
            &mut contribution[..read.len()]
        };
        match geometry {
            Geometry::Dense(shape) => conv_data_gradient(isa, shape, dz, &self.transposed[position], dx),
            Geometry::Depthwise(shape) => depthwise_data_gradient(isa, shape, dz, self.weights[index], dx),
        }
        let more = (!first).then_some(&contribution[..]);
        if plan.first_reader[*value] == Some(index) {
            self.complete(*value, image, target, more, &mut group.sums);
        } else if let Some(more) = more {
            target.iter_mut().zip(more).for_each(|(sum, value)| *sum += value);
        }
    }

    /// All contributions to `value` are in `g` and `more`: masks them and gathers the sums that the
    /// batch norms before need.
    fn complete(&self, value: ValueId, image: usize, g: &mut [f32], more: Option<&[f32]>, sums: &mut [Sums]) {
        let (plan, isa, grid) = (self.plan(), self.norms.isa, self.plan().grids[value]);
        let (mut affine, mut activation) = self.norms.affine(value);
        if let Node::Add { activation: own, .. } = &plan.nodes[value - 1] {
            // The sum is stored as it is read: positive where the activation passes.
            (affine, activation) = (Affine { scale: self.norms.ones, shift: self.norms.zeros }, *own);
        }
        if more.is_some() || activation != Activation::Identity {
            mask(isa, grid, g, more, self.stored(value, image), affine, activation);
        }
        for (&of, sums) in self.completed.iter().zip(sums) {
            let by_sum =
                matches!(&plan.nodes[value - 1], Node::Add { .. }) && plan.nodes[value - 1].inputs().contains(&of);
            if of == value || by_sum {
                let mean = &self.norms.by_node[of - 1].as_ref().expect("the forward pass has normalised it").mean;
                gradient_moments(isa, grid, g, self.stored(of, image), mean, &mut sums.first, &mut sums.second);
            }
        }
    }
}

impl Network {
    /// Gradient of the loss with respect to `parameters`, from `dfeatures` `[N, D]`; overwrites
    /// `gradient`. Goes with the last [`Self::forward`] on this workspace and the same `input`.
    ///
    /// # Panics
    /// When the lengths are not those of the last forward pass.
    pub fn backward(&self, workspace: &mut Workspace, input: &[f32], dfeatures: &[f32], gradient: &mut [f32]) {
        assert_eq!(dfeatures.len(), workspace.features.len(), "one gradient a feature");
        self.backward_from(workspace, input, dfeatures, gradient);
    }

    /// As [`Self::backward`], from the gradient of [`Self::last_map`], `[N, H', W', D]`.
    ///
    /// # Panics
    /// When the lengths are not those of the last forward pass.
    pub fn backward_map(&self, workspace: &mut Workspace, input: &[f32], dmap: &[f32], gradient: &mut [f32]) {
        assert_eq!(dmap.len(), workspace.values[self.plan.nodes.len()].len(), "one gradient an activation");
        self.backward_from(workspace, input, dmap, gradient);
    }

    /// From the gradient of the features or, told by its length, of the last activations.
    fn backward_from(&self, workspace: &mut Workspace, input: &[f32], dlast: &[f32], gradient: &mut [f32]) {
        let plan = &self.plan;
        let last = plan.nodes.len();
        assert_eq!(gradient.len(), self.parameters.len(), "one gradient a parameter");
        let (ones, zeros) = (vec![1.0; plan.channels_max()], vec![0.0; plan.channels_max()]);
        let mut sums: Vec<Sums> = vec![Sums::default(); plan.grids.len()];
        workspace.gradients.start(plan.grids.len());
        workspace.gradients.take(last, workspace.images * plan.grids[last].len());
        self.last_backward(workspace, dlast, &ones, &zeros, &mut sums);
        for stage in plan.stages.iter().rev() {
            self.backward_stage(workspace, input, stage.clone(), &ones, &zeros, &mut sums, gradient);
        }
    }

    /// Gives the last value its gradient and completes it.
    fn last_backward(&self, workspace: &mut Workspace, dlast: &[f32], ones: &[f32], zeros: &[f32], sums: &mut [Sums]) {
        let plan = &self.plan;
        let last = plan.nodes.len();
        let completed = self.completed_with(last);
        self.share_with_summands(&mut workspace.gradients.of_value, last);
        let group = Self::group_len(workspace.images);
        let (len, given) = (plan.grids[last].len(), dlast.len() / workspace.images);
        let id = workspace.gradients.of_value[last].expect("taken by the caller");
        let mut array = std::mem::take(&mut workspace.gradients.arrays[id]);
        let stage = Stage {
            norms: Norms { isa: self.isa, plan, by_node: &workspace.norms, ones, zeros },
            input: &[],
            values: &workspace.values,
            gradients: &[],
            weights: &[],
            transposed: &[],
            nodes: last..last,
            array_ids: &[id],
            of_value: &workspace.gradients.of_value,
            completed: &completed,
        };
        let groups = array.par_chunks_mut(group * len).zip(dlast.par_chunks(group * given)).enumerate();
        let partial = groups.map(|(number, (arrays, dlast))| {
            let mut sums: Vec<Sums> = completed.iter().map(|&value| Sums::zeros(plan.grids[value].channels)).collect();
            for (local, (g, dlast)) in arrays.chunks_mut(len).zip(dlast.chunks(given)).enumerate() {
                // A map of one pixel is its own mean, and either way is the same.
                if given == len {
                    g.copy_from_slice(dlast)
                } else {
                    global_average_pool_backward(dlast, g)
                }
                stage.complete(last, number * group + local, g, None, &mut sums);
            }
            sums
        });
        let partial: Vec<Vec<Sums>> = partial.collect();
        for (value, total) in completed.iter().zip(add_in_order(partial)) {
            sums[*value] = total;
        }
        workspace.gradients.arrays[id] = array;
    }

    /// The convolutions whose gradient is complete once `value`'s is: itself, or the summands that
    /// nothing but the sum reads.
    fn completed_with(&self, value: ValueId) -> Vec<ValueId> {
        match &self.plan.nodes[value - 1] {
            Node::Conv { .. } => vec![value],
            node => node
                .inputs()
                .into_iter()
                .filter(|&summand| self.plan.first_reader[summand] == Some(value - 1))
                .collect(),
        }
    }

    /// A sum's gradient is each summand's: they take over its array.
    fn share_with_summands(&self, of_value: &mut [Option<usize>], value: ValueId) {
        if let Node::Add { left, right, .. } = &self.plan.nodes[value - 1] {
            of_value[*left] = of_value[value];
            of_value[*right] = of_value[value];
        }
    }

    #[allow(clippy::too_many_arguments)] // Each is one part of the step's state, borrowed apart.
    fn backward_stage(
        &self,
        workspace: &mut Workspace,
        input: &[f32],
        stage: Range<usize>,
        ones: &[f32],
        zeros: &[f32],
        sums: &mut [Sums],
        gradient: &mut [f32],
    ) {
        let plan = &self.plan;
        let images = workspace.images;
        let gradients = self.norm_gradients(workspace, stage.clone(), sums, gradient);
        let completed = self.prepare_targets(workspace, stage.clone());
        let transposed = self.transposed(stage.clone());

        // Every array that the stage reads or writes, cut into groups.
        let buffers = &mut workspace.gradients;
        let mut touched: Vec<ValueId> = stage.clone().map(|index| index + 1).collect();
        touched.extend(stage.clone().flat_map(|index| plan.nodes[index].inputs()).filter(|&value| value != 0));
        let mut array_ids: Vec<usize> = touched.iter().filter_map(|&value| buffers.of_value[value]).collect();
        array_ids.sort_unstable();
        array_ids.dedup();
        let group = Self::group_len(images);
        let mut arrays: Vec<Vec<f32>> = array_ids.iter().map(|&id| std::mem::take(&mut buffers.arrays[id])).collect();
        let pieces: Vec<usize> = arrays.iter().map(|array| group * (array.len() / images)).collect();
        let weights = self.weights();
        let shared = Stage {
            norms: Norms { isa: self.isa, plan, by_node: &workspace.norms, ones, zeros },
            input,
            values: &workspace.values,
            gradients: &gradients,
            weights: &weights,
            transposed: &transposed,
            nodes: stage.clone(),
            array_ids: &array_ids,
            of_value: &buffers.of_value,
            completed: &completed,
        };
        let groups = by_group(&mut arrays, &pieces).into_par_iter().zip(&mut workspace.scratch).enumerate();
        let partial = groups.map(|(number, (arrays, scratch))| {
            scratch.dweights.resize_with(scratch.dweights.len().max(stage.len()), Vec::new);
            for (dweight, index) in scratch.dweights.iter_mut().zip(stage.clone()) {
                dweight.clear();
                dweight.resize(weights[index].len(), 0.0);
            }
            let sums = completed.iter().map(|&value| Sums::zeros(plan.grids[value].channels)).collect();
            let mut part = Group { arrays, scratch, sums };
            for local in 0..group.min(images - number * group) {
                for index in stage.clone().rev() {
                    shared.conv_backward(&mut part, index, number * group + local, local);
                }
            }
            part.sums
        });
        let partial: Vec<Vec<Sums>> = partial.collect();
        let used = partial.len();
        for (value, total) in completed.iter().zip(add_in_order(partial)) {
            sums[*value] = total;
        }
        for (&id, array) in array_ids.iter().zip(arrays) {
            workspace.gradients.arrays[id] = array;
        }
        // A node of this stage is done: nobody needs its gradient any more.
        for index in stage.clone() {
            workspace.gradients.of_value[index + 1] = None;
        }
        self.add_weight_gradients(&workspace.scratch[..used], stage, gradient);
    }

    /// From the sums over the batch: the way through each batch norm of the stage, and the gradients of its scale and shift.
    fn norm_gradients(
        &self,
        workspace: &Workspace,
        stage: Range<usize>,
        sums: &[Sums],
        gradient: &mut [f32],
    ) -> Vec<Option<NormGradient>> {
        let of_node = |index: usize| {
            let (places, norm) = (self.places[index].as_ref()?, workspace.norms[index].as_ref()?);
            let grid = self.plan.grids[index + 1];
            let found = norm.backward(&sums[index + 1], workspace.images * grid.rows * grid.columns);
            gradient[places.gamma.clone()].copy_from_slice(&found.dgamma);
            gradient[places.beta.clone()].copy_from_slice(&found.dbeta);
            Some(found)
        };
        stage.map(of_node).collect()
    }

    /// Gives every value that gets its first contribution in this stage an array, and names the
    /// convolutions that get their last one.
    fn prepare_targets(&self, workspace: &mut Workspace, stage: Range<usize>) -> Vec<ValueId> {
        let plan = &self.plan;
        let mut completed = Vec::new();
        for index in stage.rev() {
            let Node::Conv { input: value, .. } = &plan.nodes[index] else { continue };
            if *value == 0 {
                continue;
            }
            if plan.last_reader[*value] == Some(index) {
                workspace.gradients.take(*value, workspace.images * plan.grids[*value].len());
            }
            if plan.first_reader[*value] == Some(index) {
                completed.extend(self.completed_with(*value));
                self.share_with_summands(&mut workspace.gradients.of_value, *value);
            }
        }
        completed
    }

    /// The weights of the stage's dense convolutions as the data gradient reads them.
    fn transposed(&self, stage: Range<usize>) -> Vec<Vec<f32>> {
        let weights = self.weights();
        let of_node = |index: usize| match &self.plan.nodes[index] {
            Node::Conv { input, .. } if *input != 0 => match self.plan.geometry(index) {
                Geometry::Dense(shape) => {
                    let mut transposed = vec![0.0; shape.weight_len()];
                    transpose_weight(shape, weights[index], &mut transposed);
                    transposed
                }
                Geometry::Depthwise(_) => Vec::new(),
            },
            _ => Vec::new(),
        };
        stage.into_par_iter().map(of_node).collect()
    }

    /// Adds up the groups' weight gradients in the groups' order.
    fn add_weight_gradients(&self, groups: &[Scratch], stage: Range<usize>, gradient: &mut [f32]) {
        const PIECE: usize = 4096;
        for (position, index) in stage.enumerate() {
            let Some(places) = &self.places[index] else { continue };
            gradient[places.weight.clone()].par_chunks_mut(PIECE).enumerate().for_each(|(number, target)| {
                let start = number * PIECE;
                target.copy_from_slice(&groups[0].dweights[position][start..][..target.len()]);
                for group in &groups[1..] {
                    let part = &group.dweights[position][start..][..target.len()];
                    target.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
                }
            });
        }
    }
}
