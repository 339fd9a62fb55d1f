//! Several data sets as one, `A+B+C`: what an encoder is pretrained on that shall serve tasks it has never seen.
//!
//! Labels are left out, because a class of one set means nothing in another, and so are all parts but those for training:
//! images without a part are for training, as they are where a set stands alone.

use std::collections::HashSet;
use std::path::Path;

use super::dataset::Place;
use super::{DataError, Dataset, Record, Split, open_named};

/// What stands between the names.
const SEPARATOR: char = '+';

/// The names of the sets, if `name` is that of a mixture: a path that exists is none, whatever is in its name.
pub(super) fn parts(name: &str) -> Option<Vec<&str>> {
    (name.contains(SEPARATOR) && !Path::new(name).exists()).then(|| name.split(SEPARATOR).collect())
}

/// What a person knows the data `name` by: of each set the folder or file, without where it happens to lie.
pub fn known_as(name: &str) -> String {
    let last = |part: &str| Path::new(part).file_name().map_or(part.into(), |name| name.to_string_lossy().into_owned());
    let names: Vec<String> = parts(name).unwrap_or(vec![name]).into_iter().map(last).collect();
    names.join(&SEPARATOR.to_string())
}

/// Opens the sets `parts`; those that are drawn, from `seed`.
///
/// # Errors
/// As for each of them alone; and two sets of phantoms, or one without training images.
pub(super) fn open(name: &str, parts: &[&str], seed: u64) -> Result<Dataset, DataError> {
    let refused = |reason: String| DataError::Mixture { name: name.to_owned(), reason };
    let mut mixture = Dataset::new(name.to_owned(), Vec::new());
    for &part in parts {
        if part.is_empty() {
            return Err(refused("a name is missing beside a +".to_owned()));
        }
        let set = open_named(part, seed)?;
        let train: HashSet<usize> = set.train_indices().into_iter().collect();
        if set.phantoms.is_some() {
            if mixture.phantoms.is_some() {
                return Err(refused("phantoms can be in it once".to_owned()));
            }
            mixture.phantoms = set.phantoms;
        }
        let (before, arrays) = (mixture.len(), mixture.arrays.len());
        let known = known_as(part);
        let images = set.records.into_iter().zip(set.places).enumerate();
        for (_, (record, place)) in images.filter(|(index, _)| train.contains(index)) {
            let place = match place {
                Place::Row { array, row } => Place::Row { array: array + arrays, row },
                other => other,
            };
            let group = record.group.map(|group| format!("{known}/{group}"));
            let name = format!("{known}/{}", record.name);
            mixture.push(Record { name, label: None, split: Some(Split::Train), group }, place);
        }
        mixture.arrays.extend(set.arrays);
        mixture.skipped.extend(set.skipped);
        mixture.remarks.extend(set.remarks);
        if mixture.len() == before {
            return Err(refused(format!("{part} has no image for training")));
        }
    }
    Ok(mixture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_is_known_by_the_names_of_all_of_it() {
        assert_eq!(known_as("a/b/cifar10+c/x-rays.csv+phantoms:32"), "cifar10+x-rays.csv+phantoms:32");
        assert_eq!(known_as("a/b/cifar10"), "cifar10");
    }

    #[test]
    fn images_of_all_sets_are_there_and_labels_are_not() {
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
        let mixture = open_named(&format!("phantoms:16:24+{own}"), 1).unwrap();
        let train = phantoms.indices(Some(Split::Train));
        assert_eq!(mixture.len(), train.len() + 3);
        assert!(mixture.records.iter().all(|record| record.label.is_none() && record.split == Some(Split::Train)));
        assert_eq!(mixture.load(0).unwrap(), phantoms.load(train[0]).unwrap());
        assert_eq!(mixture.load(train.len()).unwrap(), phantoms.load(0).unwrap());
        assert!(mixture.records[train.len()].name.starts_with("own/"), "{}", mixture.records[train.len()].name);
    }

    #[test]
    fn what_cannot_be_mixed_is_told() {
        let message = |name: &str| open_named(name, 1).err().unwrap().to_string();
        assert!(message("phantoms+phantoms").contains("once"));
        assert!(message("phantoms+").contains("missing"));
        assert!(message("phantoms+nowhere").contains("nowhere"));
    }
}
