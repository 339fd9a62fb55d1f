//! Divides images into training, validation and test parts: stratified, by group, by seed.

use std::collections::BTreeMap;

use super::{Dataset, Split};
use crate::rng::Rng;

/// What share of the images each part gets. Shares are at least 0 and sum to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fractions {
    /// For training.
    pub train: f64,
    /// For choosing settings.
    pub val: f64,
    /// For the figures that are reported.
    pub test: f64,
}

impl Fractions {
    fn of(self, split: Split) -> f64 {
        match split {
            Split::Train => self.train,
            Split::Val => self.val,
            Split::Test => self.test,
        }
    }
}

/// At most `count` of `indices`, spread evenly over them, in their order.
pub fn evenly_spread(indices: &[usize], count: usize) -> Vec<usize> {
    let count = count.min(indices.len());
    (0..count).map(|i| indices[i * indices.len() / count]).collect()
}

/// A part for each of the images `indices`, in their order.
///
/// Images of one group stay together; `together` (index lists, such as
/// [`super::Duplicates::groups`]) ties further images. Each class is divided by itself, a group
/// belonging to the class most of its images have (the first such); within a class the
/// parts deviate from their shares by less than the largest group. What the data set says about
/// splits is not looked at. The same seed gives the same parts.
pub fn divide(
    dataset: &Dataset,
    indices: &[usize],
    together: &[Vec<usize>],
    fractions: Fractions,
    seed: u64,
) -> Vec<Split> {
    let mut strata: BTreeMap<Option<usize>, Vec<Vec<usize>>> = BTreeMap::new();
    for members in units(dataset, indices, together) {
        strata.entry(majority_label(dataset, indices, &members)).or_default().push(members);
    }
    let mut parts = vec![Split::Train; indices.len()];
    for (label, mut units) in strata {
        let stratum = label.map_or(0, |label| label as u64 + 1);
        Rng::for_item(seed, "split", 0, stratum).shuffle(&mut units);
        // Large groups first, while there is room; the sort is stable, so equal sizes stay shuffled.
        units.sort_by_key(|members| std::cmp::Reverse(members.len()));
        let total: usize = units.iter().map(Vec::len).sum();
        let mut room = Split::ALL.map(|split| fractions.of(split) * total as f64);
        for members in units {
            let roomiest = (0..3).fold(0, |best, part| if room[part] > room[best] { part } else { best });
            room[roomiest] -= members.len() as f64;
            members.iter().for_each(|&position| parts[position] = Split::ALL[roomiest]);
        }
    }
    parts
}

/// Positions in `indices` that must stay together, in order of their first.
fn units(dataset: &Dataset, indices: &[usize], together: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut root: Vec<usize> = (0..indices.len()).collect();
    let mut tie = |a: usize, b: usize| {
        let (a, b) = (find_root(&mut root, a), find_root(&mut root, b));
        // The earlier position is the root, so that units come out in order.
        root[a.max(b)] = a.min(b);
    };
    let mut first_of_group: BTreeMap<&str, usize> = BTreeMap::new();
    let mut position_of: BTreeMap<usize, usize> = BTreeMap::new();
    for (position, &index) in indices.iter().enumerate() {
        position_of.insert(index, position);
        if let Some(group) = &dataset.records[index].group {
            tie(position, *first_of_group.entry(group).or_insert(position));
        }
    }
    for tied in together {
        let positions: Vec<usize> = tied.iter().filter_map(|index| position_of.get(index).copied()).collect();
        positions.windows(2).for_each(|pair| tie(pair[0], pair[1]));
    }
    let mut units = vec![Vec::new(); indices.len()];
    for position in 0..indices.len() {
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

fn majority_label(dataset: &Dataset, indices: &[usize], members: &[usize]) -> Option<usize> {
    let mut counts: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    for &position in members {
        *counts.entry(dataset.records[indices[position]].label).or_default() += 1;
    }
    let most = counts.values().max().copied();
    counts.into_iter().find(|(_, count)| Some(*count) == most).and_then(|(label, _)| label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Record;
    use crate::data::dataset::Place;
    use proptest::prelude::*;

    const FRACTIONS: Fractions = Fractions { train: 0.7, val: 0.1, test: 0.2 };

    fn dataset(images: &[(usize, Option<u8>)]) -> Dataset {
        let mut dataset = Dataset::new("made up".to_owned(), (0..3).map(|c| c.to_string()).collect());
        for &(label, group) in images {
            let group = group.map(|group| group.to_string());
            let record = Record { name: String::new(), label: Some(label), split: None, group };
            dataset.push(record, Place::Phantom(0));
        }
        dataset
    }

    proptest! {
        #[test]
        fn groups_stay_whole_and_shares_are_near(images in prop::collection::vec((0usize..3, prop::option::of(0u8..20)), 1..200), seed: u64) {
            let dataset = dataset(&images);
            let indices = dataset.indices(None);
            let parts = divide(&dataset, &indices, &[], FRACTIONS, seed);
            prop_assert_eq!(&parts, &divide(&dataset, &indices, &[], FRACTIONS, seed));
            let mut group_parts = BTreeMap::new();
            for (&(_, group), &part) in images.iter().zip(&parts) {
                if let Some(group) = group {
                    prop_assert_eq!(*group_parts.entry(group).or_insert(part), part);
                }
            }
            let mut group_sizes = BTreeMap::new();
            images.iter().filter_map(|image| image.1).for_each(|group| *group_sizes.entry(group).or_insert(0) += 1);
            let largest = group_sizes.values().max().copied().unwrap_or(1) as f64;
            for split in Split::ALL {
                let count = parts.iter().filter(|&&part| part == split).count() as f64;
                // Three classes, each off by less than its largest group.
                prop_assert!((count - FRACTIONS.of(split) * images.len() as f64).abs() < 3.0 * largest + 1e-9);
            }
        }
    }

    #[test]
    fn classes_are_divided_alike_and_ties_hold() {
        let images: Vec<_> = (0..300).map(|i| (usize::from(i % 10 == 0), None)).collect();
        let dataset = dataset(&images);
        let tied = vec![vec![3, 7, 11], vec![11, 20]];
        let parts = divide(&dataset, &dataset.indices(None), &tied, FRACTIONS, 4);
        let rare_tests = (0..300).filter(|&i| images[i].0 == 1 && parts[i] == Split::Test).count();
        assert_eq!(rare_tests, 6, "a fifth of the thirty");
        assert!([7, 11, 20].iter().all(|&i| parts[i] == parts[3]));
        assert_ne!(parts, divide(&dataset, &dataset.indices(None), &tied, FRACTIONS, 5), "another seed, another split");
        let no_val = divide(&dataset, &dataset.indices(None), &[], Fractions { train: 0.5, val: 0.0, test: 0.5 }, 4);
        assert!(!no_val.contains(&Split::Val));
    }
}
