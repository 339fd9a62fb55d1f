//! Store errors as refusals.

use crate::protocol::{Reason, Refusal};
use crate::store::StoreError;

/// A store error as a refusal.
pub(super) fn refusal(error: StoreError) -> Refusal {
    match error {
        StoreError::Full { needed, free } => Reason::StoreFull.with(needed.into(), free.into()),
        StoreError::SupportSet(error) => error.into(),
        other => Reason::StoreFault.with(fault(&other), 0),
    }
}

/// The numbers of [`Reason::StoreFault`].
fn fault(error: &StoreError) -> u64 {
    match error {
        // These two are reasons themselves.
        StoreError::Full { .. } | StoreError::SupportSet(_) => 0,
        StoreError::Geometry { .. } => 1,
        StoreError::Buffer { .. } => 2,
        StoreError::NotAStore => 3,
        StoreError::NewerVersion { .. } => 4,
        StoreError::Identity { .. } => 5,
        StoreError::Damaged { .. } => 6,
        StoreError::Length { .. } => 7,
        StoreError::Worn { .. } => 8,
        StoreError::Flash { .. } => 9,
        StoreError::Unknown => 10,
    }
}
