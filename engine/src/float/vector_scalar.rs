//! Vectors in plain Rust: eight floats, for processors without a set of their own here, and the reference of the others.

use super::vector::{Vector, Work};

const LANES: usize = 8;

/// Eight floats.
#[derive(Clone, Copy)]
pub(super) struct Scalar([f32; LANES]);

impl Scalar {
    #[inline(always)]
    fn zip(self, other: Self, with: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| with(self.0[lane], other.0[lane])))
    }
}

impl Vector for Scalar {
    type Element = f32;
    const LANES: usize = LANES;
    const GROUP: usize = 1;
    const ACCUMULATORS: usize = 4;

    fn element(value: f32) -> f32 {
        value
    }

    fn value(element: f32) -> f32 {
        element
    }

    #[inline(always)]
    unsafe fn vectorise<W: Work>(work: W) {
        // SAFETY: promised by the caller.
        unsafe { work.run() }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    unsafe fn repeat(from: *const f32) -> Self {
        // SAFETY: promised by the caller.
        unsafe { Self::splat(*from) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: eight elements are readable.
        Self(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: eight elements are writable.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, f32::max)
    }

    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        self.zip(other, f32::min)
    }

    #[inline(always)]
    unsafe fn mul_add(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] + a.0[lane] * b.0[lane]))
    }

    #[inline(always)]
    unsafe fn mul_sub(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] - a.0[lane] * b.0[lane]))
    }

    #[inline(always)]
    unsafe fn rows_times_block<const P: usize, const B: usize, const FIRST: bool>(
        sums: &mut [[Self; B]; P],
        rows: [*const f32; P],
        weights: *const f32,
    ) {
        for (sums, row) in sums.iter_mut().zip(rows) {
            for (block, sum) in sums.iter_mut().enumerate() {
                // SAFETY: promised by the caller.
                unsafe {
                    let (row, weights) = (Self::splat(*row), Self::load(weights.add(block * LANES)));
                    *sum = if FIRST { row.mul(weights) } else { sum.mul_add(row, weights) };
                }
            }
        }
    }
}
