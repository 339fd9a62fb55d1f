//! Files are written whole or not at all.

use std::io::{self, Write};
use std::path::Path;

/// A file could not be written; what was there before is untouched.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}")]
pub struct WriteError {
    /// The file that was asked for.
    pub path: String,
    /// Why not.
    pub source: io::Error,
}

/// Replaces `path` by `bytes`, or leaves it as it was.
///
/// 1. The bytes go to a temporary file in the same folder, so the rename stays in one file system.
/// 2. They are synced before the rename: a power cut leaves the old file or the whole new one.
/// 3. The folder is synced after it, so that the new name survives the cut as well.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let write = || -> io::Result<()> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut file = tempfile::Builder::new().prefix(".macula-").tempfile_in(folder)?;
        file.write_all(bytes)?;
        #[cfg(unix)]
        {
            // A temporary file is private to its owner; the file asked for is an ordinary one.
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(path).map_or(0o644, |old| old.permissions().mode());
            file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
        }
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        #[cfg(unix)]
        std::fs::File::open(folder)?.sync_all()?;
        Ok(())
    };
    write().map_err(|source| WriteError { path: path.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_or_leaves_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        let missing = folder.path().join("no/such/a");
        let message = write_whole(&missing, b"x").unwrap_err().to_string();
        assert!(message.contains("no/such/a"), "{message}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }
}
