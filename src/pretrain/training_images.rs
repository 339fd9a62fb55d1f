//! The record of the training images of a run, by their digests. Evaluation excludes these images from its test split.
//!
//! It is `training-images.json` in the run folder, written before the first step:
//!
//! | field     | what                                                                                    |
//! | `format`  | kind and version                                                                        |
//! | `labels`  | whether training used their labels                                                      |
//! | `sha256`  | over `images`, the 16 bytes of each                                                     |
//! | `images`  | the digest of each image, in the order of the run, in hexadecimal                       |
//! | `earlier` | the record of the encoder that the run started from, or `"unknown"`                     |

use std::collections::HashMap;
use std::path::Path;

use base16ct::lower::encode_string as hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::run_error::RunError;
use crate::data::ImageDigest;
use crate::files::{read_bounded, write_atomic};

/// Name of the record in a run folder.
pub const TRAINING_IMAGES: &str = "training-images.json";

const FORMAT: &str = "macula training images 1";
/// Most bytes of a record: ten million images.
const BYTES_MAX: u64 = 384 << 20;

/// The training images of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingImages {
    format: String,
    /// Whether training used their labels.
    pub labels: bool,
    sha256: String,
    /// In the order of the run.
    pub images: Vec<ImageDigest>,
    /// The record of the encoder that the run started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Earlier>,
}

/// The training images of the encoder that a run started from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Earlier {
    /// It has no record.
    Unknown,
    /// Its record.
    Recorded(Box<TrainingImages>),
}

impl TrainingImages {
    /// The record of `images`; `start` is the encoder that the run starts from.
    ///
    /// # Errors
    /// When the record of `start` is damaged.
    pub fn new(images: Vec<ImageDigest>, labels: bool, start: Option<&Path>) -> Result<Self, RunError> {
        let of_start = |path: &Path| {
            Self::of_run(path).map(|found| found.map_or(Earlier::Unknown, |found| Earlier::Recorded(Box::new(found))))
        };
        let earlier = start.map(of_start).transpose()?;
        Ok(Self { format: FORMAT.to_owned(), labels, sha256: sha256(&images), images, earlier })
    }

    /// The record of the run in the folder `run`; `None` if there is no folder or no record.
    ///
    /// # Errors
    /// When it cannot be read, is of another version, or is damaged.
    pub fn of_run(run: &Path) -> Result<Option<Self>, RunError> {
        let path = run.join(TRAINING_IMAGES);
        if !path.exists() {
            return Ok(None);
        }
        let foreign = |reason: String| RunError::NotARecord { path: path.display().to_string(), reason };
        let bytes = read_bounded(&path, BYTES_MAX).map_err(|error| foreign(error.source.to_string()))?;
        let found: Self = serde_json::from_slice(&bytes).map_err(|error| foreign(error.to_string()))?;
        found.check().map_err(foreign)?;
        Ok(Some(found))
    }

    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("its format is '{}', expected '{FORMAT}'", self.format));
        }
        let computed = sha256(&self.images);
        if computed != self.sha256 {
            return Err(format!("it is damaged: its SHA-256 is {computed}, expected {}", self.sha256));
        }
        match &self.earlier {
            Some(Earlier::Recorded(earlier)) => earlier.check(),
            Some(Earlier::Unknown) | None => Ok(()),
        }
    }

    /// Writes the record into the folder `run`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, run: &Path) -> Result<(), RunError> {
        let bytes = serde_json::to_vec(self).expect("a record is plain JSON");
        Ok(write_atomic(&run.join(TRAINING_IMAGES), &bytes)?)
    }

    /// SHA-256 over the digests in their order, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Every training image of this run and of earlier ones, and whether its label was used.
    pub fn labels_used(&self) -> HashMap<ImageDigest, bool> {
        let mut used = match &self.earlier {
            Some(Earlier::Recorded(earlier)) => earlier.labels_used(),
            Some(Earlier::Unknown) | None => HashMap::new(),
        };
        for &image in &self.images {
            *used.entry(image).or_default() |= self.labels;
        }
        used
    }

    /// Whether all training images are known.
    pub fn is_complete(&self) -> bool {
        match &self.earlier {
            None => true,
            Some(Earlier::Unknown) => false,
            Some(Earlier::Recorded(earlier)) => earlier.is_complete(),
        }
    }
}

/// SHA-256 over digests in their order, in hexadecimal.
pub(super) fn sha256(images: &[ImageDigest]) -> String {
    let mut hash = Sha256::new();
    images.iter().for_each(|image| hash.update(image.0));
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_with_the_earlier_one() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
        std::fs::create_dir(&first).unwrap();
        std::fs::create_dir(&second).unwrap();
        let image = |value: u8| ImageDigest([value; 16]);
        assert_eq!(TrainingImages::of_run(&first).unwrap(), None);
        let unlabelled = TrainingImages::new(vec![image(1), image(2)], false, None).unwrap();
        unlabelled.write(&first).unwrap();
        let labelled = TrainingImages::new(vec![image(2), image(3)], true, Some(&first)).unwrap();
        labelled.write(&second).unwrap();
        let read = TrainingImages::of_run(&second).unwrap().unwrap();
        assert_eq!(read, labelled);
        assert_eq!(read.labels_used(), HashMap::from([(image(1), false), (image(2), true), (image(3), true)]));
        assert!(read.is_complete());
        let on_unknown = TrainingImages::new(vec![image(4)], false, Some(Path::new("grey-64"))).unwrap();
        assert!(!on_unknown.is_complete());

        let path = second.join(TRAINING_IMAGES);
        let text = std::fs::read_to_string(&path).unwrap();
        for damaged in [text.replace("0303", "0304"), text.replace("images 1", "images 2"), text[..40].to_owned()] {
            std::fs::write(&path, damaged).unwrap();
            assert!(matches!(TrainingImages::of_run(&second), Err(RunError::NotARecord { .. })));
        }
    }
}
