//! Few-shot episodes: their support and query sets.
//!
//! An episode draws its classes, then `shots` supports and `queries` queries per class, all from one split and never the
//! same image twice. If a dataset has groups (patients, photographs), they are first divided at random into two halves,
//! one for supports and one for queries, so that a patient cannot be recognised instead of the class.

use std::collections::HashMap;

use super::EvaluateError;
use crate::data::Dataset;
use crate::rng::Rng;

/// Sizes and seed of episodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct EpisodeSettings {
    /// Classes per episode, N of "N-way": 2 to the number of classes with images.
    pub ways: usize,
    /// Supports per class, k of "k-shot"; at least 1.
    pub shots: usize,
    /// Queries per class; at least 1.
    pub queries: usize,
    /// Episode `i` of a seed is the same for every encoder and head.
    pub seed: u64,
}

/// One episode. Images are positions in the list that the pool was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// Class of each way.
    pub classes: Vec<usize>,
    /// `[ways, shots]`.
    pub supports: Vec<usize>,
    /// `[ways, queries]`.
    pub queries: Vec<usize>,
}

/// Attempts at dividing the groups before they are considered too coarse.
const DIVISIONS_MAX: usize = 1000;

/// Draws episodes from the images of a split.
pub struct EpisodePool {
    settings: EpisodeSettings,
    /// Positions of the images of each class.
    members: Vec<Vec<usize>>,
    /// Classes with images, in order; only these are drawn.
    drawable: Vec<usize>,
    /// Group of each position, and number of groups; `None` without groups.
    groups: Option<(Vec<usize>, usize)>,
    class_names: Vec<String>,
}

impl EpisodePool {
    /// A pool of the images `indices` of `dataset`. Positions count within `indices`.
    ///
    /// # Errors
    /// When an image has no label, there are fewer classes than ways, or a class has too few images.
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
            return Err(EvaluateError::Ways { ways: settings.ways, classes: drawable.len() });
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

    /// A pool of images without groups, from the class of each.
    ///
    /// # Errors
    /// As [`Self::new`].
    #[cfg(test)]
    pub(super) fn of_labels(labels: &[usize], settings: EpisodeSettings) -> Result<Self, EvaluateError> {
        let classes = labels.iter().max().map_or(0, |most| most + 1);
        let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
        Self::from_labels(labels, &vec![None; labels.len()], &names, settings)
    }

    /// Supports of an episode: `ways * shots`.
    pub fn supports(&self) -> usize {
        self.settings.ways * self.settings.shots
    }

    /// Episode `index`.
    ///
    /// # Errors
    /// When no division of the groups leaves every class enough supports and queries.
    pub fn draw(&self, index: usize) -> Result<Episode, EvaluateError> {
        let shots = self.settings.shots;
        let Divided { classes, queries, rest, .. } = self.divide(index)?;
        let supports = rest.into_iter().flat_map(|rest| rest.into_iter().take(shots)).collect();
        Ok(Episode { classes, supports, queries })
    }

    /// As [`Self::draw`], with the images that are neither supports nor queries, and share no group with a query: `images`
    /// of them at most, drawn without regard to their class.
    ///
    /// # Errors
    /// As [`Self::draw`].
    pub fn draw_with_pool(&self, index: usize, images: usize) -> Result<(Episode, Vec<usize>), EvaluateError> {
        let shots = self.settings.shots;
        let Divided { classes, queries, rest, mut rng } = self.divide(index)?;
        let supports = rest.iter().flat_map(|rest| &rest[..shots]).copied().collect();
        let mut pool: Vec<usize> = rest.iter().flat_map(|rest| &rest[shots..]).copied().collect();
        rng.shuffle(&mut pool);
        pool.truncate(images);
        Ok((Episode { classes, supports, queries }, pool))
    }

    /// Draws classes, and divides their images into queries and the rest.
    fn divide(&self, index: usize) -> Result<Divided, EvaluateError> {
        let EpisodeSettings { ways, shots, queries, seed } = self.settings;
        let mut rng = Rng::for_item(seed, "episode", 0, index as u64);
        let mut classes: Vec<usize> =
            rng.sample(self.drawable.len(), ways).into_iter().map(|at| self.drawable[at]).collect();
        // Class order breaks ties; it must not depend on the draw.
        classes.sort_unstable();
        let mut lacking = classes[0];
        for _ in 0..DIVISIONS_MAX {
            match self.try_divide(&classes, &mut rng) {
                Ok((queries, rest)) => return Ok(Divided { classes, queries, rest, rng }),
                Err(class) => lacking = class,
            }
        }
        Err(EvaluateError::GroupsTooCoarse { class: self.class_names[lacking].clone(), shots, queries })
    }

    /// One attempt at dividing the groups: the queries, and the other images of each class in random order. The error is the
    /// first class with too few images.
    fn try_divide(&self, classes: &[usize], rng: &mut Rng) -> Result<(Vec<usize>, Vec<Vec<usize>>), usize> {
        let EpisodeSettings { shots, queries, .. } = self.settings;
        let is_query_group = self.groups.as_ref().map(|(_, count)| {
            let mut is_query = vec![false; *count];
            rng.sample(*count, count.div_ceil(2)).into_iter().for_each(|group| is_query[group] = true);
            is_query
        });
        let (mut all_queries, mut all_rest) = (Vec::new(), Vec::new());
        for &class in classes {
            let members = &self.members[class];
            // Shuffling all images keeps the queries the same for any number of shots.
            let order: Vec<usize> = rng.sample(members.len(), members.len()).into_iter().map(|i| members[i]).collect();
            let (queried, rest): (Vec<usize>, Vec<usize>) = match (&self.groups, &is_query_group) {
                (Some((group_of, _)), Some(is_query)) => {
                    order.into_iter().partition(|&image| is_query[group_of[image]])
                }
                _ => (order[..queries].to_vec(), order[queries..].to_vec()),
            };
            if queried.len() < queries || rest.len() < shots {
                return Err(class);
            }
            all_queries.extend(&queried[..queries]);
            all_rest.push(rest);
        }
        Ok((all_queries, all_rest))
    }
}

/// The images of an episode before its supports are drawn.
struct Divided {
    classes: Vec<usize>,
    /// `[ways, queries]`.
    queries: Vec<usize>,
    /// The other images of each way, in random order.
    rest: Vec<Vec<usize>>,
    /// The stream of the episode.
    rng: Rng,
}

/// Numbers the groups. If some images have a group, each image without one becomes its own group.
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
            assert_eq!(episode, pool.draw(index).unwrap(), "seed and index decide an episode");
            for (way, &class) in episode.classes.iter().enumerate() {
                let supports = &episode.supports[way * 3..][..3];
                let queries = &episode.queries[way * 4..][..4];
                assert!(supports.iter().chain(queries).all(|&image| labels[image] == class));
            }
            let all: HashSet<usize> = episode.supports.iter().chain(&episode.queries).copied().collect();
            assert_eq!(all.len(), 2 * 7, "no image twice");
            class_pairs.insert(episode.classes);
        }
        assert_eq!(class_pairs.len(), 3, "every pair of classes is drawn");
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
    fn a_pool_shares_no_image_or_group_with_the_queries() {
        let labels: Vec<usize> = (0..120).map(|image| usize::from(image % 6 == 0)).collect();
        let group_names: Vec<String> = (0..120).map(|image| format!("patient {}", image / 6)).collect();
        let groups: Vec<Option<&str>> = group_names.iter().map(|name| Some(name.as_str())).collect();
        let pool =
            EpisodePool::from_labels(&labels, &groups, &names(2), EpisodeSettings { shots: 1, ..SETTINGS }).unwrap();
        let (episode, images) = pool.draw_with_pool(3, 40).unwrap();
        assert_eq!(episode, pool.draw(3).unwrap());
        assert_eq!(images.len(), 40);
        let patients = |images: &[usize]| images.iter().map(|image| image / 6).collect::<HashSet<_>>();
        assert!(patients(&images).is_disjoint(&patients(&episode.queries)));
        assert!(images.iter().all(|image| !episode.supports.contains(image)));
        let rare = images.iter().filter(|&&image| labels[image] == 1).count();
        assert!((2..=14).contains(&rare), "classes come as often as they are: {rare} of 40 are of the rare one");
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
    fn impossible_episodes_are_refused() {
        let labels: Vec<usize> = (0..21).map(|image| image % 3).collect();
        assert!(pool(&labels, &[None; 21], SETTINGS).is_ok(), "seven images per class are just enough");
        let few = pool(&labels[..20], &[None; 20], SETTINGS).err().unwrap();
        assert!(
            matches!(&few, EvaluateError::TooFewImages { class, found: 6, needed: 7, .. } if class == "class 2"),
            "{few}"
        );
        let one = pool(&[0; 10], &[None; 10], SETTINGS);
        assert!(matches!(one, Err(EvaluateError::Ways { ways: 2, classes: 1 })));
        let many = pool(&labels, &[None; 21], EpisodeSettings { ways: 4, ..SETTINGS });
        assert!(matches!(many, Err(EvaluateError::Ways { ways: 4, classes: 3 })));
        // All images of class 0 are of one patient, who cannot be on both sides.
        let groups: Vec<Option<&str>> = labels.iter().map(|&label| (label == 0).then_some("one")).collect();
        let coarse = pool(&labels, &groups, EpisodeSettings { ways: 3, ..SETTINGS }).unwrap().draw(0);
        let coarse = coarse.unwrap_err();
        assert!(matches!(&coarse, EvaluateError::GroupsTooCoarse { class, .. } if class == "class 0"), "{coarse}");
    }
}
