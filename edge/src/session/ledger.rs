//! Which bundle a device starts with: the confirmed one, or another one on trial.
//!
//! One setting of the store says all of it, so that each step is one atomic write:
//!
//! 1. A commit makes the new bundle the candidate. The confirmed one stays what it is.
//! 2. A start with a candidate counts a try, durably, before anything of the candidate is read ([`begin_start`]): also one
//!    that brings the device down is counted.
//! 3. The candidate gives the features of its golden images: it is confirmed ([`settle`]). It does not, or its tries are
//!    used up: it is rolled back, and why is kept for whoever asks ([`roll_back`]).
//!
//! The counter against roll-back grows when a bundle is confirmed, not before: a device that goes back must be able to
//! start with what it had.

use core::ops::Range;

use super::Offer;
use crate::bundle::counter;
use crate::protocol::message::{BundleReport, Candidate, Fate, Setback};
use crate::store::{self, Flash, Peeked, SETTING_MAX, Store, StoreError};
use crate::taught::{Name, Record, Taught, TaughtError};

/// The setting that this file is about.
const LEDGER_KEY: u8 = 1;

/// Starts that a bundle may take to be confirmed: a plug pulled by chance is no reason to roll back, and a device that
/// goes down each time is back after as many.
pub const TRIES_MAX: u8 = 3;

/// Bytes of a [`Bundle`] in a setting: slot, length (`u32` little-endian), SHA-256.
pub(super) const BUNDLE_LEN: usize = 1 + 4 + 32;

/// The confirmed bundle; what has become of the candidate (0 there is none, 1 waiting, 2 rolled back); the candidate;
/// its tries; whether samples may be forgotten for it; why it was rolled back.
const LEDGER_LEN: usize = 2 * BUNDLE_LEN + 4;

/// A bundle in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Its slot, 0 or 1.
    pub slot: u8,
    /// Its bytes; 0 where it came with the device, and nobody has told.
    pub len: u32,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

impl Bundle {
    /// The one that a device comes with.
    pub const fn came_with_device(slot: u8) -> Self {
        Self { slot, len: 0, sha256: [0; 32] }
    }

    pub(super) fn write(&self, value: &mut [u8]) {
        value[0] = self.slot;
        value[1..5].copy_from_slice(&self.len.to_le_bytes());
        value[5..BUNDLE_LEN].copy_from_slice(&self.sha256);
    }

    /// A bundle and what follows it; `None` where the setting has another form.
    pub(super) fn read(value: &[u8]) -> Option<(Self, &[u8])> {
        let (&[slot, l0, l1, l2, l3], rest) = value.split_first_chunk::<5>()?;
        let (&sha256, rest) = rest.split_first_chunk::<32>()?;
        (slot <= 1).then_some((Self { slot, len: u32::from_le_bytes([l0, l1, l2, l3]), sha256 }, rest))
    }
}

/// What becomes of a bundle that was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    None,
    Waiting {
        bundle: Bundle,
        /// Starts that were begun with it.
        tries: u8,
        /// Whether its commit allowed that samples are forgotten.
        may_forget: bool,
    },
    RolledBack {
        bundle: Bundle,
        why: u8,
    },
}

/// The setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ledger {
    pub confirmed: Bundle,
    pub trial: Trial,
}

impl Ledger {
    pub const fn came_with_device(slot: u8) -> Self {
        Self { confirmed: Bundle::came_with_device(slot), trial: Trial::None }
    }

    pub fn load<F: Flash>(store: &mut Store<'_, F>) -> Result<Option<Self>, StoreError> {
        let mut value = [0; SETTING_MAX];
        let len = store.get_setting(LEDGER_KEY, &mut value)?;
        Ok(Self::parse(&value[..len]))
    }

    pub fn save<F: Flash>(&self, store: &mut Store<'_, F>) -> Result<(), StoreError> {
        store.put_setting(LEDGER_KEY, &self.bytes())
    }

    fn bytes(&self) -> [u8; LEDGER_LEN] {
        let mut value = [0; LEDGER_LEN];
        self.confirmed.write(&mut value);
        let (fate, bundle, last) = match self.trial {
            Trial::None => (0, Bundle::came_with_device(0), [0; 3]),
            Trial::Waiting { bundle, tries, may_forget } => (1, bundle, [tries, may_forget.into(), 0]),
            Trial::RolledBack { bundle, why } => (2, bundle, [0, 0, why]),
        };
        value[BUNDLE_LEN] = fate;
        bundle.write(&mut value[BUNDLE_LEN + 1..]);
        value[LEDGER_LEN - 3..].copy_from_slice(&last);
        value
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let (confirmed, rest) = Bundle::read(value)?;
        let trial = match rest.split_first() {
            Some((1 | 2, rest)) => {
                let (bundle, rest) = Bundle::read(rest)?;
                let &[tries, may_forget, why] = rest.first_chunk()?;
                match value[BUNDLE_LEN] {
                    1 => Trial::Waiting { bundle, tries, may_forget: may_forget != 0 },
                    _ => Trial::RolledBack { bundle, why },
                }
            }
            _ => Trial::None,
        };
        Some(Self { confirmed, trial })
    }

    /// The bundle of the next start.
    pub fn next(&self) -> Bundle {
        match self.trial {
            Trial::Waiting { bundle, .. } => bundle,
            _ => self.confirmed,
        }
    }

    /// Whether a commit of `bundle` would change nothing.
    pub fn has_settled(&self, bundle: Bundle, forgets: bool) -> bool {
        match self.trial {
            Trial::Waiting { bundle: waiting, may_forget, .. } => waiting == bundle && may_forget >= forgets,
            _ => self.confirmed == bundle,
        }
    }

    /// The bundle that was committed last and is not in use.
    pub fn candidate(&self) -> Option<Bundle> {
        match self.trial {
            Trial::None => None,
            Trial::Waiting { bundle, .. } | Trial::RolledBack { bundle, .. } => Some(bundle),
        }
    }

    pub fn report(&self, counter: u64) -> BundleReport {
        let Bundle { slot, sha256, .. } = self.confirmed;
        let fate = match self.trial {
            Trial::RolledBack { why, .. } => Fate::RolledBack { why },
            Trial::Waiting { tries, .. } => Fate::Waiting { tries },
            Trial::None => return BundleReport { slot, sha256, counter, candidate: None },
        };
        let candidate = self.candidate().map(|Bundle { slot, sha256, .. }| Candidate { slot, sha256, fate });
        BundleReport { slot, sha256, counter, candidate }
    }
}

/// Memory to read a store in whose encoder is not known yet.
#[derive(Debug)]
pub struct StartMemory<'a> {
    /// Class slots, `[C]`.
    pub names: &'a mut [Name],
    /// Places for supports, `[S]`.
    pub records: &'a mut [Record],
    /// At least `[S, D]`, of the encoder that the store was taught with.
    pub features: &'a mut [i16],
    /// At least [`buffer_len`](crate::store::buffer_len) of that encoder.
    pub buffer: &'a mut [u8],
}

/// With what a device starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The bundle.
    pub bundle: Bundle,
    /// Whether it is on trial: it must pass its golden images, and is confirmed by [`settle`] or rolled back by
    /// [`roll_back`].
    pub on_trial: bool,
    /// Whether samples may be forgotten for it.
    pub may_forget: bool,
}

impl Start {
    const fn confirmed(bundle: Bundle) -> Self {
        Self { bundle, on_trial: false, may_forget: false }
    }
}

/// With which bundle this start begins, found before any encoder is read. One on trial has a try less from here on.
///
/// Where the store names no bundle it is the one in slot 0, which a device comes with.
///
/// * `range`: of the store
///
/// # Errors
/// When the store cannot be read or written.
pub fn begin_start<F: Flash>(flash: &mut F, range: Range<u32>, memory: StartMemory<'_>) -> Result<Start, StoreError> {
    let mut value = [0; SETTING_MAX];
    let peeked = store::peek(flash, range.clone(), memory.buffer, LEDGER_KEY, &mut value)?;
    let Some(peeked) = peeked else { return Ok(Start::confirmed(Bundle::came_with_device(0))) };
    let ledger = Ledger::parse(&value[..peeked.setting_len]).unwrap_or(Ledger::came_with_device(0));
    let Trial::Waiting { bundle, tries, may_forget } = ledger.trial else {
        return Ok(Start::confirmed(ledger.confirmed));
    };
    let used_up = tries >= TRIES_MAX;
    let trial = match used_up {
        true => Trial::RolledBack { bundle, why: Setback::NeverEnded as u8 },
        false => Trial::Waiting { bundle, tries: tries + 1, may_forget },
    };
    let counted = Ledger { trial, ..ledger };
    with_settings(flash, range, memory, |store| counted.save(store))?;
    match used_up {
        true => Ok(Start::confirmed(ledger.confirmed)),
        false => Ok(Start { bundle, on_trial: true, may_forget }),
    }
}

/// Gives up the bundle on trial; gives the confirmed one, with which this start goes on.
///
/// # Errors
/// When the store cannot be read or written.
pub fn roll_back<F: Flash>(
    flash: &mut F,
    range: Range<u32>,
    memory: StartMemory<'_>,
    why: Setback,
) -> Result<Start, StoreError> {
    let mut value = [0; SETTING_MAX];
    let peeked = store::peek(flash, range.clone(), memory.buffer, LEDGER_KEY, &mut value)?;
    let Some(peeked) = peeked else { return Ok(Start::confirmed(Bundle::came_with_device(0))) };
    let ledger = Ledger::parse(&value[..peeked.setting_len]).unwrap_or(Ledger::came_with_device(0));
    if let Trial::Waiting { bundle, .. } = ledger.trial {
        let rolled_back = Ledger { trial: Trial::RolledBack { bundle, why: why as u8 }, ..ledger };
        with_settings(flash, range, memory, |store| rolled_back.save(store))?;
    }
    Ok(Start::confirmed(ledger.confirmed))
}

/// Opens the store whatever its encoder is, and has `act` read or change its settings; `None` where the flash is erased.
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
    let peeked = store::peek(flash, range.clone(), buffer, LEDGER_KEY, &mut [0; SETTING_MAX])?;
    let Some(Peeked { identity, dim, .. }) = peeked else { return Ok(None) };
    let dim = dim.unwrap_or(1);
    let (found, expected) = (features.len(), records.len().saturating_mul(dim));
    let features = features.get_mut(..expected);
    let features = features.ok_or(StoreError::Taught(TaughtError::Memory { what: "features", found, expected }))?;
    let mut taught = Taught::new(dim, names, records, features).map_err(StoreError::Taught)?;
    act(&mut Store::open(flash, range, identity, buffer, &mut taught)?).map(Some)
}

/// Whether the store was taught with another encoder than `identity` and must not be made anew for it: the bundle of
/// `start` cannot be used. Nothing is written.
///
/// * `buffer`: at least [`buffer_len`](crate::store::buffer_len) of the encoder that the store was taught with
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
    let peeked = store::peek(flash, range, buffer, LEDGER_KEY, &mut [0; SETTING_MAX])?;
    Ok(peeked.is_some_and(|peeked| {
        let may = start.on_trial && (start.may_forget || !peeked.has_supports);
        peeked.identity != identity && !may
    }))
}

/// Opens the store for the encoder of the bundle that `start` names and whose golden images have passed. One on trial is
/// the confirmed one afterwards.
///
/// A store of another encoder is made anew for one on trial, in one step with the confirmation, unless samples would be
/// forgotten that must not.
///
/// * `offer`: of the bundle
/// * `buffer`: at least [`buffer_len`](crate::store::buffer_len) of the larger of the two encoders
///
/// # Errors
/// As [`Store::open`] and [`Store::change_encoder`].
pub fn settle<'m, F: Flash>(
    mut flash: F,
    range: Range<u32>,
    start: Start,
    offer: Offer,
    buffer: &'m mut [u8],
    taught: &mut Taught<'_>,
) -> Result<Store<'m, F>, StoreError> {
    let peeked = store::peek(&mut flash, range.clone(), buffer, LEDGER_KEY, &mut [0; SETTING_MAX])?;
    let is_another = start.on_trial && peeked.is_some_and(|peeked| peeked.identity != offer.identity);
    let mut store = match is_another && !would_forget(&mut flash, range.clone(), start, offer.identity, buffer)? {
        true => {
            let confirmed = Ledger { confirmed: start.bundle, trial: Trial::None }.bytes();
            Store::change_encoder(flash, range, offer.identity, (LEDGER_KEY, &confirmed), buffer, taught)?
        }
        false => Store::open(flash, range, offer.identity, buffer, taught)?,
    };
    confirm(&mut store, start.bundle, offer.counter)?;
    Ok(store)
}

/// Names `bundle` as the confirmed one, which it is: its store goes with its encoder and its golden images have passed.
///
/// # Errors
/// As [`Store::put_setting`].
pub fn confirm<F: Flash>(store: &mut Store<'_, F>, bundle: Bundle, bundle_counter: u64) -> Result<(), StoreError> {
    let known = Ledger::load(store)?;
    let rolled_back = known.map(|known| known.trial).filter(|trial| matches!(trial, Trial::RolledBack { .. }));
    // What was rolled back is still to be told; a candidate is the confirmed one now.
    let ledger = Ledger { confirmed: bundle, trial: rolled_back.unwrap_or(Trial::None) };
    // Without a word, a device starts with what it came with.
    if known.unwrap_or(Ledger::came_with_device(0)) != ledger {
        ledger.save(store)?;
    }
    counter::raise(store, bundle_counter)
}
