//! 3×3 convolutions of each channel alone.

#![allow(unsafe_code)] // Vectors, and pointers to them.

use super::conv::padded_bias;
use super::graph::Activation;
use super::plane::Plane;
use super::vector::{Vector, Work, activate_all};

/// Output pixels that are computed together: with stride 1 they read 6 columns instead of 12.
const PIXELS: usize = 4;

/// A packed convolution.
#[derive(Clone, Debug)]
pub(super) struct Depthwise<E> {
    /// `[9, C]`, padded.
    weights: Vec<E>,
    /// `[C]`, padded.
    bias: Vec<E>,
    stride: usize,
}

impl<E: bytemuck::Pod> Depthwise<E> {
    /// Packs a convolution.
    ///
    /// * `weight`: `[C, 1, 3, 3]`
    /// * `channels`: as stored
    pub fn pack<V: Vector<Element = E>>(weight: &[f32], bias: &[f32], stride: usize, channels: usize) -> Self {
        let tap = |tap: usize| (0..channels).map(move |channel| (channel * 9 + tap, channel < bias.len()));
        let weights = (0..9).flat_map(tap).map(|(at, is_there)| V::element(if is_there { weight[at] } else { 0.0 }));
        Self { weights: weights.collect(), bias: padded_bias::<V>(bias, channels), stride }
    }
}

/// A convolution of one image.
pub(super) struct RunDepthwise<'a, V: Vector> {
    pub conv: &'a Depthwise<V::Element>,
    pub from: Plane,
    pub to: Plane,
    pub activation: Activation,
    pub arena: *mut V::Element,
}

impl<V: Vector> Work for RunDepthwise<'_, V> {
    #[inline(always)]
    unsafe fn run(self) {
        // SAFETY: promised by the caller.
        unsafe {
            match self.conv.stride {
                1 => self.rows::<1, 6>(),
                _ => self.rows::<2, 9>(),
            }
        }
    }
}

impl<V: Vector> RunDepthwise<'_, V> {
    /// All rows, with stride S; four pixels read R columns.
    #[inline(always)]
    unsafe fn rows<const S: usize, const R: usize>(&self) {
        let Self { conv, from, to, arena, .. } = *self;
        for channel in (0..to.channels).step_by(V::LANES) {
            // SAFETY: the planes lie in the arena, and their borders have what the kernel reads outside the image.
            unsafe {
                let weights: [V; 9] =
                    std::array::from_fn(|tap| V::load(conv.weights.as_ptr().add(tap * to.channels + channel)));
                let bias = V::load(conv.bias.as_ptr().add(channel));
                for y in 0..to.height {
                    let (mut x, row) = (0, arena.add(from.corner(y * S, 0) + channel).cast_const());
                    let out = arena.add(to.pixel(y, 0) + channel);
                    while x < to.width {
                        // The last pixels overlap those before, or there is one at a time.
                        let pixels = if to.width < PIXELS { 1 } else { PIXELS };
                        x = x.min(to.width - pixels);
                        let row = row.add(x * S * from.channels);
                        match pixels {
                            1 => self.pixels::<1, S, 3>(row, &weights, bias, out.add(x * to.channels)),
                            _ => self.pixels::<PIXELS, S, R>(row, &weights, bias, out.add(x * to.channels)),
                        }
                        x += pixels;
                    }
                }
            }
        }
    }

    /// P pixels of a row, which read R columns.
    #[inline(always)]
    unsafe fn pixels<const P: usize, const S: usize, const R: usize>(
        &self,
        input: *const V::Element,
        weights: &[V; 9],
        bias: V,
        out: *mut V::Element,
    ) {
        let mut sums = [bias; P];
        for y in 0..3 {
            // SAFETY: promised by the caller.
            unsafe {
                let row = input.add(y * self.from.row_stride());
                let values: [V; R] = std::array::from_fn(|x| V::load(row.add(x * self.from.channels)));
                for (pixel, sum) in sums.iter_mut().enumerate() {
                    for x in 0..3 {
                        *sum = sum.mul_add(values[pixel * S + x], weights[y * 3 + x]);
                    }
                }
            }
        }
        // SAFETY: promised by the caller.
        unsafe {
            activate_all(&mut sums, self.activation);
            for (pixel, sum) in sums.into_iter().enumerate() {
                sum.store(out.add(pixel * self.to.channels));
            }
        }
    }
}
