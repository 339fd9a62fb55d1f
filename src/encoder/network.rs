//! A network made from a spec: its parameters, training forward and backward, inference.

use std::ops::Range;

use super::spec::{EncoderSpec, SpecError};

/// What a parameter tensor is, which decides how it starts and whether weight decay applies to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Convolution weights: decayed.
    Weight,
    /// Batch norm's scale: not decayed.
    Scale,
    /// Batch norm's shift: not decayed.
    Shift,
}

/// Where one tensor lies in the network's flat parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name as PyTorch has it, for instance `blocks.0.conv1.weight`.
    pub name: String,
    /// Its shape as PyTorch has it: `[O, C, K, K]`, or `[O]`.
    pub shape: Vec<usize>,
    /// What it is.
    pub role: Role,
    /// Its place in the flat vector (where it lies in the kernels' own order).
    pub range: Range<usize>,
}

/// A tensor with its name, in PyTorch's layout.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// For instance `blocks.0.conv1.weight` or `norm.running_mean`.
    pub name: String,
    /// For instance `[O, C, K, K]`.
    pub shape: Vec<usize>,
    /// Row-major.
    pub data: Vec<f32>,
}

/// Tensors do not fit the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// One is absent.
    #[error("tensor '{name}' is missing")]
    Missing {
        /// The tensor.
        name: String,
    },
    /// One has another shape.
    #[error("tensor '{name}' has shape {found:?}, the network needs {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// What was found.
        found: Vec<usize>,
        /// What is needed.
        expected: Vec<usize>,
    },
}

/// Everything one training step needs besides the network: activations and gradients.
///
/// Kept from step to step so that memory is taken once.
#[derive(Default)]
pub struct Workspace {}

/// An encoder with parameters.
pub struct Network {
    spec: EncoderSpec,
    /// All parameters, in the kernels' order; the optimiser sees one flat vector.
    pub parameters: Vec<f32>,
}

impl Network {
    /// A network of `spec` with He-normal weights, scales 1 and shifts 0, drawn from `seed`.
    ///
    /// # Errors
    /// When the spec describes no network.
    pub fn new(spec: EncoderSpec, seed: u64) -> Result<Self, SpecError> {
        let _ = seed;
        Ok(Self { spec, parameters: Vec::new() })
    }

    /// Its spec.
    pub fn spec(&self) -> &EncoderSpec {
        &self.spec
    }

    /// Name, shape, role and place of each parameter tensor.
    pub fn layout(&self) -> &[TensorInfo] {
        unimplemented!()
    }

    /// A flat vector that is laid out like `parameters` (themselves, momentum, gradient) as named
    /// tensors in PyTorch's layout.
    pub fn to_named(&self, flat: &[f32]) -> Vec<NamedTensor> {
        let _ = flat;
        unimplemented!()
    }

    /// The inverse of [`Self::to_named`].
    ///
    /// # Errors
    /// A missing tensor or one of another shape. Tensors the network does not have are ignored.
    pub fn from_named(&self, tensors: &[NamedTensor]) -> Result<Vec<f32>, TensorError> {
        let _ = tensors;
        unimplemented!()
    }

    /// Running mean and variance of each batch norm, as `NAME.running_mean`, `NAME.running_var`.
    pub fn statistics(&self) -> Vec<NamedTensor> {
        unimplemented!()
    }

    /// Puts back what [`Self::statistics`] gave.
    ///
    /// # Errors
    /// A missing tensor or one of another shape.
    pub fn set_statistics(&mut self, tensors: &[NamedTensor]) -> Result<(), TensorError> {
        let _ = tensors;
        unimplemented!()
    }

    /// Features `[N, D]` of `input` `[N, H, W, C]`, with the batch's own statistics; updates the running ones.
    pub fn forward<'w>(&mut self, workspace: &'w mut Workspace, input: &[f32]) -> &'w [f32] {
        let _ = (workspace, input);
        unimplemented!()
    }

    /// Gradient of the loss with respect to `parameters`, from `dfeatures` `[N, D]`; overwrites
    /// `gradient`. Goes with the last `forward` on this workspace and the same `input`.
    pub fn backward(&self, workspace: &mut Workspace, input: &[f32], dfeatures: &[f32], gradient: &mut [f32]) {
        let _ = (workspace, input, dfeatures, gradient);
        unimplemented!()
    }

    /// Features `[N, D]` of `input` `[N, H, W, C]` with the running statistics.
    pub fn embed(&self, input: &[f32]) -> Vec<f32> {
        let _ = input;
        unimplemented!()
    }

    /// The network as it is shipped.
    pub fn folded(&self) -> super::FoldedEncoder {
        unimplemented!()
    }
}
