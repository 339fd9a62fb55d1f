//! Vectors of floats: what the kernels are written in, once for all processors.

use super::depthwise::Part;
use super::graph::Activation;

/// A vector of one instruction set.
///
/// All methods are inlined. Where the set is not part of every processor of the architecture, they may run only within
/// [`Self::vectorise`], which compiles its work for that set.
///
/// # Safety
/// Of every method: the processor has the instruction set. `load`, `store` and `rows_times_…` access memory: the pointers are valid
/// for what their documentation says.
pub(super) trait Vector: Copy + Send + Sync + 'static {
    /// A stored number: f32, or the bits of an f16.
    type Element: bytemuck::Pod + Send + Sync;
    /// Elements of a vector.
    const LANES: usize;
    /// Elements of the inner dimension that [`Self::rows_times_block`] takes together. Channels are padded to a multiple.
    const GROUP: usize;
    /// Accumulators that fit the registers beside the operands.
    const ACCUMULATORS: usize;

    /// Rounds to an element.
    fn element(value: f32) -> Self::Element;
    /// The value of an element.
    fn value(element: Self::Element) -> f32;

    /// Runs `work`, compiled for this instruction set.
    unsafe fn vectorise<W: Work>(work: W);

    /// All lanes `value`.
    unsafe fn splat(value: f32) -> Self;
    /// Reads [`Self::LANES`] elements.
    unsafe fn load(from: *const Self::Element) -> Self;
    /// All lanes the element there.
    unsafe fn broadcast(from: *const Self::Element) -> Self;
    /// Writes [`Self::LANES`] elements.
    unsafe fn store(self, to: *mut Self::Element);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
    /// `self + a * b`.
    unsafe fn mul_add(self, a: Self, b: Self) -> Self;
    /// `self - a * b`.
    unsafe fn mul_sub(self, a: Self, b: Self) -> Self;

    unsafe fn mul(self, other: Self) -> Self;

    /// Adds the product of P rows of [`Self::GROUP`] elements and a block of weights to `sums`; if FIRST, writes it there.
    ///
    /// * `rows`: the first element of each row
    /// * `weights`: `[GROUP, B * LANES]`
    unsafe fn rows_times_block<const P: usize, const B: usize, const FIRST: bool>(
        sums: &mut [[Self; B]; P],
        rows: [*const Self::Element; P],
        weights: *const Self::Element,
    );

    /// The same for rows of `len` elements; if FIRST, at least [`Self::GROUP`].
    ///
    /// * `weights`: `[len, B * LANES]`
    #[inline(always)]
    unsafe fn rows_times_run<const P: usize, const B: usize, const FIRST: bool>(
        sums: &mut [[Self; B]; P],
        rows: [*const Self::Element; P],
        weights: *const Self::Element,
        len: usize,
    ) {
        let (mut at, mut weights, step) = (0, weights, Self::GROUP * B * Self::LANES);
        let whole = len - len % Self::GROUP;
        // SAFETY: promised by the caller.
        unsafe {
            if FIRST {
                Self::rows_times_block::<P, B, true>(sums, rows, weights);
                weights = weights.add(step);
                at = Self::GROUP;
            }
            while at < whole {
                Self::rows_times_block::<P, B, false>(sums, rows.map(|row| row.add(at)), weights);
                weights = weights.add(step);
                at += Self::GROUP;
            }
            if whole < len {
                rows_times_rest::<Self, P, B>(sums, rows.map(|row| row.add(whole)), weights, len - whole);
            }
        }
    }

    /// A 3×3 convolution of stride S of one vector of channels: `width` pixels of a row, from the first of `part` on.
    #[inline(always)]
    unsafe fn filter_row<const S: usize>(part: Part<'_, Self>, width: usize) {
        // SAFETY: promised by the caller.
        unsafe { part.row::<S>(width) };
    }
}

/// As [`Vector::rows_times_run`], an element at a time: for the last of a run that is no whole number of groups.
///
/// # Safety
/// As for [`Vector::rows_times_run`].
#[inline(always)]
pub(super) unsafe fn rows_times_rest<V: Vector, const P: usize, const B: usize>(
    sums: &mut [[V; B]; P],
    rows: [*const V::Element; P],
    weights: *const V::Element,
    len: usize,
) {
    for at in 0..len {
        // SAFETY: promised by the caller.
        unsafe {
            let weights: [V; B] = std::array::from_fn(|block| V::load(weights.add((at * B + block) * V::LANES)));
            for (sums, row) in sums.iter_mut().zip(rows) {
                let row = V::broadcast(row.add(at));
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = sum.mul_add(row, weights);
                }
            }
        }
    }
}

/// What [`Vector::vectorise`] runs; its method must be inlined.
pub(super) trait Work {
    /// Does it.
    ///
    /// # Safety
    /// As for [`Vector`], and as the implementation states.
    unsafe fn run(self);
}

/// The activation of vectors; which one is decided once for all of them.
///
/// # Safety
/// As for [`Vector`].
#[inline(always)]
pub(super) unsafe fn activate_all<V: Vector>(values: &mut [V], activation: Activation) {
    // SAFETY: promised by the caller.
    unsafe {
        let zero = V::splat(0.0);
        match activation {
            Activation::Identity => {}
            Activation::Relu => values.iter_mut().for_each(|value| *value = value.max(zero)),
            Activation::Relu6 => {
                let six = V::splat(6.0);
                values.iter_mut().for_each(|value| *value = value.max(zero).min(six));
            }
        }
    }
}
