//! All findings of a dataset.

use std::collections::HashSet;

use macula_edge::feature::DIM_MAX;
use macula_edge::support_set::CLASSES_MAX;

use super::CareError;
use super::findings::{Findings, ImageName, LabelFindings, SuspiciousLabel, UnlikeFindings, UnlikeImage};
use super::labels::{Doubt, doubts, out_of_fold};
use super::near_duplicates::{groups, links};
use super::unlike::{NEIGHBOURS, distances, threshold};
use crate::data::{Dataset, Look, Split, TrainTestSplit, train_test_split};
use crate::encoder::HostEncoder;
use crate::evaluate::{HeadKind, Progress, embed_dataset};
use crate::measure::{Features, closest_others, corpus_of, l2_normalize_rows};

/// Fewest images that are compared.
const IMAGES_MIN: usize = 3;

/// Most bytes of features. Together with copies of length 1 and those of the heads, four times as much may be in memory.
const FEATURE_BYTES_MAX: usize = 2 << 30;

/// What is examined.
pub struct Subject<'a> {
    /// All of its images can be read.
    pub dataset: &'a Dataset,
    /// Of all images, in order.
    pub looks: &'a [Look],
    /// Its features are compared.
    pub encoder: &'a dyn HostEncoder,
}

/// Examines a dataset. `progress` is called with the number of images just encoded, and once more with that of images whose
/// labels were just checked, from any thread.
///
/// # Errors
/// When there are too few or too many images, or an image cannot be encoded.
pub fn examine(subject: &Subject<'_>, progress: Progress) -> Result<Findings, CareError> {
    let Subject { dataset, looks, encoder } = *subject;
    let (images, dim) = (dataset.len(), encoder.feature_dim());
    let name = || dataset.name.clone();
    if images < IMAGES_MIN {
        return Err(CareError::TooFewImages { dataset: name(), found: images, needed: IMAGES_MIN });
    }
    let bytes = images.saturating_mul(dim).saturating_mul(size_of::<f32>());
    if bytes > FEATURE_BYTES_MAX {
        return Err(CareError::TooManyImages { dataset: name(), images, dim, bytes, bytes_max: FEATURE_BYTES_MAX });
    }
    let mut features = embed_dataset(encoder, dataset, &dataset.indices(None), progress)?;
    // Without centring, features of one kind of image are similar to each other: most of their cosines are near 1.
    features.standardise(&corpus_of(&features));
    let splits = splits(dataset, looks);
    let rows = l2_normalize_rows(&features.rows, dim);
    let near_duplicates = groups(dataset, looks, &splits, links(looks, &rows, dim));
    drop(rows);
    Ok(Findings {
        dataset: name(),
        encoder: encoder.name().to_owned(),
        images,
        without_contrast: looks.iter().filter(|look| look.fingerprint.is_none()).count(),
        splits_are_made: !dataset.has_splits(),
        near_duplicates,
        labels: labels(dataset, &splits, &features, progress)?,
        unlike: unlike(dataset, &splits, &features),
    })
}

/// The split of each image, or that in which `pretrain` and `eval` put it if the dataset names none.
fn splits(dataset: &Dataset, looks: &[Look]) -> Vec<Option<Split>> {
    if dataset.has_splits() {
        return dataset.records.iter().map(|record| record.split).collect();
    }
    let digests: Vec<_> = looks.iter().map(|look| look.digest).enumerate().collect();
    let TrainTestSplit { test, .. } = train_test_split(dataset, &digests);
    let mut splits = vec![Some(Split::Train); dataset.len()];
    test.into_iter().for_each(|index| splits[index] = Some(Split::Test));
    splits
}

/// `None` if the labels cannot be checked: the head takes 2 to 255 classes and features of up to 4,096 dimensions.
fn labels(
    dataset: &Dataset,
    splits: &[Option<Split>],
    features: &Features,
    progress: Progress,
) -> Result<Option<LabelFindings>, CareError> {
    let labelled: Vec<usize> = (0..dataset.len()).filter(|&index| dataset.records[index].label.is_some()).collect();
    let labels: Vec<usize> = dataset.labels(&labelled).into_iter().flatten().collect();
    let found = labels.iter().collect::<HashSet<_>>().len();
    if !(2..=CLASSES_MAX).contains(&found) || features.dim > DIM_MAX {
        return Ok(None);
    }
    let groups: Vec<Option<&str>> = labelled.iter().map(|&index| dataset.records[index].group.as_deref()).collect();
    let classes = dataset.class_names.len();
    let scores = out_of_fold(&features.select(&labelled), &labels, &groups, classes, HeadKind::Auto, progress)?;
    let found = doubts(&scores, &labels, classes);
    let suspicious = |doubt: &Doubt| SuspiciousLabel {
        image: ImageName::new(dataset, labelled[doubt.position], splits[labelled[doubt.position]]),
        probability: doubt.probability,
        suggested: dataset.class_names[doubt.other].clone(),
        suggested_probability: doubt.other_probability,
        is_estimated_error: doubt.is_estimated_error,
    };
    Ok(Some(LabelFindings {
        checked: found.len(),
        estimated_errors: found.iter().filter(|doubt| doubt.is_estimated_error).count(),
        suspicious: found.iter().take_while(|doubt| doubt.margin() < 0.0).map(suspicious).collect(),
    }))
}

fn unlike(dataset: &Dataset, splits: &[Option<Split>], features: &Features) -> UnlikeFindings {
    let nearest = closest_others(features, NEIGHBOURS);
    let neighbour = NEIGHBOURS.min(dataset.len() - 1);
    let distances = distances(&nearest, neighbour);
    let [median, threshold] = threshold(&distances);
    let name = |index: usize| ImageName::new(dataset, index, splits[index]);
    let beyond = distances.iter().enumerate().filter(|&(_, &distance)| distance > threshold);
    let mut images: Vec<UnlikeImage> = beyond
        .map(|(index, &distance)| UnlikeImage { image: name(index), distance, nearest: name(nearest[index][0].1) })
        .collect();
    images.sort_by(|a, b| b.distance.total_cmp(&a.distance).then(a.image.index.cmp(&b.image.index)));
    UnlikeFindings { neighbour, median, threshold, images }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::open_named;

    #[test]
    fn labels_that_the_head_cannot_take_are_not_checked() {
        let mut dataset = open_named("phantoms:16:600", 1).unwrap();
        let splits = vec![Some(Split::Train); dataset.len()];
        let rows = (0..2 * dataset.len()).map(|at| (at * at % 17) as f32).collect();
        let features = Features { dim: 2, rows };
        let mut checked = |classes: usize| {
            dataset.class_names = (0..classes).map(|class| class.to_string()).collect();
            dataset.records.iter_mut().enumerate().for_each(|(at, record)| record.label = Some(at % classes));
            labels(&dataset, &splits, &features, &|_| ()).unwrap().map(|found| found.checked)
        };
        assert_eq!([checked(1), checked(2), checked(256)], [None, Some(600), None]);
        let wide = Features { dim: DIM_MAX + 1, rows: vec![0.0; 600 * (DIM_MAX + 1)] };
        dataset.records.iter_mut().enumerate().for_each(|(at, record)| record.label = Some(at % 2));
        assert_eq!(labels(&dataset, &splits, &wide, &|_| ()).unwrap(), None);
    }
}
