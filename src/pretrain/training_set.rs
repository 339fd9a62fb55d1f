//! The training images of a run, determined before the first step.
//!
//! Every image is read once beforehand. A broken image found during an epoch would shift all later batches, and a resumed
//! run would not know. Reading also fills the cache.

use std::sync::atomic::{AtomicBool, Ordering};

use base16ct::lower::encode_string as hex;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::config::PretrainConfig;
use super::error::PretrainError;
use super::observer::{Event, Observer};
use super::options::Options;
use super::run_folder::RunFolder;
use super::training_images::{TRAINING_IMAGES, TrainingImages, sha256};
use crate::data::{self, Dataset, ImageDigest, Loader, Preprocessing, RandomTiles, ResizeFilter, TrainTestSplit};
use crate::rng::Rng;

/// Images read between two progress events.
const READ_TOGETHER: usize = 256;

/// Images for training or for validation that have been read once.
pub(super) struct ImageSet<'a> {
    /// Loads resized pixels by position.
    pub loader: Loader<'a>,
    /// Draws tiles by position, if the run trains on them; the loader is then not used.
    pub tiles: Option<RandomTiles<'a>>,
    /// Visits of an image per epoch.
    visits_each: usize,
    /// Positions of readable images.
    pub readable: Vec<usize>,
    /// Index into the dataset of each position.
    pub indices: Vec<usize>,
    /// Label of each position.
    pub labels: Vec<Option<usize>>,
    /// Digest of each readable position.
    digests: Vec<Option<ImageDigest>>,
    /// Name and reason of each image that cannot be read.
    pub skipped: Vec<(String, String)>,
}

/// The training images: all of `indices`, or `limit` of them, or `per_class` of each class.
pub(super) fn training_indices(
    config: &PretrainConfig,
    dataset: &Dataset,
    mut indices: Vec<usize>,
) -> Result<Vec<usize>, PretrainError> {
    if let Some(limit) = config.limit {
        let drawn = Rng::for_purpose(config.seed, "limit").sample(indices.len(), limit);
        indices = drawn.into_iter().map(|position| indices[position]).collect();
        indices.sort_unstable();
    }
    match config.per_class {
        None => Ok(indices),
        Some(count) => labelled_indices(config, dataset, &indices, count),
    }
}

/// `count` labelled images per class, drawn by seed; a larger count includes the images of a smaller one.
fn labelled_indices(
    config: &PretrainConfig,
    dataset: &Dataset,
    indices: &[usize],
    count: usize,
) -> Result<Vec<usize>, PretrainError> {
    let mut drawn = Vec::new();
    for (label, class) in dataset.class_names.iter().enumerate() {
        let of_class: Vec<usize> =
            indices.iter().copied().filter(|&index| dataset.records[index].label == Some(label)).collect();
        if of_class.len() < count {
            let (data, class, found) = (config.data.clone(), class.clone(), of_class.len());
            return Err(PretrainError::TooFewLabelled { data, class, found, needed: count });
        }
        let mut rng = Rng::for_item(config.seed, "per class", 0, label as u64);
        drawn.extend(rng.sample(of_class.len(), count).into_iter().map(|position| of_class[position]));
    }
    drawn.sort_unstable();
    Ok(drawn)
}

/// The images of `indices` that the objective can be validated on.
pub(super) fn held_out_indices(config: &PretrainConfig, dataset: &Dataset, indices: Vec<usize>) -> Vec<usize> {
    let usable = |&index: &usize| !config.needs_labels() || dataset.records[index].label.is_some();
    indices.into_iter().filter(usable).collect()
}

impl<'a> ImageSet<'a> {
    /// Reads all images of `indices` once, each by one of the ranks; `None` if `stop` was raised meanwhile.
    pub fn read(
        config: &PretrainConfig,
        dataset: &'a Dataset,
        indices: Vec<usize>,
        Options { cache_bytes, ranks, .. }: Options,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Option<Self> {
        let labels = dataset.labels(&indices);
        let loader = Loader::new(dataset, indices.clone(), size_only(config), cache_bytes);
        let random = |spec| RandomTiles::new(dataset, indices.clone(), spec, size_only(config), cache_bytes);
        let tiles = config.tiles.clone().map(random);
        let (mut readable, mut skipped, mut digests) = (Vec::new(), Vec::new(), Vec::new());
        let digest = |position| {
            let digest = match &tiles {
                Some(tiles) => tiles.keep_and_digest(position),
                None => loader.pixels_and_digest(position).map(|(_, digest)| digest),
            };
            digest.map_err(|error| error.to_string())
        };
        for start in (0..indices.len()).step_by(READ_TOGETHER * ranks.size()) {
            if ranks.any(stop.load(Ordering::Relaxed)) {
                return None;
            }
            let end = (start + READ_TOGETHER * ranks.size()).min(indices.len());
            let own = ranks.part(end - start).range();
            let found: Vec<Result<ImageDigest, String>> =
                (start + own.start..start + own.end).into_par_iter().map(digest).collect();
            for (position, found) in (start..end).zip(ranks.gather_items(found)) {
                digests.push(found.as_ref().ok().copied());
                match found {
                    Ok(_) => readable.push(position),
                    Err(reason) => {
                        let name = dataset.records[indices[position]].name.clone();
                        observer.event(Event::Skipped { name: &name, reason: &reason });
                        skipped.push((name, reason));
                    }
                }
            }
            observer.event(Event::Reading { done: end, of: indices.len() });
        }
        let visits_each = config.tiles_per_image;
        Some(Self { loader, tiles, visits_each, readable, indices, labels, digests, skipped })
    }

    /// Splits the readable images into training and test images.
    pub fn divided(&self, dataset: &Dataset) -> TrainTestSplit {
        let images = self.readable.iter().zip(self.digests());
        data::train_test_split(
            dataset,
            &images.map(|(&position, digest)| (self.indices[position], digest)).collect::<Vec<_>>(),
        )
    }

    /// Keeps only images whose indices are in `kept`, which is sorted.
    pub fn keep(&mut self, kept: &[usize]) {
        self.readable.retain(|&position| kept.binary_search(&self.indices[position]).is_ok());
    }

    /// Visits of an epoch: readable images, each as often as it has tiles.
    pub fn visits(&self) -> usize {
        self.readable.len() * self.visits_each
    }

    /// Bytes of pixels in memory.
    pub fn cache_bytes_used(&self) -> usize {
        self.loader.cache_bytes_used() + self.tiles.as_ref().map_or(0, RandomTiles::memory_used)
    }

    /// Bytes of pixels that will be in memory.
    pub fn cache_bytes_wanted(&self, cache_bytes: usize) -> usize {
        match &self.tiles {
            // All images were read.
            Some(tiles) => tiles.memory_used(),
            None => self.loader.bytes_of_all().min(cache_bytes),
        }
    }

    /// Bytes of the cache that would hold all readable images, if it does not. Tiles are in a file then.
    pub fn cache_bytes_missing(&self) -> Option<usize> {
        if self.tiles.is_some() {
            return None;
        }
        let is_missing = self.readable.iter().any(|&position| !self.loader.is_cached(position));
        is_missing.then(|| self.loader.bytes_of_all())
    }

    /// Digests of the readable images, in order.
    pub fn digests(&self) -> Vec<ImageDigest> {
        self.readable.iter().filter_map(|&position| self.digests[position]).collect()
    }

    /// Indices into the dataset of the readable images.
    pub fn readable_indices(&self) -> Vec<usize> {
        self.readable.iter().map(|&position| self.indices[position]).collect()
    }

    /// SHA-256 over names and labels of the readable images.
    pub fn sha256(&self, dataset: &Dataset) -> String {
        let mut hash = Sha256::new();
        for &position in &self.readable {
            let record = &dataset.records[self.indices[position]];
            hash.update(format!("{}\n{:?}\n", record.name, record.label));
        }
        hex(&hash.finalize())
    }

    /// Checks that the images are those of the record in `folder` with the SHA-256 `expected`.
    ///
    /// # Errors
    /// Names the first image that differs.
    pub fn require_pixels(
        &self,
        expected: &str,
        data: &str,
        dataset: &Dataset,
        folder: &RunFolder,
    ) -> Result<(), PretrainError> {
        let found = self.digests();
        if sha256(&found) == expected {
            return Ok(());
        }
        let record = TrainingImages::of_run(folder.path())?.filter(|record| record.sha256() == expected);
        let path = || folder.file(TRAINING_IMAGES).display().to_string();
        let record = record.ok_or_else(|| PretrainError::OtherRecord { path: path() })?;
        let differ: Vec<usize> = (0..found.len()).filter(|&at| record.images.get(at) != found.get(at)).collect();
        let first = differ.first().map(|&at| dataset.records[self.indices[self.readable[at]]].name.clone());
        let (data, name, changed) = (data.to_owned(), first.unwrap_or_default(), differ.len());
        Err(PretrainError::OtherPixels { data, name, changed, images: found.len() })
    }

    /// Checks that the objective can be trained on these images.
    pub fn check(&self, config: &PretrainConfig, dataset: &Dataset) -> Result<(), PretrainError> {
        let data = || config.data.clone();
        if self.readable.is_empty() {
            return Err(PretrainError::NoImages { data: data(), skipped: self.skipped.len() });
        }
        if !config.needs_labels() {
            return Ok(());
        }
        let unlabelled = self.readable.iter().filter(|&&position| self.labels[position].is_none()).count();
        if unlabelled > 0 {
            return Err(PretrainError::Unlabelled { data: data(), unlabelled, images: self.readable.len() });
        }
        let mut counts = vec![0usize; dataset.class_names.len()];
        self.readable.iter().filter_map(|&position| self.labels[position]).for_each(|label| counts[label] += 1);
        match counts.iter().position(|&count| count == 0) {
            Some(class) => Err(PretrainError::EmptyClass { data: data(), class: dataset.class_names[class].clone() }),
            None => Ok(()),
        }
    }
}

/// Preprocessing up to 8-bit pixels, which needs neither mean nor deviation.
fn size_only(config: &PretrainConfig) -> Preprocessing {
    Preprocessing {
        channels: config.channels,
        height: config.size,
        width: config.size,
        filter: ResizeFilter::Triangle,
        mean: vec![0.0; config.channels],
        std: vec![1.0; config.channels],
        range: None,
    }
}
