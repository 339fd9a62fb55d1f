//! Which images an epoch visits, and in which order.
//!
//! With `sqrt`, each source of the dataset has a share of the epoch in proportion to the square root of its number of
//! images (n^α with α = 1/2, as Mahajan et al. 2018, arXiv:1805.00932, section 2.2). An epoch has as many images as with
//! `uniform`. The images of a source come in rounds, each a new random order of all of them, and an epoch continues where the
//! one before ended: images of a small source are repeated, those of a large one are spread over several epochs, and the
//! numbers of visits of two images of a source differ by at most one.

use super::config::{PretrainConfig, Sampling};
use super::training_set::ImageSet;
use crate::data::{Dataset, Sources};
use crate::rng::Rng;

/// One use of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    /// Position in the training set.
    pub position: usize,
    /// Seeds the augmentation together with the image: the epoch, or the round of the source. No two visits of an image
    /// have the same.
    pub number: u64,
}

impl Visit {
    /// Visits of all `positions` with one number.
    pub fn each(positions: &[usize], number: u64) -> Vec<Self> {
        positions.iter().map(|&position| Self { position, number }).collect()
    }
}

/// The training images of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Its name.
    pub name: String,
    /// Positions in the training set.
    pub positions: Vec<usize>,
    /// Visits per epoch.
    pub quota: usize,
}

/// Draws the visits of each epoch.
pub(super) struct Sampler {
    seed: u64,
    positions: Vec<usize>,
    /// The sources that have training images; none if sampling is uniform.
    pub sources: Vec<Source>,
    /// Tiles of an image per visit; 1 for whole images.
    tiles: u64,
}

impl Sampler {
    /// The sampler of a run on `training`, which is part of `dataset`.
    pub fn new(config: &PretrainConfig, dataset: &Dataset, training: &ImageSet<'_>) -> Self {
        let sources = match config.sampling {
            Sampling::Uniform => Vec::new(),
            Sampling::Sqrt => sources_of(dataset.sources(), training),
        };
        let tiles = config.tiles_per_image as u64;
        Self { seed: config.seed, positions: training.readable.clone(), sources, tiles }
    }

    /// What each source contributes; `None` if sampling is uniform.
    pub fn remark(&self) -> Option<String> {
        let share = |Source { name, positions, quota }: &Source| format!("{name} {quota} of {}", positions.len());
        let shares: Vec<String> = self.sources.iter().map(share).collect();
        (!shares.is_empty()).then(|| format!("visits per epoch by source, of its images: {}", shares.join(", ")))
    }

    /// The visits of an epoch, as many as there are training images, times the tiles of each.
    pub fn epoch(&self, epoch: u64) -> Vec<Visit> {
        let mut visits = match self.sources.is_empty() {
            true => Visit::each(&self.positions, epoch),
            false => {
                self.sources.iter().enumerate().flat_map(|(index, source)| self.of(index, source, epoch)).collect()
            }
        };
        if self.tiles > 1 {
            let each = |Visit { position, number }| {
                (0..self.tiles).map(move |tile| Visit { position, number: number * self.tiles + tile })
            };
            visits = visits.into_iter().flat_map(each).collect();
        }
        Rng::for_item(self.seed, "shuffle", epoch, 0).shuffle(&mut visits);
        visits
    }

    /// The visits of one source in an epoch.
    fn of(&self, index: usize, source: &Source, epoch: u64) -> Vec<Visit> {
        let (count, quota) = (source.positions.len() as u64, source.quota as u64);
        let (first, end) = (epoch * quota, (epoch + 1) * quota);
        let mut visits = Vec::with_capacity(source.quota);
        for round in first / count..end.div_ceil(count) {
            let mut order = source.positions.clone();
            Rng::for_item(self.seed, "source", round, index as u64).shuffle(&mut order);
            let (from, to) = (first.saturating_sub(round * count), (end - round * count).min(count));
            visits.extend(Visit::each(&order[from as usize..to as usize], round));
        }
        visits
    }
}

/// The sources that have training images, with their quotas.
fn sources_of(sources: Sources, training: &ImageSet<'_>) -> Vec<Source> {
    let mut found: Vec<Source> =
        sources.names.into_iter().map(|name| Source { name, positions: Vec::new(), quota: 0 }).collect();
    for &position in &training.readable {
        found[sources.of[training.indices[position]]].positions.push(position);
    }
    found.retain(|source| !source.positions.is_empty());
    let counts: Vec<usize> = found.iter().map(|source| source.positions.len()).collect();
    found.iter_mut().zip(sqrt_quotas(&counts)).for_each(|(source, quota)| source.quota = quota);
    found
}

/// Visits per epoch of sources with `counts` images: in proportion to the square roots, with the sum of `counts`. What
/// rounding down leaves over goes to the largest remainders, the first of equal ones.
fn sqrt_quotas(counts: &[usize]) -> Vec<usize> {
    let total: usize = counts.iter().sum();
    let roots: Vec<f64> = counts.iter().map(|&count| (count as f64).sqrt()).collect();
    let sum: f64 = roots.iter().sum();
    let exact: Vec<f64> = roots.iter().map(|root| total as f64 * root / sum).collect();
    let mut quotas: Vec<usize> = exact.iter().map(|&share| share as usize).collect();
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()));
    let left = total - quotas.iter().sum::<usize>();
    order.iter().take(left).for_each(|&source| quotas[source] += 1);
    quotas
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A sampler of sources with `counts` images, at consecutive positions.
    fn sampler(counts: &[usize]) -> Sampler {
        let mut end = 0;
        let mut source = |(&count, quota): (&usize, usize)| {
            end += count;
            Source { name: String::new(), positions: (end - count..end).collect(), quota }
        };
        let sources = counts.iter().zip(sqrt_quotas(counts)).map(&mut source).collect();
        Sampler { seed: 5, positions: (0..counts.iter().sum()).collect(), sources, tiles: 1 }
    }

    #[test]
    fn quotas_are_square_roots_with_the_sum_of_the_counts() {
        assert_eq!(sqrt_quotas(&[100, 400, 900]), [233, 467, 700], "1400 in the ratio 1 : 2 : 3");
        assert_eq!(sqrt_quotas(&[7]), [7]);
        assert_eq!(sqrt_quotas(&[1, 1, 1]), [1, 1, 1]);
        let quotas = sqrt_quotas(&[5000, 289, 390, 4000, 2]);
        assert_eq!(quotas.iter().sum::<usize>(), 9681);
    }

    #[test]
    fn every_source_has_its_quota_and_its_images_are_visited_equally_often() {
        let counts = [3, 40, 90];
        let sampler = sampler(&counts);
        let mut visited: BTreeMap<usize, u64> = BTreeMap::new();
        let mut seen = std::collections::HashSet::new();
        for epoch in 0..8 {
            let visits = sampler.epoch(epoch);
            assert_eq!(visits.len(), 133);
            for source in &sampler.sources {
                let of = visits.iter().filter(|visit| source.positions.contains(&visit.position)).count();
                assert_eq!(of, source.quota, "epoch {epoch}");
            }
            for visit in visits {
                *visited.entry(visit.position).or_default() += 1;
                assert!(
                    seen.insert((visit.position, visit.number)),
                    "{visit:?} would have the same augmentation twice"
                );
            }
        }
        assert_eq!(visited.len(), 133, "every image is visited");
        for source in &sampler.sources {
            let times: Vec<u64> = source.positions.iter().map(|position| visited[position]).collect();
            assert!(times.iter().max().unwrap() - times.iter().min().unwrap() <= 1, "{times:?}");
        }
        assert_eq!(sampler.epoch(3), sampler.epoch(3), "an epoch does not depend on those before");
        assert_ne!(sampler.epoch(3), sampler.epoch(4));
    }

    #[test]
    fn every_tile_of_an_image_has_its_own_number() {
        let sampler = Sampler { tiles: 3, ..sampler(&[4, 9]) };
        let mut seen = std::collections::HashSet::new();
        for epoch in 0..5 {
            let visits = sampler.epoch(epoch);
            assert_eq!(visits.len(), 39);
            assert!(visits.iter().all(|visit| seen.insert((visit.position, visit.number))));
        }
        assert_eq!(Sampler { sources: Vec::new(), ..sampler }.epoch(0).len(), 39);
    }

    /// The order of runs before there was a setting.
    #[test]
    fn uniform_epochs_are_shuffled_positions() {
        let sampler = Sampler { sources: Vec::new(), ..sampler(&[20]) };
        let mut expected: Vec<usize> = (0..20).collect();
        Rng::for_item(5, "shuffle", 2, 0).shuffle(&mut expected);
        assert_eq!(sampler.epoch(2), Visit::each(&expected, 2));
    }
}
