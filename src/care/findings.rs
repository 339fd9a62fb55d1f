//! What was found, as plain values.

use serde::Serialize;

use crate::data::{Dataset, Orientation, Split};

/// An image, as a person finds it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageName {
    /// Index in the dataset.
    #[serde(skip)]
    pub index: usize,
    /// Name in the dataset.
    pub name: String,
    /// The split it is in, or would be in.
    pub split: Option<Split>,
    /// Name of its class; `None` without label.
    pub class: Option<String>,
}

impl ImageName {
    /// Image `index` of `dataset`, which is in `split`.
    pub fn new(dataset: &Dataset, index: usize, split: Option<Split>) -> Self {
        let record = &dataset.records[index];
        let class = record.label.map(|label| dataset.class_names[label].clone());
        Self { index, name: record.name.clone(), split, class }
    }
}

/// All findings of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Findings {
    /// Name of the dataset.
    pub dataset: String,
    /// The encoder whose features were compared.
    pub encoder: String,
    /// Images that were compared.
    pub images: usize,
    /// Images without contrast, which are not searched for near-duplicates.
    pub without_contrast: usize,
    /// Whether the splits are those that `pretrain` and `eval` make of a dataset without named ones.
    pub splits_are_made: bool,
    /// Groups of equal and nearly equal images. Those across splits come first, then those of different labels.
    pub near_duplicates: Vec<DuplicateGroup>,
    /// Labels; `None` if they cannot be checked: fewer than two or more than 255 classes, or more than 4,096 dimensions.
    pub labels: Option<LabelFindings>,
    /// Images far from all others.
    pub unlike: UnlikeFindings,
}

/// Images that are equal or nearly equal, each to at least one other of the group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DuplicateGroup {
    /// In order of the dataset.
    pub images: Vec<ImageName>,
    /// Whether they are in more than one split.
    pub across_splits: bool,
    /// Whether they have more than one label.
    pub different_labels: bool,
    /// Whether all are equal pixel for pixel.
    pub equal: bool,
    /// What makes them a group: one fewer than distinct images, most similar first.
    pub links: Vec<Link>,
}

/// Two images that are nearly equal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Link {
    /// Indices in the dataset.
    #[serde(skip)]
    pub images: [usize; 2],
    /// Bits of the perceptual hashes that differ, of 63.
    pub distance: u32,
    /// Cosine of the lowest frequencies.
    pub similarity: f64,
    /// Cosine of the features; `None` for a mirrored or rotated image, which an encoder may see differently.
    pub feature_similarity: Option<f64>,
    /// How the second image shows the first.
    pub orientation: Orientation,
}

/// Labels that the other images contradict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelFindings {
    /// Images with a label.
    pub checked: usize,
    /// Images whose other class is as probable as it is for that class's own images: the estimate of wrong labels
    /// (confident learning, Northcutt et al. 2021, arXiv:1911.00068).
    pub estimated_errors: usize,
    /// Images for which another class is more probable, the most suspicious first.
    pub suspicious: Vec<SuspiciousLabel>,
}

/// A label that the other images contradict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuspiciousLabel {
    /// The image.
    pub image: ImageName,
    /// Probability of its label, by a head fitted without it.
    pub probability: f64,
    /// The most probable class.
    pub suggested: String,
    /// Its probability.
    pub suggested_probability: f64,
    /// Whether it counts among the estimated errors.
    pub is_estimated_error: bool,
}

/// Images far from all others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnlikeFindings {
    /// k: the distance of an image is that to its k-th closest other image.
    pub neighbour: usize,
    /// Median distance.
    pub median: f64,
    /// Distance above which an image is listed.
    pub threshold: f64,
    /// Images beyond the threshold, farthest first.
    pub images: Vec<UnlikeImage>,
}

/// An image far from all others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnlikeImage {
    /// The image.
    pub image: ImageName,
    /// Root mean square difference between its standardised features and those of its k-th closest other image.
    pub distance: f64,
    /// The closest other image.
    pub nearest: ImageName,
}
