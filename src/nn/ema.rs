//! Exponential moving averages of parameters.

/// `average = decay · average + (1 - decay) · current`.
///
/// # Panics
/// When the lengths differ.
pub fn ema_update(average: &mut [f32], current: &[f32], decay: f32) {
    assert_eq!(average.len(), current.len(), "an average has the shape of its values");
    let rate = 1.0 - decay;
    average.iter_mut().zip(current).for_each(|(average, current)| *average += rate * (current - *average));
}

/// The decay of step `step`, counted from 0: `min(decay, (1 + t) / (10 + t))`, so that the untrained weights of the first
/// steps are forgotten soon. As TensorFlow's `ExponentialMovingAverage` with `num_updates`.
pub fn ema_decay_at(decay: f32, step: u64) -> f32 {
    let warming = (1.0 + step as f64) / (10.0 + step as f64);
    (warming as f32).min(decay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decay_rises_to_its_limit() {
        assert_eq!([0, 8, 80].map(|step| ema_decay_at(0.9, step)), [0.1, 0.5, 0.9]);
        assert_eq!(ema_decay_at(0.9, 81), 0.9);
        assert!((ema_decay_at(0.999, 981) - 982.0 / 991.0).abs() < 1e-7);
    }

    /// The average of `1, 2, 3` from 0, by hand: decays 0.1, 2/11 and 0.25.
    #[test]
    fn a_short_average_by_hand() {
        let mut average = [0.0, 5.0];
        for (step, value) in [1.0, 2.0, 3.0].into_iter().enumerate() {
            ema_update(&mut average, &[value, 5.0], ema_decay_at(0.999, step as u64));
        }
        let expected = 0.25 * (2.0 / 11.0 * 0.9 + 9.0 / 11.0 * 2.0) + 0.75 * 3.0;
        assert!((f64::from(average[0]) - expected).abs() < 1e-6, "{} {expected}", average[0]);
        assert_eq!(average[1], 5.0);
    }
}
