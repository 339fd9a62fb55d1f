//! Reads the images of an evaluation.

use std::collections::HashMap;

use crate::data::{Dataset, ImageDigest, Look};

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
