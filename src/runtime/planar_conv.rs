//! A convolution as an operator of tract that our own kernel computes.

use tract_onnx::tract_core::internal::*;

use super::planar::{PlanarConv, Window};
use crate::kernel::Isa;

/// A convolution of one image in planes with limits: takes the image, weights `[G * O, I * kernel]` and bias `[G * O]`, in f32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlanarConvOp {
    pub window: Window,
    /// G.
    pub groups: usize,
    /// H, W of the input.
    pub input: [usize; 2],
    /// H, W of the output.
    pub output: [usize; 2],
    /// `[1, G * O, H, W]` or `[G * O, H, W]`.
    pub shape: TVec<usize>,
    /// The bits of the limits, which tract compares.
    limits: [u32; 2],
}

impl PlanarConvOp {
    /// Without limits.
    pub fn new(window: Window, groups: usize, [input, output]: [[usize; 2]; 2], shape: &[usize]) -> Self {
        let limits = [f32::NEG_INFINITY, f32::INFINITY].map(f32::to_bits);
        Self { window, groups, input, output, shape: shape.into(), limits }
    }

    /// Results are raised to the first and then lowered to the second.
    pub fn limits(&self) -> [f32; 2] {
        self.limits.map(f32::from_bits)
    }

    /// The same convolution with `limits`.
    pub fn with_limits(self, limits: [f32; 2]) -> Self {
        Self { limits: limits.map(f32::to_bits), ..self }
    }
}

impl Op for PlanarConvOp {
    fn name(&self) -> StaticName {
        "PlanarConv".into()
    }

    fn validation(&self) -> Validation {
        Validation::Rounding
    }

    op_as_typed_op!();
}

impl EvalOp for PlanarConvOp {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (x, weight, bias) = args_3!(inputs);
        let mut y = Tensor::zero::<f32>(&self.shape)?;
        let mut values = y.try_as_plain_ram_mut()?;
        let conv = PlanarConv {
            window: self.window,
            groups: self.groups,
            input: self.input,
            output: self.output,
            x: x.try_as_plain_ram()?.as_slice()?,
            weight: weight.try_as_plain_ram()?.as_slice()?,
            bias: bias.try_as_plain_ram()?.as_slice()?,
            limits: self.limits(),
            y: values.as_slice_mut()?,
        };
        conv.run(Isa::selected());
        Ok(tvec!(y.into_tvalue()))
    }
}

impl TypedOp for PlanarConvOp {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].datum_type.fact(&self.shape)))
    }

    as_op!();
}
