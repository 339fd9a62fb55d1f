//! Splits the images of a dataset that names no split into training and test images.
//!
//! The split depends only on the pixels, not on a seed, names or the order of files. Training and evaluation therefore
//! find the same split, and an image that is added later moves few others: test images are taken in order of their digests
//! until they are a fifth of their class.

use std::collections::{BTreeMap, HashMap};

use super::{Dataset, ImageDigest};

/// Share of test images in each class.
const TEST_SHARE: f64 = 0.2;

/// Training and test images as indices into the dataset, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrainTestSplit {
    /// Four fifths.
    pub train: Vec<usize>,
    /// One fifth.
    pub test: Vec<usize>,
}

/// Splits `images`, pairs of an index into `dataset` and the image's digest, in order of the indices.
///
/// Images of one group, and equal images, form a unit that stays together. Each class is split by itself; a unit belongs to
/// the class of most of its images (the first such class). A class of at least two units has at least one test unit;
/// beyond that, at most a fifth of its images are test images, and fewer by less than the largest unit.
pub fn train_test_split(dataset: &Dataset, images: &[(usize, ImageDigest)]) -> TrainTestSplit {
    let mut classes: BTreeMap<Option<usize>, Vec<Vec<usize>>> = BTreeMap::new();
    for members in units(dataset, images) {
        classes.entry(majority_label(dataset, images, &members)).or_default().push(members);
    }
    let mut is_test = vec![false; images.len()];
    for mut units in classes.into_values() {
        // No two units share a digest: equal images are in one unit.
        units.sort_by_key(|members| members.iter().map(|&position| images[position].1).min());
        for unit in test_units(&units) {
            unit.iter().for_each(|&position| is_test[position] = true);
        }
    }
    let mut division = TrainTestSplit::default();
    for (&(index, _), is_test) in images.iter().zip(is_test) {
        if is_test { division.test.push(index) } else { division.train.push(index) }
    }
    division
}

/// The test units of one class.
fn test_units(units: &[Vec<usize>]) -> Vec<&Vec<usize>> {
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
        // All units are larger than a fifth: the smallest is nearest to it.
        tested.extend(units.iter().min_by_key(|unit| unit.len()));
    }
    tested
}

/// Units of positions in `images`, in order of their first position.
fn units(dataset: &Dataset, images: &[(usize, ImageDigest)]) -> Vec<Vec<usize>> {
    let mut root: Vec<usize> = (0..images.len()).collect();
    let mut tie = |a: usize, b: usize| {
        let (a, b) = (find_root(&mut root, a), find_root(&mut root, b));
        // The earlier position is the root, so that units are in order.
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

    /// A digest for each number, in an order unlike that of the numbers.
    fn digest(number: u64) -> ImageDigest {
        ImageDigest((u128::from(number) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).to_be_bytes())
    }

    fn with_digests(count: usize) -> Vec<(usize, ImageDigest)> {
        (0..count).map(|index| (index, digest(index as u64))).collect()
    }

    proptest! {
        #[test]
        fn groups_stay_together_and_a_fifth_is_for_testing(images in prop::collection::vec((0usize..3, prop::option::of(0u8..20)), 1..200)) {
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
            // Each of three classes is off by at most its largest group and half an image of rounding.
            let off = (division.test.len() as f64 - TEST_SHARE * images.len() as f64).abs();
            prop_assert!(off <= 3.0 * (largest + 0.5), "{off}");
        }
    }

    #[test]
    fn order_does_not_matter_and_equal_images_stay_together() {
        let images: Vec<_> = (0..300).map(|i| (usize::from(i % 10 == 0), None)).collect();
        let dataset = dataset(&images);
        let mut digests = with_digests(300);
        digests[7].1 = digests[3].1;
        digests[20].1 = digests[3].1;
        let division = train_test_split(&dataset, &digests);
        let in_test = |index: usize| division.test.contains(&index);
        assert!(in_test(3) == in_test(7) && in_test(3) == in_test(20));
        assert_eq!(division.test.iter().filter(|&&index| images[index].0 == 1).count(), 6, "a fifth of thirty");
        // The same images in another order.
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
    fn every_class_of_two_units_has_a_test_image() {
        let tests =
            |images: &[(usize, Option<u8>)]| train_test_split(&dataset(images), &with_digests(images.len())).test.len();
        assert_eq!(tests(&[(0, None)]), 0, "a single image is for training");
        assert_eq!(tests(&[(0, None), (0, None)]), 1);
        assert_eq!(tests(&[(0, Some(1)), (0, Some(1)), (0, Some(1)), (0, Some(2)), (0, Some(2))]), 2);
        assert_eq!(tests(&[(0, Some(1)), (0, Some(1))]), 0, "one group cannot be split");
        assert_eq!(tests(&[]), 0);
    }
}
