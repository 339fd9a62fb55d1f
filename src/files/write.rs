//! Atomic writes, for everyone or for the owner alone.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Mode of a private file: keys, stores, support images. Only the owner may read and write it.
pub const PRIVATE_FILE: u32 = 0o600;

/// Mode of a private folder.
pub const PRIVATE_FOLDER: u32 = 0o700;

/// Mode of an ordinary file, before the umask.
const ORDINARY_FILE: u32 = 0o644;

/// A file could not be written. The previous content of the path is unchanged.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}")]
pub struct WriteError {
    /// The requested file.
    pub path: String,
    /// Why it could not be written.
    pub source: io::Error,
}

impl WriteError {
    /// `path` exists and must not be overwritten.
    pub fn exists(path: &Path) -> Self {
        Self {
            path: path.display().to_string(),
            source: io::Error::new(io::ErrorKind::AlreadyExists, "it already exists"),
        }
    }
}

/// Replaces the content of `path` by `bytes`, or leaves it unchanged. A file that exists keeps its mode; a new one gets
/// 0644 within the umask.
///
/// 1. Write a temporary file in the same folder, so that the rename stays in one file system.
/// 2. Sync it before the rename: a power cut leaves the old file or the complete new one.
/// 3. Sync the folder after the rename, so that the new name survives a power cut as well.
///
/// # Errors
/// If a step fails. The temporary file is removed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    replace(path, bytes, old_mode(path), ORDINARY_FILE)
}

/// [`write_atomic`] of a value as JSON.
///
/// # Errors
/// As [`write_atomic`], and if the value cannot be JSON; nothing is written then.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), WriteError> {
    let failed = |error: serde_json::Error| WriteError { path: path.display().to_string(), source: error.into() };
    write_atomic(path, &serde_json::to_vec_pretty(value).map_err(failed)?)
}

/// [`write_atomic`] with the mode [`PRIVATE_FILE`], also if the replaced file had another.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    replace(path, bytes, None, PRIVATE_FILE)
}

/// * `exact_mode`: mode of the file, with any umask
/// * `mode`: its mode within the umask, if `exact_mode` is `None`
fn replace(path: &Path, bytes: &[u8], exact_mode: Option<u32>, mode: u32) -> Result<(), WriteError> {
    let write = || -> io::Result<()> {
        let mut file = temporary_beside(path, if exact_mode.is_some() { PRIVATE_FILE } else { mode })?;
        file.write_all(bytes)?;
        if let Some(mode) = exact_mode {
            set_mode(file.as_file(), mode)?;
        }
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_folder(path)
    };
    write().map_err(|source| WriteError { path: path.display().to_string(), source })
}

/// Creates `path` with `bytes` atomically. `mode` is its mode on Unix, within the umask.
///
/// # Errors
/// If `path` exists; it stays unchanged.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), WriteError> {
    let write = || -> io::Result<()> {
        let mut file = temporary_beside(path, mode)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)?;
        sync_folder(path)
    };
    write().map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => WriteError::exists(path),
        _ => WriteError { path: path.display().to_string(), source },
    })
}

/// A temporary file in the folder of `path`, created with `mode` within the umask.
fn temporary_beside(path: &Path, mode: u32) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = mode;
    builder.prefix(".macula-").tempfile_in(folder_of(path))
}

/// Creates a folder with the mode [`PRIVATE_FOLDER`], and its missing parents. An existing folder stays unchanged.
///
/// # Errors
/// If it cannot be created.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(PRIVATE_FOLDER);
    }
    builder.create(path)
}

#[cfg(unix)]
fn old_mode(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).ok().map(|old| old.permissions().mode())
}

#[cfg(not(unix))]
fn old_mode(_: &Path) -> Option<u32> {
    None
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(unix)]
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &File, _: u32) -> io::Result<()> {
    Ok(())
}

fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder_of(path))?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_changes_nothing_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        let missing = folder.path().join("no/such/a");
        let message = write_atomic(&missing, b"x").unwrap_err().to_string();
        assert!(message.contains("no/such/a"), "{message}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
    }

    #[test]
    fn a_value_that_cannot_be_json_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_json(&path, &[1, 2]).unwrap();
        let before = std::fs::read(&path).unwrap();
        let no_json = std::collections::BTreeMap::from([([1u8; 2], 1)]);
        assert!(write_json(&path, &no_json).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[cfg(unix)]
    #[test]
    fn an_existing_mode_is_kept_and_a_private_file_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        write_atomic(&path, b"one").unwrap();
        assert_eq!(mode(&path) & !0o644, 0);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660)).unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(mode(&path), 0o660);
        write_private(&path, b"three").unwrap();
        assert_eq!(mode(&path), 0o600);
        let inner = folder.path().join("x").join("y");
        create_private_folder(&inner).unwrap();
        create_private_folder(&inner).unwrap();
        assert_eq!(mode(&inner), 0o700);
    }
}
