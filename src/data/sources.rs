//! The sources of a dataset: the parts of a mixture, or the folders of a folder.

use std::collections::HashMap;

use super::{DataError, Dataset, Record};

/// The source of each image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Names, in order of first occurrence.
    pub names: Vec<String>,
    /// Index into `names` of each image of the dataset.
    pub of: Vec<usize>,
}

impl Dataset {
    /// The sources of the images. They need no labels: a source is a part of a mixture, or in any other dataset the first
    /// folder in which the paths of images differ. Images outside of such folders are one source with the name of the
    /// dataset.
    pub fn sources(&self) -> Sources {
        let depth = differing_depth(&self.records);
        let folder = |record: &'_ Record| folders(&record.name).nth(depth).unwrap_or(&self.name).to_owned();
        let mut index_of: HashMap<String, usize> = HashMap::new();
        let mut sources = Sources::default();
        for (record, &item) in self.records.iter().zip(&self.items) {
            let name = self.source.part(item).map_or_else(|| folder(record), str::to_owned);
            let index = *index_of.entry(name).or_insert_with_key(|name| {
                sources.names.push(name.clone());
                sources.names.len() - 1
            });
            sources.of.push(index);
        }
        sources
    }

    /// Leaves out the images of the sources `names`.
    ///
    /// # Errors
    /// A name that is no source, and a dataset of which nothing remains.
    pub fn leave_out(&mut self, names: &[String]) -> Result<(), DataError> {
        if names.is_empty() {
            return Ok(());
        }
        let sources = self.sources();
        if let Some(name) = names.iter().find(|name| !sources.names.contains(name)) {
            let (dataset, name) = (self.name.clone(), name.clone());
            return Err(DataError::UnknownSource { dataset, name, known: sources.names.join(", ") });
        }
        let mut stays = sources.of.iter().map(|&source| !names.contains(&sources.names[source]));
        let mut stays_too = stays.clone();
        self.records.retain(|_| stays.next().unwrap_or(true));
        self.items.retain(|_| stays_too.next().unwrap_or(true));
        if self.is_empty() {
            return Err(DataError::Empty { path: self.name.clone(), expected: "a source that is not left out" });
        }
        let classes = std::mem::take(&mut self.class_names);
        self.set_classes_that_occur(classes);
        Ok(())
    }
}

/// The folders of a path, without the file's name.
fn folders(name: &str) -> impl Iterator<Item = &str> {
    let folders = name.rsplit_once('/').map(|(folders, _)| folders);
    folders.into_iter().flat_map(|folders| folders.split('/'))
}

/// The first depth at which the folders of `records` differ.
fn differing_depth(records: &[Record]) -> usize {
    let Some(first) = records.first() else { return 0 };
    let first: Vec<&str> = folders(&first.name).collect();
    let same = |record: &Record| folders(&record.name).zip(&first).take_while(|(a, b)| a == *b).count();
    records.iter().map(same).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::open_named;

    /// A folder of the images `paths`.
    fn folder(paths: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (number, path) in paths.iter().enumerate() {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::GrayImage::from_pixel(8, 8, image::Luma([number as u8])).save(path).unwrap();
        }
        root
    }

    fn names_and_counts(dataset: &Dataset) -> Vec<(String, usize)> {
        let Sources { names, of } = dataset.sources();
        let count = |index: usize| of.iter().filter(|&&source| source == index).count();
        names.into_iter().enumerate().map(|(index, name)| (name, count(index))).collect()
    }

    fn expect(dataset: &Dataset, expected: &[(&str, usize)]) {
        let expected: Vec<_> = expected.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
        assert_eq!(names_and_counts(dataset), expected);
    }

    #[test]
    fn folders_below_a_common_one_are_sources() {
        let root = folder(&["in/a/1.png", "in/b/x/2.png", "in/b/3.png", "in/c/4.png"]);
        let mut dataset = open_named(&root.path().display().to_string(), 1).unwrap();
        expect(&dataset, &[("a", 1), ("b", 2), ("c", 1)]);
        let kept = dataset.load(0).unwrap();
        dataset.leave_out(&["b".into()]).unwrap();
        expect(&dataset, &[("a", 1), ("c", 1)]);
        assert_eq!(dataset.class_names.len(), 2, "{:?}", dataset.class_names);
        assert_eq!(dataset.load(0).unwrap(), kept);
        assert_eq!(dataset.load(1).unwrap().pixels[0], 3, "the pixels follow the records");
        let error = dataset.leave_out(&["b".into()]).unwrap_err();
        assert!(matches!(error, DataError::UnknownSource { name, known, .. } if name == "b" && known == "a, c"));
        assert!(matches!(dataset.leave_out(&["a".into(), "c".into()]), Err(DataError::Empty { .. })));
    }

    #[test]
    fn images_without_folders_are_one_source() {
        expect(&open_named("phantoms:16:12", 1).unwrap(), &[("phantoms:16:12", 12)]);
    }

    #[test]
    fn parts_of_a_mixture_are_sources_and_a_star_stands_for_all_folders() {
        let root = folder(&["b/2.png", "b/y/3.png", "a/1.png", "a/2.png", "c/train/1.png", "c/test/2.png"]);
        let path = root.path().display();
        let mut dataset = open_named(&format!("{path}/*+phantoms:16:6"), 1).unwrap();
        expect(&dataset, &[("a", 2), ("b", 2), ("c", 1), ("phantoms:16:6", 6)]);
        dataset.leave_out(&["phantoms:16:6".into(), "a".into()]).unwrap();
        expect(&dataset, &[("b", 2), ("c", 1)]);
        // Equal names would be one source: these are named in full.
        let (b, c) = (format!("{path}/b"), format!("{path}/b/../b"));
        let dataset = open_named(&format!("{b}+{c}"), 1).unwrap();
        expect(&dataset, &[(&b, 2), (&c, 2)]);
    }
}
