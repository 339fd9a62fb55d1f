//! Removes images that the encoder was trained on from the test images.

use std::collections::{BTreeSet, HashMap};

use anyhow::ensure;

use crate::data::{Dataset, ImageDigest, Look};
use crate::encoders;
use crate::report::text::count;

/// Digests and fingerprints of images.
pub struct Read {
    /// Index and digest of readable images, in order.
    pub images: Vec<(usize, ImageDigest)>,
    /// Digest and fingerprint of readable images, by index.
    pub looks: HashMap<usize, Look>,
    /// Name and error of the others.
    pub skipped: Vec<(String, String)>,
}

/// Reads the images `indices`.
pub fn read(dataset: &Dataset, indices: Vec<usize>, progress: &(dyn Fn(usize) + Sync)) -> Read {
    let found = dataset.looks(&indices, progress);
    let (mut images, mut looks, mut skipped) = (Vec::new(), HashMap::new(), Vec::new());
    for (index, look) in indices.into_iter().zip(found) {
        match look {
            Ok(look) => {
                images.push((index, look.digest));
                looks.insert(index, look);
            }
            Err(error) => skipped.push((dataset.records[index].name.clone(), error.to_string())),
        }
    }
    Read { images, looks, skipped }
}

/// Removes images that `encoder` was trained on from `test`. Returns remarks for readers of the figures.
///
/// Images trained on with labels are always removed. Images trained on without labels are removed if half of the test
/// images and every class remain; otherwise they stay, with a remark.
pub fn leave_out_seen(
    encoder: &str,
    dataset: &Dataset,
    read: &Read,
    test: &mut Vec<usize>,
) -> anyhow::Result<Vec<String>> {
    if encoders::is_fitted(encoder) {
        return Ok(Vec::new());
    }
    let Some(record) = encoders::training_images(encoder)? else {
        let unknown = "its training images are not recorded, so it may have been trained on the test images";
        return Ok(vec![format!("{encoder}: {unknown}")]);
    };
    let (seen, digest_of) =
        (record.labels_used(), read.images.iter().copied().collect::<HashMap<usize, ImageDigest>>());
    let saw = |index: &usize| digest_of.get(index).and_then(|digest| seen.get(digest)).copied();
    let mut remarks = Vec::new();
    let labelled = test.iter().filter(|index| saw(index) == Some(true)).count();
    let unlabelled = test.iter().filter(|index| saw(index) == Some(false)).count();
    if labelled > 0 {
        test.retain(|index| saw(index) != Some(true));
        ensure!(!test.is_empty(), "{encoder} was trained with labels on all {labelled} test images");
        remarks.push(format!(
            "{} left out: the encoder was trained on them with their labels",
            count(labelled, "test image")
        ));
    }
    if unlabelled > 0 {
        let rest: Vec<usize> = test.iter().copied().filter(|index| saw(index).is_none()).collect();
        let classes = |indices: &[usize]| dataset.labels(indices).into_iter().flatten().collect::<BTreeSet<_>>();
        if 2 * rest.len() >= test.len() && classes(&rest) == classes(test) {
            *test = rest;
            let images = count(unlabelled, "test image");
            remarks.push(format!("{images} left out: the encoder was trained on them, without labels"));
        } else {
            remarks.push(format!(
                "the encoder was trained without labels on {unlabelled} of the {} test images, too many to leave out: \
                 figures on new images may be lower",
                test.len()
            ));
        }
    }
    if !record.is_complete() {
        remarks.push(format!("{encoder} started from an encoder whose training images are not recorded"));
    }
    Ok(remarks)
}
