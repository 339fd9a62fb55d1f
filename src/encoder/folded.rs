//! A trained encoder for export: each batch norm is folded into the convolution before it.

use super::readout::LinearMap;
use super::spec::EncoderSpec;

/// A convolution with bias, which includes the batch norm after it.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldedConv {
    /// `[O, C, K, K]` row-major as in ONNX and PyTorch; `[O, 1, 3, 3]` where depthwise.
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
    /// The linear map of the readout, where `spec.readout` has one.
    pub map: Option<LinearMap>,
}
