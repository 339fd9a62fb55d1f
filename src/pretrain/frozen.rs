//! The features of a frozen encoder, computed once where images are not augmented.

use std::sync::atomic::{AtomicBool, Ordering};

use super::features::Extractor;
use super::observer::{Event, Observer};
use super::training_set::ImageSet;
use crate::data::DataError;
use crate::measure::Features;

/// Images embedded between two progress events.
const EMBED_AT_ONCE: usize = 1_024;

/// Features by position in their set, not standardised; those of unreadable images are zeros. `training` is `None` where
/// training augments.
pub(super) struct Frozen {
    pub training: Option<Features>,
    pub held_out: Option<Features>,
}

impl Frozen {
    /// Features of the sets that are given; `None` if `stop` was raised meanwhile.
    pub fn of(
        extractor: Extractor<'_>,
        training: Option<&ImageSet<'_>>,
        held_out: Option<&ImageSet<'_>>,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Option<Self>, DataError> {
        let mut found = Self { training: None, held_out: None };
        for (features, set) in [(&mut found.training, training), (&mut found.held_out, held_out)] {
            let Some(set) = set else { continue };
            *features = features_of(extractor, set, observer, stop)?;
            if features.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(found))
    }
}

fn features_of(
    extractor: Extractor<'_>,
    set: &ImageSet<'_>,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Option<Features>, DataError> {
    let dim = extractor.network.spec().feature_dim();
    let mut features = Features { dim, rows: vec![0.0; set.indices.len() * dim] };
    let mut done = 0;
    for positions in set.readable.chunks(EMBED_AT_ONCE) {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let rows = extractor.features(set, positions)?;
        for (&position, row) in positions.iter().zip(rows.chunks_exact(dim)) {
            features.rows[position * dim..][..dim].copy_from_slice(row);
        }
        done += positions.len();
        observer.event(Event::Reading { done, of: set.readable.len() });
    }
    Ok(Some(features))
}
