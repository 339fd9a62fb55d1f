//! An encoder that stays as it is: its features, standardised, each made once where an image never changes.

use std::sync::atomic::{AtomicBool, Ordering};

use super::observer::{Event, Observer};
use super::plain::plain_features;
use super::training_set::ImageSet;
use crate::data::{DataError, Preprocessing};
use crate::encoder::Network;
use crate::measure::Features;

/// Images embedded between two reports.
const EMBED_AT_ONCE: usize = 1_024;

/// Features by position in their set, not standardised; those of unreadable images are zeros. None where training augments.
pub(super) struct Frozen {
    pub training: Option<Features>,
    pub held_out: Option<Features>,
}

impl Frozen {
    /// Features of all `sets` that are given; none when `stop` was raised meanwhile.
    pub fn of(
        network: &Network,
        preprocessing: &Preprocessing,
        (training, held_out): (Option<&ImageSet<'_>>, Option<&ImageSet<'_>>),
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Option<Self>, DataError> {
        let mut known = [None, None];
        for (known, set) in known.iter_mut().zip([training, held_out]) {
            let Some(set) = set else { continue };
            *known = features_of(network, preprocessing, set, observer, stop)?;
            if known.is_none() {
                return Ok(None);
            }
        }
        let [training, held_out] = known;
        Ok(Some(Self { training, held_out }))
    }
}

fn features_of(
    network: &Network,
    preprocessing: &Preprocessing,
    set: &ImageSet<'_>,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Option<Features>, DataError> {
    let dim = network.spec().feature_dim();
    let mut features = Features { dim, rows: vec![0.0; set.indices.len() * dim] };
    let mut done = 0;
    for positions in set.readable.chunks(EMBED_AT_ONCE) {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let rows = plain_features(network, preprocessing, set, positions)?;
        for (&position, row) in positions.iter().zip(rows.chunks_exact(dim)) {
            features.rows[position * dim..][..dim].copy_from_slice(row);
        }
        done += positions.len();
        observer.event(Event::Reading { done, of: set.readable.len() });
    }
    Ok(Some(features))
}
