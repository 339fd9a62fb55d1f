//! A training and a test part for a data set that names none.

use std::collections::BTreeMap;

use crate::data::Dataset;
use crate::rng::Rng;

/// One part in this many becomes the test part.
const TEST_ONE_IN: usize = 5;

/// Divides all images into a training and a test part, four to one, by `seed`: class by class, so
/// that each class keeps its share, and with whole groups where groups are given.
///
/// A group counts for the class of its first image. Both lists are in index order.
pub fn divide(dataset: &Dataset, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut units: BTreeMap<Unit, Vec<usize>> = BTreeMap::new();
    for (index, record) in dataset.records.iter().enumerate() {
        let unit = record.group.as_ref().map_or(Unit::Image(index), |group| Unit::Group(group));
        units.entry(unit).or_default().push(index);
    }
    let mut by_class: BTreeMap<Option<usize>, Vec<Vec<usize>>> = BTreeMap::new();
    for images in units.into_values() {
        by_class.entry(dataset.records[images[0]].label).or_default().push(images);
    }
    let (mut train, mut test) = (Vec::new(), Vec::new());
    let mut rng = Rng::for_purpose(seed, "split");
    for (_, mut units) in by_class {
        rng.shuffle(&mut units);
        // A class of two units or more is in both parts.
        let tests = units.len().div_ceil(TEST_ONE_IN).min(units.len() - 1);
        test.extend(units.drain(..tests).flatten());
        train.extend(units.into_iter().flatten());
    }
    train.sort_unstable();
    test.sort_unstable();
    (train, test)
}

/// What may not be torn apart.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Unit<'a> {
    Group(&'a str),
    Image(usize),
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn dataset(groups: bool) -> Dataset {
        let mut dataset = crate::data::open_named("phantoms:16:120", 1).unwrap();
        for (index, record) in dataset.records.iter_mut().enumerate() {
            record.group = groups.then(|| format!("patient {}", index / 4));
        }
        dataset
    }

    #[test]
    fn every_class_keeps_its_share_and_every_image_its_place() {
        let dataset = dataset(false);
        let (train, test) = divide(&dataset, 3);
        let all: HashSet<usize> = train.iter().chain(&test).copied().collect();
        assert_eq!((all.len(), train.len() + test.len()), (120, 120));
        for class in 0..dataset.class_names.len() {
            let of_class = |images: &[usize]| images.iter().filter(|&&i| dataset.records[i].label == Some(class)).count();
            let (trained, tested) = (of_class(&train), of_class(&test));
            assert_eq!(tested, (trained + tested).div_ceil(TEST_ONE_IN), "class {class}");
        }
        assert_eq!(divide(&dataset, 3), (train, test.clone()));
        assert_ne!(divide(&dataset, 4).1, test);
    }

    #[test]
    fn groups_stay_whole() {
        let dataset = dataset(true);
        let (train, test) = divide(&dataset, 3);
        let patients = |images: &[usize]| images.iter().map(|index| index / 4).collect::<HashSet<_>>();
        assert!(!test.is_empty() && patients(&train).is_disjoint(&patients(&test)));
    }
}
