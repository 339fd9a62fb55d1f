//! Calibration of probabilities: whether predictions made with 80 % confidence are correct in 80 % of the cases.
//!
//! N images, K classes. The confidence of a prediction is the largest probability of its row.

/// A bin of the reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Bin {
    /// Predictions in the bin, at least 1.
    pub count: u64,
    /// Mean confidence of the predictions, 0 to 1.
    pub confidence: f64,
    /// Share of correct predictions, 0 to 1.
    pub accuracy: f64,
}

/// Reliability diagram with its expected calibration error.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Calibration {
    /// The bins with predictions, by confidence.
    pub bins: Vec<Bin>,
    /// Expected calibration error, 0 to 1: the mean of `|accuracy - confidence|` over the bins, weighted by their predictions.
    pub expected_error: f64,
}

impl Calibration {
    /// Bins of equal width: bin `m` of `M` has the confidences in `((m - 1) / M, m / M]`. `None` without predictions.
    ///
    /// * `confidence`: `[N]`, 0 to 1
    /// * `is_correct`: `[N]`
    /// * `bins`: M, at least 1
    ///
    /// Guo et al. 2017, eq. 3, arXiv:1706.04599.
    pub fn of(confidence: &[f64], is_correct: &[bool], bins: usize) -> Option<Self> {
        if confidence.is_empty() {
            return None;
        }
        // Count, sum of confidences and number of correct predictions of each bin.
        let mut sums = vec![(0u64, 0.0, 0u64); bins];
        for (&confidence, &is_correct) in confidence.iter().zip(is_correct) {
            let bin = ((confidence * bins as f64).ceil() as usize).clamp(1, bins) - 1;
            sums[bin].0 += 1;
            sums[bin].1 += confidence;
            sums[bin].2 += u64::from(is_correct);
        }
        let filled = sums.into_iter().filter(|sum| sum.0 > 0);
        let bins: Vec<Bin> = filled
            .map(|(count, confidence, correct)| Bin {
                count,
                confidence: confidence / count as f64,
                accuracy: correct as f64 / count as f64,
            })
            .collect();
        let gaps = bins.iter().map(|bin| bin.count as f64 * (bin.accuracy - bin.confidence).abs());
        let expected_error = gaps.sum::<f64>() / confidence.len() as f64;
        Some(Self { bins, expected_error })
    }
}

/// Softmax of each row of `scores` `[N, K]`: probabilities `exp(s_k) / Σ_j exp(s_j)`.
pub fn softmax_rows(scores: &[f64], num_classes: usize) -> Vec<f64> {
    let row = |row: &[f64]| {
        // Subtracting the largest keeps exp() finite.
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exponentials: Vec<f64> = row.iter().map(|score| (score - largest).exp()).collect();
        let sum: f64 = exponentials.iter().sum();
        exponentials.into_iter().map(move |value| value / sum)
    };
    scores.chunks_exact(num_classes).flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "found {found}, expected {expected}");
    }

    /// Five bins. (0.4, 0.6]: 0.5, 0.6 with one correct; (0.8, 1]: 0.9, 0.9, 1.0 with two correct.
    /// Gaps |0.5 - 0.55| and |2/3 - 2.8/3|; error (2 · 0.05 + 3 · 0.8/3) / 5 = 0.18.
    #[test]
    fn the_expected_error_matches_bins_by_hand() {
        let found = Calibration::of(&[0.5, 0.9, 0.6, 0.9, 1.0], &[true, true, false, false, true], 5).unwrap();
        assert_eq!(found.bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [2, 3]);
        close(found.bins[0].confidence, 0.55);
        close(found.bins[0].accuracy, 0.5);
        close(found.bins[1].confidence, 2.8 / 3.0);
        close(found.bins[1].accuracy, 2.0 / 3.0);
        close(found.expected_error, 0.18);
    }

    #[test]
    fn a_bin_contains_its_upper_bound() {
        let bins = |confidence: f64| Calibration::of(&[confidence, 1.0], &[true, true], 2).unwrap().bins.len();
        assert_eq!([bins(0.5), bins(0.5 + 1e-9), bins(0.0)], [2, 1, 2]);
        assert_eq!(Calibration::of(&[], &[], 10), None);
    }

    #[test]
    fn calibrated_and_overconfident_predictions_differ() {
        let correct: Vec<bool> = (0..100).map(|image| image % 4 != 0).collect();
        close(Calibration::of(&[0.75; 100], &correct, 10).unwrap().expected_error, 0.0);
        close(Calibration::of(&[1.0; 100], &correct, 10).unwrap().expected_error, 0.25);
    }

    #[test]
    fn softmax_matches_values_by_hand_and_stays_finite() {
        let rows = softmax_rows(&[0.0, 3f64.ln(), 1e4, 0.0], 2);
        close(rows[0], 0.25);
        close(rows[1], 0.75);
        assert_eq!(rows[2..], [1.0, 0.0]);
    }
}
