//! The curve of receiver operating characteristics.

/// The ROC curve: `(1 - specificity, sensitivity)` of each threshold, from (0, 0) to (1, 1). `None` unless there are positive and
/// negative images.
///
/// `scores` and `positive` have one entry per image. Images of equal score pass a threshold together, so the area under the
/// polygon is that of [`super::roc_auc`] (Fawcett 2006, algorithm 1).
pub fn roc_curve(scores: &[f64], positive: &[bool]) -> Option<Vec<(f64, f64)>> {
    let positives = positive.iter().filter(|&&is| is).count();
    let negatives = positive.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let (mut found, mut wrong, mut points) = (0, 0, vec![(0.0, 0.0)]);
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let of_class = tied.iter().filter(|&&image| positive[image]).count();
        found += of_class;
        wrong += tied.len() - of_class;
        points.push((wrong as f64 / negatives as f64, found as f64 / positives as f64));
    }
    Some(points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::roc_auc;

    #[test]
    fn the_curve_matches_thresholds_by_hand() {
        let positive = [true, false, true, false];
        assert_eq!(
            roc_curve(&[0.9, 0.8, 0.8, 0.1], &positive).unwrap(),
            [(0.0, 0.0), (0.0, 0.5), (0.5, 1.0), (1.0, 1.0)]
        );
        assert_eq!(roc_curve(&[0.9, 0.8], &[true, true]), None);
    }

    #[test]
    fn the_polygon_has_the_area_of_the_rank_statistic() {
        let scores = [0.3, 0.7, 0.7, 0.2, 0.9, 0.1, 0.7, 0.4];
        let positive = [false, true, false, false, true, true, true, false];
        let points = roc_curve(&scores, &positive).unwrap();
        let trapezoids = points.windows(2).map(|pair| (pair[1].0 - pair[0].0) * (pair[1].1 + pair[0].1) / 2.0);
        assert!((trapezoids.sum::<f64>() - roc_auc(&scores, &positive).unwrap()).abs() < 1e-12);
    }
}
