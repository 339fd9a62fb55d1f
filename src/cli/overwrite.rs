//! `--force`: existing files are overwritten only on request.

use std::path::Path;

use super::failure::Kind;
use crate::report::text::shown_path;

/// Option of commands that write files.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct ForceArgs {
    /// Overwrite existing output files
    #[arg(long)]
    force: bool,
}

impl ForceArgs {
    /// Refuses an existing file, before any work is done.
    ///
    /// # Errors
    /// When the file exists and `--force` was not given.
    pub fn check(self, path: &Path) -> anyhow::Result<()> {
        match self.force || path.symlink_metadata().is_err() {
            true => Ok(()),
            false => Err(Kind::Exists.error(format!("{} exists; pass --force to overwrite it", shown_path(path)))),
        }
    }
}
