//! Memory of a training step beside values and gradients.

use super::convolution::Convolution;
use super::network::Network;
use super::workspace::{Workspace, group_len};
use crate::ranks::Ranks;

impl Network {
    /// Bytes that a training step on `images` images needs beside those of its schedule: arrays that the images of a group share, and the
    /// weights in the order of the kernels. Without `has_backward`, those of a forward pass.
    ///
    /// Found by a step on one image, so that it is right whatever the kernels need.
    pub fn scratch_bytes(&self, images: usize, has_backward: bool) -> usize {
        let mut alone = self.clone();
        alone.synchronise(Ranks::ONE);
        let schedule = if has_backward { alone.whole_schedule() } else { alone.forward_schedule() };
        let mut workspace = Workspace::with_schedule(schedule);
        let input = vec![0.0; alone.plan.grids[0].len()];
        let features = alone.forward_without_update(&mut workspace, &input).len();
        if has_backward {
            let mut gradient = vec![0.0; alone.parameters.len()];
            alone.backward(&mut workspace, &input, &vec![0.0; features], &mut gradient);
        }
        let groups = images.div_ceil(group_len(images));
        let weights: usize = workspace.convolutions.iter().flatten().map(Convolution::bytes).sum();
        groups * workspace.scratch[0].bytes() + weights
    }

    /// Bytes of [`Self::embed`] for `images` images besides these: the values of one image and a convolution's input, for each thread.
    pub fn embed_bytes(&self, images: usize) -> usize {
        let values: usize = self.plan.grids[1..].iter().map(|grid| grid.len()).sum();
        let inputs = (0..self.plan.nodes.len()).filter(|&node| self.plan.conv(node + 1).is_some());
        let input = inputs.map(|node| self.plan.geometry(node).dense().input_len()).max().unwrap_or(0);
        let threads = rayon::current_num_threads().min(images.div_ceil(group_len(images)));
        size_of::<f32>() * threads * (values + input)
    }

    /// Bytes of its parameters.
    pub fn parameter_bytes(&self) -> usize {
        size_of_val(&self.parameters[..])
    }
}
