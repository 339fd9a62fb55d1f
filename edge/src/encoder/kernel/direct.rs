//! The inner loop of int8 convolutions: two output channels times two pixels, four sums of products.
//!
//! K products per sum, a multiple of 4. Weights `[K / 4, 2, 4]` i8: four of one channel, four of the next. A patch is
//! `[K / 4, 2, 2]` words: four values of each pixel, widened to 16 bits, the first and third in one word (low, high), the
//! second and fourth in the next. `SXTB16` and `UXTB16` split a word of four bytes this way, and `SMLAD` multiplies two
//! such pairs and adds both products to a sum.

/// Widens a word of four u8 to the two words of a patch.
#[inline]
pub(in super::super) fn widen(word: u32) -> [u32; 2] {
    [word & 0x00ff_00ff, (word >> 8) & 0x00ff_00ff]
}

/// Sums of products, `[channel, pixel]`.
///
/// If the lengths differ, the shorter counts. No sum overflows 32 bits, because the parser bounds K.
pub(in super::super) fn dot_2x2(weights: &[u8], patch: &[u32], sums: &mut [[i32; 2]; 2]) {
    #[cfg(macula_dsp)]
    {
        let groups = (weights.len() / 8).min(patch.len() / 4);
        if groups > 0 {
            // SAFETY: `smlad_2x2` reads 8 bytes of weights and 4 words of patch per group, which both slices have, and writes
            // `sums`. Weights lie at a multiple of 4: the parser refuses any other blob address or offset.
            #[allow(unsafe_code)]
            unsafe {
                smlad_2x2(weights.as_ptr(), patch.as_ptr(), groups, sums);
            }
            return;
        }
    }
    *sums = portable_dot_2x2(weights, patch);
}

/// The sums in plain Rust.
fn portable_dot_2x2(weights: &[u8], patch: &[u32]) -> [[i32; 2]; 2] {
    let mut sums = [[0; 2]; 2];
    let (weights, _) = weights.as_chunks::<8>();
    let (patch, _) = patch.as_chunks::<4>();
    for (weights, patch) in weights.iter().zip(patch) {
        let weights = weights.map(|weight| i32::from(weight as i8));
        let low = patch.map(|word| i32::from(word as u16));
        let high = patch.map(|word| (word >> 16) as i32);
        let dot = |w: usize, p: usize| {
            weights[w] * low[p] + weights[w + 2] * high[p] + weights[w + 1] * low[p + 1] + weights[w + 3] * high[p + 1]
        };
        sums[0][0] += dot(0, 0);
        sums[0][1] += dot(0, 2);
        sums[1][0] += dot(4, 0);
        sums[1][1] += dot(4, 2);
    }
    sums
}

/// Thirty instructions per 32 products, and two for the loop.
///
/// r0 weights, r1 patch, r2 groups and then the end of the weights, r3 output; r4 to r7 sums; r8, r9, r12 and lr weights;
/// r10 and r11 values. LDRD accepts these pairs in the Arm encoding too, so armv7 Linux can run and test this. The loop
/// does two groups; an odd number enters it in the middle.
#[cfg(macula_dsp)]
#[allow(unsafe_code)]
#[unsafe(naked)]
// SAFETY: callers pass `groups` of at least 1, weights at a multiple of 4 (LDRD needs it) and memory of the lengths above.
// All callee-saved registers are restored.
unsafe extern "C" fn smlad_2x2(weights: *const u8, patch: *const u32, groups: usize, sums: *mut [[i32; 2]; 2]) {
    core::arch::naked_asm!(
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, r12, lr}}",
        "mov r4, #0",
        "mov r5, #0",
        "mov r6, #0",
        "mov r7, #0",
        "tst r2, #1",
        "add r2, r0, r2, lsl #3",
        "bne 3f",
        "2:",
        "ldrd r8, r9, [r0], #8",
        "ldrd r10, r11, [r1], #8",
        "sxtb16 r12, r8",
        "sxtb16 lr, r9",
        "smlad r4, r12, r10, r4",
        "sxtb16 r8, r8, ror #8",
        "smlad r6, lr, r10, r6",
        "sxtb16 r9, r9, ror #8",
        "smlad r4, r8, r11, r4",
        "smlad r6, r9, r11, r6",
        "ldrd r10, r11, [r1], #8",
        "smlad r5, r12, r10, r5",
        "smlad r7, lr, r10, r7",
        "smlad r5, r8, r11, r5",
        "smlad r7, r9, r11, r7",
        "3:",
        "ldrd r8, r9, [r0], #8",
        "ldrd r10, r11, [r1], #8",
        "sxtb16 r12, r8",
        "sxtb16 lr, r9",
        "smlad r4, r12, r10, r4",
        "sxtb16 r8, r8, ror #8",
        "smlad r6, lr, r10, r6",
        "sxtb16 r9, r9, ror #8",
        "smlad r4, r8, r11, r4",
        "smlad r6, r9, r11, r6",
        "ldrd r10, r11, [r1], #8",
        "smlad r5, r12, r10, r5",
        "smlad r7, lr, r10, r7",
        "smlad r5, r8, r11, r5",
        "smlad r7, r9, r11, r7",
        "cmp r0, r2",
        "bne 2b",
        "stm r3, {{r4, r5, r6, r7}}",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, r12, pc}}",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares both versions with sums written out from the definition.
    #[test]
    fn sums_equal_the_definition() {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        for groups in 0..=9usize {
            let weights: [u8; 72] = core::array::from_fn(|_| next());
            let pixels: [[u8; 36]; 2] = core::array::from_fn(|_| core::array::from_fn(|_| next()));
            let mut patch = [0; 36];
            for group in 0..groups {
                for (pixel, values) in pixels.iter().enumerate() {
                    let word = u32::from_le_bytes(values[4 * group..4 * group + 4].try_into().unwrap());
                    patch[4 * group + 2 * pixel..][..2].copy_from_slice(&widen(word));
                }
            }
            let expected: [[i32; 2]; 2] = core::array::from_fn(|channel| {
                core::array::from_fn(|pixel| {
                    let weight = |k: usize| i32::from(weights[8 * (k / 4) + 4 * channel + k % 4] as i8);
                    (0..4 * groups).map(|k| weight(k) * i32::from(pixels[pixel][k])).sum()
                })
            });
            let mut found = [[7; 2]; 2];
            dot_2x2(&weights[..8 * groups], &patch[..4 * groups], &mut found);
            assert_eq!(found, expected, "{groups} groups");
            assert_eq!(portable_dot_2x2(&weights[..8 * groups], &patch[..4 * groups]), expected, "{groups} groups");
        }
    }
}
