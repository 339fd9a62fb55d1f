//! Softmax cross-entropy with label smoothing.
//!
//! N batch size, C classes; all arrays row-major.

/// Mean loss over the batch, and its gradient with respect to the logits.
///
/// With `p = softmax(z)` and the smoothed target `q[c] = (1 - e) [c = t] + e / C`, the loss is the mean
/// over rows of `-sum over c of q[c] ln p[c]`, and `dlogits = (p - q) / N`.
///
/// * `dlogits`: `[N, C]`, overwritten
/// * `logits`: `[N, C]`
/// * `targets`: `[N]`, each below C
/// * `label_smoothing`: `e`, 0 to 1
///
/// A logit that is not finite gives a loss that is not finite, without a panic.
/// Szegedy et al. 2016, arXiv:1512.00567, section 7; the same numbers as PyTorch's `cross_entropy`.
///
/// # Panics
/// When the lengths do not fit each other or a target is not below C.
pub fn cross_entropy(dlogits: &mut [f32], logits: &[f32], targets: &[usize], label_smoothing: f32) -> f64 {
    assert!(!targets.is_empty() && logits.len().is_multiple_of(targets.len()), "logits are [N, C]");
    assert_eq!(dlogits.len(), logits.len(), "the gradient is as long as the logits");
    let classes = logits.len() / targets.len();
    let mean = 1.0 / targets.len() as f64;
    let smoothing = f64::from(label_smoothing);
    let mut loss = 0.0;
    for ((dlogits, logits), &target) in dlogits.chunks_exact_mut(classes).zip(logits.chunks_exact(classes)).zip(targets)
    {
        assert!(target < classes, "target {target} of {classes} classes");
        // Subtracting the largest logit first keeps exp() finite.
        let max = logits.iter().fold(f32::NEG_INFINITY, |max, &z| max.max(z));
        let log_sum = f64::from(max) + logits.iter().map(|&z| f64::from(z - max).exp()).sum::<f64>().ln();
        for (c, (dlogit, &logit)) in dlogits.iter_mut().zip(logits).enumerate() {
            let log_p = f64::from(logit) - log_sum;
            let q = smoothing / classes as f64 + if c == target { 1.0 - smoothing } else { 0.0 };
            // A class without target must not contribute -inf · 0 = NaN.
            if q > 0.0 {
                loss -= q * log_p;
            }
            *dlogit = ((log_p.exp() - q) * mean) as f32;
        }
    }
    loss * mean
}

/// Index of the largest value in each row of `values` `[N, columns]`; the first of equals.
pub fn argmax_rows<T: PartialOrd>(values: &[T], columns: usize) -> Vec<usize> {
    let argmax = |row: &[T]| (1..columns).fold(0, |best, c| if row[c] > row[best] { c } else { best });
    values.chunks_exact(columns).map(argmax).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All classes equally likely: `ln C`, for any smoothing.
    #[test]
    fn uniform_logits_give_the_logarithm_of_the_number_of_classes() {
        for smoothing in [0.0, 0.1, 1.0] {
            let loss = cross_entropy(&mut [0.0; 8], &[3.0; 8], &[0, 3], smoothing);
            assert!((loss - 4f64.ln()).abs() < 1e-9, "{smoothing}: {loss}");
        }
    }

    /// Two classes, margin m: `ln(1 + exp(-m)) + e m / 2`.
    #[test]
    fn two_classes_match_the_closed_form() {
        for (margin, smoothing) in [(0.5f32, 0.0f32), (2.0, 0.1), (-3.0, 0.2), (80.0, 0.1)] {
            let loss = cross_entropy(&mut [0.0; 2], &[margin, 0.0], &[0], smoothing);
            let m = f64::from(margin);
            let expected = (1.0 + (-m).exp()).ln() + f64::from(smoothing) * m / 2.0;
            assert!((loss - expected).abs() < 1e-6 * expected.abs().max(1.0), "m={m}: {loss} {expected}");
        }
    }

    #[test]
    fn gradient_agrees_with_central_differences() {
        let mut rng = crate::rng::Rng::for_purpose(5, "test");
        let logits: Vec<f32> = (0..15).map(|_| 2.0 * rng.normal()).collect();
        let targets = [4, 0, 2];
        for smoothing in [0.0, 0.1] {
            let mut dlogits = [0.0; 15];
            cross_entropy(&mut dlogits, &logits, &targets, smoothing);
            for i in 0..logits.len() {
                let at = |offset: f32| {
                    let mut logits = logits.clone();
                    logits[i] += offset;
                    cross_entropy(&mut [0.0; 15], &logits, &targets, smoothing)
                };
                let numeric = (at(1.0 / 256.0) - at(-1.0 / 256.0)) * 128.0;
                assert!((numeric - f64::from(dlogits[i])).abs() < 1e-5, "{i}: {numeric} {}", dlogits[i]);
            }
        }
    }

    #[test]
    fn extreme_logits_stay_finite_and_invalid_ones_do_not() {
        let mut dlogits = [0.0; 3];
        let loss = cross_entropy(&mut dlogits, &[1e30, 0.0, -1e30], &[0], 0.0);
        assert!(loss == 0.0 && dlogits.iter().all(|d| d.is_finite()), "{loss} {dlogits:?}");
        assert!(!cross_entropy(&mut dlogits, &[f32::NAN, 0.0, 1.0], &[1], 0.0).is_finite());
        assert!(!cross_entropy(&mut dlogits, &[f32::INFINITY, 0.0, 1.0], &[1], 0.0).is_finite());
    }

    #[test]
    fn argmax_returns_the_first_of_equal_values() {
        assert_eq!(argmax_rows(&[1.0, 3.0, 3.0, 2.0, -1.0, 0.0], 3), [1, 0]);
    }
}
