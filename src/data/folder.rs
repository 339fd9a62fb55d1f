//! A folder of image files, in byte order of their paths. `layout` interprets folders and names.

use std::collections::BTreeMap;
use std::path::Path;

use super::layout::{self, Meaning};
use super::listing::{self, Listing};
use super::remark::{IgnoredFiles, Remark};
use super::source::ImageFiles;
use super::{DataError, Dataset, Record, labels};

/// Indexes the images below `root`; `None` if it is not a folder. Unreadable entries, and images beside split folders, are
/// listed as skipped.
pub(super) fn open(root: &Path) -> Result<Option<Dataset>, DataError> {
    if !root.is_dir() {
        return Ok(None);
    }
    let listing = listing::list(root)?;
    if listing.images.is_empty() {
        return Err(nothing(root, &listing));
    }
    let (meanings, mut remarks) = layout::interpret(&listing.images);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for meaning in &meanings {
        if let Meaning::Image(_, Some(class)) = meaning {
            *counts.entry(class.clone()).or_default() += 1;
        }
    }
    let classes = labels::classes_of(&counts);
    remarks.extend(classes.remarks);
    remarks.extend(unread(&listing));
    let (mut records, mut files, mut skipped) = (Vec::new(), Vec::new(), listing.skipped);
    for (name, meaning) in listing.images.into_iter().zip(meanings) {
        match meaning {
            Meaning::Image(split, class) => {
                let label = class.and_then(|class| classes.label_of.get(&class).copied().flatten());
                files.push(root.join(&name));
                records.push(Record { name, label, split, group: None });
            }
            Meaning::Beside => {
                skipped.push((name, "it is in none of the split folders".to_owned()));
            }
            Meaning::Annotation => {}
        }
    }
    let mut dataset = Dataset::new(root.display().to_string(), records, ImageFiles(files));
    (dataset.class_names, dataset.skipped, dataset.remarks) = (classes.names, skipped, remarks);
    Ok(Some(dataset))
}

/// Remarks on files that are not images.
fn unread(listing: &Listing) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if !listing.split_lists.is_empty() {
        let (names, count) = (listing.split_lists.clone(), listing.split_lists.len());
        remarks.push(Remark::SplitWordsUnused { names, count });
    }
    if !listing.ignored.is_empty() {
        remarks.push(Remark::IgnoredFiles { files: listing.ignored.clone() });
    }
    remarks
}

fn nothing(root: &Path, listing: &Listing) -> DataError {
    let path = root.display().to_string();
    if !listing.skipped.is_empty() {
        return DataError::all_skipped(path, &listing.skipped);
    }
    let ignored: Vec<String> = listing.ignored.iter().map(IgnoredFiles::to_string).collect();
    DataError::NoImages { path, ignored: if ignored.is_empty() { "none".into() } else { ignored.join(", ") } }
}
