//! Few-shot episodes: which images are shown, and which are asked about.
//!
//! An episode draws its classes, then for each class `shots` supports and `queries` queries, all
//! from one part of a data set and never the same image twice. Where groups are given (patients,
//! photographs), the groups are divided at random into two halves first: supports come from one,
//! queries from the other, so that nothing about a person can be recognised instead of the class.

use std::collections::HashMap;

use super::EvaluateError;
use crate::data::Dataset;
use crate::rng::Rng;

/// What an episode looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EpisodeSettings {
    /// Classes of an episode, N of "N-way"; at least 2, at most as many as have images.
    pub ways: usize,
    /// Labelled examples of each class, k of "k-shot"; at least 1.
    pub shots: usize,
    /// Images asked about, of each class; at least 1.
    pub queries: usize,
    /// Episode `i` of a seed is the same for every encoder and head.
    pub seed: u64,
}

/// One drawn task. Numbers are positions in the list that the pool was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// Class of each way.
    pub classes: Vec<usize>,
    /// `[ways, shots]`.
    pub supports: Vec<usize>,
    /// `[ways, queries]`.
    pub queries: Vec<usize>,
}

/// Redraws of the two halves before a data set's groups are called too coarse.
const DIVISIONS_MAX: usize = 1000;

/// What episodes are drawn from.
pub struct EpisodePool {
    settings: EpisodeSettings,
    /// Positions of each class's images.
    members: Vec<Vec<usize>>,
    /// The classes that have images, in order. Only these are drawn.
    drawable: Vec<usize>,
    /// Number of each position's group, and of groups; none where no group is given.
    groups: Option<(Vec<usize>, usize)>,
    class_names: Vec<String>,
}

impl EpisodePool {
    /// Over the images `indices` of `dataset`; positions count within `indices`.
    ///
    /// # Errors
    /// An unlabelled image, fewer classes than ways, or a class with too few images or groups.
    pub fn new(dataset: &Dataset, indices: &[usize], settings: EpisodeSettings) -> Result<Self, EvaluateError> {
        let labels = super::labels(dataset, indices)?;
        let groups: Vec<Option<&str>> = indices.iter().map(|&index| dataset.records[index].group.as_deref()).collect();
        Self::from_labels(&labels, &groups, &dataset.class_names, settings)
    }

    fn from_labels(
        labels: &[usize],
        groups: &[Option<&str>],
        class_names: &[String],
        settings: EpisodeSettings,
    ) -> Result<Self, EvaluateError> {
        let mut members = vec![Vec::new(); class_names.len()];
        labels.iter().enumerate().for_each(|(position, &label)| members[label].push(position));
        let drawable: Vec<usize> = (0..members.len()).filter(|&class| !members[class].is_empty()).collect();
        if !(2..=drawable.len()).contains(&settings.ways) {
            return Err(EvaluateError::Ways { asked: settings.ways, classes: drawable.len() });
        }
        let needed = settings.shots.saturating_add(settings.queries);
        if let Some(&class) = drawable.iter().find(|&&class| members[class].len() < needed) {
            return Err(EvaluateError::TooFewImages {
                class: class_names[class].clone(),
                found: members[class].len(),
                needed,
                shots: settings.shots,
                queries: settings.queries,
            });
        }
        Ok(Self { settings, members, drawable, groups: number_groups(groups), class_names: class_names.to_vec() })
    }

    /// Episode `index`.
    ///
    /// # Errors
    /// When no division of the groups leaves every class enough supports and queries.
    pub fn draw(&self, index: usize) -> Result<Episode, EvaluateError> {
        let EpisodeSettings { ways, shots, queries, seed } = self.settings;
        let mut rng = Rng::for_item(seed, "episode", 0, index as u64);
        let mut classes: Vec<usize> =
            rng.sample(self.drawable.len(), ways).into_iter().map(|at| self.drawable[at]).collect();
        // Class order breaks ties; it must not depend on the draw.
        classes.sort_unstable();
        let mut lacking = classes[0];
        for _ in 0..DIVISIONS_MAX {
            match self.try_draw(&classes, &mut rng) {
                Ok(episode) => return Ok(episode),
                Err(class) => lacking = class,
            }
        }
        Err(EvaluateError::GroupsTooCoarse { class: self.class_names[lacking].clone(), shots, queries })
    }

    /// One division and draw; the first class that it leaves too few images otherwise.
    fn try_draw(&self, classes: &[usize], rng: &mut Rng) -> Result<Episode, usize> {
        let EpisodeSettings { shots, queries, .. } = self.settings;
        let asks = self.groups.as_ref().map(|(_, count)| {
            let mut asks = vec![false; *count];
            rng.sample(*count, count.div_ceil(2)).into_iter().for_each(|group| asks[group] = true);
            asks
        });
        let mut episode = Episode { classes: classes.to_vec(), supports: Vec::new(), queries: Vec::new() };
        for &class in classes {
            let members = &self.members[class];
            // All are shuffled, however many are needed: the queries are then the same at any number of shots.
            let order: Vec<usize> = rng.sample(members.len(), members.len()).into_iter().map(|i| members[i]).collect();
            let (asked, shown): (Vec<usize>, Vec<usize>) = match (&self.groups, &asks) {
                (Some((group_of, _)), Some(asks)) => order.into_iter().partition(|&image| asks[group_of[image]]),
                _ => (order[..queries].to_vec(), order[queries..].to_vec()),
            };
            if asked.len() < queries || shown.len() < shots {
                return Err(class);
            }
            episode.queries.extend(&asked[..queries]);
            episode.supports.extend(&shown[..shots]);
        }
        Ok(episode)
    }
}

/// Groups as numbers; an image without one is a group of its own where others have one.
fn number_groups(groups: &[Option<&str>]) -> Option<(Vec<usize>, usize)> {
    if groups.iter().all(Option::is_none) {
        return None;
    }
    let (mut numbers, mut count) = (HashMap::new(), 0);
    let mut next = || {
        count += 1;
        count - 1
    };
    let group_of = groups
        .iter()
        .map(|group| match group {
            Some(name) => *numbers.entry(*name).or_insert_with(&mut next),
            None => next(),
        })
        .collect();
    Some((group_of, count))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SETTINGS: EpisodeSettings = EpisodeSettings { ways: 2, shots: 3, queries: 4, seed: 1 };

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("class {class}")).collect()
    }

    fn pool(
        labels: &[usize],
        groups: &[Option<&str>],
        settings: EpisodeSettings,
    ) -> Result<EpisodePool, EvaluateError> {
        EpisodePool::from_labels(labels, groups, &names(3), settings)
    }

    #[test]
    fn supports_and_queries_are_of_their_class_and_disjoint() {
        let labels: Vec<usize> = (0..30).map(|image| image % 3).collect();
        let pool = pool(&labels, &[None; 30], SETTINGS).unwrap();
        let mut class_pairs = HashSet::new();
        for index in 0..50 {
            let episode = pool.draw(index).unwrap();
            assert_eq!(episode, pool.draw(index).unwrap(), "an episode is decided by seed and index");
            for (way, &class) in episode.classes.iter().enumerate() {
                let supports = &episode.supports[way * 3..][..3];
                let queries = &episode.queries[way * 4..][..4];
                assert!(supports.iter().chain(queries).all(|&image| labels[image] == class));
            }
            let all: HashSet<usize> = episode.supports.iter().chain(&episode.queries).copied().collect();
            assert_eq!(all.len(), 2 * 7, "no image twice");
            class_pairs.insert(episode.classes);
        }
        assert_eq!(class_pairs.len(), 3, "every pair of classes comes up");
    }

    #[test]
    fn queries_are_the_same_at_any_number_of_shots() {
        let labels: Vec<usize> = (0..60).map(|image| image % 3).collect();
        let few = pool(&labels, &[None; 60], SETTINGS).unwrap().draw(7).unwrap();
        let more = pool(&labels, &[None; 60], EpisodeSettings { shots: 9, ..SETTINGS }).unwrap().draw(7).unwrap();
        assert_eq!(few.queries, more.queries);
        assert_eq!(few.supports[..3], more.supports[..3]);
    }

    #[test]
    fn no_group_is_on_both_sides() {
        let labels: Vec<usize> = (0..120).map(|image| image % 3).collect();
        let group_names: Vec<String> = (0..120).map(|image| format!("patient {}", image / 12)).collect();
        let groups: Vec<Option<&str>> = group_names.iter().map(|name| Some(name.as_str())).collect();
        let pool = pool(&labels, &groups, SETTINGS).unwrap();
        for index in 0..50 {
            let episode = pool.draw(index).unwrap();
            let patients = |images: &[usize]| images.iter().map(|image| image / 12).collect::<HashSet<_>>();
            assert!(patients(&episode.supports).is_disjoint(&patients(&episode.queries)));
        }
    }

    #[test]
    fn a_class_without_images_is_not_drawn() {
        let labels: Vec<usize> = (0..20).map(|image| 2 * (image % 2)).collect();
        let pool = pool(&labels, &[None; 20], SETTINGS).unwrap();
        assert!((0..20).all(|index| pool.draw(index).unwrap().classes == [0, 2]));
    }

    #[test]
    fn what_cannot_be_drawn_is_refused_by_name() {
        let labels: Vec<usize> = (0..21).map(|image| image % 3).collect();
        assert!(pool(&labels, &[None; 21], SETTINGS).is_ok(), "seven images a class are just enough");
        let few = pool(&labels[..20], &[None; 20], SETTINGS).err().unwrap();
        assert!(
            matches!(&few, EvaluateError::TooFewImages { class, found: 6, needed: 7, .. } if class == "class 2"),
            "{few}"
        );
        let one = pool(&[0; 10], &[None; 10], SETTINGS);
        assert!(matches!(one, Err(EvaluateError::Ways { asked: 2, classes: 1 })));
        let many = pool(&labels, &[None; 21], EpisodeSettings { ways: 4, ..SETTINGS });
        assert!(matches!(many, Err(EvaluateError::Ways { asked: 4, classes: 3 })));
        // All images of class 0 are one patient's: they cannot be on both sides.
        let groups: Vec<Option<&str>> = labels.iter().map(|&label| (label == 0).then_some("one")).collect();
        let coarse = pool(&labels, &groups, EpisodeSettings { ways: 3, ..SETTINGS }).unwrap().draw(0);
        assert!(coarse.unwrap_err().to_string().contains("'class 0'"));
    }
}
