//! Test images that an encoder was trained on.

use std::collections::{BTreeSet, HashMap};

use super::{OpenError, is_fitted, training_images};
use crate::data::{Dataset, ImageDigest};

/// Removes images that `encoder` was trained on from `test`. Returns remarks for readers of the figures.
///
/// Images trained on with labels are always removed. Images trained on without labels are removed if half of the test
/// images and every class remain; otherwise they stay, with a remark.
///
/// * `images`: index and digest of the images of `dataset` that can be read
///
/// # Errors
/// When the record of the training images cannot be read, or the encoder was trained with labels on all of `test`.
pub fn leave_out_seen(
    encoder: &str,
    dataset: &Dataset,
    images: &[(usize, ImageDigest)],
    test: &mut Vec<usize>,
) -> Result<Vec<String>, OpenError> {
    if is_fitted(encoder) {
        return Ok(Vec::new());
    }
    let Some(record) = training_images(encoder)? else {
        let unknown = "its training images are not recorded, so it may have been trained on the test images";
        return Ok(vec![format!("{encoder}: {unknown}")]);
    };
    let (seen, digest_of) = (record.labels_used(), images.iter().copied().collect::<HashMap<usize, ImageDigest>>());
    let saw = |index: &usize| digest_of.get(index).and_then(|digest| seen.get(digest)).copied();
    let mut remarks = Vec::new();
    let labelled = test.iter().filter(|index| saw(index) == Some(true)).count();
    let unlabelled = test.iter().filter(|index| saw(index) == Some(false)).count();
    if labelled > 0 {
        test.retain(|index| saw(index) != Some(true));
        if test.is_empty() {
            return Err(OpenError::AllSeen { name: encoder.to_owned(), images: labelled });
        }
        remarks.push(format!("{} left out: the encoder was trained on them with their labels", counted(labelled)));
    }
    if unlabelled > 0 {
        let rest: Vec<usize> = test.iter().copied().filter(|index| saw(index).is_none()).collect();
        let classes = |indices: &[usize]| dataset.labels(indices).into_iter().flatten().collect::<BTreeSet<_>>();
        if 2 * rest.len() >= test.len() && classes(&rest) == classes(test) {
            *test = rest;
            let images = counted(unlabelled);
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

fn counted(images: usize) -> String {
    format!("{images} test image{}", if images == 1 { "" } else { "s" })
}
