//! Predictions of single images, for a report.

use crate::measure::argmax_rows;

/// Probabilities that a head gives to the classes of labelled images. N predictions, K classes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// K.
    pub num_classes: usize,
    /// Position of each predicted image in the list of test images; in several episodes it occurs more than once.
    pub images: Vec<usize>,
    /// Class of each.
    pub truth: Vec<usize>,
    /// `[N, K]`. NaN for a class that is not in the episode.
    pub probabilities: Vec<f64>,
}

impl Predictions {
    /// N.
    pub fn len(&self) -> usize {
        self.truth.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.truth.is_empty()
    }

    /// Adds those of `other`, which has as many classes.
    pub fn extend(&mut self, other: &Self) {
        self.num_classes = other.num_classes;
        self.images.extend_from_slice(&other.images);
        self.truth.extend_from_slice(&other.truth);
        self.probabilities.extend_from_slice(&other.probabilities);
    }

    fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.probabilities.chunks_exact(self.num_classes.max(1))
    }

    /// The most probable class of each, the first of equals.
    pub fn predicted(&self) -> Vec<usize> {
        let known: Vec<f64> =
            self.probabilities.iter().map(|value| if value.is_nan() { -1.0 } else { *value }).collect();
        if self.is_empty() { Vec::new() } else { argmax_rows(&known, self.num_classes) }
    }

    /// The probability of the predicted class of each.
    pub fn confidence(&self) -> Vec<f64> {
        self.rows().map(|row| row.iter().copied().fold(0.0, f64::max)).collect()
    }

    /// Whether each is correct.
    pub fn is_correct(&self) -> Vec<bool> {
        self.predicted().iter().zip(&self.truth).map(|(predicted, truth)| predicted == truth).collect()
    }

    /// The probability of `class` and whether the image is of it, for each prediction that could have been `class`.
    pub fn of_class(&self, class: usize) -> (Vec<f64>, Vec<bool>) {
        let known = self.rows().zip(&self.truth).filter(|(row, _)| !row[class].is_nan());
        known.map(|(row, &truth)| (row[class], truth == class)).unzip()
    }

    /// The images that were mostly predicted wrongly, those first whose own class was given the least probability: at most `most`.
    pub fn mistakes(&self, most: usize) -> Vec<Mistake> {
        let predicted = self.predicted();
        let mut by_image = std::collections::BTreeMap::<usize, Mistake>::new();
        for (at, row) in self.rows().enumerate() {
            let (image, truth) = (self.images[at], self.truth[at]);
            let new = || Mistake { image, truth, of_truth: 0.0, times: 0, votes: vec![0; self.num_classes] };
            let entry = by_image.entry(image).or_insert_with(new);
            entry.of_truth += row[truth];
            entry.times += 1;
            entry.votes[predicted[at]] += 1;
        }
        let mut found: Vec<Mistake> =
            by_image.into_values().filter(|entry| 2 * entry.votes[entry.truth] < entry.times).collect();
        found.iter_mut().for_each(|entry| entry.of_truth /= f64::from(entry.times));
        // Stable: equal mistakes stay in the order of images.
        found.sort_by(|a, b| a.of_truth.total_cmp(&b.of_truth));
        found.truncate(most);
        found
    }
}

/// An image that was predicted wrongly in more than half of its predictions.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    /// Position in the list of test images.
    pub image: usize,
    /// Its class.
    pub truth: usize,
    /// Mean probability of its class.
    pub of_truth: f64,
    /// Predictions of it.
    pub times: u32,
    /// Predictions of each class.
    pub votes: Vec<u32>,
}

impl Mistake {
    /// The class that was predicted most often besides its own.
    pub fn predicted(&self) -> usize {
        let others = self.votes.iter().enumerate().filter(|(class, _)| *class != self.truth);
        others.max_by_key(|(class, votes)| (**votes, std::cmp::Reverse(*class))).map_or(self.truth, |(class, _)| class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Image 4 twice (once right), image 7 twice wrong, image 9 once wrong with more confidence, in an episode without class 0.
    fn example() -> Predictions {
        Predictions {
            num_classes: 3,
            images: vec![4, 4, 7, 7, 9],
            truth: vec![0, 0, 1, 1, 1],
            probabilities: vec![
                0.6,
                0.3,
                0.1, //
                0.2,
                0.5,
                0.3, //
                0.5,
                0.3,
                0.2, //
                0.1,
                0.2,
                0.7, //
                f64::NAN,
                0.05,
                0.95,
            ],
        }
    }

    #[test]
    fn predictions_are_the_most_probable_classes() {
        let found = example();
        assert_eq!(found.predicted(), [0, 1, 0, 2, 2]);
        assert_eq!(found.confidence(), [0.6, 0.5, 0.5, 0.7, 0.95]);
        assert_eq!(found.is_correct(), [true, false, false, false, false]);
        assert_eq!(found.of_class(0), (vec![0.6, 0.2, 0.5, 0.1], vec![true, true, false, false]));
        assert!(Predictions::default().predicted().is_empty());
    }

    #[test]
    fn the_worst_mistakes_come_first() {
        let found = example().mistakes(10);
        assert_eq!(
            found.iter().map(|mistake| mistake.image).collect::<Vec<_>>(),
            [9, 7],
            "image 4 was right once of two times"
        );
        assert_eq!((found[1].of_truth, found[1].times, found[1].predicted()), (0.25, 2, 0));
        assert_eq!(found[0].predicted(), 2);
        assert_eq!(example().mistakes(1).len(), 1);
    }
}
