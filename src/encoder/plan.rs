//! In which order a graph is computed: stages between batch norms, and who reads what.
//!
//! A batch norm needs its whole batch before anything can read past it. So nodes are gathered into
//! stages: within one, an image goes through all nodes without waiting for the others.

use std::ops::Range;

use super::spec::{Conv, ConvKind, EncoderSpec, Node, SpecError, ValueId};
use crate::kernel::Activation;
use crate::kernel::channel::Grid;
use crate::nn::conv::ConvShape;
use crate::nn::depthwise::DepthwiseShape;

/// What the executor knows of a graph before it sees an image.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub nodes: Vec<Node>,
    /// Shape of each value.
    pub grids: Vec<Grid>,
    /// Ranges of nodes that run image by image without a pause.
    pub stages: Vec<Range<usize>>,
    /// The first node that reads a value: backward, the last one that adds to its gradient.
    pub first_reader: Vec<Option<usize>>,
    /// The last node that reads a value: backward, the first one to give it a gradient.
    pub last_reader: Vec<Option<usize>>,
}

impl Plan {
    /// # Errors
    /// When the spec describes no network, or one whose gradients would need a copy that the
    /// executor does not make (see [`Self::check_sums`]).
    pub fn new(spec: &EncoderSpec) -> Result<Self, SpecError> {
        let shapes = spec.shapes()?;
        let grids = shapes.iter().map(|&(rows, columns, channels)| Grid { rows, columns, channels }).collect();
        let mut plan = Self {
            grids,
            stages: stages(&spec.nodes),
            first_reader: Vec::new(),
            last_reader: Vec::new(),
            nodes: spec.nodes.clone(),
        };
        plan.first_reader = (0..=spec.nodes.len()).map(|value| plan.readers(value).next()).collect();
        plan.last_reader = (0..=spec.nodes.len()).map(|value| plan.readers(value).last()).collect();
        plan.check_sums()?;
        Ok(plan)
    }

    /// Both summands of a sum take over its gradient instead of a copy. That is right where the sum
    /// is the last to read a summand, and where a summand read by the sum alone is a bare convolution.
    fn check_sums(&self) -> Result<(), SpecError> {
        for (index, node) in self.nodes.iter().enumerate() {
            let Node::Add { left, right, .. } = node else { continue };
            for value in [*left, *right] {
                let refuse = |message: String| Err(SpecError::Node { node: index, message });
                if value == 0 || left == right {
                    return refuse("a sum takes two different values that nodes made".into());
                }
                if self.last_reader[value] != Some(index) {
                    return refuse(format!("value {value} is read again after this sum"));
                }
                let bare = matches!(&self.nodes[value - 1], Node::Conv { conv, .. } if conv.activation == Activation::Identity);
                if self.first_reader[value] == Some(index) && !bare {
                    return refuse(format!(
                        "value {value} is read by this sum alone and must be a convolution without activation"
                    ));
                }
                // Whoever adds to the shared gradient must come after the other summand has taken it.
                let other = if value == *left { *right } else { *left };
                let late = self.readers(value).find(|&reader| reader != index && reader >= other);
                let both = self.first_reader[value] != Some(index) && self.first_reader[other] != Some(index);
                if both || late.is_some() {
                    return refuse(format!(
                        "value {value} is read by others before value {other} is done with the sum's gradient"
                    ));
                }
            }
        }
        match (1..self.nodes.len()).find(|&value| self.first_reader[value].is_none()) {
            Some(unread) => Err(SpecError::Node { node: unread - 1, message: "nothing reads what it makes".into() }),
            None => Ok(()),
        }
    }

    /// The nodes that read `value`, in order.
    fn readers(&self, value: ValueId) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(move |&node| self.nodes[node].inputs().contains(&value))
    }

    /// The convolution that makes `value`, if one does.
    pub fn conv(&self, value: ValueId) -> Option<&Conv> {
        match value.checked_sub(1).map(|node| &self.nodes[node]) {
            Some(Node::Conv { conv, .. }) => Some(conv),
            _ => None,
        }
    }

    /// The shape of node `index`, which is a convolution.
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

    /// The most channels of any value.
    pub fn channels_max(&self) -> usize {
        self.grids.iter().map(|grid| grid.channels).max().unwrap_or(0)
    }
}

/// A convolution's shape, of either kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Geometry {
    Dense(ConvShape),
    Depthwise(DepthwiseShape),
}

impl Geometry {
    /// The dense convolution of the same input, output and border.
    pub fn dense(self) -> ConvShape {
        match self {
            Geometry::Dense(shape) => shape,
            Geometry::Depthwise(shape) => shape.dense(),
        }
    }
}

/// A node goes into the running stage unless it reads a convolution of that stage.
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
    use super::super::spec::{InputShape, Preset};
    use super::*;

    #[test]
    fn stages_pause_only_at_batch_norms() {
        let spec = EncoderSpec::preset(Preset::Nano, InputShape { channels: 3, height: 32, width: 32 }).unwrap();
        let plan = Plan::new(&spec).unwrap();
        // stem | conv1 | conv2 | add conv1 | conv2 shortcut | add conv1 | conv2 shortcut | add
        let lengths: Vec<usize> = plan.stages.iter().map(Range::len).collect();
        assert_eq!(lengths, [1, 1, 1, 2, 2, 2, 2, 1]);
    }

    #[test]
    fn sums_whose_gradient_cannot_be_shared_are_refused() {
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
            nodes: vec![
                Node::Conv { input: 0, conv: conv("a", 1, Activation::Relu) },
                Node::Conv { input: 1, conv: conv("b", 8, activation) },
                Node::Add { left: 1, right, activation: Activation::Relu },
            ],
        };
        assert!(Plan::new(&spec(Activation::Identity, 2)).is_ok());
        assert!(Plan::new(&spec(Activation::Relu, 2)).unwrap_err().to_string().contains("without activation"));
        assert!(Plan::new(&spec(Activation::Identity, 1)).unwrap_err().to_string().contains("two different values"));
        let mut unread = spec(Activation::Identity, 2);
        unread.nodes.push(Node::Conv { input: 0, conv: conv("c", 1, Activation::Relu) });
        assert!(Plan::new(&unread).unwrap_err().to_string().contains("nothing reads"));
    }
}
