//! Images to label, in a folder: a picture and a JSON file each.
//!
//! An image is in the queue when its JSON file is written, which is after its picture.

use std::collections::BTreeMap;
use std::path::PathBuf;

use macula_edge::support_set::SourceId;
use serde::{Deserialize, Serialize};

use super::error::{ApiError, ErrorKind};
use super::types::Classification;
use crate::data::Image;
use crate::device::KeptImages;
use crate::files::{TEXT_MAX, read_text_bounded, remove_if_present, write_private};
use crate::link::Feature;
use crate::report::text::hexadecimal;

/// Most images.
pub const IMAGES_MAX: usize = 2000;

/// Most characters of a name; the rest is cut.
const NAME_CHARS_MAX: usize = 200;

/// The images to label.
#[derive(Debug)]
pub struct Queue {
    folder: PathBuf,
    images: KeptImages,
    items: BTreeMap<SourceId, Item>,
}

/// An image to label.
#[derive(Clone, Debug)]
pub struct Item {
    /// Name of its file, and when it came.
    pub facts: Facts,
    /// Its feature, once it has been embedded.
    pub feature: Option<Feature>,
    /// The last classification, and the revision of the device that it is of.
    pub classified: Option<(u32, Classification)>,
    /// Whether the encoder failed on it.
    pub failed: bool,
}

/// The JSON file of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Name of its file.
    pub name: String,
    /// When it came, in seconds since 1970.
    pub added_s: u64,
}

impl Queue {
    /// The queue in `folder`, which is made if it is missing. Pictures without a JSON file are removed.
    ///
    /// # Errors
    /// If the folder cannot be read or made.
    pub fn open(folder: PathBuf) -> Result<Self, ApiError> {
        let images = KeptImages::in_folder(folder.clone())?;
        let mut items = BTreeMap::new();
        for source in images.sources()? {
            let path = json_path(&folder, &source);
            let facts = read_text_bounded(&path, TEXT_MAX).ok().and_then(|text| serde_json::from_str(&text).ok());
            if let Some(facts) = facts {
                items.insert(source, Item { facts, feature: None, classified: None, failed: false });
            }
        }
        images.retain(|source| items.contains_key(source))?;
        Ok(Self { folder, images, items })
    }

    /// Images in it.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// The pictures.
    pub fn images(&self) -> &KeptImages {
        &self.images
    }

    /// The item of a source.
    pub fn get(&self, source: &SourceId) -> Option<&Item> {
        self.items.get(source)
    }

    /// All items.
    pub fn items(&self) -> impl Iterator<Item = (&SourceId, &Item)> {
        self.items.iter()
    }

    /// The item of a source, to be changed in memory.
    pub fn get_mut(&mut self, source: &SourceId) -> Option<&mut Item> {
        self.items.get_mut(source)
    }

    /// The first image without a feature.
    pub fn unembedded(&self) -> Option<SourceId> {
        let waits = |item: &Item| item.feature.is_none() && !item.failed;
        self.items.iter().find(|(_, item)| waits(item)).map(|(source, _)| *source)
    }

    /// Adds an image; `false` if it was there.
    ///
    /// # Errors
    /// If the queue is full, or the image cannot be written.
    pub fn add(&mut self, source: SourceId, image: &Image, facts: Facts) -> Result<bool, ApiError> {
        if self.items.contains_key(&source) {
            return Ok(false);
        }
        if self.items.len() >= IMAGES_MAX {
            let message = format!("the queue is full: it has {IMAGES_MAX} images");
            return Err(ApiError::new(ErrorKind::Refused, message).with(IMAGES_MAX as u64, IMAGES_MAX as u64));
        }
        let name = facts.name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
        let facts = Facts { name, ..facts };
        self.images.put_image(&source, image)?;
        let fault = |error: serde_json::Error| ApiError::new(ErrorKind::DeviceFault, error.to_string());
        write_private(&json_path(&self.folder, &source), &serde_json::to_vec(&facts).map_err(fault)?)?;
        self.items.insert(source, Item { facts, feature: None, classified: None, failed: false });
        Ok(true)
    }

    /// Removes an image; `None` if there is none of this source.
    ///
    /// # Errors
    /// If its files cannot be removed.
    pub fn remove(&mut self, source: &SourceId) -> Result<Option<Item>, ApiError> {
        if !self.items.contains_key(source) {
            return Ok(None);
        }
        let path = json_path(&self.folder, source);
        remove_if_present(&path).map_err(|error| {
            ApiError::new(ErrorKind::DeviceFault, format!("cannot remove {}: {error}", path.display()))
        })?;
        self.images.remove(source)?;
        Ok(self.items.remove(source))
    }

    /// Marks features and classifications as unknown, because the encoder may be another one.
    pub fn forget_features(&mut self) {
        for item in self.items.values_mut() {
            (item.feature, item.classified, item.failed) = (None, None, false);
        }
    }
}

fn json_path(folder: &std::path::Path, source: &SourceId) -> PathBuf {
    folder.join(hexadecimal(source)).with_extension("json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(value: u8) -> Image {
        Image { width: 3, height: 2, channels: 1, pixels: vec![value; 6] }
    }

    fn facts(name: &str) -> Facts {
        Facts { name: name.to_owned(), added_s: 9 }
    }

    #[test]
    fn acknowledged_images_survive_and_half_written_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue");
        let mut queue = Queue::open(path.clone()).unwrap();
        assert!(queue.add([1; 16], &image(1), facts("a\n.png")).unwrap());
        assert!(!queue.add([1; 16], &image(1), facts("b.png")).unwrap());
        assert!(queue.add([2; 16], &image(2), facts("c.png")).unwrap());
        assert!(queue.remove(&[2; 16]).unwrap().is_some());
        assert!(queue.remove(&[2; 16]).unwrap().is_none());
        // A power cut between the picture and its JSON file.
        queue.images.put_image(&[3; 16], &image(3)).unwrap();
        let queue = Queue::open(path.clone()).unwrap();
        assert_eq!(
            queue.items().map(|(source, item)| (source[0], item.facts.clone())).collect::<Vec<_>>(),
            [(1, facts("a.png"))]
        );
        assert_eq!(queue.images().get(&[1; 16]).unwrap(), Some(image(1)));
        assert_eq!(std::fs::read_dir(path).unwrap().count(), 2, "files of other images stay");
    }
}
