//! A file as flash, for the store of the Linux device; or memory, for one that is not kept.
//!
//! The file has the bytes that flash would have; erased bytes are 0xff. One process uses it at a time. A concurrent
//! modification (the file was removed, replaced, truncated or overwritten) is detected at the next commit and by a
//! self-test. After that nothing is written, so that nothing is acknowledged that would be lost.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use macula_edge::store::Flash;

use crate::files::{PRIVATE_FILE, check_regular};

/// Bytes of an erase block: a memory page, and the smallest write of most drives.
pub const BLOCK_LEN: usize = 4096;
const WRITE_LEN: usize = 4;

/// Bytes that are compared at once.
const COMPARED: usize = 1 << 20;

/// A file cannot serve as flash.
#[derive(Debug, thiserror::Error)]
pub enum FlashFileError {
    /// The file cannot be opened, read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried: `open`, `read`, `write`, `sync`, `rename`.
        action: &'static str,
        /// The file.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// Another process uses it.
    #[error("{path} is in use by another process")]
    Locked {
        /// The file.
        path: String,
    },
    /// Its length is not a multiple of the block, or less than two blocks.
    #[error("{path} has {found} bytes; a multiple of {BLOCK_LEN} is needed, at least two of them")]
    Length {
        /// The file.
        path: String,
        /// Its bytes, or the requested bytes.
        found: u64,
    },
    /// Something else changed the file while it was in use.
    #[error("concurrent modification of {path}: {what}; nothing more is written to it")]
    ConcurrentModification {
        /// The file.
        path: String,
        /// What happened to it.
        what: &'static str,
    },
    /// An unaligned or out-of-bounds access, or a write to bytes that are not erased.
    #[error("flash does not allow this access: {0}")]
    Access(NorFlashErrorKind),
}

impl NorFlashError for FlashFileError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Access(kind) => *kind,
            _ => NorFlashErrorKind::Other,
        }
    }
}

/// A file as NOR flash with writes of 4 bytes and erases of 4,096.
#[derive(Debug)]
pub struct FlashFile {
    /// None for flash in memory.
    file: Option<File>,
    path: PathBuf,
    /// The content of the file, cached: a store reads much more than it writes.
    bytes: Vec<u8>,
    /// The time of our last modification.
    modified: Option<SystemTime>,
    /// A concurrent modification that was found; the file is then not written to.
    modification: Option<&'static str>,
}

impl FlashFile {
    /// Opens the flash at `path` for this process alone. If there is no file, makes it, erased and with `size_bytes`.
    ///
    /// An existing file keeps its size.
    ///
    /// # Errors
    /// When it cannot be opened, is in use by another process, is not a regular file, has a wrong length, or is more than
    /// twice as large as `size_bytes`.
    pub fn open(path: &Path, size_bytes: u64) -> Result<Self, FlashFileError> {
        if std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            Self::create(path, size_bytes, &[], false)?;
        }
        let failed = |action, source| FlashFileError::Io { action, path: path.display().to_string(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits() as i32);
        let mut file = options.open(path).map_err(|source| failed("open", source))?;
        let metadata = file.metadata().map_err(|source| failed("open", source))?;
        check_regular(&metadata).map_err(|source| failed("open", source))?;
        match file.try_lock() {
            Ok(()) if is_at(&file, path) => {}
            // Another process used it and has replaced it.
            Ok(()) => return Err(FlashFileError::Locked { path: path.display().to_string() }),
            Err(TryLockError::WouldBlock) => return Err(FlashFileError::Locked { path: path.display().to_string() }),
            Err(TryLockError::Error(source)) => return Err(failed("lock", source)),
        }
        let len = file.metadata().map_err(|source| failed("read", source))?.len();
        if !is_whole(len) || len > 2 * size_bytes.max(1 << 20) {
            return Err(FlashFileError::Length { path: path.display().to_string(), found: len });
        }
        tighten(&file, &metadata);
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len as usize).map_err(|error| failed("read", error.into()))?;
        (&mut file).take(len).read_to_end(&mut bytes).map_err(|source| failed("read", source))?;
        let modified = file.metadata().and_then(|metadata| metadata.modified()).ok();
        Ok(Self { file: Some(file), path: path.to_owned(), bytes, modified, modification: None })
    }

    /// Flash of `size_bytes` in memory that holds `head` and is erased behind it.
    ///
    /// # Errors
    /// When the size is not a multiple of the block.
    pub fn in_memory(size_bytes: u64, head: &[u8]) -> Result<Self, FlashFileError> {
        let path = PathBuf::from("memory");
        if !is_whole(size_bytes) || head.len() as u64 > size_bytes {
            return Err(FlashFileError::Length { path: path.display().to_string(), found: size_bytes });
        }
        let mut bytes = vec![0xff; size_bytes as usize];
        bytes[..head.len()].copy_from_slice(head);
        Ok(Self { file: None, path, bytes, modified: None, modification: None })
    }

    /// Makes a file of `size_bytes` that holds `head` and is erased behind it, durably and atomically.
    ///
    /// * `replaces`: whether an existing file is replaced; otherwise it stays
    ///
    /// # Errors
    /// When it cannot be written, or the size is not a multiple of the block.
    pub fn create(path: &Path, size_bytes: u64, head: &[u8], replaces: bool) -> Result<(), FlashFileError> {
        if !is_whole(size_bytes) || head.len() as u64 > size_bytes {
            return Err(FlashFileError::Length { path: path.display().to_string(), found: size_bytes });
        }
        let write = || -> io::Result<()> {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            // A temporary file is private to its owner from the start, with any umask.
            let mut file = tempfile::Builder::new().prefix(".macula-").tempfile_in(folder)?;
            let mut bytes = vec![0xff; size_bytes as usize];
            bytes[..head.len()].copy_from_slice(head);
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            match replaces {
                true => file.persist(path).map(drop).map_err(|error| error.error)?,
                // Another process was faster: its file stays.
                false => match file.persist_noclobber(path) {
                    Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => return Err(error.error),
                    _ => {}
                },
            }
            sync_folder(path)
        };
        write().map_err(|source| FlashFileError::Io { action: "make", path: path.display().to_string(), source })
    }

    /// Replaces the file at `path`, durably and atomically.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn rename(&mut self, path: &Path) -> Result<(), FlashFileError> {
        let Some(file) = &self.file else { return Err(self.failed("rename", io::ErrorKind::Unsupported.into())) };
        let renamed = file.sync_all().and_then(|()| std::fs::rename(&self.path, path));
        renamed.and_then(|()| sync_folder(path)).map_err(|source| self.failed("rename", source))?;
        self.path = path.to_owned();
        Ok(())
    }

    /// Writes `bytes` to the file, reads them back, and updates the cache.
    fn put(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashFileError> {
        if let Some(file) = &mut self.file {
            let mut write = || {
                file.seek(SeekFrom::Start(u64::from(offset)))?;
                file.write_all(bytes)?;
                file.seek(SeekFrom::Start(u64::from(offset)))?;
                let mut read = vec![0; bytes.len()];
                file.read_exact(&mut read)?;
                Ok((read == bytes, file.metadata().and_then(|metadata| metadata.modified()).ok()))
            };
            let (is_written, modified) = write().map_err(|source| self.failed("write", source))?;
            if !is_written {
                return Err(self.fail_modified("it does not hold what was written"));
            }
            self.modified = modified;
        }
        self.bytes[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    /// Checks for concurrent modification: the file must be the one that was opened, with its length and content.
    fn check(&mut self) -> Result<(), FlashFileError> {
        if let Some(what) = self.modification {
            return Err(self.fail_modified(what));
        }
        let Some(file) = &self.file else { return Ok(()) };
        let metadata = file.metadata().map_err(|source| self.failed("read", source))?;
        if !is_at(file, &self.path) {
            return Err(self.fail_modified("it was removed or replaced"));
        }
        if metadata.len() != self.bytes.len() as u64 {
            return Err(self.fail_modified("its length changed"));
        }
        let modified = metadata.modified().ok();
        if modified != self.modified {
            self.compare()?;
            self.modified = modified;
        }
        Ok(())
    }

    /// Compares the file with the cache.
    fn compare(&mut self) -> Result<(), FlashFileError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut compare = || -> io::Result<bool> {
            file.seek(SeekFrom::Start(0))?;
            let mut piece = vec![0; COMPARED];
            for expected in self.bytes.chunks(COMPARED) {
                let piece = &mut piece[..expected.len()];
                file.read_exact(piece)?;
                if piece != expected {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        match compare() {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.fail_modified("its content changed")),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.fail_modified("its length changed")),
            Err(source) => Err(self.failed("read", source)),
        }
    }

    fn fail_modified(&mut self, what: &'static str) -> FlashFileError {
        self.modification = Some(what);
        FlashFileError::ConcurrentModification { path: self.path.display().to_string(), what }
    }

    fn failed(&self, action: &'static str, source: io::Error) -> FlashFileError {
        FlashFileError::Io { action, path: self.path.display().to_string(), source }
    }
}

/// Whether a file of this length can serve as flash.
fn is_whole(len: u64) -> bool {
    len.is_multiple_of(BLOCK_LEN as u64) && (2..1 << 20).contains(&(len / BLOCK_LEN as u64))
}

/// Whether the opened file still has its name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let ours = file.metadata().ok().filter(|ours| ours.nlink() > 0).map(identity);
    ours.is_some() && ours == std::fs::metadata(path).ok().map(identity)
}

/// On systems where an open file cannot be replaced.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Removes access for others that an earlier program granted. A group with write access shares the store on purpose.
fn tighten(file: &File, metadata: &Metadata) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode() & 0o777;
        let kept = if mode & 0o020 == 0 { PRIVATE_FILE | 0o100 } else { 0o770 };
        if mode & !kept != 0 {
            // This fails for another owner's file, which does not change.
            let _ = file.set_permissions(std::fs::Permissions::from_mode(mode & kept));
        }
    }
    #[cfg(not(unix))]
    let _ = (file, metadata, PRIVATE_FILE);
}

/// Makes the name of a file durable: syncs its folder.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

impl ErrorType for FlashFile {
    type Error = FlashFileError;
}

impl ReadNorFlash for FlashFile {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashFileError> {
        check_read(self, offset, bytes.len()).map_err(FlashFileError::Access)?;
        bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for FlashFile {
    const WRITE_SIZE: usize = WRITE_LEN;
    const ERASE_SIZE: usize = BLOCK_LEN;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashFileError> {
        check_erase(self, from, to).map_err(FlashFileError::Access)?;
        self.check()?;
        self.put(from, &vec![0xff; (to - from) as usize])
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashFileError> {
        check_write(self, offset, bytes.len()).map_err(FlashFileError::Access)?;
        // A chip cannot do this, so the file must not either.
        if self.bytes[offset as usize..][..bytes.len()].iter().any(|&byte| byte != 0xff) {
            return Err(FlashFileError::Access(NorFlashErrorKind::Other));
        }
        self.check()?;
        self.put(offset, bytes)
    }
}

impl Flash for FlashFile {
    fn sync(&mut self) -> Result<(), FlashFileError> {
        let synced = self.file.as_ref().map_or(Ok(()), File::sync_data);
        synced.map_err(|source| self.failed("sync", source))?;
        self.check()
    }

    fn refresh(&mut self) -> Result<(), FlashFileError> {
        self.check()?;
        // Drops the page cache of the file, so that the medium is read.
        #[cfg(target_os = "linux")]
        if let Some(file) = &self.file {
            let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
        }
        self.compare()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_as_flash() {
        let mut flash = FlashFile::in_memory(2 * BLOCK_LEN as u64, &[7; 4]).unwrap();
        flash.write(4, &[1, 2, 3, 4]).unwrap();
        flash.sync().unwrap();
        flash.refresh().unwrap();
        let mut bytes = [0; 10];
        flash.read(0, &mut bytes).unwrap();
        assert_eq!(bytes, [7, 7, 7, 7, 1, 2, 3, 4, 0xff, 0xff]);
        assert!(matches!(flash.write(4, &[0; 4]), Err(FlashFileError::Access(NorFlashErrorKind::Other))));
        flash.erase(0, 4096).unwrap();
        flash.read(0, &mut bytes).unwrap();
        assert_eq!(bytes, [0xff; 10]);
        assert!(matches!(FlashFile::in_memory(5000, &[]), Err(FlashFileError::Length { found: 5000, .. })));
    }

    #[test]
    fn a_file_as_flash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let mut flash = FlashFile::open(&path, 3 * BLOCK_LEN as u64).unwrap();
        flash.write(8, &[1, 2, 3, 4]).unwrap();
        flash.write(4096, &[5; 4]).unwrap();
        flash.erase(4096, 8192).unwrap();
        flash.sync().unwrap();
        assert!(matches!(flash.write(8, &[0; 4]), Err(FlashFileError::Access(NorFlashErrorKind::Other))));
        assert!(matches!(flash.write(9, &[0; 4]), Err(FlashFileError::Access(NorFlashErrorKind::NotAligned))));
        assert!(matches!(flash.write(12288, &[0; 4]), Err(FlashFileError::Access(NorFlashErrorKind::OutOfBounds))));
        drop(flash);
        let mut flash = FlashFile::open(&path, 1 << 20).unwrap();
        let mut bytes = [0; 6];
        flash.read(6, &mut bytes).unwrap();
        assert_eq!((flash.capacity(), bytes), (3 * BLOCK_LEN, [0xff, 0xff, 1, 2, 3, 4]));
        let mut word = [0; 4];
        flash.read(4096, &mut word).unwrap();
        assert_eq!(word, [0xff; 4]);
    }

    #[test]
    fn refusals() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        assert!(matches!(FlashFile::open(&path, 5000), Err(FlashFileError::Length { found: 5000, .. })));
        let first = FlashFile::open(&path, 8192).unwrap();
        assert!(matches!(FlashFile::open(&path, 8192), Err(FlashFileError::Locked { .. })));
        drop(first);
        FlashFile::open(&path, 8192).unwrap();
        std::fs::write(&path, b"notes").unwrap();
        assert!(matches!(FlashFile::open(&path, 8192), Err(FlashFileError::Length { found: 5, .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"notes", "a file that is not flash stays");
        // Much larger than any store: it is not read.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(matches!(FlashFile::open(&path, 8192), Err(FlashFileError::Length { found: 0x100_0000_0000, .. })));
        std::fs::write(&path, [0xff; 100]).unwrap();
        assert!(matches!(FlashFile::open(&path, 8192), Err(FlashFileError::Length { found: 100, .. })));
    }

    /// Flash with some bytes written, and its path.
    fn written(folder: &Path) -> (FlashFile, PathBuf) {
        let path = folder.join("store");
        let mut flash = FlashFile::open(&path, 8192).unwrap();
        flash.write(0, &[1, 2, 3, 4]).unwrap();
        flash.sync().unwrap();
        flash.refresh().unwrap();
        (flash, path)
    }

    #[cfg(unix)]
    #[test]
    fn concurrent_modification_is_detected() {
        type Change = fn(&Path);
        let change: [(&str, Change); 5] = [
            ("removed", |path| std::fs::remove_file(path).unwrap()),
            ("cut off", |path| OpenOptions::new().write(true).open(path).unwrap().set_len(4096).unwrap()),
            ("replaced", |path| {
                std::fs::write(path.with_extension("new"), [0xff; 8192]).unwrap();
                std::fs::rename(path.with_extension("new"), path).unwrap();
            }),
            ("overwritten", |path| std::fs::write(path, [0xff; 8192]).unwrap()),
            ("renamed", |path| std::fs::rename(path, path.with_extension("old")).unwrap()),
        ];
        for (what, change) in change {
            let folder = tempfile::tempdir().unwrap();
            let (mut flash, path) = written(folder.path());
            // The clock of a file system may tick every few milliseconds only.
            std::thread::sleep(std::time::Duration::from_millis(20));
            change(&path);
            assert!(matches!(flash.write(4, &[5; 4]), Err(FlashFileError::ConcurrentModification { .. })), "{what}");
            assert!(matches!(flash.erase(4096, 8192), Err(FlashFileError::ConcurrentModification { .. })), "{what}");
            assert!(matches!(flash.refresh(), Err(FlashFileError::ConcurrentModification { .. })), "{what}");
            let mut word = [0; 4];
            flash.read(0, &mut word).unwrap();
            assert_eq!(word, [1, 2, 3, 4], "{what}: reads still return what was written");

            let folder = tempfile::tempdir().unwrap();
            let (mut flash, path) = written(folder.path());
            change(&path);
            assert!(matches!(flash.refresh(), Err(FlashFileError::ConcurrentModification { .. })), "{what}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_store_is_private_to_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (flash, path) = written(folder.path());
        drop(flash);
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        for (found, left) in [(0o644, 0o600), (0o666, 0o660), (0o664, 0o660), (0o640, 0o600)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(found)).unwrap();
            FlashFile::open(&path, 8192).unwrap();
            assert_eq!(mode(), left, "of {found:o}");
        }
    }
}
