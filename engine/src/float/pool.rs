//! Pooling over pixels, and sums of values.

#![allow(unsafe_code)] // Vectors, and pointers to them.

use std::ops::Range;

use super::conv::Finish;
use super::graph::Pooled;
use super::plane::Plane;
use super::vector::{Vector, Work, activate_all};

/// Most lanes of a vector.
const LANES_MAX: usize = 16;

/// Pools a value.
pub(super) struct RunPool<'a, V: Vector> {
    pub pooled: Pooled,
    pub from: Plane,
    /// C, those that are not padding.
    pub channels: usize,
    pub epsilon: f32,
    pub arena: *const V::Element,
    /// [`Pooled::numbers`].
    pub out: &'a mut [f32],
}

impl<V: Vector> Work for RunPool<'_, V> {
    #[inline(always)]
    unsafe fn run(self) {
        let Self { pooled, from, channels, epsilon, arena, out } = self;
        let [whole_rows, whole_columns] = [0..from.height, 0..from.width];
        let (means, mut rest) = out.split_at_mut(channels);
        // SAFETY: the plane lies in the arena.
        unsafe {
            mean::<V>(arena, from, whole_rows, whole_columns, means);
            if pooled.has_std {
                let std;
                (std, rest) = rest.split_at_mut(channels);
                deviation::<V>(arena, from, means, epsilon, std);
            }
            if pooled.has_cells {
                for (cell, means) in rest.chunks_exact_mut(channels).enumerate() {
                    mean::<V>(arena, from, half(from.height, cell / 2), half(from.width, cell % 2), means);
                }
            }
        }
    }
}

/// Half `part` of a side; those of an odd side share its middle, as in PyTorch's `AdaptiveAvgPool2d`.
fn half(side: usize, part: usize) -> Range<usize> {
    part * side / 2..((part + 1) * side).div_ceil(2)
}

/// The first lanes of a vector, as many as `out` has room for.
#[inline(always)]
unsafe fn write<V: Vector>(value: V, out: &mut [f32]) {
    let mut lanes = [V::element(0.0); LANES_MAX];
    // SAFETY: a vector has at most that many lanes.
    unsafe { value.store(lanes.as_mut_ptr()) };
    out.iter_mut().zip(&lanes[..V::LANES]).for_each(|(out, &lane)| *out = V::value(lane));
}

/// Sums of a row are scaled before rows are added, so that sums of f16 keep their digits and do not overflow.
#[inline(always)]
unsafe fn mean<V: Vector>(
    arena: *const V::Element,
    from: Plane,
    rows: Range<usize>,
    columns: Range<usize>,
    out: &mut [f32],
) {
    for (index, out) in out.chunks_mut(V::LANES).enumerate() {
        // SAFETY: promised by the caller.
        unsafe {
            let (mut total, scale) = (V::splat(0.0), V::splat(1.0 / columns.len() as f32));
            for y in rows.clone() {
                let row = arena.add(from.pixel(y, columns.start) + index * V::LANES);
                let mut sum = V::splat(0.0);
                for x in 0..columns.len() {
                    sum = sum.add(V::load(row.add(x * from.channels)));
                }
                total = total.mul_add(sum, scale);
            }
            write(total, out);
        }
        out.iter_mut().for_each(|out| *out /= rows.len() as f32);
    }
}

/// `sqrt(variance + epsilon)`, from the squared distances to the mean: a difference of large squares would lose all digits.
#[inline(always)]
unsafe fn deviation<V: Vector>(arena: *const V::Element, from: Plane, means: &[f32], epsilon: f32, out: &mut [f32]) {
    for (index, (out, means)) in out.chunks_mut(V::LANES).zip(means.chunks(V::LANES)).enumerate() {
        let mut lanes = [V::element(0.0); LANES_MAX];
        lanes.iter_mut().zip(means).for_each(|(lane, &mean)| *lane = V::element(mean));
        // SAFETY: promised by the caller.
        unsafe {
            let mean = V::load(lanes.as_ptr());
            let (mut total, scale) = (V::splat(0.0), V::splat(1.0 / from.width as f32));
            for y in 0..from.height {
                let row = arena.add(from.pixel(y, 0) + index * V::LANES);
                let mut sum = V::splat(0.0);
                for x in 0..from.width {
                    let distance = V::load(row.add(x * from.channels)).sub(mean);
                    sum = sum.mul_add(distance, distance);
                }
                total = total.mul_add(sum, scale);
            }
            write(total, out);
        }
        out.iter_mut().for_each(|out| *out = (*out / from.height as f32 + epsilon).sqrt());
    }
}

/// A sum of two values that is not part of a convolution.
pub(super) struct RunAdd<V: Vector> {
    pub left: Plane,
    pub to: Plane,
    /// Its residual is the second summand.
    pub finish: Finish,
    pub arena: *mut V::Element,
}

impl<V: Vector> Work for RunAdd<V> {
    #[inline(always)]
    unsafe fn run(self) {
        let Self { left, to, finish, arena } = self;
        let Some(right) = finish.residual else { return };
        for y in 0..to.height {
            for at in (0..to.width * to.channels).step_by(V::LANES) {
                // SAFETY: the planes lie in the arena.
                unsafe {
                    let [left, right] = [left, right].map(|plane| V::load(arena.add(plane.pixel(y, 0) + at)));
                    let mut sum = [left.add(right)];
                    activate_all(&mut sum, finish.activation);
                    sum[0].store(arena.add(to.pixel(y, 0) + at));
                }
            }
        }
    }
}
