//! Files are read up to a limit, and written whole or not at all.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// What a file is allowed to others than its owner: nothing. For keys, stores and images of what was taught.
pub const PRIVATE_FILE: u32 = 0o600;

/// As [`PRIVATE_FILE`], of a folder.
pub const PRIVATE_FOLDER: u32 = 0o700;

/// What an ordinary file is allowed, before the umask takes its part away.
const ORDINARY_FILE: u32 = 0o644;

/// Bytes of a model's file at most: what its format, protobuf, can hold.
pub const MODEL_MAX: u64 = 2 << 30;

/// Bytes of a text file at most: a configuration, a report, a log of training.
pub const TEXT_MAX: u64 = 256 << 20;

/// A file could not be read.
///
/// The kind of `source` tells what is wrong: [`io::ErrorKind::FileTooLarge`] beyond the limit,
/// [`io::ErrorKind::InvalidInput`] for a device, a FIFO or a socket, [`io::ErrorKind::IsADirectory`] for a folder.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {source}")]
pub struct ReadError {
    /// The file that was asked for.
    pub path: String,
    /// Why not.
    pub source: io::Error,
}

/// Opens `path` for reading, if it is a regular file. Never waits for a FIFO's other end.
///
/// # Errors
/// When there is no such file, or it is a folder, a device, a FIFO or a socket.
pub fn open_regular(path: &Path) -> Result<File, ReadError> {
    open_checked(path).map_err(|source| ReadError { path: path.display().to_string(), source })
}

fn open_checked(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Without it, opening a FIFO waits for a writer. It means nothing to a regular file.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    let file = options.open(path)?;
    check_regular(&file.metadata()?)?;
    Ok(file)
}

/// Refuses what is not a regular file.
///
/// # Errors
/// See [`ReadError`] for the kinds.
pub fn check_regular(metadata: &std::fs::Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    match metadata.is_dir() {
        true => Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder, and a file is needed")),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a device, a FIFO or a socket, and a regular file is needed",
        )),
    }
}

/// Reads a regular file of at most `limit` bytes. The size is checked before memory is allocated, and again while reading:
/// a file that grows meanwhile is refused as well.
///
/// # Errors
/// As [`open_regular`], and when the file is larger than `limit`.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    let read = || -> io::Result<Vec<u8>> {
        let file = open_checked(path)?;
        let len = file.metadata()?.len();
        if len > limit {
            return Err(too_large(len, limit));
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(usize::try_from(len).map_err(|_| too_large(len, limit))?)?;
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit { Err(too_large(bytes.len() as u64, limit)) } else { Ok(bytes) }
    };
    read().map_err(|source| ReadError { path: path.display().to_string(), source })
}

/// As [`read_bounded`], of text.
///
/// # Errors
/// As [`read_bounded`], and [`io::ErrorKind::InvalidData`] when it is not UTF-8.
pub fn read_text_bounded(path: &Path, limit: u64) -> Result<String, ReadError> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text");
    String::from_utf8(read_bounded(path, limit)?)
        .map_err(|error| ReadError { path: path.display().to_string(), source: not_text(error) })
}

fn too_large(found: u64, limit: u64) -> io::Error {
    let message = format!("it has {found} bytes or more; the limit is {limit}");
    io::Error::new(io::ErrorKind::FileTooLarge, message)
}

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

/// Replaces `path` by `bytes`, or leaves it as it was. A file that is new is an ordinary one, within the umask.
///
/// 1. The bytes go to a temporary file in the same folder, so the rename stays in one file system.
/// 2. They are synced before the rename: a power cut leaves the old file or the whole new one.
/// 3. The folder is synced after it, so that the new name survives the cut as well.
///
/// # Errors
/// When a step fails; there is no temporary file then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    replace(path, bytes, old_mode(path), ORDINARY_FILE)
}

/// As [`write_whole`], of a value in JSON.
///
/// # Errors
/// As [`write_whole`], and when the value has no JSON; nothing is written then.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), WriteError> {
    let failed = |error: serde_json::Error| WriteError { path: path.display().to_string(), source: error.into() };
    write_whole(path, &serde_json::to_vec_pretty(value).map_err(failed)?)
}

/// As [`write_whole`], for the owner's eyes only, whatever the umask or the file before permitted.
///
/// # Errors
/// As [`write_whole`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    replace(path, bytes, None, PRIVATE_FILE)
}

/// * `keep`: the mode that the file has afterwards, whatever the umask
/// * `mode`: its mode otherwise, within the umask
fn replace(path: &Path, bytes: &[u8], keep: Option<u32>, mode: u32) -> Result<(), WriteError> {
    let write = || -> io::Result<()> {
        let mut file = beside(path, if keep.is_some() { PRIVATE_FILE } else { mode })?;
        file.write_all(bytes)?;
        if let Some(mode) = keep {
            set_mode(file.as_file(), mode)?;
        }
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_folder(path)
    };
    write().map_err(|source| WriteError { path: path.display().to_string(), source })
}

/// Writes `bytes` to `path` where nothing is yet, whole or not at all; `mode` is what the file permits on Unix, within
/// the umask.
///
/// # Errors
/// Where something is there already: it stays.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), WriteError> {
    let write = || -> io::Result<()> {
        let mut file = beside(path, mode)?;
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

/// A temporary file in the folder of `path`, which permits `mode` from its first moment on, within the umask.
fn beside(path: &Path, mode: u32) -> io::Result<tempfile::NamedTempFile> {
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

/// Makes a folder for the owner's eyes only, with all above it that are missing. One that is there stays as it is.
///
/// # Errors
/// When it cannot be made.
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

    #[test]
    fn a_read_stays_within_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, [7; 10]).unwrap();
        assert_eq!(read_bounded(&path, 10).unwrap(), [7; 10]);
        assert_eq!(read_bounded(&path, 9).unwrap_err().source.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_bounded(folder.path(), 10).unwrap_err().source.kind(), io::ErrorKind::IsADirectory);
        let missing = read_bounded(&folder.path().join("b"), 10).unwrap_err();
        assert_eq!(missing.source.kind(), io::ErrorKind::NotFound);
        std::fs::write(&path, [0xff; 3]).unwrap();
        assert_eq!(read_text_bounded(&path, 10).unwrap_err().source.kind(), io::ErrorKind::InvalidData);
        // Only its size on paper: nothing is allocated for it.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read_bounded(&path, 1 << 20).unwrap_err().source.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn what_has_no_json_is_not_written() {
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
    fn what_is_no_regular_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [Path::new("/dev/zero"), Path::new("/dev/null"), &pipe] {
            let error = read_bounded(path, 100).unwrap_err();
            assert_eq!(error.source.kind(), io::ErrorKind::InvalidInput, "{}", path.display());
        }
        // Its size is 0, and it has something to read.
        assert!(read_text_bounded(Path::new("/proc/self/status"), 1 << 20).unwrap().contains("Name:"));
    }

    #[cfg(unix)]
    #[test]
    fn a_private_file_is_private_and_an_old_mode_stays() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        write_whole(&path, b"one").unwrap();
        assert_eq!(mode(&path) & !0o644, 0);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660)).unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(mode(&path), 0o660);
        write_private(&path, b"three").unwrap();
        assert_eq!(mode(&path), 0o600);
        let inner = folder.path().join("x").join("y");
        create_private_folder(&inner).unwrap();
        create_private_folder(&inner).unwrap();
        assert_eq!(mode(&inner), 0o700);
    }
}
