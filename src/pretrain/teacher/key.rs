//! What determines the features of a teacher: the header of their file.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::augment::Augmentation;
use crate::data::ImageDigest;
use crate::objective::{Distillation, Teacher, TeacherView};
use crate::pretrain::PretrainConfig;

const FORMAT: &str = "macula teacher features 1";

/// Everything that the features of a teacher depend on. Equal keys have equal features.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct CacheKey {
    format: &'static str,
    /// Identity of the teacher, in hexadecimal. It covers the teacher's preprocessing.
    teacher: String,
    /// Dimensions of a feature.
    pub dim: usize,
    /// Number of images.
    pub images: usize,
    /// Views per image.
    pub views: usize,
    /// SHA-256 over the digests of the images in order, and over their indices if views are drawn by them.
    images_sha256: String,
    /// Which image the teacher sees.
    view: TeacherView,
    /// Channels that an image is converted to before the teacher sees it: those of the student.
    channels: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    views_by: Option<ViewKey>,
}

/// What determines augmented views.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct ViewKey {
    seed: u64,
    /// Side of the student's input: lengths of the augmentation are in its pixels.
    size: usize,
    augmentation: Augmentation,
}

impl CacheKey {
    /// * `images`: digest and index in the dataset of each training image
    pub fn new(
        config: &PretrainConfig,
        settings: &Distillation,
        teacher: &Teacher,
        images: &[(ImageDigest, usize)],
    ) -> Self {
        let is_same = settings.teacher_view == TeacherView::Same;
        let mut hash = Sha256::new();
        for (digest, index) in images {
            hash.update(digest.0);
            if is_same {
                hash.update((*index as u64).to_le_bytes());
            }
        }
        let PretrainConfig { seed, size, augmentation, .. } = *config;
        Self {
            format: FORMAT,
            teacher: teacher.sha256.clone(),
            dim: teacher.dim,
            images: images.len(),
            views: settings.num_views(),
            images_sha256: base16ct::lower::encode_string(&hash.finalize()),
            view: settings.teacher_view,
            channels: config.channels,
            views_by: is_same.then_some(ViewKey { seed, size, augmentation }),
        }
    }

    /// The header of the file, TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a key is plain TOML")
    }

    /// The name of the file, which differs between keys.
    pub fn file_name(&self) -> String {
        let digest = Sha256::digest(self.to_toml());
        format!("{PREFIX}{}{SUFFIX}", base16ct::lower::encode_string(&digest[..8]))
    }
}

const PREFIX: &str = "teacher-";
const SUFFIX: &str = ".f16";

/// Whether `name` is that of a file of teacher features.
pub(in crate::pretrain) fn is_feature_file(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}
