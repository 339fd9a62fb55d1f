//! Processes that `mpirun` started.
//!
//! Rank 0 alone prints and has the exit code of the command. An error of another rank is agreed on, so rank 0 names it, and
//! the others end with code 0: `mpirun` stops all processes as soon as one fails, before rank 0 has printed.

use crate::ranks::Ranks;

/// Runs `command` as one of the ranks that MPI started, or alone.
#[cfg(feature = "mpi")]
pub fn as_rank(json: bool, command: impl FnOnce(Ranks) -> anyhow::Result<()>) -> anyhow::Result<()> {
    use crate::cli::failure::Failure;
    use crate::ranks::{Session, launched};

    if launched(|name| std::env::var(name).ok()).is_none() {
        return command(Ranks::ONE);
    }
    let session = Session::start()?;
    let ranks = session.ranks();
    let result = command(ranks);
    let report = |error: &anyhow::Error| {
        Failure::of(&anyhow::anyhow!("rank {}: {error:#}", ranks.rank())).print(json);
    };
    let failed = match &result {
        Ok(()) => session.end(None),
        Err(error) => session.end(Some(&|| report(error))),
    };
    match result {
        // Rank 0 reports.
        Err(_) if !ranks.is_first() && failed[0] => Ok(()),
        result => result,
    }
}

/// Runs `command` alone.
#[cfg(not(feature = "mpi"))]
pub fn as_rank(_json: bool, command: impl FnOnce(Ranks) -> anyhow::Result<()>) -> anyhow::Result<()> {
    command(Ranks::ONE)
}
