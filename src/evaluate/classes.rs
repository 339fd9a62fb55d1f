//! The classes of an evaluation: those with images.

use super::EvaluateError;
use crate::data::Dataset;

/// Labels of `indices`, each below the number of classes.
///
/// # Errors
/// When an image has no label.
pub fn labels(dataset: &Dataset, indices: &[usize]) -> Result<Vec<usize>, EvaluateError> {
    let label = |&index: &usize| {
        let record = &dataset.records[index];
        record.label.ok_or_else(|| EvaluateError::Unlabelled { name: record.name.clone() })
    };
    indices.iter().map(label).collect()
}

/// Removes the classes without an image among `indices` from `dataset` and renumbers the others in order. Images of a
/// removed class lose their label. Returns the names of the removed classes.
pub fn leave_out_empty_classes(dataset: &mut Dataset, indices: &[usize]) -> Vec<String> {
    let mut used = vec![false; dataset.class_names.len()];
    indices.iter().filter_map(|&index| dataset.records[index].label).for_each(|label| used[label] = true);
    let mut next = 0..;
    let numbers: Vec<Option<usize>> = used.iter().map(|&used| if used { next.next() } else { None }).collect();
    for record in &mut dataset.records {
        record.label = record.label.and_then(|label| numbers[label]);
    }
    let (kept, removed): (Vec<_>, Vec<_>) =
        std::mem::take(&mut dataset.class_names).into_iter().zip(used).partition(|(_, used)| *used);
    let names = |classes: Vec<(String, bool)>| classes.into_iter().map(|(name, _)| name).collect();
    dataset.class_names = names(kept);
    names(removed)
}

/// Checks that every class is among `labels`, those of the split `part`.
///
/// # Errors
/// The first class that is not.
pub fn require_every_class(class_names: &[String], labels: &[usize], part: &'static str) -> Result<(), EvaluateError> {
    match (0..class_names.len()).find(|class| !labels.contains(class)) {
        Some(class) => Err(EvaluateError::EmptyClass { class: class_names[class].clone(), part }),
        None => Ok(()),
    }
}

/// Checks that `labels`, those of the split `part`, are of at least two classes.
///
/// # Errors
/// When they are all of one class.
pub fn require_two_classes(class_names: &[String], labels: &[usize], part: &str) -> Result<(), EvaluateError> {
    match labels.first() {
        Some(&first) if labels.iter().all(|&label| label == first) => {
            Err(EvaluateError::OneClass { class: class_names[first].clone(), part: part.to_owned() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::open_named;

    #[test]
    fn classes_without_images_are_removed_and_the_others_renumbered() {
        let mut dataset = open_named("phantoms:16:30", 1).unwrap();
        let names = dataset.class_names.clone();
        assert!(names.len() > 3);
        let of = |dataset: &Dataset, label| -> Vec<usize> {
            (0..dataset.len()).filter(|&index| dataset.records[index].label == Some(label)).collect()
        };
        let indices: Vec<usize> = [1, 3].into_iter().flat_map(|label| of(&dataset, label)).collect();
        let (ones, threes) = (of(&dataset, 1), of(&dataset, 3));
        let removed = leave_out_empty_classes(&mut dataset, &indices);
        assert_eq!(dataset.class_names, [names[1].clone(), names[3].clone()]);
        assert_eq!(removed.len() + 2, names.len());
        assert_eq!((of(&dataset, 0), of(&dataset, 1)), (ones, threes));
        assert!(
            dataset
                .records
                .iter()
                .enumerate()
                .all(|(index, record)| record.label.is_some() == indices.contains(&index))
        );
        assert_eq!(leave_out_empty_classes(&mut dataset, &indices), [""; 0]);
    }

    #[test]
    fn one_class_is_refused_by_name() {
        let names = ["a".to_owned(), "b".to_owned()];
        assert!(require_two_classes(&names, &[0, 1, 1], "test").is_ok());
        let refused = require_two_classes(&names, &[1, 1], "test");
        assert!(matches!(refused, Err(EvaluateError::OneClass { class, part }) if class == "b" && part == "test"));
    }
}
