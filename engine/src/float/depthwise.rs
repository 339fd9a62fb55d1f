//! 3×3 convolutions of each channel alone.

#![allow(unsafe_code)] // Vectors, and pointers to them.

use super::conv::padded_bias;
use super::graph::Activation;
use super::pieces::{PIXELS, Part};
use super::plane::Plane;
use super::vector::{Vector, Work};

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
                1 => self.rows::<1>(),
                _ => self.rows::<2>(),
            }
        }
    }
}

impl<V: Vector> RunDepthwise<'_, V> {
    /// All rows, with stride S.
    #[inline(always)]
    unsafe fn rows<const S: usize>(&self) {
        let Self { conv, from, to, activation, arena } = *self;
        // Every activation is a clamp: one code for all has no branch per block.
        let ends = match activation {
            Activation::Identity => [f32::NEG_INFINITY, f32::INFINITY],
            Activation::Relu => [0.0, f32::INFINITY],
            Activation::Relu6 => [0.0, 6.0],
        };
        // SAFETY: promised by the caller.
        let ends: [V; 2] = unsafe { [V::splat(ends[0]), V::splat(ends[1])] };
        for channel in (0..to.channels).step_by(V::LANES) {
            // SAFETY: the planes lie in the arena, and their borders have what the kernel reads outside the image.
            unsafe {
                let weights: [V; 9] =
                    std::array::from_fn(|tap| V::load(conv.weights.as_ptr().add(tap * to.channels + channel)));
                let bias = V::load(conv.bias.as_ptr().add(channel));
                let part = Part {
                    input: arena.add(from.corner(0, 0) + channel).cast_const(),
                    row_stride: from.row_stride(),
                    from_stride: from.channels,
                    weights: &weights,
                    bias,
                    ends,
                    out: arena.add(to.pixel(0, 0) + channel),
                    out_row_stride: to.row_stride(),
                    to_stride: to.channels,
                };
                if !V::filter::<S>(part, [to.height, to.width]) {
                    (0..to.height).for_each(|y| part.at::<S>(y, 0).row::<S>(to.width));
                }
            }
        }
    }
}

impl<V: Vector> Part<'_, V, V::Element> {
    /// `width` pixels.
    ///
    /// # Safety
    /// As for [`Self::pixels`].
    #[inline(always)]
    pub unsafe fn row<const S: usize>(self, width: usize) {
        // SAFETY: promised by the caller.
        unsafe {
            if width < PIXELS {
                (0..width).for_each(|x| self.at::<S>(0, x).pixels::<1, S, 3>());
                return;
            }
            let mut part = self;
            for _ in 0..width / PIXELS {
                part.block::<S>();
                part = part.at::<S>(0, PIXELS);
            }
            if !width.is_multiple_of(PIXELS) {
                // The last pixels overlap those before.
                self.at::<S>(0, width - PIXELS).block::<S>();
            }
        }
    }

    /// [`PIXELS`] pixels.
    ///
    /// # Safety
    /// As for [`Self::pixels`].
    #[inline(always)]
    unsafe fn block<const S: usize>(self) {
        // SAFETY: promised by the caller.
        unsafe {
            match S {
                1 => self.pixels::<PIXELS, S, 6>(),
                _ => self.pixels::<PIXELS, S, 9>(),
            }
        }
    }

    /// P pixels, which read R columns.
    ///
    /// # Safety
    /// As for [`Vector`]; the columns are readable and the pixels are writable.
    #[inline(always)]
    pub unsafe fn pixels<const P: usize, const S: usize, const R: usize>(self) {
        let mut sums = [self.bias; P];
        for y in 0..3 {
            // SAFETY: promised by the caller.
            unsafe {
                let row = V::opaque(self.input.add(y * self.row_stride));
                let values: [V; R] = std::array::from_fn(|x| V::load(row.add(x * self.from_stride)));
                for (pixel, sum) in sums.iter_mut().enumerate() {
                    for x in 0..3 {
                        *sum = sum.mul_add(values[pixel * S + x], self.weights[y * 3 + x]);
                    }
                }
            }
        }
        // SAFETY: promised by the caller.
        unsafe {
            let [least, most] = self.ends;
            let out = V::opaque(self.out).cast_mut();
            for (pixel, sum) in sums.into_iter().enumerate() {
                sum.max(least).min(most).store(out.add(pixel * self.to_stride));
            }
        }
    }
}
