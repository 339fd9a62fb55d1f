//! How right a classifier was: balanced accuracy and recall of each class first.

/// How often each class was taken for each.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Confusion {
    /// `counts[truth][predicted]`.
    counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// An empty one of `num_classes`.
    pub fn new(num_classes: usize) -> Self {
        Self { counts: vec![vec![0; num_classes]; num_classes] }
    }

    /// Of `truth` and `predicted`, two slices of one length, all values below `num_classes`.
    pub fn of(num_classes: usize, truth: &[usize], predicted: &[usize]) -> Self {
        let mut confusion = Self::new(num_classes);
        truth.iter().zip(predicted).for_each(|(&truth, &predicted)| confusion.add(truth, predicted));
        confusion
    }

    /// Counts one image.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        self.counts[truth][predicted] += 1;
    }

    /// Adds all of `other`, which has as many classes.
    pub fn merge(&mut self, other: &Self) {
        let cells = self.counts.iter_mut().flatten().zip(other.counts.iter().flatten());
        cells.for_each(|(mine, theirs)| *mine += theirs);
    }

    /// `counts[truth][predicted]`.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Images counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// Share of each class's images that were recognised; none for a class without images.
    pub fn recalls(&self) -> Vec<Option<f64>> {
        let recall = |(class, row): (usize, &Vec<u64>)| {
            let images: u64 = row.iter().sum();
            (images > 0).then(|| row[class] as f64 / images as f64)
        };
        self.counts.iter().enumerate().map(recall).collect()
    }

    /// Mean recall over the classes that have images; NaN when nothing was counted.
    pub fn balanced_accuracy(&self) -> f64 {
        let recalls: Vec<f64> = self.recalls().into_iter().flatten().collect();
        recalls.iter().sum::<f64>() / recalls.len() as f64
    }

    /// Share of all images that were recognised; NaN when nothing was counted.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = self.counts.iter().enumerate().map(|(class, row)| row[class]).sum();
        right as f64 / self.total() as f64
    }
}

/// Area under the ROC curve: the chance that a positive image scores above a negative one, a tie
/// counting one half. None unless both kinds are there.
///
/// `scores` and `positive` have one entry an image. Mann and Whitney 1947; ties by mid-ranks.
pub fn area_under_roc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let positives = positive.iter().filter(|&&is| is).count();
    let negatives = positive.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut rank_sum, mut start) = (0.0, 0);
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        // Ranks start at 1; all images of one score share the mean of the ranks they take.
        let mid_rank = start as f64 + (tied.len() as f64 + 1.0) / 2.0;
        rank_sum += mid_rank * tied.iter().filter(|&&image| positive[image]).count() as f64;
        start += tied.len();
    }
    let (positives, negatives) = (positives as f64, negatives as f64);
    Some((rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

/// A mean and how far it can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Half the width of the 95 % confidence interval of the mean; 0 for a single value.
    pub half_width_95: f64,
}

impl Interval {
    /// Mean of independent `values` with the normal approximation, `1.96 s / √n`, `s` the sample
    /// standard deviation. `values` is not empty.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let variance = if values.len() > 1 { squares / (n - 1.0) } else { 0.0 };
        Self { mean, half_width_95: 1.96 * (variance / n).sqrt() }
    }

    /// Of the balanced accuracy of one test set, by the delta method: the recalls are independent
    /// binomial shares, so the variance of their mean over `C` classes is `Σ r (1 - r) / n_c / C²`.
    pub fn of_balanced_accuracy(confusion: &Confusion) -> Self {
        let variances: Vec<f64> = (confusion.recalls().iter().zip(confusion.counts()))
            .filter_map(|(recall, row)| recall.map(|r| r * (1.0 - r) / row.iter().sum::<u64>() as f64))
            .collect();
        let standard_error = variances.iter().sum::<f64>().sqrt() / variances.len() as f64;
        Self { mean: confusion.balanced_accuracy(), half_width_95: 1.96 * standard_error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    #[test]
    fn recall_and_balanced_accuracy_of_a_table_worked_by_hand() {
        // Class 0: 3 of 4 right, class 1: 1 of 2, class 2: none there.
        let confusion = Confusion::of(3, &[0, 0, 0, 0, 1, 1], &[0, 0, 0, 1, 1, 2]);
        assert_eq!(confusion.counts(), [[3, 1, 0], [0, 1, 1], [0, 0, 0]]);
        assert_eq!(confusion.recalls(), [Some(0.75), Some(0.5), None]);
        close(confusion.balanced_accuracy(), 0.625);
        close(confusion.accuracy(), 4.0 / 6.0);
        assert!(Confusion::new(2).balanced_accuracy().is_nan());
    }

    /// Always saying the common class: high accuracy, chance balanced accuracy.
    #[test]
    fn the_majority_class_earns_chance() {
        let truth: Vec<usize> = (0..100).map(|image| usize::from(image >= 95)).collect();
        let confusion = Confusion::of(2, &truth, &[0; 100]);
        close(confusion.accuracy(), 0.95);
        close(confusion.balanced_accuracy(), 0.5);
    }

    #[test]
    fn merging_is_counting_both() {
        let mut left = Confusion::of(2, &[0, 1], &[0, 0]);
        left.merge(&Confusion::of(2, &[1, 1], &[1, 0]));
        assert_eq!(left, Confusion::of(2, &[0, 1, 1, 1], &[0, 0, 1, 0]));
    }

    #[test]
    fn area_under_roc_in_closed_form() {
        let positive = [false, false, true, true];
        close(area_under_roc(&[0.1, 0.2, 0.3, 0.4], &positive).unwrap(), 1.0);
        close(area_under_roc(&[0.4, 0.3, 0.2, 0.1], &positive).unwrap(), 0.0);
        close(area_under_roc(&[0.5; 4], &positive).unwrap(), 0.5);
        // Pairs (positive, negative): .35>.1, .35<.4, .8>.1, .8>.4 — three of four.
        close(area_under_roc(&[0.1, 0.4, 0.35, 0.8], &positive).unwrap(), 0.75);
        // One tie counts one half: 1 + 1 + 1 + 1/2 of four.
        close(area_under_roc(&[0.1, 0.4, 0.4, 0.8], &positive).unwrap(), 0.875);
        assert_eq!(area_under_roc(&[0.1, 0.2], &[true, true]), None);
    }

    #[test]
    fn intervals_in_closed_form() {
        let interval = Interval::of(&[0.0, 1.0, 0.0, 1.0]);
        close(interval.mean, 0.5);
        close(interval.half_width_95, 1.96 * (1.0f64 / 3.0 / 4.0).sqrt());
        close(Interval::of(&[0.7]).half_width_95, 0.0);
        // Recalls 1/2 of 4 and 1 of 4: variance (1/16 + 0) / 4.
        let confusion = Confusion::of(2, &[0, 0, 0, 0, 1, 1, 1, 1], &[0, 0, 1, 1, 1, 1, 1, 1]);
        close(Interval::of_balanced_accuracy(&confusion).half_width_95, 1.96 * 0.25 / 2.0);
    }
}
