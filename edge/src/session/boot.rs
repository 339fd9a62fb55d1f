//! Selects the bundle of each start, and confirms it or rolls back to the one before.
//!
//! 1. A commit (`update.rs`) makes the new bundle the pending candidate. The confirmed bundle does not change.
//! 2. A start with a pending candidate counts an attempt durably before it reads anything of the candidate
//!    ([`begin_start`]), so a start that crashes is counted too.
//! 3. A candidate that gives the features of its golden images is confirmed ([`open_and_confirm`]). A candidate that does
//!    not is rolled back by the caller of this module ([`roll_back`]); after [`ATTEMPTS_MAX`] attempts without an end,
//!    [`begin_start`] rolls it back. The reason is kept and reported to hosts.
//!
//! The anti-rollback counter rises when a bundle is confirmed, not before: a device that rolls back must be able to start
//! with the bundle it had.

use core::ops::Range;

use super::BundleSummary;
use super::boot_state::{BOOT_STATE_KEY, BootState, Bundle, CandidateBundle};
use crate::bundle::anti_rollback;
use crate::protocol::message::RollbackReason;
use crate::store::{self, Flash, Peeked, SETTING_MAX, Store, StoreError};
use crate::support_set::{ClassName, SupportRecord, SupportSet, SupportSetError};

/// Starts that a candidate may take to be confirmed. One interrupted start is no reason to roll back; a device that
/// crashes each time rolls back after this many.
pub const ATTEMPTS_MAX: u8 = 3;

/// Memory to open a store before its encoder is known.
#[derive(Debug)]
pub struct StartMemory<'a> {
    /// Class slots, `[C]`.
    pub names: &'a mut [ClassName],
    /// Places for supports, `[S]`.
    pub records: &'a mut [SupportRecord],
    /// At least `[S, D]`, D of the encoder that the store belongs to.
    pub features: &'a mut [i16],
    /// At least [`buffer_len`](crate::store::buffer_len) of that encoder.
    pub buffer: &'a mut [u8],
}

/// The bundle that a device starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The bundle.
    pub bundle: Bundle,
    /// Whether it is a pending candidate: it must pass its golden images, and is then confirmed by [`open_and_confirm`]
    /// or rolled back by [`roll_back`].
    pub is_pending: bool,
    /// Whether supports may be forgotten for it.
    pub may_forget: bool,
}

impl Start {
    const fn confirmed(bundle: Bundle) -> Self {
        Self { bundle, is_pending: false, may_forget: false }
    }
}

/// Selects the bundle of this start, before any encoder is read, and counts an attempt if it is a pending candidate.
///
/// A store without a boot state selects the factory bundle in slot 0.
///
/// * `range`: of the store
///
/// # Errors
/// When the store cannot be read or written.
pub fn begin_start<F: Flash>(flash: &mut F, range: Range<u32>, memory: StartMemory<'_>) -> Result<Start, StoreError> {
    let boot_state = peek_boot_state(flash, range.clone(), memory.buffer)?;
    let CandidateBundle::Pending { bundle, attempts, may_forget } = boot_state.candidate else {
        return Ok(Start::confirmed(boot_state.confirmed));
    };
    let is_used_up = attempts >= ATTEMPTS_MAX;
    let candidate = match is_used_up {
        true => CandidateBundle::RolledBack { bundle, reason: RollbackReason::NeverCompleted as u8 },
        false => CandidateBundle::Pending { bundle, attempts: attempts + 1, may_forget },
    };
    with_settings(flash, range, memory, |store| BootState { candidate, ..boot_state }.save(store))?;
    match is_used_up {
        true => Ok(Start::confirmed(boot_state.confirmed)),
        false => Ok(Start { bundle, is_pending: true, may_forget }),
    }
}

/// Rolls back the pending candidate; returns the start with the confirmed bundle.
///
/// # Errors
/// When the store cannot be read or written.
pub fn roll_back<F: Flash>(
    flash: &mut F,
    range: Range<u32>,
    memory: StartMemory<'_>,
    reason: RollbackReason,
) -> Result<Start, StoreError> {
    let boot_state = peek_boot_state(flash, range.clone(), memory.buffer)?;
    if let CandidateBundle::Pending { bundle, .. } = boot_state.candidate {
        let candidate = CandidateBundle::RolledBack { bundle, reason: reason as u8 };
        with_settings(flash, range, memory, |store| BootState { candidate, ..boot_state }.save(store))?;
    }
    Ok(Start::confirmed(boot_state.confirmed))
}

/// The boot state of a store that is not open yet; that of a factory device when it has none.
fn peek_boot_state<F: Flash>(flash: &mut F, range: Range<u32>, buffer: &mut [u8]) -> Result<BootState, StoreError> {
    let mut value = [0; SETTING_MAX];
    let peeked = store::peek(flash, range, buffer, BOOT_STATE_KEY, &mut value)?;
    let found = peeked.and_then(|peeked| BootState::parse(&value[..peeked.setting_len]));
    Ok(found.unwrap_or(BootState::factory(0)))
}

/// Opens the store of any encoder, and lets `act` read or change its settings; `None` when the flash is erased.
///
/// * `range`: of the store
///
/// # Errors
/// When the store cannot be read, and as `act`.
pub fn with_settings<F: Flash, T>(
    flash: &mut F,
    range: Range<u32>,
    memory: StartMemory<'_>,
    act: impl FnOnce(&mut Store<'_, &mut F>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let StartMemory { names, records, features, buffer } = memory;
    let peeked = store::peek(flash, range.clone(), buffer, BOOT_STATE_KEY, &mut [0; SETTING_MAX])?;
    let Some(Peeked { identity, dim, .. }) = peeked else { return Ok(None) };
    let dim = dim.unwrap_or(1);
    let (found, expected) = (features.len(), records.len().saturating_mul(dim));
    let features = features.get_mut(..expected);
    let features =
        features.ok_or(StoreError::SupportSet(SupportSetError::Memory { what: "features", found, expected }))?;
    let mut support_set = SupportSet::new(dim, names, records, features).map_err(StoreError::SupportSet)?;
    act(&mut Store::open(flash, range, identity, buffer, &mut support_set)?).map(Some)
}

/// Whether the store belongs to another encoder than `identity` and must not be restarted for it, so that the bundle of
/// `start` cannot be used. Writes nothing.
///
/// * `buffer`: at least [`buffer_len`](crate::store::buffer_len) of the encoder that the store belongs to
///
/// # Errors
/// When the store cannot be read.
pub fn would_forget<F: Flash>(
    flash: &mut F,
    range: Range<u32>,
    start: Start,
    identity: [u8; 16],
    buffer: &mut [u8],
) -> Result<bool, StoreError> {
    let peeked = store::peek(flash, range, buffer, BOOT_STATE_KEY, &mut [0; SETTING_MAX])?;
    Ok(peeked.is_some_and(|peeked| {
        let may = start.is_pending && (start.may_forget || !peeked.has_supports);
        peeked.identity != identity && !may
    }))
}

/// Opens the store for the bundle of `start`, whose golden images have passed, and confirms a pending candidate.
///
/// A store of another encoder is restarted for a pending candidate in the same atomic step as the confirmation, unless
/// supports would be forgotten that must not be.
///
/// * `summary`: of the bundle
/// * `buffer`: at least [`buffer_len`](crate::store::buffer_len) of the larger of the two encoders
///
/// # Errors
/// As [`Store::open`] and [`Store::change_encoder`].
pub fn open_and_confirm<'m, F: Flash>(
    mut flash: F,
    range: Range<u32>,
    start: Start,
    summary: BundleSummary,
    buffer: &'m mut [u8],
    support_set: &mut SupportSet<'_>,
) -> Result<Store<'m, F>, StoreError> {
    let peeked = store::peek(&mut flash, range.clone(), buffer, BOOT_STATE_KEY, &mut [0; SETTING_MAX])?;
    let is_another = start.is_pending && peeked.is_some_and(|peeked| peeked.identity != summary.identity);
    let mut store = match is_another && !would_forget(&mut flash, range.clone(), start, summary.identity, buffer)? {
        true => {
            let confirmed = BootState { confirmed: start.bundle, candidate: CandidateBundle::None }.bytes();
            Store::change_encoder(flash, range, summary.identity, (BOOT_STATE_KEY, &confirmed), buffer, support_set)?
        }
        false => Store::open(flash, range, summary.identity, buffer, support_set)?,
    };
    confirm(&mut store, start.bundle, summary.counter)?;
    Ok(store)
}

/// Records `bundle` as confirmed and raises the anti-rollback counter. Its golden images have passed, and the store
/// belongs to its encoder.
///
/// # Errors
/// As [`Store::put_setting`].
pub fn confirm<F: Flash>(store: &mut Store<'_, F>, bundle: Bundle, bundle_counter: u64) -> Result<(), StoreError> {
    let known = BootState::load(store)?;
    // A host may still ask why a candidate was rolled back; a pending candidate is the confirmed bundle now.
    let candidate = match known {
        Some(BootState { candidate: rolled_back @ CandidateBundle::RolledBack { .. }, .. }) => rolled_back,
        _ => CandidateBundle::None,
    };
    let boot_state = BootState { confirmed: bundle, candidate };
    if known.unwrap_or(BootState::factory(0)) != boot_state {
        boot_state.save(store)?;
    }
    anti_rollback::raise(store, bundle_counter)
}
