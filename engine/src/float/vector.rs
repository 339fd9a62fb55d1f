//! Vectors of floats: what the kernels are written in, once for all processors.

use super::graph::Activation;
use super::pieces::{Outputs, Part, Patch, Product};

/// A vector of one instruction set.
///
/// All methods are inlined. Where the set is not part of every processor of the architecture, they may run only within
/// [`Self::vectorise`], which compiles its work for that set.
///
/// # Safety
/// Of every method: the processor has the instruction set. Those that take pointers, alone or in a structure, access memory: the
/// pointers are valid for what the documentation says.
pub(super) trait Vector: Copy + Send + Sync + 'static {
    /// A stored number: f32, or the bits of an f16.
    type Element: bytemuck::Pod + Send + Sync;
    /// Elements of a vector.
    const LANES: usize;
    /// Elements of the inner dimension that [`Self::rows_times_block`] takes together. Channels are padded to a multiple,
    /// except those of the input.
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
    /// All lanes the element at `from`.
    unsafe fn repeat(from: *const Self::Element) -> Self;
    /// Reads [`Self::LANES`] elements.
    unsafe fn load(from: *const Self::Element) -> Self;
    /// Writes [`Self::LANES`] elements.
    unsafe fn store(self, to: *mut Self::Element);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
    /// `self + a * b`.
    unsafe fn mul_add(self, a: Self, b: Self) -> Self;
    /// `self - a * b`.
    unsafe fn mul_sub(self, a: Self, b: Self) -> Self;

    /// Adds the product of P rows of [`Self::GROUP`] elements and a block of weights to `sums`; if FIRST, writes it there.
    ///
    /// * `rows`: the first element of each row
    /// * `weights`: `[GROUP, B * LANES]`
    unsafe fn rows_times_block<const P: usize, const B: usize, const FIRST: bool>(
        sums: &mut [[Self; B]; P],
        rows: [*const Self::Element; P],
        weights: *const Self::Element,
    );

    /// `pointer`, where the compiler does not see that it advances by a stride: of such pointers it makes one for each address of
    /// a loop, whose set-up costs more than short rows do.
    #[inline(always)]
    fn opaque(pointer: *const Self::Element) -> *const Self::Element {
        pointer
    }

    // What follows is done by the code of all sets, except where the compiler's is much slower than one written by hand.

    /// Multiplies the first of `rows` rows by a block of two vectors in a way of its own; returns how many, which may be none.
    ///
    /// HAS_REST is whether runs do not end in a group.
    #[inline(always)]
    unsafe fn rows_times_two<const HAS_REST: bool>(product: Product<Self::Element>, rows: usize) -> usize {
        let _ = (product, rows);
        0
    }

    /// A 3×3 convolution of stride S of one vector of channels, all pixels of `part`, in a way of its own; returns whether it did.
    #[inline(always)]
    unsafe fn filter<const S: usize>(part: Part<'_, Self, Self::Element>, [height, width]: [usize; 2]) -> bool {
        let _ = (part, height, width);
        false
    }

    /// `Bᵀ d B` of a patch (`winograd.rs`) in a way of its own; returns whether it did.
    #[inline(always)]
    unsafe fn winograd_input(patch: Patch<Self::Element>) -> bool {
        let _ = patch;
        false
    }

    /// `Aᵀ m A` of a tile with what follows (`winograd.rs`) in a way of its own; returns whether it did.
    #[inline(always)]
    unsafe fn winograd_output(outputs: Outputs<Self::Element>) -> bool {
        let _ = outputs;
        false
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
