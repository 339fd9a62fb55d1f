//! Direct convolutions, 3×3 and 1×1.

#![allow(unsafe_code)] // Vectors, and pointers to them.

use super::graph::Activation;
use super::pieces::{Runs, Target};
use super::plane::Plane;
use super::tile::{Sink, Weights, multiply};
use super::vector::{Vector, Work, activate_all};

/// How a convolution ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finish {
    /// A value of the same shape that is added.
    pub residual: Option<Plane>,
    pub activation: Activation,
}

/// A packed convolution.
#[derive(Clone, Debug)]
pub(super) struct Conv<E> {
    pub weights: Weights<E>,
    /// `[O]`, padded.
    pub bias: Vec<E>,
    /// 1 or 3.
    pub side: usize,
    pub stride: usize,
    /// Elements per run: `side * C`.
    pub run_len: usize,
}

impl<E: bytemuck::Pod> Conv<E> {
    /// Packs a convolution.
    ///
    /// * `weight`: `[O, C, side, side]`
    /// * `stored`: channels of input and output as stored
    pub fn pack<V: Vector<Element = E>>(
        weight: &[f32],
        bias: &[f32],
        [side, stride]: [usize; 2],
        [inputs, stored_inputs]: [usize; 2],
        stored_outputs: usize,
    ) -> Self {
        let (outputs, run_len) = (bias.len(), side * stored_inputs);
        let place = |k: usize| {
            let (y, x, input) = (k / run_len, k % run_len / stored_inputs, k % run_len % stored_inputs);
            (input < inputs).then_some((input * side + y) * side + x)
        };
        let places: Vec<_> = (0..side * run_len).map(place).collect();
        let weights = Weights::pack::<V>(weight, outputs, &places, stored_outputs);
        Self { weights, bias: padded_bias::<V>(bias, stored_outputs), side, stride, run_len }
    }
}

/// `bias` with zeros up to `channels`.
pub(super) fn padded_bias<V: Vector>(bias: &[f32], channels: usize) -> Vec<V::Element> {
    (0..channels).map(|channel| V::element(bias.get(channel).copied().unwrap_or(0.0))).collect()
}

/// A convolution of one image.
///
/// HAS_REST is whether its runs do not end in a group. Such a convolution has code of its own: a loop for the rest makes compilers
/// copy sums between registers, in all convolutions.
pub(super) struct RunConv<'a, V: Vector, const HAS_REST: bool> {
    pub conv: &'a Conv<V::Element>,
    pub from: Plane,
    pub to: Plane,
    pub finish: Finish,
    pub arena: *mut V::Element,
}

impl<V: Vector, const HAS_REST: bool> Work for RunConv<'_, V, HAS_REST> {
    #[inline(always)]
    unsafe fn run(self) {
        let Self { conv, from, to, .. } = self;
        let runs = Runs {
            count: conv.side,
            len: conv.run_len,
            stride: from.row_stride(),
            row_stride: conv.stride * from.channels,
        };
        for block in 0..conv.weights.blocks {
            for y in 0..to.height {
                let first = match conv.side {
                    1 => from.pixel(y * conv.stride, 0),
                    _ => from.corner(y * conv.stride, 0),
                };
                let residual = self.finish.residual.map(|plane| plane.pixel(y, 0));
                // SAFETY: the planes lie in the arena, and their borders have what the kernel reads outside the image.
                unsafe {
                    let store = Store::<V, HAS_REST> {
                        bias: conv.bias.as_ptr(),
                        to: self.arena.add(to.pixel(y, 0)),
                        residual: residual.map(|first| self.arena.add(first).cast_const()),
                        channels: to.channels,
                        activation: self.finish.activation,
                    };
                    multiply(self.arena.add(first).cast_const(), to.width, runs, &conv.weights, block, &store);
                }
            }
        }
    }
}

/// Stores a row of pixels.
struct Store<V: Vector, const HAS_REST: bool> {
    bias: *const V::Element,
    to: *mut V::Element,
    residual: Option<*const V::Element>,
    channels: usize,
    activation: Activation,
}

impl<V: Vector, const HAS_REST: bool> Sink<V> for Store<V, HAS_REST> {
    const FROM_ZERO: bool = false;
    const HAS_REST: bool = HAS_REST;

    #[inline(always)]
    unsafe fn start<const B: usize>(&self, channel: usize) -> [V; B] {
        // SAFETY: promised by the caller.
        std::array::from_fn(|block| unsafe { V::load(self.bias.add(channel + block * V::LANES)) })
    }

    #[inline(always)]
    unsafe fn put<const P: usize, const B: usize>(&self, row: usize, channel: usize, mut sums: [[V; B]; P]) {
        let at = |pixel: usize| row * self.channels + channel + pixel * self.channels;
        // SAFETY: promised by the caller.
        unsafe {
            if let Some(residual) = self.residual {
                for (pixel, sums) in sums.iter_mut().enumerate() {
                    let residual = residual.add(at(pixel));
                    for (block, sum) in sums.iter_mut().enumerate() {
                        *sum = sum.add(V::load(residual.add(block * V::LANES)));
                    }
                }
            }
            activate_all(sums.as_flattened_mut(), self.activation);
            for (pixel, sums) in sums.into_iter().enumerate() {
                let to = self.to.add(at(pixel));
                for (block, sum) in sums.into_iter().enumerate() {
                    sum.store(to.add(block * V::LANES));
                }
            }
        }
    }

    #[inline(always)]
    fn target(&self, channel: usize) -> Target<V::Element> {
        Target {
            bias: Some(self.bias.wrapping_add(channel)),
            residual: self.residual.map(|residual| residual.wrapping_add(channel)),
            activation: self.activation,
            to: self.to.wrapping_add(channel),
            stride: self.channels,
        }
    }
}
