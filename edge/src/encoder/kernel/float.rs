//! The inner loop of f16 convolutions, whose numbers are f32: eight filters times two pixels, sixteen sums of products.

/// Filters computed together.
pub(in super::super) const LANES: usize = 8;

/// Adds to the sums of each pixel the products of its values with the weights, in their order, rounding after each
/// operation.
///
/// If the lengths differ, the shortest counts.
pub(in super::super) fn accumulate_two(sums: &mut [[f32; LANES]; 2], weights: &[[f32; LANES]], values: [&[f32]; 2]) {
    let count = weights.len().min(values[0].len()).min(values[1].len());
    #[cfg(macula_vfp)]
    if count > 0 {
        // SAFETY: all three slices have `count` entries.
        #[allow(unsafe_code)]
        unsafe {
            vmla_8x2(sums, weights.as_ptr(), values[0].as_ptr(), values[1].as_ptr(), count);
        }
        return;
    }
    accumulate(&mut sums[0], weights, &values[0][..count]);
    accumulate(&mut sums[1], weights, &values[1][..count]);
}

/// The same for one pixel.
pub(in super::super) fn accumulate(sums: &mut [f32; LANES], weights: &[[f32; LANES]], values: &[f32]) {
    for (&value, weights) in values.iter().zip(weights) {
        for (sum, &weight) in sums.iter_mut().zip(weights) {
            *sum += value * weight;
        }
    }
}

/// 72 instructions per 64 products: VMLA multiplies, rounds, adds and rounds, unlike VFMA. Each sum is needed again after
/// sixteen instructions, so its latency does not matter.
///
/// s0 to s15 sums, s16 to s23 weights, s24 to s27 values of the first pixel, s28 to s31 of the second. r0 sums, r1 weights,
/// r2 and r3 values, r12 the number of values left.
#[cfg(macula_vfp)]
#[allow(unsafe_code)]
#[unsafe(naked)]
// SAFETY: callers pass `count` weights and values of each pixel, and not 0. All callee-saved registers are restored.
unsafe extern "C" fn vmla_8x2(
    sums: *mut [[f32; LANES]; 2],
    weights: *const [f32; LANES],
    first: *const f32,
    second: *const f32,
    count: usize,
) {
    /// One value of each pixel with its eight weights.
    macro_rules! step {
        ($first:literal, $second:literal) => {
            concat!(
                "vldmia r1!, {{s16-s23}}\n",
                "vmla.f32 s0, s16, ",
                $first,
                "\n vmla.f32 s1, s17, ",
                $first,
                "\n",
                "vmla.f32 s2, s18, ",
                $first,
                "\n vmla.f32 s3, s19, ",
                $first,
                "\n",
                "vmla.f32 s4, s20, ",
                $first,
                "\n vmla.f32 s5, s21, ",
                $first,
                "\n",
                "vmla.f32 s6, s22, ",
                $first,
                "\n vmla.f32 s7, s23, ",
                $first,
                "\n",
                "vmla.f32 s8, s16, ",
                $second,
                "\n vmla.f32 s9, s17, ",
                $second,
                "\n",
                "vmla.f32 s10, s18, ",
                $second,
                "\n vmla.f32 s11, s19, ",
                $second,
                "\n",
                "vmla.f32 s12, s20, ",
                $second,
                "\n vmla.f32 s13, s21, ",
                $second,
                "\n",
                "vmla.f32 s14, s22, ",
                $second,
                "\n vmla.f32 s15, s23, ",
                $second
            )
        };
    }
    core::arch::naked_asm!(
        // A naked function is assembled without the features of the target; all cores with floats in registers have these.
        ".fpu vfpv2",
        "ldr r12, [sp]",
        "vpush {{d8, d9, d10, d11, d12, d13, d14, d15}}",
        "vldmia r0, {{s0-s15}}",
        "subs r12, r12, #4",
        "blo 3f",
        "2:",
        "vldmia r2!, {{s24-s27}}",
        "vldmia r3!, {{s28-s31}}",
        step!("s24", "s28"),
        step!("s25", "s29"),
        step!("s26", "s30"),
        step!("s27", "s31"),
        "subs r12, r12, #4",
        "bhs 2b",
        "3:",
        "adds r12, r12, #4",
        "beq 5f",
        "4:",
        "vldmia r2!, {{s24}}",
        "vldmia r3!, {{s28}}",
        step!("s24", "s28"),
        "subs r12, r12, #1",
        "bne 4b",
        "5:",
        "vstmia r0, {{s0-s15}}",
        "vpop {{d8, d9, d10, d11, d12, d13, d14, d15}}",
        "bx lr",
    )
}

#[cfg(test)]
mod tests {
    use super::super::random::numbers;
    use super::*;

    /// Every operation rounds: the bits are those of sums written out from the definition, one operation at a time.
    #[test]
    fn sums_have_the_bits_of_the_definition() {
        let mut random = numbers();
        let mut next = || (random() >> 8) as f32 / 8_388_608.0 - 1.0;
        for count in 0..=13 {
            let begin: [[f32; LANES]; 2] = core::array::from_fn(|_| core::array::from_fn(|_| next()));
            let weights: [[f32; LANES]; 13] = core::array::from_fn(|_| core::array::from_fn(|_| next()));
            let values: [[f32; 13]; 2] = core::array::from_fn(|_| core::array::from_fn(|_| next()));
            let mut expected = begin;
            for (pixel, sums) in expected.iter_mut().enumerate() {
                for (lane, sum) in sums.iter_mut().enumerate() {
                    for k in 0..count {
                        let product = weights[k][lane] * values[pixel][k];
                        *sum += product;
                    }
                }
            }
            let (mut two, mut one) = (begin, begin);
            accumulate_two(&mut two, &weights[..count], [&values[0], &values[1]]);
            accumulate(&mut one[0], &weights, &values[0][..count]);
            accumulate(&mut one[1], &weights, &values[1][..count]);
            let bits = |sums: [[f32; LANES]; 2]| sums.map(|sums| sums.map(f32::to_bits));
            assert_eq!((bits(two), bits(one)), (bits(expected), bits(expected)), "{count} values");
        }
    }
}
