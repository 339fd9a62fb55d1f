//! How right a classifier was: balanced accuracy and recall of each class first.

/// How often each class was taken for each, and how often nothing was said.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ConfusionMatrix {
    /// `counts[truth][predicted]`.
    counts: Vec<Vec<u64>>,
    /// Images of each class that were not decided on.
    #[serde(skip_serializing_if = "nothing")]
    abstained: Vec<u64>,
}

fn nothing(counts: &[u64]) -> bool {
    counts.iter().all(|&count| count == 0)
}

impl ConfusionMatrix {
    /// An empty one of `num_classes`.
    pub fn new(num_classes: usize) -> Self {
        Self { counts: vec![vec![0; num_classes]; num_classes], abstained: vec![0; num_classes] }
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

    /// Counts one image of class `truth` that was not decided on.
    pub fn abstain(&mut self, truth: usize) {
        self.abstained[truth] += 1;
    }

    /// Adds all of `other`, which has as many classes.
    pub fn merge(&mut self, other: &Self) {
        let cells = self.counts.iter_mut().flatten().zip(other.counts.iter().flatten());
        cells.chain(self.abstained.iter_mut().zip(&other.abstained)).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// `counts[truth][predicted]` of the images that were decided on.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Images of each class that were not decided on.
    pub fn abstained(&self) -> &[u64] {
        &self.abstained
    }

    /// These counts without the images that were not decided on.
    pub fn decided(&self) -> Self {
        Self { counts: self.counts.clone(), abstained: vec![0; self.abstained.len()] }
    }

    /// Images counted, those not decided on among them.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().chain(&self.abstained).sum()
    }

    /// Images of `class`, those not decided on among them.
    pub fn images(&self, class: usize) -> u64 {
        self.counts[class].iter().sum::<u64>() + self.abstained[class]
    }

    /// Share of each class's images that were recognised, also called sensitivity; none for a class without images.
    ///
    /// An image that was not decided on was not recognised.
    pub fn recalls(&self) -> Vec<Option<f64>> {
        let recall = |class: usize| {
            let images = self.images(class);
            (images > 0).then(|| self.counts[class][class] as f64 / images as f64)
        };
        (0..self.counts.len()).map(recall).collect()
    }

    /// For each class, the share of the images of other classes that were not taken for it; none where there are no
    /// such images. An image that was not decided on was not taken for any class.
    pub fn specificities(&self) -> Vec<Option<f64>> {
        let total = self.total();
        let specificity = |class: usize| {
            let others = total - self.images(class);
            let taken: u64 = self.counts.iter().map(|row| row[class]).sum::<u64>() - self.counts[class][class];
            (others > 0).then(|| (others - taken) as f64 / others as f64)
        };
        (0..self.counts.len()).map(specificity).collect()
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
        // Ranks start at 1; all images of one score share the mean of the ranks they take.
        let mid_rank = start as f64 + (tied.len() as f64 + 1.0) / 2.0;
        rank_sum += mid_rank * tied.iter().filter(|&&image| positive[image]).count() as f64;
        start += tied.len();
    }
    let (positives, negatives) = (positives as f64, negatives as f64);
    Some((rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

/// Area under the ROC curve of each class against all others, by its score; none for a class that has all images or none.
///
/// * `scores`: `[N, num_classes]`, for each class the higher the likelier
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
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    #[test]
    fn recall_and_balanced_accuracy_of_a_table_worked_by_hand() {
        // Class 0: 3 of 4 right, class 1: 1 of 2, class 2: none there.
        let confusion = ConfusionMatrix::of(3, &[0, 0, 0, 0, 1, 1], &[0, 0, 0, 1, 1, 2]);
        assert_eq!(confusion.counts(), [[3, 1, 0], [0, 1, 1], [0, 0, 0]]);
        assert_eq!(confusion.recalls(), [Some(0.75), Some(0.5), None]);
        close(confusion.balanced_accuracy(), 0.625);
        close(confusion.accuracy(), 4.0 / 6.0);
        assert!(ConfusionMatrix::new(2).balanced_accuracy().is_nan());
    }

    /// Always saying the common class: high accuracy, chance balanced accuracy.
    #[test]
    fn the_majority_class_earns_chance() {
        let truth: Vec<usize> = (0..100).map(|image| usize::from(image >= 95)).collect();
        let confusion = ConfusionMatrix::of(2, &truth, &[0; 100]);
        close(confusion.accuracy(), 0.95);
        close(confusion.balanced_accuracy(), 0.5);
    }

    #[test]
    fn merging_is_counting_both() {
        let mut left = ConfusionMatrix::of(2, &[0, 1], &[0, 0]);
        left.merge(&ConfusionMatrix::of(2, &[1, 1], &[1, 0]));
        assert_eq!(left, ConfusionMatrix::of(2, &[0, 1, 1, 1], &[0, 0, 1, 0]));
    }

    #[test]
    fn area_under_roc_in_closed_form() {
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

    /// Class 0 has 5 images: 3 right, 1 taken for class 1, 1 undecided. Class 1 has 4: 2 right, 1 for 0, 1 for 2.
    /// Class 2 has 1, right.
    #[test]
    fn sensitivity_and_specificity_of_a_table_worked_by_hand() {
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
    fn one_versus_rest_of_two_classes_is_the_area_of_the_second_twice() {
        let scores = [0.9, 0.1, 0.6, 0.4, 0.65, 0.35, 0.2, 0.8];
        let areas = roc_auc_one_vs_rest(&scores, &[0, 0, 1, 1], 2);
        assert_eq!(areas, [Some(0.75), Some(0.75)]);
        assert_eq!(roc_auc_one_vs_rest(&scores, &[1, 1, 1, 1], 2), [None, None]);
    }
}
