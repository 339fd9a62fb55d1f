//! The inner loop of int8 convolutions: two output channels times two pixels, four sums of products, for two pairs of
//! channels.
//!
//! K products per sum, a multiple of 4. Weights `[2, K / 4, 2, 4]` i8: four of one channel, four of the next. A patch is
//! `[K / 4, 2, 2]` words: four values of each pixel, widened to 16 bits, the first and third in one word (low, high), the
//! second and fourth in the next. `SXTB16` and `UXTB16` split a word of four bytes this way, and `SMLAD` multiplies two
//! such pairs and adds both products to a sum.

/// Widens a word of four u8 to the two words of a patch.
#[inline]
pub(in super::super) fn widen(word: u32) -> [u32; 2] {
    [word & 0x00ff_00ff, (word >> 8) & 0x00ff_00ff]
}

/// Sums of products, `[channel, pixel]`.
pub(in super::super) type Sums = [[i32; 2]; 4];

/// Computes `sums`. `weights` has 16 bytes for each four words of `patch`. No sum overflows 32 bits, because the parser
/// bounds K.
#[inline]
pub(in super::super) fn dot_4x2(weights: &[u8], patch: &[u32], sums: &mut Sums) {
    #[cfg(macula_dsp)]
    if !patch.is_empty() && patch.len().is_multiple_of(4) && weights.len() == 4 * patch.len() {
        // SAFETY: `smlad_4x2` reads 4 words of patch and twice 8 bytes of weights per group, which both slices have, and
        // writes `sums`. Weights lie at a multiple of 4: the parser refuses any other blob address or offset.
        #[allow(unsafe_code)]
        unsafe {
            smlad_4x2(weights.as_ptr(), patch.as_ptr(), patch.len() / 4, sums);
        }
        return;
    }
    portable_dot_4x2(weights, patch, sums);
}

/// The sums in plain Rust.
fn portable_dot_4x2(weights: &[u8], patch: &[u32], sums: &mut Sums) {
    let (patch, _) = patch.as_chunks::<4>();
    let (front, back) = weights.split_at(weights.len() / 2);
    for (weights, sums) in [front, back].into_iter().zip(sums.as_chunks_mut::<2>().0) {
        *sums = [[0; 2]; 2];
        for (weights, patch) in weights.as_chunks::<8>().0.iter().zip(patch) {
            let weights = weights.map(|weight| i32::from(weight as i8));
            let low = patch.map(|word| i32::from(word as u16));
            let high = patch.map(|word| (word >> 16) as i32);
            for (channel, sums) in sums.iter_mut().enumerate() {
                for (pixel, sum) in sums.iter_mut().enumerate() {
                    let (w, p) = (4 * channel, 2 * pixel);
                    *sum += weights[w] * low[p] + weights[w + 2] * high[p];
                    *sum += weights[w + 1] * low[p + 1] + weights[w + 3] * high[p + 1];
                }
            }
        }
    }
}

/// Thirty instructions per 32 products, and two for the loop.
///
/// r0 weights, r1 patch, r2 groups and then the end of the weights of a pair, r3 where sums go; r4 to r7 sums; r8, r9, r12
/// and lr weights; r10 and r11 values. LDRD accepts these pairs in the Arm encoding too, so armv7 Linux can run and test
/// this. The loop does two groups; an odd number enters it in the middle.
#[cfg(macula_dsp)]
#[allow(unsafe_code)]
#[unsafe(naked)]
// SAFETY: callers pass `groups` of at least 1, weights at a multiple of 4 (LDRD needs it) and memory of the lengths above.
// All callee-saved registers are restored.
unsafe extern "C" fn smlad_4x2(weights: *const u8, patch: *const u32, groups: usize, sums: *mut Sums) {
    /// A group: the first pixel, then the second.
    macro_rules! group {
        () => {
            concat!(
                "ldrd r8, r9, [r0], #8\n ldrd r10, r11, [r1], #8\n sxtb16 r12, r8\n sxtb16 lr, r9\n",
                "smlad r4, r12, r10, r4\n sxtb16 r8, r8, ror #8\n smlad r6, lr, r10, r6\n sxtb16 r9, r9, ror #8\n",
                "smlad r4, r8, r11, r4\n smlad r6, r9, r11, r6\n ldrd r10, r11, [r1], #8\n",
                "smlad r5, r12, r10, r5\n smlad r7, lr, r10, r7\n smlad r5, r8, r11, r5\n smlad r7, r9, r11, r7"
            )
        };
    }
    core::arch::naked_asm!(
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, r12, lr}}",
        // [sp] patch, [sp, #4] groups, [sp, #8] the end of the sums.
        "add r4, r3, #32",
        "push {{r1, r2, r4, r5}}",
        "1:",
        "mov r4, #0",
        "mov r5, #0",
        "mov r6, #0",
        "mov r7, #0",
        "tst r2, #1",
        "add r2, r0, r2, lsl #3",
        "bne 3f",
        "2:",
        group!(),
        "3:",
        group!(),
        "cmp r0, r2",
        "bne 2b",
        "stm r3!, {{r4, r5, r6, r7}}",
        "ldr r8, [sp, #8]",
        "ldr r1, [sp]",
        "ldr r2, [sp, #4]",
        "cmp r3, r8",
        "bne 1b",
        "add sp, sp, #16",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, r12, pc}}",
    )
}

#[cfg(test)]
mod tests {
    use super::super::random::numbers;
    use super::*;

    /// Compares both versions with sums written out from the definition.
    #[test]
    fn sums_equal_the_definition() {
        let mut random = numbers();
        let mut next = || (random() >> 24) as u8;
        for groups in 0..=9usize {
            let weights: [u8; 2 * 72] = core::array::from_fn(|_| next());
            let pixels: [[u8; 36]; 2] = core::array::from_fn(|_| core::array::from_fn(|_| next()));
            let mut patch = [0; 36];
            for group in 0..groups {
                for (pixel, values) in pixels.iter().enumerate() {
                    let word = u32::from_le_bytes(values[4 * group..4 * group + 4].try_into().unwrap());
                    patch[4 * group + 2 * pixel..][..2].copy_from_slice(&widen(word));
                }
            }
            let expected: Sums = core::array::from_fn(|channel| {
                core::array::from_fn(|pixel| {
                    let pair = 8 * groups * (channel / 2);
                    let weight = |k: usize| i32::from(weights[pair + 8 * (k / 4) + 4 * (channel % 2) + k % 4] as i8);
                    (0..4 * groups).map(|k| weight(k) * i32::from(pixels[pixel][k])).sum()
                })
            });
            let (mut found, mut plain) = ([[7; 2]; 4], [[7; 2]; 4]);
            dot_4x2(&weights[..16 * groups], &patch[..4 * groups], &mut found);
            portable_dot_4x2(&weights[..16 * groups], &patch[..4 * groups], &mut plain);
            assert_eq!((found, plain), (expected, expected), "{groups} groups");
        }
    }
}
