//! A mixture, `A+B+C`: several datasets as one, to pretrain an encoder for tasks that are not known yet. `FOLDER/*` stands
//! for all folders in `FOLDER`, in byte order.
//!
//! A mixture has the images of [`Dataset::train_indices`] of each dataset, all in the split `train` and without labels,
//! because classes of different datasets are unrelated. It takes all images of a dataset that names no split: unlike
//! pretraining on that dataset alone, no fifth is held out for testing.

use std::path::Path;

use super::decode::DecodeOptions;
use super::source::{PixelSource, SourceImage};
use super::{DataError, Dataset, Record, Split};

/// Separates the names.
const SEPARATOR: char = '+';

/// Ends a name that stands for all folders in a folder.
const ALL_FOLDERS: &str = "/*";

/// The images of several sources, one after another.
struct Mixture {
    sources: Vec<Box<dyn PixelSource>>,
    /// Name of each source.
    names: Vec<String>,
    /// Source and number of each image there.
    images: Vec<(usize, usize)>,
}

impl PixelSource for Mixture {
    fn read(&self, item: usize, options: &DecodeOptions) -> Result<SourceImage, DataError> {
        let (source, item) = self.images[item];
        self.sources[source].read(item, options)
    }

    fn path(&self, item: usize) -> Option<&Path> {
        let (source, item) = self.images[item];
        self.sources[source].path(item)
    }

    fn part(&self, item: usize) -> Option<&str> {
        Some(&self.names[self.images[item].0])
    }
}

/// The names of the datasets if `name` is a mixture. An existing path is not a mixture, even with a `+` in it.
pub(super) fn parts(name: &str) -> Option<Vec<&str>> {
    let is_mixture = name.contains(SEPARATOR) || name.ends_with(ALL_FOLDERS);
    (is_mixture && !Path::new(name).exists()).then(|| name.split(SEPARATOR).collect())
}

/// `parts` with the folders that a name `FOLDER/*` stands for in its place.
fn expanded(parts: &[&str]) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    for part in parts {
        match part.strip_suffix(ALL_FOLDERS) {
            Some(folder) => names.extend(folders_in(Path::new(folder))?),
            None => names.push((*part).to_owned()),
        }
    }
    Ok(names)
}

/// The folders in `folder`, in byte order; hidden ones are left out.
fn folders_in(folder: &Path) -> Result<Vec<String>, DataError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(DataError::io(folder))? {
        let path = entry.map_err(DataError::io(folder))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            found.push(path.display().to_string());
        }
    }
    if found.is_empty() {
        return Err(DataError::Empty { path: folder.display().to_string(), expected: "folders of images" });
    }
    found.sort();
    Ok(found)
}

/// A short name for the data `name`: the last part of each path.
pub fn short_name(name: &str) -> String {
    let last = |part: &str| {
        Path::new(part.strip_suffix(ALL_FOLDERS).unwrap_or(part))
            .file_name()
            .map_or(part.into(), |name| name.to_string_lossy().into_owned())
    };
    let names: Vec<String> = parts(name).unwrap_or(vec![name]).into_iter().map(last).collect();
    names.join(&SEPARATOR.to_string())
}

/// Mixes the datasets `parts`, each opened by `open`.
///
/// # Errors
/// Those of `open`, an empty name, and a dataset without training images.
pub(super) fn open(
    name: &str,
    parts: &[&str],
    open: impl Fn(&str) -> Result<Dataset, DataError>,
) -> Result<Dataset, DataError> {
    let refused = |reason: String| DataError::Mixture { name: name.to_owned(), reason };
    let parts = expanded(parts)?;
    let mut mixture = Mixture { sources: Vec::new(), names: names_of(&parts), images: Vec::new() };
    let (mut records, mut skipped, mut remarks) = (Vec::new(), Vec::new(), Vec::new());
    for (source, part) in parts.iter().enumerate() {
        if part.is_empty() {
            return Err(refused("a name is missing beside a +".to_owned()));
        }
        let mut set = open(part)?;
        let (train, known) = (set.train_indices(), short_name(part));
        if train.is_empty() {
            return Err(refused(format!("{part} has no training images")));
        }
        for index in train {
            let Record { name, group, .. } = std::mem::take(&mut set.records[index]);
            let group = group.map(|group| format!("{known}/{group}"));
            let name = format!("{known}/{name}");
            records.push(Record { name, label: None, split: Some(Split::Train), group });
            mixture.images.push((source, set.items[index]));
        }
        mixture.sources.push(set.source);
        skipped.extend(set.skipped);
        remarks.extend(set.remarks);
    }
    let mut dataset = Dataset::new(name.to_owned(), records, mixture);
    (dataset.skipped, dataset.remarks) = (skipped, remarks);
    Ok(dataset)
}

/// The short name of each of `parts`, or all of it if two have the same short name.
fn names_of(parts: &[String]) -> Vec<String> {
    let short: Vec<String> = parts.iter().map(|part| short_name(part)).collect();
    let is_unique = |name: &String| short.iter().filter(|other| *other == name).count() == 1;
    short.iter().zip(parts).map(|(short, part)| if is_unique(short) { short } else { part }.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::open_named;

    #[test]
    fn the_short_name_has_the_last_part_of_each_path() {
        assert_eq!(short_name("a/b/cifar10+c/x-rays.csv+phantoms:32"), "cifar10+x-rays.csv+phantoms:32");
        assert_eq!(short_name("a/b/cifar10"), "cifar10");
        assert_eq!(short_name("a/corpus/*+b/cifar10"), "corpus+cifar10");
    }

    #[test]
    fn a_mixture_has_the_training_images_of_all_sets_without_labels() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own");
        std::fs::create_dir_all(path.join("a")).unwrap();
        let phantoms = open_named("phantoms:16:24", 1).unwrap();
        for index in 0..3 {
            let image = phantoms.load(index).unwrap();
            let picture = image::GrayImage::from_raw(16, 16, image.pixels).unwrap();
            picture.save(path.join("a").join(format!("{index}.png"))).unwrap();
        }
        let own = path.display().to_string();
        let mixture = open_named(&format!("phantoms:16:24+{own}+phantoms:16:6"), 1).unwrap();
        let train = phantoms.train_indices();
        assert_eq!(mixture.len(), train.len() + 3 + 6);
        assert!(mixture.records.iter().all(|record| record.label.is_none() && record.split == Some(Split::Train)));
        assert_eq!(mixture.load(0).unwrap(), phantoms.load(train[0]).unwrap());
        assert_eq!(mixture.load(train.len()).unwrap(), phantoms.load(0).unwrap());
        assert_eq!(mixture.load(train.len() + 3).unwrap(), phantoms.load(0).unwrap());
        assert!(mixture.records[train.len()].name.starts_with("own/"), "{}", mixture.records[train.len()].name);
    }

    #[test]
    fn an_empty_or_unknown_name_in_a_mixture_is_refused() {
        assert!(matches!(open_named("phantoms+", 1), Err(DataError::Mixture { .. })));
        assert!(matches!(open_named("phantoms+nowhere", 1), Err(DataError::Io { path, .. }) if path == "nowhere"));
    }
}
