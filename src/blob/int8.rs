//! Quantisation of f32 weights to the integers of an int8 blob.
//!
//! C input channels, K = 9 C, C or (depthwise) 9 weights per output channel. The stored integer `q` of a value represents
//! `unit * (q - zero)`, that of a weight `unit * q` with one unit per output channel.

use macula_edge::encoder::format::SHIFT_MAX;

use super::calibrate::ValueRange;

/// Scale and zero point of a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    /// Real number per step.
    pub unit: f64,
    /// Zero point: the integer that represents 0.
    pub zero: u8,
}

impl Scale {
    /// The scale whose 256 levels cover `range`.
    pub fn of(range: ValueRange) -> Self {
        let (low, high) = (f64::from(range.low), f64::from(range.high));
        let unit = (high - low) / 255.0;
        Self { unit, zero: (-low / unit).round().clamp(0.0, 255.0) as u8 }
    }
}

/// Weights and requantisation of one output channel.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Channel {
    /// `[K]`.
    pub weights: Vec<i8>,
    /// Bias, multiplier, offset, shift, in the order of the blob.
    pub parameters: [i32; 4],
}

/// Scale and zero point of each input channel of a convolution; the zero point of pixels need not be an integer.
pub(super) struct ConvInput {
    pub unit: Vec<f64>,
    pub zero: Vec<f64>,
}

impl ConvInput {
    /// The same `scale` for all `channels`.
    pub fn uniform(scale: &Scale, channels: usize) -> Self {
        Self { unit: vec![scale.unit; channels], zero: vec![f64::from(scale.zero); channels] }
    }
}

/// Allowed shifts of a requantisation.
const SHIFTS: std::ops::RangeInclusive<i32> = 1..=SHIFT_MAX;
/// Largest bias. The sums of products, at most 9 × 4096 times 255 × 128, need the rest of 32 bits.
const BIAS_MAX: f64 = 9e8;

/// Quantises one output channel.
///
/// * `weights`: `[K]`; weight `k` reads input channel `k % C`
/// * `depthwise`: the one input channel it reads, if depthwise
///
/// `None` if the unit of the sum is at least a quarter of the output's: the range of the output is then narrower than a
/// single product, which no trained network has.
pub(super) fn quantise_channel(
    weights: &[f32],
    bias: f32,
    input: &ConvInput,
    depthwise: Option<usize>,
    to: &Scale,
) -> Option<Channel> {
    let source = |k: usize| depthwise.unwrap_or(k % input.unit.len());
    // The unit of the input is folded into the weights: a colour image has one per channel.
    let folded: Vec<f64> = weights.iter().enumerate().map(|(k, &w)| f64::from(w) * input.unit[source(k)]).collect();
    let largest = folded.iter().fold(0.0f64, |most, w| most.max(w.abs()));
    let unit = (largest / 127.0).max(f64::from(bias).abs() / BIAS_MAX * 2.0).max(f64::MIN_POSITIVE);
    let weights: Vec<i8> = folded.iter().map(|w| (w / unit).round() as i8).collect();
    // Contribution of the zero points to the sum, computed with the rounded weights so that a blank image stays blank.
    let zeros: f64 = weights.iter().enumerate().map(|(k, &w)| f64::from(w) * input.zero[source(k)]).sum();
    let bias = (f64::from(bias) / unit - zeros).round();
    let (multiplier, shift) = multiplier(unit / to.unit)?;
    let offset = (1 << (shift - 1)) + (i32::from(to.zero) << shift);
    (bias.abs() <= BIAS_MAX).then_some(Channel { weights, parameters: [bias as i32, multiplier, offset, shift] })
}

/// `ratio` as `multiplier / 2^(32 + shift)`, with the largest shift that fits.
fn multiplier(ratio: f64) -> Option<(i32, i32)> {
    let shift = SHIFTS.rev().find(|&shift| (ratio * 2f64.powi(32 + shift)).round() <= f64::from(i32::MAX))?;
    Some(((ratio * 2f64.powi(32 + shift)).round() as i32, shift))
}

/// Multipliers, offset and shift of a sum: `(left * ml + right * mr + offset) >> shift`.
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

    /// Compares the integers with the real-number formula over the whole range of the output.
    #[test]
    fn requantisation_rounds_to_the_nearest_level() {
        let to = Scale { unit: 0.031, zero: 77 };
        let read = ConvInput { unit: vec![0.02, 0.05], zero: vec![3.0, 0.0] };
        let weights = [0.5, -0.25, 0.125, 0.4];
        let made = quantise_channel(&weights, 0.7, &read, None, &to).unwrap();
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
    fn a_sum_converts_units_and_zero_points() {
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
    fn a_channel_of_zero_weights_gives_its_bias() {
        let read = ConvInput { unit: vec![0.1], zero: vec![0.0] };
        let made = quantise_channel(&[0.0; 9], 0.5, &read, None, &Scale { unit: 0.01, zero: 0 }).unwrap();
        let [bias, multiplier, offset, shift] = made.parameters;
        assert_eq!(made.weights, [0; 9]);
        assert_eq!(Requantise { bias, multiplier, offset, shift }.apply(0), 50);
        assert!(
            quantise_channel(&[1.0], 0.0, &read, None, &Scale { unit: 1e-4, zero: 0 }).is_none(),
            "a range that is too narrow"
        );
    }
}
