//! The processes that train one run together (data parallelism), in MPI's words *ranks*.
//!
//! [`Ranks`] is a handle of one process. Without MPI there is one process, and every operation returns what it was given
//! and costs nothing. All operations except [`Ranks::rank`], [`Ranks::size`] and [`Ranks::part`] are collective: each rank
//! calls them, in the same order. So an error of one rank is first agreed on ([`Ranks::agree`]); a rank that returned alone
//! would leave the others waiting.

mod failure;
mod handle;
mod launch;
#[cfg(feature = "mpi")]
mod mpi;
mod processes;
#[cfg(test)]
pub mod threads;

pub use failure::RankFailure;
pub use handle::{Part, Ranks};
pub use launch::launched;
#[cfg(feature = "mpi")]
pub use mpi::{Session, SessionError};
pub use processes::{Completed, Processes};
