//! Computes values again that the forward pass did not keep (`schedule.rs`).

use super::network::Network;
use super::workspace::Workspace;

impl Network {
    /// Computes the values that the backward pass needs from `time` on and that were not kept, in the groups and by the kernels of the
    /// forward pass. The normalisation is that of the batch, which is known, so that images do not wait for each other.
    pub(super) fn recompute(&self, workspace: &mut Workspace, input: &[f32], time: usize) {
        let schedule = workspace.schedule();
        for nodes in schedule.recomputed(time) {
            self.run_nodes(workspace, input, time, nodes.clone(), || (), |(), _| ());
        }
    }
}
