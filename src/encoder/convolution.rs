//! A convolution of a training step: which kernels compute it, with the weights in their order.

use super::plan::Geometry;
use super::precision::{Algorithm, Precision};
use crate::kernel::bf16::round_to_f32;
use crate::kernel::{Bf16Kernel, Isa};
use crate::nn::conv::{ConvShape, conv_data_gradient, conv_forward, conv_weight_gradient, transposed};
use crate::nn::conv_bf16::{Bf16Conv, Bf16Scratch, GradientBatch};
use crate::nn::conv_winograd::{WinogradConv, WinogradScratch};
use crate::nn::depthwise::{depthwise_data_gradient, depthwise_forward, depthwise_weight_gradient};

/// Memory of one image, reused by the images of a group one after another.
#[derive(Debug, Default)]
pub(super) struct ConvScratch {
    bf16: Bf16Scratch,
    winograd: WinogradScratch,
    /// Input and gradient in f32, rounded to bf16.
    rounded: [Vec<f32>; 2],
}

impl ConvScratch {
    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        let rounded = self.rounded.iter().map(|values| size_of_val(&values[..]));
        self.bf16.bytes() + self.winograd.bytes() + rounded.sum::<usize>()
    }
}

/// `values` rounded to bf16.
fn rounded<'s>(values: &[f32], scratch: &'s mut Vec<f32>) -> &'s [f32] {
    scratch.resize(scratch.len().max(values.len()), 0.0);
    round_to_f32(values, scratch);
    &scratch[..values.len()]
}

/// A convolution, ready to run.
#[derive(Debug)]
pub(super) struct Convolution {
    isa: Isa,
    geometry: Geometry,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// With the weights of a dense convolution for the data gradient, where it is needed.
    Direct {
        transposed: Vec<f32>,
    },
    Winograd(WinogradConv),
    Bf16(Box<Bf16Conv>),
    /// For a CPU that does not multiply bf16: f32 arithmetic with factors that are rounded to bf16.
    Rounded {
        shape: ConvShape,
        weight: Vec<f32>,
        transposed: Vec<f32>,
    },
}

impl Convolution {
    /// For inference: forward only, in f32.
    pub fn inference(isa: Isa, geometry: Geometry) -> Self {
        Self { isa, geometry, kind: Kind::Direct { transposed: Vec::new() } }
    }

    /// For a training step with `weight`; `has_data_gradient` unless its input is that of the network.
    pub fn training(
        isa: Isa,
        geometry: Geometry,
        (precision, algorithm): (Precision, Algorithm),
        weight: &[f32],
        has_data_gradient: bool,
    ) -> Self {
        let Geometry::Dense(shape) = geometry else { return Self::inference(isa, geometry) };
        let transposed = if has_data_gradient { transposed(shape, weight) } else { Vec::new() };
        let kind = match (precision, algorithm) {
            (Precision::Bf16, _) => match Bf16Kernel::for_isa(isa) {
                Some(kernel) => Kind::Bf16(Box::new(Bf16Conv::new(kernel, shape, weight, &transposed))),
                None => {
                    let round = |values: &[f32]| rounded(values, &mut Vec::new()).to_vec();
                    Kind::Rounded { shape, weight: round(weight), transposed: round(&transposed) }
                }
            },
            (Precision::F32, Algorithm::Winograd) => match WinogradConv::new(isa, shape, weight, &transposed) {
                Some(conv) => Kind::Winograd(conv),
                None => Kind::Direct { transposed },
            },
            (Precision::F32, Algorithm::Direct) => Kind::Direct { transposed },
        };
        Self { isa, geometry, kind }
    }

    /// Bytes of its copies of the weights.
    pub fn bytes(&self) -> usize {
        match &self.kind {
            Kind::Direct { transposed } => size_of_val(&transposed[..]),
            Kind::Winograd(conv) => conv.bytes(),
            Kind::Bf16(conv) => conv.bytes(),
            Kind::Rounded { weight, transposed, .. } => size_of_val(&weight[..]) + size_of_val(&transposed[..]),
        }
    }

    /// `y = conv(x)`: `x` padded.
    pub fn forward(&self, weight: &[f32], x: &[f32], scratch: &mut ConvScratch, y: &mut [f32]) {
        match (&self.kind, self.geometry) {
            (Kind::Bf16(conv), _) => conv.forward(x, &mut scratch.bf16, y),
            (Kind::Winograd(conv), _) => conv.forward(self.isa, x, &mut scratch.winograd, y),
            (Kind::Rounded { shape, weight, .. }, _) => {
                conv_forward(self.isa, *shape, rounded(x, &mut scratch.rounded[0]), weight, y);
            }
            (Kind::Direct { .. }, Geometry::Dense(shape)) => conv_forward(self.isa, shape, x, weight, y),
            (Kind::Direct { .. }, Geometry::Depthwise(shape)) => depthwise_forward(self.isa, shape, x, weight, y),
        }
    }

    /// Length of what [`Self::weight_gradient`] adds to, for `weights` weights.
    pub fn gradient_len(&self, weights: usize) -> usize {
        match &self.kind {
            Kind::Winograd(conv) => conv.gradient_len(),
            _ => weights,
        }
    }

    /// Adds the gradient of the weights, as far as it is taken per image; `x` and `dy` padded. `batch` belongs to this convolution, and
    /// [`Self::finish_group`] follows the last image.
    pub fn weight_gradient(
        &self,
        x: &[f32],
        dy: &[f32],
        scratch: &mut ConvScratch,
        batch: &mut GradientBatch,
        sum: &mut [f32],
    ) {
        match (&self.kind, self.geometry) {
            (Kind::Bf16(conv), _) => conv.weight_gradient(x, dy, batch, sum),
            (Kind::Winograd(conv), _) => conv.weight_gradient(self.isa, x, dy, &mut scratch.winograd, sum),
            (Kind::Rounded { shape, .. }, _) => {
                let [of_x, of_dy] = &mut scratch.rounded;
                conv_weight_gradient(self.isa, *shape, rounded(x, of_x), rounded(dy, of_dy), sum);
            }
            (Kind::Direct { .. }, Geometry::Dense(shape)) => conv_weight_gradient(self.isa, shape, x, dy, sum),
            (Kind::Direct { .. }, Geometry::Depthwise(shape)) => {
                depthwise_weight_gradient(self.isa, shape, x, dy, sum);
            }
        }
    }

    /// Adds what is left of a group of images.
    pub fn finish_group(&self, batch: &mut GradientBatch, sum: &mut [f32]) {
        if let Kind::Bf16(conv) = &self.kind {
            conv.finish_weight_gradient(batch, sum);
        }
    }

    /// Turns the sum over all images into the gradient of the weights, which it overwrites.
    pub fn finish_gradient(&self, sum: &[f32], dweight: &mut [f32]) {
        match &self.kind {
            Kind::Winograd(conv) => {
                dweight.fill(0.0);
                conv.add_gradient(self.isa, sum, dweight);
            }
            _ => dweight.copy_from_slice(sum),
        }
    }

    /// `dx = convᵀ(dy)`: `dy` padded.
    pub fn data_gradient(&self, weight: &[f32], dy: &[f32], scratch: &mut ConvScratch, dx: &mut [f32]) {
        match (&self.kind, self.geometry) {
            (Kind::Bf16(conv), _) => conv.data_gradient(dy, &mut scratch.bf16, dx),
            (Kind::Winograd(conv), _) => conv.data_gradient(self.isa, dy, &mut scratch.winograd, dx),
            (Kind::Rounded { shape, transposed, .. }, _) => {
                conv_data_gradient(self.isa, *shape, rounded(dy, &mut scratch.rounded[1]), transposed, dx);
            }
            (Kind::Direct { transposed }, Geometry::Dense(shape)) => {
                conv_data_gradient(self.isa, shape, dy, transposed, dx);
            }
            (Kind::Direct { .. }, Geometry::Depthwise(shape)) => {
                depthwise_data_gradient(self.isa, shape, dy, weight, dx);
            }
        }
    }
}
