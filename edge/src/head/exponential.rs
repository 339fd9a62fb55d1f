//! The exponential of several numbers at once, in additions and multiplications that compilers keep in vector registers.

use core::f64::consts::LOG2_E;

/// Below it, [`exponentials`] gives 0. The smallest normal number is `e` to the power of -708.4.
const EXPONENT_MIN: f64 = -708.0;

/// Adding it to a number below 2⁵¹ rounds that to an integer, in the lowest bits.
const ROUND: f64 = 1.5 * (1u64 << 52) as f64;

/// `ln 2` in two parts. The first has zeros at its end, so that its product with an exponent is exact (fdlibm, `e_exp.c`).
const LN_2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];

/// `1 / k!` for k from 13 down to 0. The next term is below 2⁻⁵⁷ up to `ln 2 / 2`.
const COEFFICIENTS: [f64; 14] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
    1.0,
    1.0,
];

/// `exp x` of numbers up to 0, which may be `-∞`, within 2 units in the last place.
///
/// `exp x = 2ᵏ exp r` with `k` an integer and `|r| <= ln 2 / 2`.
pub(super) fn exponentials<const N: usize>(values: [f64; N]) -> [f64; N] {
    let (mut rest, mut powers) = ([0.0; N], [0.0; N]);
    for n in 0..N {
        let inside = if values[n] > EXPONENT_MIN { values[n] } else { EXPONENT_MIN };
        let rounded = inside * LOG2_E + ROUND;
        let k = rounded - ROUND;
        rest[n] = (inside - k * LN_2[0]) - k * LN_2[1];
        // The bits of a power of two are its exponent plus 1023, shifted.
        powers[n] = f64::from_bits(rounded.to_bits().wrapping_add(1023) << 52);
    }
    // Odd and even powers apart, because an addition waits for the one before it.
    let (mut odd, mut even) = ([0.0; N], [0.0; N]);
    for [of_odd, of_even] in COEFFICIENTS.as_chunks().0 {
        for n in 0..N {
            let square = rest[n] * rest[n];
            odd[n] = odd[n] * square + of_odd;
            even[n] = even[n] * square + of_even;
        }
    }
    let mut sums = [0.0; N];
    for n in 0..N {
        sums[n] = if values[n] > EXPONENT_MIN { (odd[n] * rest[n] + even[n]) * powers[n] } else { 0.0 };
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_libm() {
        for step in 0..1_000_000 {
            let x = -1e-9 * f64::from(step) * f64::from(step);
            let [found, shifted] = exponentials([x, x * 0.7]);
            for (found, expected) in [(found, libm::exp(x)), (shifted, libm::exp(x * 0.7))] {
                assert!((found - expected).abs() <= 2.0 * f64::EPSILON * expected || x < EXPONENT_MIN, "{x}");
            }
        }
        assert_eq!(exponentials([0.0, f64::NEG_INFINITY, -1e300, -708.5]), [1.0, 0.0, 0.0, 0.0]);
    }
}
