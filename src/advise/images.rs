//! What a folder has: number, size and kind of its images, and a sample of them.

use std::collections::HashMap;
use std::time::Duration;

use rayon::prelude::*;
use serde::Serialize;

use super::AdviseError;
use crate::data::{Dataset, ImageDigest, Look, Split, SplitLeaks, TrainTestSplit, evenly_spread, train_test_split};

/// Images whose facts are measured.
const SURVEYED: usize = 128;

/// Most images of a sample, and most of each class.
const SAMPLED_MAX: usize = 2_000;
const SAMPLED_PER_CLASS: usize = 200;

/// Fewest readable images for any figure.
const IMAGES_MIN: usize = 8;

/// Facts about the images of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImagesFound {
    /// Images, readable or not.
    pub images: usize,
    /// Images to train on: the training split, or all without splits.
    pub training_images: usize,
    /// Unreadable images among those surveyed.
    pub unreadable: usize,
    /// 1 if all surveyed images are grey, else 3.
    pub channels: usize,
    /// Share of grey images among those surveyed: colour may be only in some, as marks of an ultrasound device.
    pub grey_share: f64,
    /// Median of the shorter sides, in pixels.
    pub shorter_side: usize,
    /// Median width and height.
    pub size: [usize; 2],
    /// Classes and the number of images of each; empty if nothing is labelled.
    pub classes: Vec<(String, usize)>,
    /// Images without label.
    pub unlabelled: usize,
    /// Milliseconds to read and decode one image, all threads together.
    pub read_ms: f64,
}

impl ImagesFound {
    /// Surveys `dataset`; `clock` is the time since some start.
    ///
    /// # Errors
    /// When too few images can be read.
    pub fn of(dataset: &Dataset, clock: &dyn Fn() -> Duration) -> Result<Self, AdviseError> {
        let (begun, chosen) = (clock(), evenly_spread(&dataset.indices(None), SURVEYED));
        let look = |&index: &usize| dataset.load(index).ok().map(|image| (image.width, image.height, image.is_grey()));
        let found: Vec<(usize, usize, bool)> = chosen.par_iter().filter_map(look).collect();
        let seconds = (clock() - begun).as_secs_f64();
        if found.len() < IMAGES_MIN {
            let (data, found) = (dataset.name.clone(), found.len());
            return Err(AdviseError::TooFewImages { data, found, needed: IMAGES_MIN });
        }
        let median = |of: &dyn Fn(&(usize, usize, bool)) -> usize| {
            let mut sides: Vec<usize> = found.iter().map(of).collect();
            sides.sort_unstable();
            sides[sides.len() / 2]
        };
        let grey = found.iter().filter(|image| image.2).count();
        let mut counts = vec![0; dataset.class_names.len()];
        dataset.records.iter().filter_map(|record| record.label).for_each(|label| counts[label] += 1);
        Ok(Self {
            images: dataset.len(),
            training_images: dataset.train_indices().len(),
            unreadable: chosen.len() - found.len(),
            channels: if grey == found.len() { 1 } else { 3 },
            grey_share: grey as f64 / found.len() as f64,
            shorter_side: median(&|&(width, height, _)| width.min(height)),
            size: [median(&|image| image.0), median(&|image| image.1)],
            unlabelled: dataset.len() - counts.iter().sum::<usize>(),
            classes: dataset.class_names.iter().cloned().zip(counts).collect(),
            read_ms: 1e3 * seconds / chosen.len() as f64,
        })
    }

    /// Whether images of at least two classes can be told apart.
    pub fn is_labelled(&self) -> bool {
        self.classes.iter().filter(|(_, images)| *images > 1).count() > 1
    }
}

/// Readable images that everything is measured on.
pub struct Sample {
    /// Images to fit baselines, statistics and the trial on; their labels are not used.
    pub train: Vec<usize>,
    /// Images for episodes and retrieval.
    pub test: Vec<usize>,
    /// How far the images for episodes are independent of the others and of each other.
    pub leaks: SplitLeaks,
}

impl Sample {
    /// At most `most` images, spread over classes and splits as in the dataset, divided as `pretrain` and `eval` divide it.
    ///
    /// # Errors
    /// When fewer than a few are readable.
    pub fn of(dataset: &Dataset, most: usize) -> Result<Self, AdviseError> {
        let chosen = chosen(dataset, most.min(SAMPLED_MAX));
        let found = dataset.looks(&chosen, &|_| ());
        let looks: HashMap<usize, Look> =
            chosen.iter().copied().zip(found).filter_map(|(index, look)| Some((index, look.ok()?))).collect();
        let read: Vec<(usize, ImageDigest)> =
            chosen.iter().filter_map(|index| Some((*index, looks.get(index)?.digest))).collect();
        if read.len() < IMAGES_MIN {
            let (data, found) = (dataset.name.clone(), read.len());
            return Err(AdviseError::TooFewImages { data, found, needed: IMAGES_MIN });
        }
        let of = |is_in: &dyn Fn(Option<Split>) -> bool| -> Vec<usize> {
            read.iter().map(|found| found.0).filter(|&index| is_in(dataset.records[index].split)).collect()
        };
        let division = match dataset.has_splits() {
            true => TrainTestSplit {
                train: of(&|split| split == Some(Split::Train)),
                test: of(&|split| split != Some(Split::Train)),
            },
            false => train_test_split(dataset, &read),
        };
        let TrainTestSplit { train, test } = division;
        // With one part only, it serves as both: nothing measured here is learned from labels.
        let all = || read.iter().map(|found| found.0).collect::<Vec<_>>();
        let too_few = |part: &[usize]| part.len() < IMAGES_MIN / 2;
        let is_divided = !too_few(&train) && !too_few(&test);
        let or_all = |part: Vec<usize>| if too_few(&part) { all() } else { part };
        let (train, test) = (or_all(train), or_all(test));
        let leaks = SplitLeaks::find(dataset, if is_divided { &train } else { &[] }, &test, &looks);
        Ok(Self { train, test, leaks })
    }
}

/// Images of a sample before they are read: of each class, and of those without label, equally many where there are.
fn chosen(dataset: &Dataset, most: usize) -> Vec<usize> {
    let mut groups: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
    for (index, record) in dataset.records.iter().enumerate() {
        groups.entry(record.label).or_default().push(index);
    }
    let each = match groups.len() {
        0 | 1 => most,
        count => (most / count).clamp(1, SAMPLED_PER_CLASS),
    };
    let mut chosen: Vec<usize> = groups.values().flat_map(|group| evenly_spread(group, each)).collect();
    chosen.sort_unstable();
    chosen
}
