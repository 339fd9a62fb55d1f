//! Divides the images of a data set that names no split into those to train on and those to test on.
//!
//! The division depends on what the images show and on nothing else: not on a seed, not on names, not on the order of
//! files. Training and evaluation therefore come to the same one, whatever they were told besides, and an image that is
//! added later changes few others: images are tested on in the order of their digests until a fifth of their class is
//! reached.

use std::collections::{BTreeMap, HashMap};

use super::{Dataset, ImageDigest};

/// Share of the images of each class that is tested on.
const TEST_SHARE: f64 = 0.2;

/// Images to train on and images to test on, as indices into the data set, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrainTestSplit {
    /// Four fifths.
    pub train: Vec<usize>,
    /// One fifth.
    pub test: Vec<usize>,
}

/// Divides `images`, pairs of an index into `dataset` and the image's digest, in order of their indices.
///
/// Images of one group and equal images stay together. Each class is divided by itself; images that stay together
/// belong to the class that most of them have (the first such). A class of two or more such units has at least one
/// tested on, and beyond that the tested share is at most a fifth and lacks less than the largest unit.
pub fn train_test_split(dataset: &Dataset, images: &[(usize, ImageDigest)]) -> TrainTestSplit {
    let mut classes: BTreeMap<Option<usize>, Vec<Vec<usize>>> = BTreeMap::new();
    for members in units(dataset, images) {
        classes.entry(majority_label(dataset, images, &members)).or_default().push(members);
    }
    let mut is_test = vec![false; images.len()];
    for mut units in classes.into_values() {
        // Units have no digest in common: equal images are in one.
        units.sort_by_key(|members| members.iter().map(|&position| images[position].1).min());
        for unit in tested(&units) {
            unit.iter().for_each(|&position| is_test[position] = true);
        }
    }
    let mut division = TrainTestSplit::default();
    for (&(index, _), is_test) in images.iter().zip(is_test) {
        if is_test { division.test.push(index) } else { division.train.push(index) }
    }
    division
}

/// The units of one class that are tested on.
fn tested(units: &[Vec<usize>]) -> Vec<&Vec<usize>> {
    if units.len() < 2 {
        return Vec::new();
    }
    let total: usize = units.iter().map(Vec::len).sum();
    let mut room = ((TEST_SHARE * total as f64).round() as usize).max(1);
    let mut tested = Vec::new();
    for unit in units {
        if unit.len() <= room {
            room -= unit.len();
            tested.push(unit);
        }
    }
    if tested.is_empty() {
        // All units are larger than a fifth: the smallest comes nearest to it.
        tested.extend(units.iter().min_by_key(|unit| unit.len()));
    }
    tested
}

/// Positions in `images` that must stay together, in order of their first.
fn units(dataset: &Dataset, images: &[(usize, ImageDigest)]) -> Vec<Vec<usize>> {
    let mut root: Vec<usize> = (0..images.len()).collect();
    let mut tie = |a: usize, b: usize| {
        let (a, b) = (find_root(&mut root, a), find_root(&mut root, b));
        // The earlier position is the root, so that units come out in order.
        root[a.max(b)] = a.min(b);
    };
    let mut first_of_group: HashMap<&str, usize> = HashMap::new();
    let mut first_of_digest: HashMap<ImageDigest, usize> = HashMap::new();
    for (position, &(index, digest)) in images.iter().enumerate() {
        tie(position, *first_of_digest.entry(digest).or_insert(position));
        if let Some(group) = &dataset.records[index].group {
            tie(position, *first_of_group.entry(group).or_insert(position));
        }
    }
    let mut units = vec![Vec::new(); images.len()];
    for position in 0..images.len() {
        units[find_root(&mut root, position)].push(position);
    }
    units.retain(|members| !members.is_empty());
    units
}

fn find_root(root: &mut [usize], mut position: usize) -> usize {
    while root[position] != position {
        root[position] = root[root[position]];
        position = root[position];
    }
    position
}

fn majority_label(dataset: &Dataset, images: &[(usize, ImageDigest)], members: &[usize]) -> Option<usize> {
    let mut counts: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    for &position in members {
        *counts.entry(dataset.records[images[position].0].label).or_default() += 1;
    }
    let most = counts.values().max().copied();
    counts.into_iter().find(|(_, count)| Some(*count) == most).and_then(|(label, _)| label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Record;
    use crate::data::source::ImageFiles;
    use proptest::prelude::*;

    fn dataset(images: &[(usize, Option<u8>)]) -> Dataset {
        let record = |&(label, group): &(usize, Option<u8>)| {
            let group = group.map(|group| group.to_string());
            Record { label: Some(label), group, ..Record::default() }
        };
        let records = images.iter().map(record).collect();
        Dataset::new("made up".to_owned(), records, ImageFiles(Vec::new()))
    }

    /// A digest for each number, in no order of theirs.
    fn digest(number: u64) -> ImageDigest {
        ImageDigest((u128::from(number) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).to_be_bytes())
    }

    fn with_digests(count: usize) -> Vec<(usize, ImageDigest)> {
        (0..count).map(|index| (index, digest(index as u64))).collect()
    }

    proptest! {
        #[test]
        fn groups_stay_whole_and_the_share_is_near(images in prop::collection::vec((0usize..3, prop::option::of(0u8..20)), 1..200)) {
            let dataset = dataset(&images);
            let digests = with_digests(images.len());
            let division = train_test_split(&dataset, &digests);
            let mut all = [&division.train[..], &division.test[..]].concat();
            all.sort_unstable();
            prop_assert_eq!(all, dataset.indices(None));
            let (mut parts, mut sizes) = (BTreeMap::new(), BTreeMap::new());
            for (index, &(_, group)) in images.iter().enumerate() {
                if let Some(group) = group {
                    let is_test = division.test.contains(&index);
                    prop_assert_eq!(*parts.entry(group).or_insert(is_test), is_test);
                    *sizes.entry(group).or_insert(0usize) += 1;
                }
            }
            let largest = sizes.values().max().copied().unwrap_or(1) as f64;
            // Three classes, each off by at most its largest group and half an image of rounding.
            let off = (division.test.len() as f64 - TEST_SHARE * images.len() as f64).abs();
            prop_assert!(off <= 3.0 * (largest + 0.5), "{off}");
        }
    }

    #[test]
    fn neither_order_nor_names_decide_and_equal_images_stay_together() {
        let images: Vec<_> = (0..300).map(|i| (usize::from(i % 10 == 0), None)).collect();
        let dataset = dataset(&images);
        let mut digests = with_digests(300);
        digests[7].1 = digests[3].1;
        digests[20].1 = digests[3].1;
        let division = train_test_split(&dataset, &digests);
        let in_test = |index: usize| division.test.contains(&index);
        assert!(in_test(3) == in_test(7) && in_test(3) == in_test(20));
        assert_eq!(division.test.iter().filter(|&&index| images[index].0 == 1).count(), 6, "a fifth of the thirty");
        // The same pictures at other places.
        let moved: Vec<_> = (0..300).map(|i| images[299 - i]).collect();
        let reversed: Vec<_> = (0..300).map(|i| (i, digests[299 - i].1)).collect();
        let other = train_test_split(&self::dataset(&moved), &reversed);
        let back: Vec<usize> = other.test.iter().rev().map(|index| 299 - index).collect();
        assert_eq!(back, division.test);
    }

    #[test]
    fn an_added_image_moves_few_others() {
        let images = vec![(0, None); 101];
        let dataset = dataset(&images);
        let (before, after) =
            (train_test_split(&dataset, &with_digests(100)), train_test_split(&dataset, &with_digests(101)));
        let moved = before.test.iter().filter(|index| !after.test.contains(index)).count();
        assert!(moved <= 1, "{moved}");
    }

    #[test]
    fn every_class_that_can_be_tested_is() {
        let tests =
            |images: &[(usize, Option<u8>)]| train_test_split(&dataset(images), &with_digests(images.len())).test.len();
        assert_eq!(tests(&[(0, None)]), 0, "one image is for training");
        assert_eq!(tests(&[(0, None), (0, None)]), 1);
        assert_eq!(tests(&[(0, Some(1)), (0, Some(1)), (0, Some(1)), (0, Some(2)), (0, Some(2))]), 2);
        assert_eq!(tests(&[(0, Some(1)), (0, Some(1))]), 0, "one group cannot be divided");
        assert_eq!(tests(&[]), 0);
    }
}
