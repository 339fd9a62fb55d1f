//! Labels that the other images contradict: each image is predicted by the device's head, fitted without it.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::evaluate::{EvaluateError, HeadKind, Progress};
use crate::measure::Features;

/// Parts that are left out in turn.
const FOLDS: usize = 10;

/// Most bytes of copied features of the folds that are computed at once, unless one fold needs more.
const FOLD_BYTES_MAX: usize = 2 << 30;

/// Bytes that a fold has of each value: a copy, the same quantised, and quantised in the order of the head.
const BYTES_PER_VALUE: usize = size_of::<f32>() + 2 * size_of::<i16>();

/// Probabilities of the classes for each image, by a head fitted without the tenth of the images that it is in; `None` if the
/// other nine tenths have no image of its class.
///
/// Images of one group (a patient) are left out together, so that a patient's other images do not vouch for a wrong label.
///
/// * `features`: `[N, D]`, centred and scaled
/// * `labels`: `[N]`, below `num_classes`
/// * `groups`: `[N]`
///
/// # Errors
/// When the head cannot take the features: more than 4,096 dimensions or 255 classes.
pub fn out_of_fold(
    features: &Features,
    labels: &[usize],
    groups: &[Option<&str>],
    num_classes: usize,
    head: HeadKind,
    progress: Progress,
) -> Result<Vec<Option<Vec<f64>>>, EvaluateError> {
    let folds = folds(labels, groups);
    let of_fold = |fold: &Vec<usize>| {
        let found = predict(features, labels, num_classes, head, fold);
        progress(fold.len());
        found
    };
    let mut scores = vec![None; labels.len()];
    for folds in folds.chunks(folds_at_once(features.rows.len())) {
        let predicted: Vec<Vec<(usize, Vec<f64>)>> = folds.par_iter().map(of_fold).collect::<Result<_, _>>()?;
        predicted.into_iter().flatten().for_each(|(position, found)| scores[position] = Some(found));
    }
    Ok(scores)
}

/// Folds of `values` values of features that may be in memory together, at least one.
fn folds_at_once(values: usize) -> usize {
    (FOLD_BYTES_MAX / values.saturating_mul(BYTES_PER_VALUE).max(1)).max(1)
}

/// Positions of each fold. Classes are spread over all folds.
fn folds(labels: &[usize], groups: &[Option<&str>]) -> Vec<Vec<usize>> {
    let mut unit_of_group: HashMap<&str, usize> = HashMap::new();
    let mut units: Vec<Vec<usize>> = Vec::new();
    for (position, group) in groups.iter().enumerate() {
        let unit = group.map_or(units.len(), |group| *unit_of_group.entry(group).or_insert(units.len()));
        if unit == units.len() {
            units.push(Vec::new());
        }
        units[unit].push(position);
    }
    units.sort_by_key(|unit| (labels[unit[0]], unit[0]));
    let mut folds = vec![Vec::new(); FOLDS.min(units.len())];
    let count = folds.len();
    units.into_iter().enumerate().for_each(|(rank, unit)| folds[rank % count].extend(unit));
    folds
}

/// Probabilities of the images `fold`, by a head fitted to all others.
fn predict(
    features: &Features,
    labels: &[usize],
    num_classes: usize,
    head: HeadKind,
    fold: &[usize],
) -> Result<Vec<(usize, Vec<f64>)>, EvaluateError> {
    let mut is_left_out = vec![false; labels.len()];
    fold.iter().for_each(|&position| is_left_out[position] = true);
    let kept: Vec<usize> = (0..labels.len()).filter(|&position| !is_left_out[position]).collect();
    // The head takes classes that occur.
    let mut places = vec![None; num_classes];
    kept.iter().for_each(|&position| places[labels[position]] = Some(0));
    let mut count = 0;
    for place in places.iter_mut().flatten() {
        *place = count;
        count += 1;
    }
    let checked: Vec<usize> = fold.iter().copied().filter(|&position| places[labels[position]].is_some()).collect();
    if checked.is_empty() {
        return Ok(Vec::new());
    }
    let kept_labels: Vec<usize> = kept.iter().filter_map(|&position| places[labels[position]]).collect();
    let scores = head.scores(&features.select(&kept), &kept_labels, count, &features.select(&checked))?;
    let spread = |row: &[f64]| places.iter().map(|place| place.map_or(0.0, |place| row[place])).collect();
    Ok(checked.into_iter().zip(scores.chunks(count).map(spread)).collect())
}

/// How far the other images contradict a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Doubt {
    /// The image's position.
    pub position: usize,
    /// Probability of its label.
    pub probability: f64,
    /// The most probable other class.
    pub other: usize,
    /// Its probability.
    pub other_probability: f64,
    /// Whether it counts as a wrong label by confident learning.
    pub is_estimated_error: bool,
}

impl Doubt {
    /// Probability of the label minus that of the most probable other class, -1 to 1.
    pub fn margin(&self) -> f64 {
        self.probability - self.other_probability
    }
}

/// The doubt in each label that has probabilities, the smallest margin first.
///
/// An image is an estimated error if the most probable of the classes that are at least as probable as they are, on average,
/// for images labelled with them is not its label (Northcutt et al. 2021, arXiv:1911.00068, section 3.1).
///
/// * `scores`: from [`out_of_fold`]
pub fn doubts(scores: &[Option<Vec<f64>>], labels: &[usize], num_classes: usize) -> Vec<Doubt> {
    let mut sums = vec![[0.0; 2]; num_classes];
    for (row, &label) in scores.iter().zip(labels) {
        if let Some(row) = row {
            sums[label] = [sums[label][0] + row[label], sums[label][1] + 1.0];
        }
    }
    // A class whose labels cannot be checked suggests nothing.
    let usual: Vec<f64> =
        sums.iter().map(|&[sum, count]| if count > 0.0 { sum / count } else { f64::INFINITY }).collect();
    let largest = |row: &[f64], counts: &dyn Fn(usize) -> bool| {
        let classes = (0..num_classes).filter(|&class| counts(class));
        // Of equal classes the first.
        classes.reduce(|best, class| if row[class] > row[best] { class } else { best })
    };
    let doubt = |(position, (row, &label)): (usize, (&Option<Vec<f64>>, &usize))| {
        let row = row.as_ref()?;
        let other = largest(row, &|class| class != label && usual[class].is_finite())?;
        let confident = largest(row, &|class| row[class] >= usual[class]);
        Some(Doubt {
            position,
            probability: row[label],
            other,
            other_probability: row[other],
            is_estimated_error: confident.is_some_and(|class| class != label),
        })
    };
    let mut doubts: Vec<Doubt> = scores.iter().zip(labels).enumerate().filter_map(doubt).collect();
    doubts.sort_by(|a, b| a.margin().total_cmp(&b.margin()).then(a.position.cmp(&b.position)));
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// Three clouds, of which every twentieth label is wrong.
    fn clouds() -> (Features, Vec<usize>, Vec<usize>) {
        let mut rng = Rng::for_purpose(5, "test");
        let truth: Vec<usize> = (0..300).map(|i| i % 3).collect();
        let rows = truth
            .iter()
            .flat_map(|&class| {
                (0..12).map(|d| rng.normal() + if d % 3 == class { 2.0 } else { 0.0 }).collect::<Vec<_>>()
            })
            .collect();
        let wrong: Vec<usize> = (0..300).step_by(20).collect();
        let labels =
            truth.iter().enumerate().map(|(i, &class)| if i % 20 == 0 { (class + 1) % 3 } else { class }).collect();
        (Features { dim: 12, rows }, labels, wrong)
    }

    #[test]
    fn flipped_labels_are_the_most_suspicious() {
        let (features, labels, wrong) = clouds();
        let groups = vec![None; labels.len()];
        let scores = out_of_fold(&features, &labels, &groups, 3, HeadKind::Auto, &|_| ()).unwrap();
        let found = doubts(&scores, &labels, 3);
        let mut first: Vec<usize> = found[..wrong.len()].iter().map(|doubt| doubt.position).collect();
        first.sort_unstable();
        let right = first.iter().filter(|position| wrong.contains(position)).count();
        assert!(right + 1 >= wrong.len(), "{first:?}");
        let estimated = found.iter().filter(|doubt| doubt.is_estimated_error).count();
        assert!((wrong.len() - 2..=wrong.len() + 6).contains(&estimated), "{estimated}");
        assert_eq!(found[0].other, (labels[found[0].position] + 2) % 3, "the class before it was flipped");
    }

    #[test]
    fn folds_of_large_datasets_are_not_all_in_memory() {
        assert!(folds_at_once(300 * 12) >= FOLDS && folds_at_once(0) >= FOLDS);
        assert_eq!([folds_at_once(1 << 26), folds_at_once(1 << 29)], [4, 1]);
    }

    #[test]
    fn groups_are_left_out_together_and_a_lone_class_is_not_checked() {
        let (features, mut labels, _) = clouds();
        labels[7] = 3;
        let names: Vec<String> = (0..300).map(|i| (i / 5).to_string()).collect();
        let groups: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
        for fold in folds(&labels, &groups) {
            assert!(fold.len() >= 20 && fold.iter().all(|at| (0..5).all(|i| fold.contains(&(at / 5 * 5 + i)))));
        }
        let scores = out_of_fold(&features, &labels, &groups, 4, HeadKind::Gaussian, &|_| ()).unwrap();
        assert_eq!(scores.iter().filter(|row| row.is_none()).count(), 1, "the only image of class 3");
        assert!(scores[7].is_none());
        let found = doubts(&scores, &labels, 4);
        assert!(found.len() == 299 && found.iter().all(|doubt| doubt.other != 3), "class 3 suggests nothing");
        assert!(doubts(&[Some(vec![1.0])], &[0], 1).is_empty(), "one class has no other");
    }
}
