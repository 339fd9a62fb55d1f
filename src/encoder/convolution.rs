//! A convolution of a training step: which kernels compute it, with the weights in their order.
#![cfg_attr(not(target_arch = "x86_64"), allow(unreachable_code, unused_variables))] // Without a kind of `Bf16Kernel` there is no such convolution.

use super::plan::Geometry;
use super::precision::{Algorithm, Precision};
use super::reader::Reader;
use super::spec::ValueId;
use crate::kernel::bf16::{Aligned, round_to_f32};
use crate::kernel::channel::{Affine, norm_backward};
use crate::kernel::{Bf16Kernel, Grid, Isa};
use crate::nn::batch_norm::{NormGradient, Normalisation};
use crate::nn::conv::{ConvShape, clear_border, conv_data_gradient, conv_forward, conv_weight_gradient, transposed};
use crate::nn::conv_bf16::{Bf16Conv, GradientBatch};
use crate::nn::conv_winograd::{TransformedGradient, WinogradConv, WinogradScratch};
use crate::nn::depthwise::{depthwise_data_gradient, depthwise_forward, depthwise_weight_gradient};

/// Memory of one image, reused by the images of a group one after another.
#[derive(Debug, Default)]
pub(super) struct ConvScratch {
    winograd: WinogradScratch,
    /// Input and gradient in f32, rounded to bf16.
    rounded: [Vec<f32>; 2],
}

impl ConvScratch {
    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        let rounded = self.rounded.iter().map(|values| size_of_val(&values[..]));
        self.winograd.bytes() + rounded.sum::<usize>()
    }
}

/// An image with its border, in the arithmetic of the convolution that reads it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Padded<'a> {
    F32(&'a [f32]),
    Bf16(&'a [u16]),
}

impl<'a> Padded<'a> {
    fn f32(self) -> &'a [f32] {
        match self {
            Self::F32(values) => values,
            Self::Bf16(_) => unreachable!("a convolution in f32 made its input"),
        }
    }

    fn bf16(self) -> &'a [u16] {
        match self {
            Self::Bf16(values) => values,
            Self::F32(_) => unreachable!("a convolution in bf16 made its input"),
        }
    }
}

/// Memory of a [`Padded`] image.
#[derive(Debug, Default)]
pub(super) struct PaddedScratch {
    f32: Vec<f32>,
    bf16: Aligned,
}

impl PaddedScratch {
    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.f32[..]) + size_of_val(self.bf16.values())
    }
}

/// What the weight gradient of one convolution has of the images of a group that is not yet in the sum.
#[derive(Debug, Default)]
pub(super) struct Pending {
    bf16: GradientBatch,
    winograd: TransformedGradient,
}

impl Pending {
    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.bf16.bytes() + self.winograd.bytes()
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

    /// The input: the stored `value` of one image after batch norm and activation.
    pub fn input<'s>(
        &self,
        reader: Reader<'_>,
        value: ValueId,
        stored: &'s [f32],
        scratch: &'s mut PaddedScratch,
    ) -> Padded<'s> {
        let shape = self.geometry.dense();
        let Kind::Bf16(conv) = &self.kind else {
            return Padded::F32(reader.conv_input(value, stored, shape.padding(), &mut scratch.f32));
        };
        let (grid, padding) = (reader.plan.grids[value], shape.padding());
        let out = scratch.bf16.at_least(conv.input_len());
        clear_border(grid, padding, out);
        let row = (grid.columns + 2 * padding) * grid.channels;
        let inside = &mut out[padding * (row + grid.channels)..];
        if reader.plan.conv(value).is_some() {
            let (affine, activation) = reader.norm_and_activation(value);
            conv.kernel().affine_activation(grid, stored, affine, activation, inside, row);
        } else {
            let rows = stored[..grid.len()].chunks(grid.columns * grid.channels);
            rows.zip(inside.chunks_mut(row)).for_each(|(stored, row)| conv.kernel().round(stored, row));
        }
        Padded::Bf16(scratch.bf16.values())
    }

    /// The gradient of the output `z` of one image, from that of its batch norm `g`; both without border.
    pub fn output_gradient<'s>(
        &self,
        norm: &Normalisation,
        gradient: &NormGradient,
        g: &[f32],
        z: &[f32],
        scratch: &'s mut PaddedScratch,
    ) -> Padded<'s> {
        let shape = self.geometry.dense();
        let grid = Grid { rows: shape.out_height(), columns: shape.out_width(), channels: norm.scale.len() };
        let (padding, by_value) = (shape.padding(), Affine { scale: &gradient.by_value, shift: &gradient.constant });
        let row = (grid.columns + 2 * padding) * grid.channels;
        let inside = padding * (row + grid.channels);
        if let Kind::Bf16(conv) = &self.kind {
            let dz = scratch.bf16.at_least(conv.gradient_len());
            clear_border(grid, padding, dz);
            conv.kernel().norm_backward(grid, g, z, &norm.scale, by_value, &mut dz[inside..], row);
            return Padded::Bf16(scratch.bf16.values());
        }
        let dz = &mut scratch.f32;
        dz.resize(dz.len().max((grid.rows + 2 * padding) * row), 0.0);
        clear_border(grid, padding, dz);
        norm_backward(self.isa, grid, g, z, &norm.scale, by_value, &mut dz[inside..], row);
        Padded::F32(dz)
    }

    /// `y = conv(x)`.
    pub fn forward(&self, weight: &[f32], x: Padded<'_>, scratch: &mut ConvScratch, y: &mut [f32]) {
        match (&self.kind, self.geometry) {
            (Kind::Bf16(conv), _) => conv.forward(x.bf16(), y),
            (Kind::Winograd(conv), _) => conv.forward(self.isa, x.f32(), &mut scratch.winograd, y),
            (Kind::Rounded { shape, weight, .. }, _) => {
                conv_forward(self.isa, *shape, rounded(x.f32(), &mut scratch.rounded[0]), weight, y);
            }
            (Kind::Direct { .. }, Geometry::Dense(shape)) => conv_forward(self.isa, shape, x.f32(), weight, y),
            (Kind::Direct { .. }, Geometry::Depthwise(shape)) => depthwise_forward(self.isa, shape, x.f32(), weight, y),
        }
    }

    /// Adds the gradient of the weights to `sum`, or for now to `pending`. [`Self::finish_weight_gradient`] follows the
    /// last image of a group.
    pub fn weight_gradient(
        &self,
        x: Padded<'_>,
        dy: Padded<'_>,
        scratch: &mut ConvScratch,
        pending: &mut Pending,
        sum: &mut [f32],
    ) {
        match (&self.kind, self.geometry) {
            (Kind::Bf16(conv), _) => conv.weight_gradient(x.bf16(), dy.bf16(), &mut pending.bf16, sum),
            (Kind::Winograd(conv), _) => {
                conv.weight_gradient(self.isa, x.f32(), dy.f32(), &mut scratch.winograd, &mut pending.winograd);
            }
            (Kind::Rounded { shape, .. }, _) => {
                let [of_x, of_dy] = &mut scratch.rounded;
                conv_weight_gradient(self.isa, *shape, rounded(x.f32(), of_x), rounded(dy.f32(), of_dy), sum);
            }
            (Kind::Direct { .. }, Geometry::Dense(shape)) => {
                conv_weight_gradient(self.isa, shape, x.f32(), dy.f32(), sum)
            }
            (Kind::Direct { .. }, Geometry::Depthwise(shape)) => {
                depthwise_weight_gradient(self.isa, shape, x.f32(), dy.f32(), sum);
            }
        }
    }

    /// Adds what is still pending.
    pub fn finish_weight_gradient(&self, pending: &mut Pending, sum: &mut [f32]) {
        match &self.kind {
            Kind::Bf16(conv) => conv.finish_weight_gradient(&mut pending.bf16, sum),
            Kind::Winograd(conv) => conv.finish_weight_gradient(self.isa, &mut pending.winograd, sum),
            Kind::Direct { .. } | Kind::Rounded { .. } => {}
        }
    }

    /// `dx = convᵀ(dy)`.
    pub fn data_gradient(&self, weight: &[f32], dy: Padded<'_>, scratch: &mut ConvScratch, dx: &mut [f32]) {
        match (&self.kind, self.geometry) {
            (Kind::Bf16(conv), _) => conv.data_gradient(dy.bf16(), dx),
            (Kind::Winograd(conv), _) => conv.data_gradient(self.isa, dy.f32(), &mut scratch.winograd, dx),
            (Kind::Rounded { shape, transposed, .. }, _) => {
                conv_data_gradient(self.isa, *shape, rounded(dy.f32(), &mut scratch.rounded[1]), transposed, dx);
            }
            (Kind::Direct { transposed }, Geometry::Dense(shape)) => {
                conv_data_gradient(self.isa, shape, dy.f32(), transposed, dx);
            }
            (Kind::Direct { .. }, Geometry::Depthwise(shape)) => {
                depthwise_data_gradient(self.isa, shape, dy.f32(), weight, dx);
            }
        }
    }
}
