//! Computes values again that the forward pass did not keep (`schedule.rs`).

use rayon::prelude::*;

use super::forward::run_image;
use super::network::Network;
use super::reader::Reader;
use super::spec::ValueId;
use super::workspace::{Arrays, Workspace, group_len, split_by_group};

impl Network {
    /// Computes the values that the backward pass needs from `time` on and that were not kept, in the groups and by the kernels of the
    /// forward pass. The normalisation is that of the batch, which is known, so that images do not wait for each other.
    pub(super) fn recompute(&self, workspace: &mut Workspace, input: &[f32], time: usize) {
        let (plan, schedule, images) = (&self.plan, workspace.schedule(), workspace.images);
        let len = |value: ValueId| plan.grids[value].len();
        let weights = self.weights();
        for nodes in schedule.recomputed(time) {
            let mut arrays = Arrays::at(&schedule, &mut workspace.block, images, time);
            let (computed, values) = (arrays.take_values(nodes.clone()), arrays.into_values());
            let reader = Reader { isa: self.isa, plan, norms: &workspace.norms };
            let (convolutions, group) = (&workspace.convolutions, group_len(images));
            let pieces: Vec<usize> = nodes.clone().map(|index| group * len(index + 1)).collect();
            let groups = split_by_group(computed, &pieces).into_par_iter().zip(&mut workspace.scratch).enumerate();
            groups.for_each(|(number, (outs, scratch))| {
                let mut outs: Vec<_> =
                    outs.into_iter().zip(nodes.clone()).map(|(out, index)| out.chunks_mut(len(index + 1))).collect();
                for local in 0..group.min(images - number * group) {
                    let earlier = |value: ValueId| {
                        let stored = if value == 0 { input } else { values[value] };
                        &stored[(number * group + local) * len(value)..][..len(value)]
                    };
                    let mut image: Vec<&mut [f32]> = outs.iter_mut().filter_map(Iterator::next).collect();
                    run_image(reader, &weights, convolutions, nodes.clone(), earlier, &mut image, scratch);
                }
            });
        }
    }
}
