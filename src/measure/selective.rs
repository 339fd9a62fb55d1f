//! Selective classification: the error rate that remains when the least confident predictions are left to a person.

/// The curve of error rate against coverage.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct RiskCoverage {
    /// `(coverage, error rate)`, coverage ascending to 1: the share of predictions that are made, the most confident first, and the
    /// share of them that is wrong. Predictions of equal confidence are made together.
    pub points: Vec<(f64, f64)>,
    /// Area under the curve, the mean error rate over all coverages; 0 is best.
    pub area: f64,
}

impl RiskCoverage {
    /// The curve of N predictions; `None` without one.
    ///
    /// * `confidence`: `[N]`, higher is more confident
    /// * `is_correct`: `[N]`
    ///
    /// El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017, arXiv:1705.08500, section 2. Its area is the mean of the error rates at
    /// 1, 2, … N predictions (Geifman, Uziel and El-Yaniv 2019, arXiv:1805.08206); within equal confidences it is their
    /// expectation over all orders.
    pub fn of(confidence: &[f64], is_correct: &[bool]) -> Option<Self> {
        if confidence.is_empty() {
            return None;
        }
        let mut order: Vec<usize> = (0..confidence.len()).collect();
        order.sort_by(|&a, &b| confidence[b].total_cmp(&confidence[a]));
        let all = confidence.len() as f64;
        let (mut made, mut wrong, mut area, mut points) = (0.0, 0.0, 0.0, Vec::new());
        for tied in order.chunk_by(|&a, &b| confidence[a] == confidence[b]) {
            let errors = tied.iter().filter(|&&image| !is_correct[image]).count() as f64;
            let share = errors / tied.len() as f64;
            // In a random order the i-th prediction of the tie is wrong with probability `share`.
            area += (1..=tied.len()).map(|i| (wrong + i as f64 * share) / (made + i as f64)).sum::<f64>();
            made += tied.len() as f64;
            wrong += errors;
            points.push((made / all, wrong / made));
        }
        Some(Self { points, area: area / all })
    }

    /// The largest coverage at which the error rate is at most `error_rate`, with that coverage's error rate.
    pub fn coverage_at(&self, error_rate: f64) -> Option<(f64, f64)> {
        self.points.iter().rev().find(|point| point.1 <= error_rate).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "found {found}, expected {expected}");
    }

    /// By confidence: right, right, wrong, right. Error rates 0, 0, 1/3, 1/4; their mean is 7/48.
    #[test]
    fn the_curve_matches_predictions_counted_by_hand() {
        let found = RiskCoverage::of(&[0.9, 0.6, 0.8, 0.7], &[true, true, true, false]).unwrap();
        assert_eq!(found.points, [(0.25, 0.0), (0.5, 0.0), (0.75, 1.0 / 3.0), (1.0, 0.25)]);
        close(found.area, 7.0 / 48.0);
        assert_eq!(found.coverage_at(0.1), Some((0.5, 0.0)));
        assert_eq!(found.coverage_at(0.3), Some((1.0, 0.25)));
    }

    /// Equal confidences say nothing: one point, and the area is the error rate.
    #[test]
    fn equal_confidences_are_one_point() {
        let found = RiskCoverage::of(&[0.5; 4], &[true, false, true, true]).unwrap();
        assert_eq!(found.points, [(1.0, 0.25)]);
        close(found.area, 0.25);
        assert_eq!(found.coverage_at(0.2), None);
        assert_eq!(RiskCoverage::of(&[], &[]), None);
    }
}
