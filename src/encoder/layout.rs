//! Where each parameter lies in the flat vector, and the way between PyTorch's order and the kernels'.

use super::network::{Role, TensorInfo};
use super::spec::{Conv, ConvKind, EncoderSpec, Node};

/// Places of one convolution node's parameters in the flat vector.
#[derive(Clone, Debug)]
pub(super) struct ConvPlaces {
    pub weight: std::ops::Range<usize>,
    pub gamma: std::ops::Range<usize>,
    pub beta: std::ops::Range<usize>,
}

/// All tensors in order, and the places of each node's (none for a sum).
pub(super) fn layout(spec: &EncoderSpec) -> (Vec<TensorInfo>, Vec<Option<ConvPlaces>>) {
    let mut tensors: Vec<TensorInfo> = Vec::new();
    let mut add = |name: String, shape: Vec<usize>, role| {
        let start = tensors.last().map_or(0, |last| last.range.end);
        let range = start..start + shape.iter().product::<usize>();
        tensors.push(TensorInfo { name, shape, role, range: range.clone() });
        range
    };
    let places = spec.nodes.iter().map(|node| match node {
        Node::Add { .. } => None,
        Node::Conv { conv, .. } => Some(ConvPlaces {
            weight: add(format!("{}.weight", conv.name), weight_shape(conv), Role::Weight),
            gamma: add(format!("{}.weight", conv.norm), vec![conv.channels_out], Role::Scale),
            beta: add(format!("{}.bias", conv.norm), vec![conv.channels_out], Role::Shift),
        }),
    });
    let places = places.collect();
    (tensors, places)
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
    fn orders_are_inverse_and_as_stated() {
        let shape = [2, 3, 1, 2];
        let torch: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let ours = from_torch(&shape, &torch);
        // [kx = 1][c = 2][o = 0] is PyTorch's [0][2][0][1].
        assert_eq!(ours[(3 + 2) * 2], torch[5]);
        assert_eq!(to_torch(&shape, &ours), torch);
    }
}
