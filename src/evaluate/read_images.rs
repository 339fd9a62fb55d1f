//! The images of an evaluation: read once, and divided into training and test images.

use std::collections::HashMap;

use super::Progress;
use crate::data::{Dataset, ImageDigest, Look, Split, TrainTestSplit, train_test_split};

/// Digests and fingerprints of images.
#[derive(Default)]
pub struct ReadImages {
    /// Index and digest of readable images, in order.
    pub images: Vec<(usize, ImageDigest)>,
    /// Digest and fingerprint of readable images, by index.
    pub looks: HashMap<usize, Look>,
    /// Name and error of the others.
    pub skipped: Vec<(String, String)>,
}

impl ReadImages {
    /// Reads the images `indices`, behind those that were read before.
    pub fn read(&mut self, dataset: &Dataset, indices: &[usize], progress: Progress<'_>) {
        for (&index, look) in indices.iter().zip(dataset.looks(indices, progress)) {
            match look {
                Ok(look) => {
                    self.images.push((index, look.digest));
                    self.looks.insert(index, look);
                }
                Err(error) => self.skipped.push((dataset.records[index].name.clone(), error.to_string())),
            }
        }
    }

    /// The readable images of the training split and of `test`, or of parts that are made of a dataset without splits: then
    /// with a remark.
    pub fn split(&self, dataset: &Dataset, test: Split) -> (TrainTestSplit, Option<String>) {
        if !dataset.has_splits() {
            let remark = format!(
                "{} has no splits: one image in five per class is a test image, chosen by the hash of its pixels; duplicates \
                 and groups stay together; pretrain leaves out the same images",
                dataset.name
            );
            return (train_test_split(dataset, &self.images), Some(remark));
        }
        let of = |split: Split| {
            let indices = self.images.iter().map(|image| image.0);
            indices.filter(|&index| dataset.records[index].split == Some(split)).collect()
        };
        (TrainTestSplit { train: of(Split::Train), test: of(test) }, None)
    }
}
