//! What a device tells of its bundles.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The bundle in use, and the one that was sent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleReport {
    /// The slot of the bundle in use, which is confirmed.
    pub slot: u8,
    /// Its SHA-256; zeros where it came with the device.
    pub sha256: [u8; 32],
    /// The least counter that a bundle must have.
    pub counter: u64,
    /// The one that was sent last, until it is confirmed.
    pub candidate: Option<Candidate>,
}

/// A bundle that was committed and is not in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its slot.
    pub slot: u8,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// What became of it.
    pub state: CandidateState,
}

/// What becomes of a bundle that was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CandidateState {
    /// The next start tries it.
    Pending {
        /// Starts that were begun with it.
        attempts: u8,
    },
    /// It was tried, and the device went back to what it had.
    RolledBack {
        /// The number of a [`RollbackReason`]; a newer device may have others.
        reason: u8,
    },
}

/// Why a device went back to the bundle before. Hosts know these numbers: append, never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RollbackReason {
    /// No start that tried it came to its end: the device went down, or lost its power, each time.
    NeverCompleted = 1,
    /// It cannot be read, or its encoder cannot be loaded.
    Unreadable = 2,
    /// It did not give the features of its golden images.
    Golden = 3,
    /// The samples that were kept as images could not be made features by its encoder.
    Samples = 4,
    /// It has another encoder, and samples that nobody gave up would be forgotten.
    WouldForget = 5,
}

impl RollbackReason {
    /// All of them, in the order of their numbers, which begin with 1.
    pub const ALL: [Self; 5] = [Self::NeverCompleted, Self::Unreadable, Self::Golden, Self::Samples, Self::WouldForget];

    /// The one of this number; `None` where a newer device knows more of them.
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).wrapping_sub(1)).copied()
    }
}

impl fmt::Display for RollbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverCompleted => "no start with it came to its end",
            Self::Unreadable => "it cannot be read, or its encoder cannot be loaded",
            Self::Golden => "it does not give the features of its golden images",
            Self::Samples => "its encoder cannot take the images of what was taught",
            Self::WouldForget => "it has another encoder, and samples taught meanwhile would be forgotten",
        })
    }
}
