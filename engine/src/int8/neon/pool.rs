//! Sums and sums of squares of sixteen channels, over a few pixels.

use super::intrinsics::{
    vaddw_high_s8, vaddw_high_u16, vaddw_s8, vaddw_u16, vdupq_n_s16, vdupq_n_u32, vget_low_s8, vget_low_u16, vld1q_s8,
    vmull_high_s8, vmull_s8, vreinterpretq_u16_s16, vst1q_s16, vst1q_u32,
};

/// Sums of sixteen channels of up to 256 pixels, and of their squares if `SQUARES`.
///
/// A stored byte `x` is the value minus 128. Sums of 256 of them fit 16 bits. With n pixels, the sum of the values is
/// `Σ x + 128 n`, and that of their squares `Σ x² + 256 Σ x + 128² n`.
///
/// * `pixels`: the first of the channels; pixels are `step` bytes apart
///
/// # Panics
/// If more than 256 pixels are there.
pub(in crate::int8) fn sums<const SQUARES: bool>(pixels: &[u8], step: usize) -> ([u32; 16], [u32; 16]) {
    // SAFETY: values are stored minus 128 for processors with NEON only.
    unsafe { sums_of::<SQUARES>(pixels, step) }
}

/// [`sums`].
///
/// # Safety
/// The processor has NEON.
#[target_feature(enable = "neon")]
unsafe fn sums_of<const SQUARES: bool>(pixels: &[u8], step: usize) -> ([u32; 16], [u32; 16]) {
    let count = if pixels.len() < 16 { 0 } else { (pixels.len() - 16) / step + 1 };
    assert!(count <= 256);
    let (mut sums, mut squares) = ([0i16; 16], [0u32; 16]);
    // SAFETY: the last of `count` pixels ends before the slice does.
    unsafe {
        let (mut low, mut high) = (vdupq_n_s16(0), vdupq_n_s16(0));
        let mut fours = [vdupq_n_u32(0); 4];
        for pixel in 0..count {
            let x = vld1q_s8(pixels.as_ptr().add(pixel * step).cast());
            (low, high) = (vaddw_s8(low, vget_low_s8(x)), vaddw_high_s8(high, x));
            if SQUARES {
                let first = vreinterpretq_u16_s16(vmull_s8(vget_low_s8(x), vget_low_s8(x)));
                let second = vreinterpretq_u16_s16(vmull_high_s8(x, x));
                fours = [
                    vaddw_u16(fours[0], vget_low_u16(first)),
                    vaddw_high_u16(fours[1], first),
                    vaddw_u16(fours[2], vget_low_u16(second)),
                    vaddw_high_u16(fours[3], second),
                ];
            }
        }
        vst1q_s16(sums.as_mut_ptr(), low);
        vst1q_s16(sums.as_mut_ptr().add(8), high);
        for (four, lanes) in fours.into_iter().zip(squares.as_chunks_mut::<4>().0) {
            vst1q_u32(lanes.as_mut_ptr(), four);
        }
    }
    let count = count as i32;
    let values = sums.map(|sum| (i32::from(sum) + 128 * count) as u32);
    let with_sum = |lane: usize| (squares[lane] as i32 + 256 * i32::from(sums[lane]) + 128 * 128 * count) as u32;
    (values, std::array::from_fn(with_sum))
}
