//! The error of another rank.

/// A rank failed; the others end with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rank {rank} on {host}: {reason}")]
pub struct RankFailure {
    /// The first rank that failed.
    pub rank: usize,
    /// Its machine.
    pub host: String,
    /// Its error.
    pub reason: String,
}
