//! Vectors of f32 in AVX2 and AVX-512.

#![allow(unsafe_code)] // Vector instructions.

use std::arch::x86_64::*;

use super::vector::{Vector, Work};

/// The operations of a register, which are the same for each width.
macro_rules! vector {
    (
        $doc:literal $name:ident, $register:ty, lanes $lanes:literal, accumulators $accumulators:literal, $features:literal,
        $set1:ident, $loadu:ident, $storeu:ident, $add:ident, $sub:ident, $mul:ident, $max:ident, $min:ident, $fmadd:ident, $fnmadd:ident
    ) => {
        #[doc = $doc]
        #[derive(Clone, Copy)]
        pub(super) struct $name($register);

        impl Vector for $name {
            type Element = f32;
            const LANES: usize = $lanes;
            const GROUP: usize = 1;
            const ACCUMULATORS: usize = $accumulators;

            fn element(value: f32) -> f32 {
                value
            }

            fn value(element: f32) -> f32 {
                element
            }

            #[inline(always)]
            unsafe fn vectorise<W: Work>(work: W) {
                #[target_feature(enable = $features)]
                unsafe fn run<W: Work>(work: W) {
                    // SAFETY: promised by the caller.
                    unsafe { work.run() }
                }
                // SAFETY: promised by the caller.
                unsafe { run(work) }
            }

            #[inline(always)]
            unsafe fn splat(value: f32) -> Self {
                // SAFETY: promised by the caller.
                Self(unsafe { $set1(value) })
            }

            #[inline(always)]
            unsafe fn repeat(from: *const f32) -> Self {
                // SAFETY: promised by the caller.
                unsafe { Self::splat(*from) }
            }

            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: promised by the caller.
                Self(unsafe { $loadu(from) })
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: promised by the caller.
                unsafe { $storeu(to, self.0) }
            }

            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: promised by the caller.
                Self(unsafe { $add(self.0, other.0) })
            }

            #[inline(always)]
            unsafe fn sub(self, other: Self) -> Self {
                // SAFETY: promised by the caller.
                Self(unsafe { $sub(self.0, other.0) })
            }

            #[inline(always)]
            unsafe fn mul(self, other: Self) -> Self {
                // SAFETY: promised by the caller.
                Self(unsafe { $mul(self.0, other.0) })
            }

            #[inline(always)]
            unsafe fn max(self, other: Self) -> Self {
                // SAFETY: promised by the caller.
                Self(unsafe { $max(self.0, other.0) })
            }

            #[inline(always)]
            unsafe fn min(self, other: Self) -> Self {
                // SAFETY: promised by the caller.
                Self(unsafe { $min(self.0, other.0) })
            }

            #[inline(always)]
            unsafe fn mul_add(self, a: Self, b: Self) -> Self {
                // SAFETY: promised by the caller.
                Self(unsafe { $fmadd(a.0, b.0, self.0) })
            }

            #[inline(always)]
            unsafe fn mul_sub(self, a: Self, b: Self) -> Self {
                // SAFETY: promised by the caller.
                Self(unsafe { $fnmadd(a.0, b.0, self.0) })
            }

            #[inline(always)]
            unsafe fn rows_times_block<const P: usize, const B: usize, const FIRST: bool>(
                sums: &mut [[Self; B]; P],
                rows: [*const f32; P],
                weights: *const f32,
            ) {
                // SAFETY: promised by the caller.
                unsafe {
                    let block: [Self; B] = std::array::from_fn(|block| Self::load(weights.add(block * Self::LANES)));
                    for (sums, row) in sums.iter_mut().zip(rows) {
                        let row = Self::splat(*row);
                        for (sum, weights) in sums.iter_mut().zip(block) {
                            *sum = if FIRST { row.mul(weights) } else { sum.mul_add(row, weights) };
                        }
                    }
                }
            }
        }
    };
}

vector!(
    "Eight f32." Avx2, __m256, lanes 8, accumulators 12, "avx2,fma",
    _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_max_ps, _mm256_min_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps
);
vector!(
    "Sixteen f32." Avx512, __m512, lanes 16, accumulators 24, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma",
    _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_max_ps, _mm512_min_ps, _mm512_fmadd_ps, _mm512_fnmadd_ps
);
