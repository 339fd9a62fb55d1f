//! The stored boot state: the confirmed bundle and the candidate that is to replace it.
//!
//! All of it is one setting of the store, so each change is one atomic write. `boot.rs` decides what is written.

use crate::protocol::message::{BundleReport, Candidate, CandidateState};
use crate::store::{Flash, SETTING_MAX, Store, StoreError};

/// The setting that holds the boot state.
pub(super) const BOOT_STATE_KEY: u8 = 1;

/// Bytes of a [`Bundle`] in a setting: slot, length (`u32` little-endian), SHA-256.
pub(super) const BUNDLE_LEN: usize = 1 + 4 + 32;

/// Offset of the candidate's state: 0 no candidate, 1 pending, 2 rolled back.
const STATE: usize = BUNDLE_LEN;
/// Offset of the candidate, a [`Bundle`].
const CANDIDATE: usize = STATE + 1;
/// Offset of the starts that were begun with the candidate, one byte.
const ATTEMPTS: usize = CANDIDATE + BUNDLE_LEN;
/// Offset of the byte that says whether supports may be forgotten for the candidate.
const MAY_FORGET: usize = ATTEMPTS + 1;
/// Offset of the rollback reason, one byte.
const REASON: usize = MAY_FORGET + 1;
const BOOT_STATE_LEN: usize = REASON + 1;

/// A bundle in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Its slot, 0 or 1.
    pub slot: u8,
    /// Its bytes; 0 for the factory bundle, whose length is not recorded.
    pub len: u32,
    /// SHA-256 of its bytes; zeros for the factory bundle.
    pub sha256: [u8; 32],
}

impl Bundle {
    /// The bundle that was programmed into `slot` with the device.
    pub const fn factory(slot: u8) -> Self {
        Self { slot, len: 0, sha256: [0; 32] }
    }

    pub(super) fn write(&self, value: &mut [u8]) {
        value[0] = self.slot;
        value[1..5].copy_from_slice(&self.len.to_le_bytes());
        value[5..BUNDLE_LEN].copy_from_slice(&self.sha256);
    }

    /// A bundle and the bytes after it; `None` when the setting has another form.
    pub(super) fn read(value: &[u8]) -> Option<(Self, &[u8])> {
        let (&[slot, l0, l1, l2, l3], rest) = value.split_first_chunk::<5>()?;
        let (&sha256, rest) = rest.split_first_chunk::<32>()?;
        (slot <= 1).then_some((Self { slot, len: u32::from_le_bytes([l0, l1, l2, l3]), sha256 }, rest))
    }
}

/// The bundle that was committed last, until it is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CandidateBundle {
    None,
    /// The next start tries it.
    Pending {
        bundle: Bundle,
        /// Starts that were begun with it.
        attempts: u8,
        /// Whether its commit allows supports to be forgotten.
        may_forget: bool,
    },
    RolledBack {
        bundle: Bundle,
        /// Number of a [`RollbackReason`](crate::protocol::message::RollbackReason).
        reason: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BootState {
    pub confirmed: Bundle,
    pub candidate: CandidateBundle,
}

impl BootState {
    pub const fn factory(slot: u8) -> Self {
        Self { confirmed: Bundle::factory(slot), candidate: CandidateBundle::None }
    }

    pub fn load<F: Flash>(store: &mut Store<'_, F>) -> Result<Option<Self>, StoreError> {
        let mut value = [0; SETTING_MAX];
        let len = store.get_setting(BOOT_STATE_KEY, &mut value)?;
        Ok(Self::parse(&value[..len]))
    }

    pub fn save<F: Flash>(&self, store: &mut Store<'_, F>) -> Result<(), StoreError> {
        store.put_setting(BOOT_STATE_KEY, &self.bytes())
    }

    pub fn bytes(&self) -> [u8; BOOT_STATE_LEN] {
        let mut value = [0; BOOT_STATE_LEN];
        self.confirmed.write(&mut value);
        match self.candidate {
            CandidateBundle::None => {}
            CandidateBundle::Pending { bundle, attempts, may_forget } => {
                value[STATE] = 1;
                bundle.write(&mut value[CANDIDATE..]);
                (value[ATTEMPTS], value[MAY_FORGET]) = (attempts, may_forget.into());
            }
            CandidateBundle::RolledBack { bundle, reason } => {
                value[STATE] = 2;
                bundle.write(&mut value[CANDIDATE..]);
                value[REASON] = reason;
            }
        }
        value
    }

    /// Reads the setting; `None` when it has another form.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (confirmed, _) = Bundle::read(value)?;
        let candidate = match value.get(STATE) {
            Some(&state @ (1 | 2)) => {
                let (bundle, _) = Bundle::read(&value[CANDIDATE..])?;
                let &[attempts, may_forget, reason] = value.get(ATTEMPTS..)?.first_chunk()?;
                match state {
                    1 => CandidateBundle::Pending { bundle, attempts, may_forget: may_forget != 0 },
                    _ => CandidateBundle::RolledBack { bundle, reason },
                }
            }
            _ => CandidateBundle::None,
        };
        Some(Self { confirmed, candidate })
    }

    /// The bundle that the next start uses.
    pub fn next(&self) -> Bundle {
        match self.candidate {
            CandidateBundle::Pending { bundle, .. } => bundle,
            _ => self.confirmed,
        }
    }

    /// Whether a commit of `bundle` would change nothing.
    pub fn is_committed(&self, bundle: Bundle, forgets: bool) -> bool {
        match self.candidate {
            CandidateBundle::Pending { bundle: pending, may_forget, .. } => pending == bundle && may_forget >= forgets,
            _ => self.confirmed == bundle,
        }
    }

    /// The bundle that was committed last and is not confirmed.
    pub fn candidate(&self) -> Option<Bundle> {
        match self.candidate {
            CandidateBundle::None => None,
            CandidateBundle::Pending { bundle, .. } | CandidateBundle::RolledBack { bundle, .. } => Some(bundle),
        }
    }

    pub fn report(&self, counter: u64) -> BundleReport {
        let Bundle { slot, sha256, .. } = self.confirmed;
        let state = match self.candidate {
            CandidateBundle::RolledBack { reason, .. } => CandidateState::RolledBack { reason },
            CandidateBundle::Pending { attempts, .. } => CandidateState::Pending { attempts },
            CandidateBundle::None => return BundleReport { slot, sha256, counter, candidate: None },
        };
        let candidate = self.candidate().map(|Bundle { slot, sha256, .. }| Candidate { slot, sha256, state });
        BundleReport { slot, sha256, counter, candidate }
    }
}
