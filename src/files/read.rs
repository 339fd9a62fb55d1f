//! Bounded reads of regular files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of a model file at most: the limit of its format, protobuf.
pub const MODEL_MAX: u64 = 2 << 30;

/// Bytes of a text file at most: a configuration, a report, a training log.
pub const TEXT_MAX: u64 = 256 << 20;

/// A file could not be read.
///
/// The kind of `source` tells why: [`io::ErrorKind::FileTooLarge`] above the limit, [`io::ErrorKind::InvalidInput`] for a
/// device, a FIFO or a socket, [`io::ErrorKind::IsADirectory`] for a folder.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {source}")]
pub struct ReadError {
    /// The requested file.
    pub path: String,
    /// Why it could not be read.
    pub source: io::Error,
}

/// Opens a regular file for reading. Never blocks on a FIFO.
///
/// # Errors
/// If `path` does not exist, or is a folder, a device, a FIFO or a socket.
pub fn open_regular(path: &Path) -> Result<File, ReadError> {
    open_checked(path).map_err(|source| ReadError { path: path.display().to_string(), source })
}

fn open_checked(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Without O_NONBLOCK, opening a FIFO waits for a writer. It has no effect on a regular file.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    let file = options.open(path)?;
    check_regular(&file.metadata()?)?;
    Ok(file)
}

/// Returns an error unless `metadata` is that of a regular file.
///
/// # Errors
/// See [`ReadError`] for the kinds.
pub fn check_regular(metadata: &std::fs::Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    match metadata.is_dir() {
        true => Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder; expected a file")),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a device, a FIFO or a socket; expected a regular file",
        )),
    }
}

/// Reads a regular file of at most `limit` bytes.
///
/// The size is checked before memory is allocated and again while reading, so a file that grows meanwhile is refused.
///
/// # Errors
/// As [`open_regular`], and if the file is larger than `limit`.
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

/// [`read_bounded`] for UTF-8 text.
///
/// # Errors
/// As [`read_bounded`], and [`io::ErrorKind::InvalidData`] if the file is not UTF-8.
pub fn read_text_bounded(path: &Path, limit: u64) -> Result<String, ReadError> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text");
    String::from_utf8(read_bounded(path, limit)?)
        .map_err(|error| ReadError { path: path.display().to_string(), source: not_text(error) })
}

fn too_large(found: u64, limit: u64) -> io::Error {
    let message = format!("it has at least {found} bytes; at most {limit} are allowed");
    io::Error::new(io::ErrorKind::FileTooLarge, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_above_the_limit_is_refused() {
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
        // A sparse file: nothing is allocated for its size.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read_bounded(&path, 1 << 20).unwrap_err().source.kind(), io::ErrorKind::FileTooLarge);
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_fifos_are_refused_without_blocking() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [Path::new("/dev/zero"), Path::new("/dev/null"), &pipe] {
            let error = read_bounded(path, 100).unwrap_err();
            assert_eq!(error.source.kind(), io::ErrorKind::InvalidInput, "{}", path.display());
        }
        // A file of size 0 with content.
        assert!(read_text_bounded(Path::new("/proc/self/status"), 1 << 20).unwrap().contains("Name:"));
    }
}
