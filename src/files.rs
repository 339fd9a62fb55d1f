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

impl WriteError {
    /// Something is there that must not be written over.
    pub fn exists(path: &Path) -> Self {
        Self {
            path: path.display().to_string(),
            source: io::Error::new(io::ErrorKind::AlreadyExists, "it is there already"),
        }
    }
}

/// Replaces `path` by `bytes`, or leaves it as it was.
///
/// 1. The bytes go to a temporary file in the same folder, so the rename stays in one file system.
/// 2. They are synced before the rename: a power cut leaves the old file or the whole new one.
/// 3. The folder is synced after it, so that the new name survives the cut as well.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".macula-").tempfile_in(folder_of(path))?;
        file.write_all(bytes)?;
        #[cfg(unix)]
        {
            // A temporary file is private to its owner; the file asked for is an ordinary one.
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(path).map_or(0o644, |old| old.permissions().mode());
            set_mode(file.as_file(), mode)?;
        }
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_folder(path)
    };
    write().map_err(|source| WriteError { path: path.display().to_string(), source })
}

/// Writes `bytes` to `path` where nothing is yet, whole or not at all; `mode` is what the file permits on Unix.
///
/// # Errors
/// Where something is there already: it stays.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), WriteError> {
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".macula-").tempfile_in(folder_of(path))?;
        file.write_all(bytes)?;
        set_mode(file.as_file(), mode)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)?;
        sync_folder(path)
    };
    write().map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => WriteError::exists(path),
        _ => WriteError { path: path.display().to_string(), source },
    })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(unix)]
fn set_mode(file: &std::fs::File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &std::fs::File, _: u32) -> io::Result<()> {
    Ok(())
}

fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { std::fs::File::open(folder_of(path))?.sync_all() } else { Ok(()) }
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
