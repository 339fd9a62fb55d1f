//! The few-shot figures of an encoder on a task, kept in the cache between calls.
//!
//! The figures of a floor or a foreign encoder are needed beside every new encoder. They depend on the features, the episodes
//! and the code of the head; the key therefore covers the program's own bytes, so that no figure outlives the code that
//! computed it.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::task_images::TaskImages;
use crate::encoder::HostEncoder;
use crate::evaluate::{
    EpisodePool, EpisodeSettings, EvaluateError, FeatureSource, Features, HeadKind, Interval, Progress, few_shot,
};
use crate::files::{Cache, CacheKey};

/// Figures over all episodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Balanced accuracy of each episode.
    pub of_episodes: Vec<f64>,
    /// Sensitivity (recall) of each class, over the episodes.
    pub sensitivities: Vec<Option<Interval>>,
    /// Area under the ROC curve; for two classes only.
    pub area_under_roc: Option<Interval>,
}

impl Figures {
    /// Mean balanced accuracy and its 95 % interval over the episodes.
    pub fn balanced_accuracy(&self) -> Interval {
        Interval::of(&self.of_episodes)
    }
}

/// Episodes of one task with one number of shots.
pub(super) struct Episodes<'a> {
    pub settings: EpisodeSettings,
    pub count: usize,
    pub head: HeadKind,
    pub images: &'a TaskImages,
}

impl Episodes<'_> {
    /// The figures of `encoder`: from `cache`, or of the features that `features` gives.
    pub fn figures(
        &self,
        encoder: &dyn HostEncoder,
        (source, cache): (&FeatureSource<'_>, Option<&Cache>),
        features: impl FnOnce() -> Result<Features, EvaluateError>,
        progress: Progress,
    ) -> Result<Figures, EvaluateError> {
        let key = cache.and_then(|_| self.key(source, encoder));
        let kept = cache.zip(key).and_then(|(cache, key)| cache.get(key));
        if let Some(kept) = kept.and_then(|bytes| postcard::from_bytes::<Figures>(&bytes).ok()) {
            progress(self.count);
            return Ok(kept);
        }
        let TaskImages { dataset, test, .. } = self.images;
        let pool = EpisodePool::new(dataset, test, self.settings)?;
        let classes = dataset.class_names.len();
        let result = few_shot(&features()?, classes, &pool, self.count, self.head, progress)?;
        let figures = Figures {
            of_episodes: result.of_episodes,
            sensitivities: result.recall_intervals,
            area_under_roc: result.area_under_roc,
        };
        if let Some((cache, key)) = cache.zip(key) {
            cache.put(key, &postcard::to_allocvec(&figures).expect("figures are plain numbers"))?;
        }
        Ok(figures)
    }

    /// All that the figures depend on. `None` if it is not known.
    fn key(&self, source: &FeatureSource<'_>, encoder: &dyn HostEncoder) -> Option<CacheKey> {
        let TaskImages { dataset, train, test, .. } = self.images;
        let mut hash = Sha256::new_with_prefix("macula figures 1 ");
        hash.update(program()?);
        hash.update(source.key("features", encoder, test)?.0);
        hash.update(source.key("corpus", encoder, train)?.0);
        hash.update(format!("{:?} {} {} ", self.settings, self.count, self.head));
        for &index in test {
            let record = &dataset.records[index];
            hash.update(format!("{:?} {:?} ", record.label, record.group));
        }
        Some(CacheKey(hash.finalize().into()))
    }
}

/// The digest of this program's file.
fn program() -> Option<[u8; 32]> {
    static DIGEST: OnceLock<Option<[u8; 32]>> = OnceLock::new();
    *DIGEST.get_or_init(|| {
        let bytes = std::fs::read(std::env::current_exe().ok()?).ok()?;
        Some(Sha256::digest(bytes).into())
    })
}
