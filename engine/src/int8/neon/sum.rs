//! The sum of two values.

use super::intrinsics::{
    int32x4_t, vcombine_s16, vdup_n_u8, vdupq_n_s32, veor_u8, vget_low_s16, vld1_s8, vmlaq_s32, vmovl_high_s16,
    vmovl_s8, vmovl_s16, vqmovn_s32, vqmovun_s16, vshlq_s32, vst1_u8,
};
use crate::int8::kernel::{Kernel, Sum};

/// [`Sum`] of eight bytes at a time.
pub(super) struct VectorSum(pub Sum);

impl VectorSum {
    /// # Safety
    /// The processor has NEON, and the arena the planes.
    #[target_feature(enable = "neon")]
    unsafe fn run_rows(&self, arena: *mut i8) {
        let Sum { left, right, to, multipliers, offset, shift, .. } = self.0;
        let row_len = to.width * to.channels;
        // A stored byte is the value minus 128. The parser bounds 255 (|ml| + |mr|) + |offset|, so nothing overflows. For
        // the result this is done by its highest bit, because 128 << shift might not fit beside the offset.
        let offset = offset + 128 * (multipliers[0] + multipliers[1]);
        // SAFETY: rows of all three planes lie in the arena and have a multiple of eight bytes.
        unsafe {
            let [ml, mr] = multipliers.map(|multiplier| vdupq_n_s32(multiplier));
            let (offset, shift) = (vdupq_n_s32(offset), vdupq_n_s32(-shift));
            let four =
                |left: int32x4_t, right: int32x4_t| vshlq_s32(vmlaq_s32(vmlaq_s32(offset, left, ml), right, mr), shift);
            for row in 0..to.height {
                let [left, right, to] = [left, right, to].map(|plane| arena.add(plane.pixel(row, 0)));
                for at in (0..row_len).step_by(8) {
                    let (l, r) = (vmovl_s8(vld1_s8(left.add(at))), vmovl_s8(vld1_s8(right.add(at))));
                    let low = four(vmovl_s16(vget_low_s16(l)), vmovl_s16(vget_low_s16(r)));
                    let high = four(vmovl_high_s16(l), vmovl_high_s16(r));
                    let bytes = vqmovun_s16(vcombine_s16(vqmovn_s32(low), vqmovn_s32(high)));
                    vst1_u8(to.add(at).cast(), veor_u8(bytes, vdup_n_u8(0x80)));
                }
            }
        }
    }
}

impl Kernel for VectorSum {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        // SAFETY: the kernel is made for processors with NEON only, and the arena is that of the plan.
        unsafe { self.run_rows(arena.as_mut_ptr().cast()) }
    }
}
