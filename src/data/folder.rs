//! A folder of image files. `layout` says what folders and names mean; images are in order of their paths, byte by byte.

use std::collections::BTreeMap;
use std::path::Path;

use super::dataset::Place;
use super::layout::{self, Meaning};
use super::listing::{self, Listing};
use super::remark::{PassedOver, Remark};
use super::{DataError, Dataset, Record, labels};

/// Indexes the images below `root`. What cannot be read, and what stands beside split folders, is listed as skipped.
pub(super) fn open(root: &Path) -> Result<Dataset, DataError> {
    let listing = listing::list(root)?;
    if listing.images.is_empty() {
        return Err(nothing(root, &listing));
    }
    let (meanings, mut remarks) = layout::understand(&listing.images);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for meaning in &meanings {
        if let Meaning::Image(_, Some(class)) = meaning {
            *counts.entry(class.clone()).or_default() += 1;
        }
    }
    let classes = labels::classes_of(&counts);
    remarks.extend(classes.remarks);
    remarks.extend(unread(&listing));
    let mut dataset = Dataset::new(root.display().to_string(), classes.names);
    (dataset.skipped, dataset.remarks) = (listing.skipped, remarks);
    for (name, meaning) in listing.images.into_iter().zip(meanings) {
        match meaning {
            Meaning::Image(split, class) => {
                let label = class.and_then(|class| classes.label_of.get(&class).copied().flatten());
                let file = root.join(&name);
                dataset.push(Record { name, label, split, group: None }, Place::File(file));
            }
            Meaning::Beside => {
                dataset.skipped.push((name, "it stands beside the split folders, in none of them".to_owned()));
            }
            Meaning::Annotation => {}
        }
    }
    Ok(dataset)
}

/// Remarks on files that are no images.
fn unread(listing: &Listing) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if !listing.split_lists.is_empty() {
        let (names, count) = (listing.split_lists.clone(), listing.split_lists.len());
        remarks.push(Remark::SplitWordsUnused { names, count });
    }
    if !listing.passed_over.is_empty() {
        remarks.push(Remark::PassedOver { files: listing.passed_over.clone() });
    }
    remarks
}

fn nothing(root: &Path, listing: &Listing) -> DataError {
    let path = root.display().to_string();
    if !listing.skipped.is_empty() {
        return DataError::all_skipped(path, &listing.skipped);
    }
    let passed_over: Vec<String> = listing.passed_over.iter().map(PassedOver::to_string).collect();
    DataError::NoImages {
        path,
        passed_over: if passed_over.is_empty() { "nothing".into() } else { passed_over.join(", ") },
    }
}
