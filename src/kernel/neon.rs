//! What NEON has and pulp has not.
#![allow(unsafe_code)] // Intrinsics.

use core::arch::aarch64::{float32x4_t, vfmaq_laneq_f32};
use core::mem::transmute;

use pulp::Simd;

/// `a[LANE] * b + c`, where `S` [`super::isa::is_neon`].
#[inline(always)]
pub(super) fn multiply_add_element<S: Simd, const LANE: i32>(a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    let [a, b, c] = [a, b, c].map(bytemuck::cast::<S::f32s, [f32; 4]>);
    // SAFETY: NEON belongs to the target, and both types are four floats.
    let sum = unsafe {
        let [a, b, c] = [a, b, c].map(|vector| transmute::<[f32; 4], float32x4_t>(vector));
        transmute::<float32x4_t, [f32; 4]>(vfmaq_laneq_f32::<LANE>(c, b, a))
    };
    bytemuck::cast(sum)
}
