//! From f32 weights and ranges to the integers of an int8 blob.
//!
//! C channels read, O made, K = 9 C, C or (depthwise) 9 weights a channel made. A stored number `q` of a value stands for
//! `unit * (q - zero)`; of a weight for `unit * q`, a unit for each output channel.

use super::calibrate::Ranges;

/// What a stored number stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    /// Real number per step.
    pub unit: f64,
    /// The stored number that is 0.
    pub zero: u8,
}

/// Weights of one output channel and what makes its output of their sum.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Channel {
    /// `[K]`.
    pub weights: Vec<i8>,
    /// Bias, multiplier, offset, shift, as the blob has them.
    pub parameters: [i32; 4],
}

/// What a convolution reads, for each channel: real number per step, and the stored number, not always whole, that is 0.
pub(super) struct Read {
    pub unit: Vec<f64>,
    pub zero: Vec<f64>,
}

/// The scale of value `index` in `ranges`.
pub(super) fn scale(ranges: &Ranges, index: usize) -> Scale {
    let (low, high) = (f64::from(ranges.low[index]), f64::from(ranges.high[index]));
    let unit = (high - low) / 255.0;
    Scale { unit, zero: (-low / unit).round().clamp(0.0, 255.0) as u8 }
}

/// The largest shift of a requantisation, and the least.
const SHIFTS: std::ops::RangeInclusive<i32> = 1..=21;
/// Largest bias: sums of products, 9 × 4096 of 255 × 128 at most, take the rest of 32 bits.
const BIAS_MAX: f64 = 9e8;

/// Quantises one output channel.
///
/// * `weights`: `[K]`; the channel read of weight `k` is `k % C`
/// * `channel`: where depthwise, the one channel it reads
///
/// Where the sum's unit is a quarter of the output's or more, `None`: the range of the output is narrower than a single
/// product, which no trained network has.
pub(super) fn channel(weights: &[f32], bias: f32, read: &Read, channel: Option<usize>, to: &Scale) -> Option<Channel> {
    let source = |k: usize| channel.unwrap_or(k % read.unit.len());
    // The unit of what is read is folded in: a colour image has one for each channel.
    let folded: Vec<f64> = weights.iter().enumerate().map(|(k, &w)| f64::from(w) * read.unit[source(k)]).collect();
    let largest = folded.iter().fold(0.0f64, |most, w| most.max(w.abs()));
    let unit = (largest / 127.0).max(f64::from(bias).abs() / BIAS_MAX * 2.0).max(f64::MIN_POSITIVE);
    let weights: Vec<i8> = folded.iter().map(|w| (w / unit).round() as i8).collect();
    // What the zeros of the inputs add to the sum, taken off with the rounded weights: a blank image then stays blank.
    let zeros: f64 = weights.iter().enumerate().map(|(k, &w)| f64::from(w) * read.zero[source(k)]).sum();
    let bias = (f64::from(bias) / unit - zeros).round();
    let (multiplier, shift) = multiplier(unit / to.unit)?;
    let offset = (1 << (shift - 1)) + (i32::from(to.zero) << shift);
    (bias.abs() <= BIAS_MAX).then_some(Channel { weights, parameters: [bias as i32, multiplier, offset, shift] })
}

/// `ratio` as `multiplier / 2^(32 + shift)` with as many digits as there are.
fn multiplier(ratio: f64) -> Option<(i32, i32)> {
    let shift = SHIFTS.rev().find(|&shift| (ratio * 2f64.powi(32 + shift)).round() <= f64::from(i32::MAX))?;
    Some(((ratio * 2f64.powi(32 + shift)).round() as i32, shift))
}

/// Both multipliers, offset and shift of a sum: `(left * ml + right * mr + offset) >> shift`.
pub(super) fn sum(left: &Scale, right: &Scale, to: &Scale) -> Option<[i32; 4]> {
    SHIFTS.rev().find_map(|shift| {
        let multiplier = |from: &Scale| (from.unit / to.unit * f64::from(1 << shift)).round();
        let (ml, mr) = (multiplier(left), multiplier(right));
        let zeros = f64::from(left.zero) * ml + f64::from(right.zero) * mr;
        let offset = f64::from(1 << (shift - 1)) + f64::from(to.zero) * f64::from(1 << shift) - zeros;
        let most = 255.0 * (ml + mr) + offset.abs();
        (most <= f64::from(i32::MAX)).then_some([ml as i32, mr as i32, offset as i32, shift])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use macula_edge::encoder::Requantise;

    /// The real-number formula beside the integers, over the whole range of the output.
    #[test]
    fn requantising_is_rounding_to_the_nearest() {
        let to = Scale { unit: 0.031, zero: 77 };
        let read = Read { unit: vec![0.02, 0.05], zero: vec![3.0, 0.0] };
        let weights = [0.5, -0.25, 0.125, 0.4];
        let made = channel(&weights, 0.7, &read, None, &to).unwrap();
        let [bias, multiplier, offset, shift] = made.parameters;
        let requantise = Requantise { bias, multiplier, offset, shift };
        for value in 0..=255u8 {
            let stored = [value, 255 - value, 3, value / 2];
            let sum = made.weights.iter().zip(stored).map(|(&w, x)| i32::from(w) * i32::from(x)).sum();
            let real = |k: usize| read.unit[k % 2] * (f64::from(stored[k]) - read.zero[k % 2]);
            let exact: f64 = 0.7 + (0..4).map(|k| f64::from(weights[k]) * real(k)).sum::<f64>();
            let expected = (exact / to.unit + 77.0).clamp(0.0, 255.0);
            let found = f64::from(requantise.apply(sum));
            assert!((found - expected).abs() < 1.3, "{value}: {found}, {expected}");
        }
    }

    #[test]
    fn a_sum_keeps_zeros_and_units() {
        let (left, right) = (Scale { unit: 0.1, zero: 100 }, Scale { unit: 0.02, zero: 0 });
        let to = Scale { unit: 0.05, zero: 120 };
        let [ml, mr, offset, shift] = sum(&left, &right, &to).unwrap();
        for (l, r) in [(100, 0), (101, 0), (0, 255), (130, 10), (255, 255), (90, 3)] {
            let exact = (0.1 * f64::from(l - 100) + 0.02 * f64::from(r)) / 0.05 + 120.0;
            let found = (l * ml + r * mr + offset) >> shift;
            assert!((f64::from(found) - exact).abs() <= 0.5 + 1e-3, "{l} {r}: {found}, {exact}");
        }
        assert!(sum(&Scale { unit: 1e9, zero: 0 }, &right, &to).is_none(), "a multiplier beyond 32 bits");
    }

    #[test]
    fn a_channel_of_zeros_is_its_bias() {
        let read = Read { unit: vec![0.1], zero: vec![0.0] };
        let made = channel(&[0.0; 9], 0.5, &read, None, &Scale { unit: 0.01, zero: 0 }).unwrap();
        let [bias, multiplier, offset, shift] = made.parameters;
        assert_eq!(made.weights, [0; 9]);
        assert_eq!(Requantise { bias, multiplier, offset, shift }.apply(0), 50);
        assert!(channel(&[1.0], 0.0, &read, None, &Scale { unit: 1e-4, zero: 0 }).is_none(), "a range far too narrow");
    }
}
