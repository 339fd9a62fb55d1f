//! Execution order of a graph: stages between batch norms, and the readers of each value.
//!
//! A batch norm needs its whole batch before its output can be read. Nodes are therefore grouped into stages. Within a
//! stage each image goes through all nodes without waiting for the other images.

use std::ops::Range;

use super::spec::{Conv, ConvKind, EncoderSpec, Node, SpecError, ValueId};
use crate::kernel::channel::Affine;
use crate::kernel::{Activation, Grid};
use crate::nn::conv::ConvShape;
use crate::nn::depthwise::DepthwiseShape;

/// Everything the executor derives from a graph before the first image.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub nodes: Vec<Node>,
    /// Shape of each value.
    pub grids: Vec<Grid>,
    /// Ranges of nodes that run image by image.
    pub stages: Vec<Range<usize>>,
    /// First node that reads each value: backward, the last one that adds to its gradient.
    pub first_reader: Vec<Option<usize>>,
    /// Last node that reads each value: backward, the first one that writes its gradient.
    pub last_reader: Vec<Option<usize>>,
    /// 1 and 0 for each channel of the widest value.
    ones: Vec<f32>,
    zeros: Vec<f32>,
}

impl Plan {
    /// # Errors
    /// An invalid spec, or a graph whose gradients would need a copy that the executor does not make
    /// (see [`Self::check_sums`]).
    pub fn new(spec: &EncoderSpec) -> Result<Self, SpecError> {
        let grids = spec.shapes()?;
        let channels_max = grids.iter().map(|grid| grid.channels).max().unwrap_or(0);
        let mut plan = Self {
            grids,
            stages: stages(&spec.nodes),
            first_reader: Vec::new(),
            last_reader: Vec::new(),
            nodes: spec.nodes.clone(),
            ones: vec![1.0; channels_max],
            zeros: vec![0.0; channels_max],
        };
        plan.first_reader = (0..=spec.nodes.len()).map(|value| plan.readers(value).next()).collect();
        plan.last_reader = (0..=spec.nodes.len()).map(|value| plan.readers(value).last()).collect();
        plan.check_sums()?;
        Ok(plan)
    }

    /// Checks that both summands of each sum can take over its gradient instead of a copy. They can if the sum is the last
    /// reader of each summand, and if a summand read only by the sum is a convolution without activation.
    fn check_sums(&self) -> Result<(), SpecError> {
        for (index, node) in self.nodes.iter().enumerate() {
            let Node::Add { left, right, .. } = node else { continue };
            for value in [*left, *right] {
                let refuse = |message: String| Err(SpecError::Node { node: index, message });
                if value == 0 || left == right {
                    return refuse("a sum needs two different values, both outputs of nodes".into());
                }
                if self.last_reader[value] != Some(index) {
                    return refuse(format!("value {value} is read again after this sum"));
                }
                let bare = matches!(&self.nodes[value - 1], Node::Conv { conv, .. } if conv.activation == Activation::Identity);
                if self.first_reader[value] == Some(index) && !bare {
                    return refuse(format!(
                        "value {value} is read only by this sum and must be a convolution without activation"
                    ));
                }
                // Backward, a node may add to the shared gradient only after the other summand has used it.
                let other = if value == *left { *right } else { *left };
                let late = self.readers(value).find(|&reader| reader != index && reader >= other);
                let both = self.first_reader[value] != Some(index) && self.first_reader[other] != Some(index);
                if both || late.is_some() {
                    return refuse(format!(
                        "other nodes read value {value} before value {other} has used the sum's gradient"
                    ));
                }
            }
        }
        match (1..self.nodes.len()).find(|&value| self.first_reader[value].is_none()) {
            Some(unread) => Err(SpecError::Node { node: unread - 1, message: "no node reads its output".into() }),
            None => Ok(()),
        }
    }

    /// The nodes that read `value`, in order.
    fn readers(&self, value: ValueId) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(move |&node| self.nodes[node].inputs().contains(&value))
    }

    /// The convolution that computes `value`; none for the input and for sums.
    pub fn conv(&self, value: ValueId) -> Option<&Conv> {
        match value.checked_sub(1).map(|node| &self.nodes[node]) {
            Some(Node::Conv { conv, .. }) => Some(conv),
            _ => None,
        }
    }

    /// Geometry of node `index`, which must be a convolution.
    pub fn geometry(&self, index: usize) -> Geometry {
        let Node::Conv { input, conv } = &self.nodes[index] else { unreachable!("node {index} is a sum") };
        let Grid { rows: height, columns: width, .. } = self.grids[*input];
        match conv.kind {
            ConvKind::Depthwise3x3 => {
                Geometry::Depthwise(DepthwiseShape { stride: conv.stride, channels: conv.channels_in, height, width })
            }
            ConvKind::Full3x3 | ConvKind::Pointwise => Geometry::Dense(ConvShape {
                kernel: conv.kernel(),
                stride: conv.stride,
                channels_in: conv.channels_in,
                channels_out: conv.channels_out,
                height,
                width,
            }),
        }
    }

    /// The summands of `value`; empty unless a sum computes it.
    pub fn summands(&self, value: ValueId) -> Vec<ValueId> {
        match value.checked_sub(1).map(|node| &self.nodes[node]) {
            Some(sum @ Node::Add { .. }) => sum.inputs(),
            _ => Vec::new(),
        }
    }

    /// Convolutions whose gradient is complete once that of `value` is: itself, or the summands that only the sum reads.
    pub fn completed_with(&self, value: ValueId) -> Vec<ValueId> {
        let mut summands = self.summands(value);
        summands.retain(|&summand| self.first_reader[summand] == Some(value - 1));
        if self.conv(value).is_some() { vec![value] } else { summands }
    }

    /// Scale 1 and shift 0: the batch norm of a value that has none.
    pub fn identity(&self) -> Affine<'_> {
        Affine { scale: &self.ones, shift: &self.zeros }
    }
}

/// Shape of a dense or depthwise convolution.
#[derive(Clone, Copy, Debug)]
pub(super) enum Geometry {
    Dense(ConvShape),
    Depthwise(DepthwiseShape),
}

impl Geometry {
    /// The dense convolution with the same input, output and border.
    pub fn dense(self) -> ConvShape {
        match self {
            Geometry::Dense(shape) => shape,
            Geometry::Depthwise(shape) => shape.dense(),
        }
    }
}

/// Groups nodes into stages: a node joins the current stage unless it reads a convolution of that stage.
fn stages(nodes: &[Node]) -> Vec<Range<usize>> {
    let mut stages = Vec::new();
    let mut start = 0;
    for (index, node) in nodes.iter().enumerate() {
        let waits = |value: &ValueId| *value > start && matches!(nodes[value - 1], Node::Conv { .. });
        if node.inputs().iter().any(waits) {
            stages.push(start..index);
            start = index;
        }
    }
    stages.push(start..nodes.len());
    stages
}

#[cfg(test)]
mod tests {
    use super::super::presets::Preset;
    use super::super::readout::Readout;
    use super::super::spec::InputShape;
    use super::*;

    #[test]
    fn stages_end_only_at_batch_norms() {
        let spec = EncoderSpec::preset(Preset::Nano, InputShape { channels: 3, height: 32, width: 32 }).unwrap();
        let plan = Plan::new(&spec).unwrap();
        // stem | conv1 | conv2 | add conv1 | conv2 shortcut | add conv1 | conv2 shortcut | add
        let lengths: Vec<usize> = plan.stages.iter().map(Range::len).collect();
        assert_eq!(lengths, [1, 1, 1, 2, 2, 2, 2, 1]);
    }

    #[test]
    fn sums_with_gradients_that_cannot_be_shared_are_refused() {
        let conv = |name: &str, channels_in, activation| Conv {
            name: name.into(),
            norm: format!("{name}.norm"),
            kind: ConvKind::Pointwise,
            channels_in,
            channels_out: 8,
            stride: 1,
            activation,
        };
        let spec = |activation, right| EncoderSpec {
            name: "test".into(),
            input: InputShape { channels: 1, height: 8, width: 8 },
            readout: Readout::default(),
            nodes: vec![
                Node::Conv { input: 0, conv: conv("a", 1, Activation::Relu) },
                Node::Conv { input: 1, conv: conv("b", 8, activation) },
                Node::Add { left: 1, right, activation: Activation::Relu },
            ],
        };
        let fault = |spec: &EncoderSpec| match Plan::new(spec) {
            Err(SpecError::Node { node, .. }) => Some(node),
            _ => None,
        };
        assert!(Plan::new(&spec(Activation::Identity, 2)).is_ok());
        assert_eq!(fault(&spec(Activation::Relu, 2)), Some(2), "a summand with activation");
        assert_eq!(fault(&spec(Activation::Identity, 1)), Some(2), "twice the same summand");
        let mut unread = spec(Activation::Identity, 2);
        unread.nodes.push(Node::Conv { input: 0, conv: conv("c", 1, Activation::Relu) });
        assert_eq!(fault(&unread), Some(2), "a sum that no node reads");
    }
}
