//! The sum of two values, in vectors that the compiler makes of plain Rust.

use crate::int8::kernel::{Kernel, Sum};

/// Bytes at a time.
const LANES: usize = 8;

/// [`Sum`] compiled for AVX2, and for AVX-512 where `WIDE`.
pub(super) struct VectorSum<const WIDE: bool>(pub Sum);

impl<const WIDE: bool> Kernel for VectorSum<WIDE> {
    fn run(&self, arena: &mut [u8], _scratch: &mut [u8]) {
        // SAFETY: the kernel is made for processors with these instructions only.
        unsafe { if WIDE { avx512(&self.0, arena) } else { avx2(&self.0, arena) } }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn avx512(sum: &Sum, arena: &mut [u8]) {
    rows(sum, arena);
}

#[target_feature(enable = "avx2")]
fn avx2(sum: &Sum, arena: &mut [u8]) {
    rows(sum, arena);
}

#[inline(always)]
fn rows(sum: &Sum, arena: &mut [u8]) {
    let row_len = sum.to.width * sum.to.channels;
    for row in 0..sum.to.height {
        let [left, right, to] = [sum.left, sum.right, sum.to].map(|plane| plane.pixel(row, 0));
        // Rows have a multiple of eight bytes.
        for at in (0..row_len).step_by(LANES) {
            let eight = |from: usize| -> [u8; LANES] { std::array::from_fn(|lane| arena[from + at..][..LANES][lane]) };
            let (left, right) = (eight(left), eight(right));
            let made: [u8; LANES] = std::array::from_fn(|lane| sum.apply(left[lane], right[lane]));
            arena[to + at..][..LANES].copy_from_slice(&made);
        }
    }
}
