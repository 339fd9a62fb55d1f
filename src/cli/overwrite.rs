//! Files that are there already are not written over unless that is asked for.

use std::path::Path;

use super::failure::Kind;
use crate::report::text::shown_path;

/// Whether files may be written over.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct ForceArgs {
    /// Overwrite output files that exist
    #[arg(long)]
    force: bool,
}

impl ForceArgs {
    /// Refuses a file that is there, before any work is done for it.
    ///
    /// # Errors
    /// When there is one and `--force` was not given.
    pub fn check(self, path: &Path) -> anyhow::Result<()> {
        match self.force || path.symlink_metadata().is_err() {
            true => Ok(()),
            false => Err(Kind::Exists.error(format!("{} exists; --force overwrites it", shown_path(path)))),
        }
    }
}
