//! Images that are equal pixel for pixel, and their conflicting splits and labels.

use std::collections::HashMap;

use super::{Dataset, ImageDigest, ImageFacts};

/// Groups of equal images, each in index order, ordered by their first image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Duplicates {
    /// All groups of two or more equal images.
    pub groups: Vec<Vec<usize>>,
    /// Groups whose images are in different splits: a test image is trained on.
    pub leaks: Vec<Vec<usize>>,
    /// Groups whose images have different labels: at least one label is wrong.
    pub conflicts: Vec<Vec<usize>>,
}

/// Finds equal images by their digests; `facts` are those of [`Dataset::check`].
pub fn find_duplicates(dataset: &Dataset, facts: &[ImageFacts]) -> Duplicates {
    let mut first_seen: HashMap<ImageDigest, usize> = HashMap::new();
    let mut equal_to: Vec<Vec<usize>> = vec![Vec::new(); facts.len()];
    for (index, fact) in facts.iter().enumerate() {
        equal_to[*first_seen.entry(fact.digest).or_insert(index)].push(index);
    }
    let groups: Vec<Vec<usize>> = equal_to.into_iter().filter(|group| group.len() > 1).collect();
    let records = &dataset.records;
    let differ = |group: &&Vec<usize>, other: &dyn Fn(usize, usize) -> bool| group.iter().any(|&i| other(i, group[0]));
    let leaks =
        groups.iter().filter(|group| differ(group, &|i, j| records[i].split != records[j].split)).cloned().collect();
    let conflicts =
        groups.iter().filter(|group| differ(group, &|i, j| records[i].label != records[j].label)).cloned().collect();
    Duplicates { groups, leaks, conflicts }
}
