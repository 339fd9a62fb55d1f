//! Classification metrics: confusion matrix, balanced accuracy, sensitivity and specificity per class, ROC AUC.

/// Confusion matrix, with the number of abstentions per class.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ConfusionMatrix {
    /// `counts[truth][predicted]`.
    counts: Vec<Vec<u64>>,
    /// Abstentions per true class.
    #[serde(skip_serializing_if = "all_zero")]
    abstained: Vec<u64>,
}

fn all_zero(counts: &[u64]) -> bool {
    counts.iter().all(|&count| count == 0)
}

impl ConfusionMatrix {
    /// An empty matrix for `num_classes`.
    pub fn new(num_classes: usize) -> Self {
        Self { counts: vec![vec![0; num_classes]; num_classes], abstained: vec![0; num_classes] }
    }

    /// From `truth` and `predicted`, slices of one length with values below `num_classes`.
    pub fn of(num_classes: usize, truth: &[usize], predicted: &[usize]) -> Self {
        let mut confusion = Self::new(num_classes);
        truth.iter().zip(predicted).for_each(|(&truth, &predicted)| confusion.add(truth, predicted));
        confusion
    }

    /// Counts one image.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        self.counts[truth][predicted] += 1;
    }

    /// Counts an abstention on an image of class `truth`.
    pub fn abstain(&mut self, truth: usize) {
        self.abstained[truth] += 1;
    }

    /// Adds the counts of `other`, which has as many classes.
    pub fn merge(&mut self, other: &Self) {
        let cells = self.counts.iter_mut().flatten().zip(other.counts.iter().flatten());
        cells.chain(self.abstained.iter_mut().zip(&other.abstained)).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// `counts[truth][predicted]`, without abstentions.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Abstentions per true class.
    pub fn abstained(&self) -> &[u64] {
        &self.abstained
    }

    /// The same matrix without abstentions.
    pub fn decided(&self) -> Self {
        Self { counts: self.counts.clone(), abstained: vec![0; self.abstained.len()] }
    }

    /// Number of images, abstentions included.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().chain(&self.abstained).sum()
    }

    /// Number of images of `class`, abstentions included.
    pub fn images(&self, class: usize) -> u64 {
        self.counts[class].iter().sum::<u64>() + self.abstained[class]
    }

    /// Recall (sensitivity) per class; none for a class without images. An abstention counts as an error.
    pub fn recalls(&self) -> Vec<Option<f64>> {
        let recall = |class: usize| {
            let images = self.images(class);
            (images > 0).then(|| self.counts[class][class] as f64 / images as f64)
        };
        (0..self.counts.len()).map(recall).collect()
    }

    /// Specificity per class: the share of the images of other classes that were not predicted as it; none without such
    /// images. An abstention predicts no class.
    pub fn specificities(&self) -> Vec<Option<f64>> {
        let total = self.total();
        let specificity = |class: usize| {
            let others = total - self.images(class);
            let false_positives: u64 =
                self.counts.iter().map(|row| row[class]).sum::<u64>() - self.counts[class][class];
            (others > 0).then(|| (others - false_positives) as f64 / others as f64)
        };
        (0..self.counts.len()).map(specificity).collect()
    }

    /// Mean recall over the classes with images; NaN for an empty matrix.
    pub fn balanced_accuracy(&self) -> f64 {
        let recalls: Vec<f64> = self.recalls().into_iter().flatten().collect();
        recalls.iter().sum::<f64>() / recalls.len() as f64
    }

    /// Share of correct predictions among all images; NaN for an empty matrix.
    pub fn accuracy(&self) -> f64 {
        let correct: u64 = self.counts.iter().enumerate().map(|(class, row)| row[class]).sum();
        correct as f64 / self.total() as f64
    }
}

/// Area under the ROC curve: the probability that a positive image scores above a negative one, where a tie counts one
/// half. None unless there are positive and negative images.
///
/// `scores` and `positive` have one entry per image. Mann and Whitney 1947; ties by mid-ranks.
pub fn roc_auc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let positives = positive.iter().filter(|&&is| is).count();
    let negatives = positive.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut rank_sum, mut start) = (0.0, 0);
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        // Ranks start at 1; images with equal scores share the mean of their ranks.
        let mid_rank = start as f64 + (tied.len() as f64 + 1.0) / 2.0;
        rank_sum += mid_rank * tied.iter().filter(|&&image| positive[image]).count() as f64;
        start += tied.len();
    }
    let (positives, negatives) = (positives as f64, negatives as f64);
    Some((rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

/// Area under the ROC curve of each class against all others; none for a class with all images or none.
///
/// * `scores`: `[N, num_classes]`, higher means more likely
/// * `truth`: `[N]`
pub fn roc_auc_one_vs_rest(scores: &[f64], truth: &[usize], num_classes: usize) -> Vec<Option<f64>> {
    let area = |class: usize| {
        let of_class: Vec<f64> = scores.chunks_exact(num_classes).map(|row| row[class]).collect();
        let positive: Vec<bool> = truth.iter().map(|&truth| truth == class).collect();
        roc_auc(&of_class, &positive)
    };
    (0..num_classes).map(area).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "found {found}, expected {expected}");
    }

    #[test]
    fn recall_and_balanced_accuracy_match_a_table_by_hand() {
        // Class 0: 3 of 4 correct, class 1: 1 of 2, class 2: no images.
        let confusion = ConfusionMatrix::of(3, &[0, 0, 0, 0, 1, 1], &[0, 0, 0, 1, 1, 2]);
        assert_eq!(confusion.counts(), [[3, 1, 0], [0, 1, 1], [0, 0, 0]]);
        assert_eq!(confusion.recalls(), [Some(0.75), Some(0.5), None]);
        close(confusion.balanced_accuracy(), 0.625);
        close(confusion.accuracy(), 4.0 / 6.0);
        assert!(ConfusionMatrix::new(2).balanced_accuracy().is_nan());
    }

    /// Always predicting the common class gives high accuracy and a balanced accuracy of chance.
    #[test]
    fn predicting_the_majority_class_has_chance_balanced_accuracy() {
        let truth: Vec<usize> = (0..100).map(|image| usize::from(image >= 95)).collect();
        let confusion = ConfusionMatrix::of(2, &truth, &[0; 100]);
        close(confusion.accuracy(), 0.95);
        close(confusion.balanced_accuracy(), 0.5);
    }

    #[test]
    fn merging_adds_the_counts() {
        let mut left = ConfusionMatrix::of(2, &[0, 1], &[0, 0]);
        left.merge(&ConfusionMatrix::of(2, &[1, 1], &[1, 0]));
        assert_eq!(left, ConfusionMatrix::of(2, &[0, 1, 1, 1], &[0, 0, 1, 0]));
    }

    #[test]
    fn roc_auc_matches_pairs_counted_by_hand() {
        let positive = [false, false, true, true];
        close(roc_auc(&[0.1, 0.2, 0.3, 0.4], &positive).unwrap(), 1.0);
        close(roc_auc(&[0.4, 0.3, 0.2, 0.1], &positive).unwrap(), 0.0);
        close(roc_auc(&[0.5; 4], &positive).unwrap(), 0.5);
        // Pairs (positive, negative): .35>.1, .35<.4, .8>.1, .8>.4 — three of four.
        close(roc_auc(&[0.1, 0.4, 0.35, 0.8], &positive).unwrap(), 0.75);
        // One tie counts one half: 1 + 1 + 1 + 1/2 of four.
        close(roc_auc(&[0.1, 0.4, 0.4, 0.8], &positive).unwrap(), 0.875);
        assert_eq!(roc_auc(&[0.1, 0.2], &[true, true]), None);
    }

    /// Class 0 has 5 images: 3 correct, 1 predicted as class 1, 1 abstention. Class 1 has 4: 2 correct, 1 predicted as 0,
    /// 1 as 2. Class 2 has 1, correct.
    #[test]
    fn sensitivity_and_specificity_match_a_table_by_hand() {
        let mut confusion = ConfusionMatrix::of(3, &[0, 0, 0, 0, 1, 1, 1, 1, 2], &[0, 0, 0, 1, 1, 1, 0, 2, 2]);
        confusion.abstain(0);
        assert_eq!(confusion.recalls(), [Some(0.6), Some(0.5), Some(1.0)]);
        assert_eq!(confusion.specificities(), [Some(4.0 / 5.0), Some(5.0 / 6.0), Some(8.0 / 9.0)]);
        close(confusion.balanced_accuracy(), 0.7);
        close(confusion.accuracy(), 0.6);
        assert_eq!((confusion.total(), confusion.images(0), confusion.abstained()), (10, 5, &[1, 0, 0][..]));
        close(confusion.decided().balanced_accuracy(), (0.75 + 0.5 + 1.0) / 3.0);
        assert_eq!(ConfusionMatrix::of(2, &[0, 0], &[0, 1]).specificities(), [None, Some(0.5)]);
        assert_eq!(serde_json::to_value(ConfusionMatrix::new(1)).unwrap(), serde_json::json!({ "counts": [[0]] }));
    }

    #[test]
    fn one_vs_rest_gives_both_of_two_classes_the_same_area() {
        let scores = [0.9, 0.1, 0.6, 0.4, 0.65, 0.35, 0.2, 0.8];
        let areas = roc_auc_one_vs_rest(&scores, &[0, 0, 1, 1], 2);
        assert_eq!(areas, [Some(0.75), Some(0.75)]);
        assert_eq!(roc_auc_one_vs_rest(&scores, &[1, 1, 1, 1], 2), [None, None]);
    }
}
