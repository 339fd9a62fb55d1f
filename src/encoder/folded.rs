//! A trained encoder as it is shipped: batch norm folded into the convolutions before it.

use super::spec::EncoderSpec;

/// A convolution with bias, the batch norm that followed it folded in.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldedConv {
    /// `[O, C, K, K]` row-major as ONNX and PyTorch have it; `[O, 1, 3, 3]` where depthwise.
    pub weight: Vec<f32>,
    /// `[O]`.
    pub bias: Vec<f32>,
}

/// An encoder ready for export.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldedEncoder {
    /// The graph.
    pub spec: EncoderSpec,
    /// One for each [`super::Node::Conv`] of `spec.nodes`, in their order.
    pub convs: Vec<FoldedConv>,
}
