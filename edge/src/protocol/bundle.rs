//! The report of a device on its bundles.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The confirmed bundle and the candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleReport {
    /// The slot of the confirmed bundle, which is in use.
    pub slot: u8,
    /// Its SHA-256; zeros for the factory bundle.
    pub sha256: [u8; 32],
    /// The anti-rollback counter: a bundle needs at least this one.
    pub counter: u64,
    /// The bundle that was committed last, until it is confirmed.
    pub candidate: Option<Candidate>,
}

/// A committed bundle that is not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its slot.
    pub slot: u8,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// Its state.
    pub state: CandidateState,
}

/// The state of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CandidateState {
    /// The next start tries it.
    Pending {
        /// Starts that were begun with it.
        attempts: u8,
    },
    /// It failed, and the device rolled back to the confirmed bundle.
    RolledBack {
        /// The number of a [`RollbackReason`]; a newer device may have others.
        reason: u8,
    },
}

/// Why a device rolled back to the confirmed bundle. Hosts know these numbers: append, never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::FromRepr)]
#[repr(u8)]
pub enum RollbackReason {
    /// No start with it completed: the device crashed or lost power each time.
    NeverCompleted = 1,
    /// It cannot be read, or its encoder cannot be loaded.
    Unreadable = 2,
    /// Its encoder does not give the features of its golden images.
    Golden = 3,
    /// Its encoder cannot embed the kept images of the supports.
    Samples = 4,
    /// It has another encoder, and supports would be forgotten without permission.
    WouldForget = 5,
}

impl RollbackReason {
    /// All reasons by number, from 1.
    pub const ALL: [Self; 5] = [Self::NeverCompleted, Self::Unreadable, Self::Golden, Self::Samples, Self::WouldForget];
}

impl fmt::Display for RollbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverCompleted => "no start with it completed",
            Self::Unreadable => "it cannot be read, or its encoder cannot be loaded",
            Self::Golden => "its encoder does not give the features of its golden images",
            Self::Samples => "its encoder cannot embed the kept images",
            Self::WouldForget => "it has another encoder, and samples would be forgotten",
        })
    }
}
