//! Layout of the flat parameter vector, and conversion between PyTorch's order and the kernels'.

use std::ops::Range;

use super::spec::{Conv, ConvKind, EncoderSpec, Node};

/// Kind of a parameter tensor. It decides the initial values, and whether weight decay applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Convolution weights: decayed.
    Weight,
    /// Batch norm's scale: not decayed.
    Scale,
    /// Batch norm's shift: not decayed.
    Shift,
}

/// One tensor of the network's flat parameter vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name in PyTorch, for instance `blocks.0.conv1.weight`.
    pub name: String,
    /// Its shape in PyTorch: `[O, C, K, K]`, or `[O]`.
    pub shape: Vec<usize>,
    /// Its kind.
    pub role: Role,
    /// Its range in the flat vector, where the data is in the kernels' order.
    pub range: Range<usize>,
}

/// Ranges of one convolution node's parameters in the flat vector.
#[derive(Clone, Debug)]
pub(super) struct ConvTensors {
    pub weight: Range<usize>,
    pub gamma: Range<usize>,
    pub beta: Range<usize>,
}

/// The tensors of a network.
#[derive(Clone, Debug)]
pub(super) struct ParameterLayout {
    /// In the order of the flat vector.
    pub tensors: Vec<TensorInfo>,
    /// Of each node; none for a sum.
    pub by_node: Vec<Option<ConvTensors>>,
}

impl ParameterLayout {
    pub fn new(spec: &EncoderSpec) -> Self {
        let mut tensors: Vec<TensorInfo> = Vec::new();
        let mut add = |name: String, shape: Vec<usize>, role| {
            let start = tensors.last().map_or(0, |last| last.range.end);
            let range = start..start + shape.iter().product::<usize>();
            tensors.push(TensorInfo { name, shape, role, range: range.clone() });
            range
        };
        let by_node = spec.nodes.iter().map(|node| match node {
            Node::Add { .. } => None,
            Node::Conv { conv, .. } => Some(ConvTensors {
                weight: add(format!("{}.weight", conv.name), weight_shape(conv), Role::Weight),
                gamma: add(format!("{}.weight", conv.norm), vec![conv.channels_out], Role::Scale),
                beta: add(format!("{}.bias", conv.norm), vec![conv.channels_out], Role::Shift),
            }),
        });
        Self { by_node: by_node.collect(), tensors }
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.tensors.last().map_or(0, |last| last.range.end)
    }
}

/// `[O, C, K, K]`, or `[C, 1, 3, 3]` where depthwise.
fn weight_shape(conv: &Conv) -> Vec<usize> {
    let channels_in = if conv.kind == ConvKind::Depthwise3x3 { 1 } else { conv.channels_in };
    vec![conv.channels_out, channels_in, conv.kernel(), conv.kernel()]
}

/// `[O, C, K, K]` to the kernels' `[K, K, C, O]`. A depthwise `[C, 1, 3, 3]` becomes `[3, 3, C]`.
pub(super) fn from_torch(shape: &[usize], data: &[f32]) -> Vec<f32> {
    permute(shape, |torch, ours| (ours, torch), data)
}

/// The inverse of [`from_torch`].
pub(super) fn to_torch(shape: &[usize], data: &[f32]) -> Vec<f32> {
    permute(shape, |torch, ours| (torch, ours), data)
}

fn permute(shape: &[usize], target_and_source: impl Fn(usize, usize) -> (usize, usize), data: &[f32]) -> Vec<f32> {
    let &[o, c, kh, kw] = shape else { return data.to_vec() };
    let mut out = vec![0.0; data.len()];
    for index in 0..data.len() {
        let (oi, rest) = (index / (c * kh * kw), index % (c * kh * kw));
        let (ci, k) = (rest / (kh * kw), rest % (kh * kw));
        let (target, source) = target_and_source(index, (k * c + ci) * o + oi);
        out[target] = data[source];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_are_inverse_and_in_the_stated_order() {
        let shape = [2, 3, 1, 2];
        let torch: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let ours = from_torch(&shape, &torch);
        // [kx = 1][c = 2][o = 0] is PyTorch's [0][2][0][1].
        assert_eq!(ours[(3 + 2) * 2], torch[5]);
        assert_eq!(to_torch(&shape, &ours), torch);
    }
}
