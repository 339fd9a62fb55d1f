//! Flash that is a file: where the Linux device keeps its store.
//!
//! The file has the bytes that flash would have, 0xff where it is erased. One process has it at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use macula_edge::store::Flash;

/// Bytes of a block: a page of memory, and what most drives write at least.
pub const BLOCK_LEN: usize = 4096;
const WRITE_LEN: usize = 4;

/// A file cannot serve as flash.
#[derive(Debug, thiserror::Error)]
pub enum FlashFileError {
    /// It cannot be opened, read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried: `open`, `read`, `write`, `sync`, `rename`.
        action: &'static str,
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// Another process has it.
    #[error("{path} is in use by another process")]
    Locked {
        /// The file.
        path: String,
    },
    /// It is no whole number of blocks, or too few.
    #[error("{path} has {found} bytes: at least 2 whole blocks of {BLOCK_LEN} are needed")]
    Length {
        /// The file.
        path: String,
        /// Its bytes, or those asked for.
        found: u64,
    },
    /// An offset or length that flash would not take either, or a write to what is not erased.
    #[error("an access that flash does not allow: {0}")]
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
    file: File,
    path: PathBuf,
    /// The content of the file: a store reads much more than it writes.
    bytes: Vec<u8>,
}

impl FlashFile {
    /// Opens the flash at `path` for this process alone; makes it, erased and of `size_bytes`, where there is none.
    ///
    /// A file that is there keeps its size.
    ///
    /// # Errors
    /// When it cannot be opened, is in use by another process, or is no whole number of blocks.
    pub fn open(path: &Path, size_bytes: u64) -> Result<Self, FlashFileError> {
        let failed = |action, source| FlashFileError::Io { action, path: path.display().to_string(), source };
        let length = |found| FlashFileError::Length { path: path.display().to_string(), found };
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|source| failed("open", source))?;
        match file.try_lock() {
            Ok(()) if is_at(&file, path) => {}
            // Another process had it, and has put a new one in its place.
            Ok(()) => return Err(FlashFileError::Locked { path: path.display().to_string() }),
            Err(TryLockError::WouldBlock) => return Err(FlashFileError::Locked { path: path.display().to_string() }),
            Err(TryLockError::Error(source)) => return Err(failed("lock", source)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|source| failed("read", source))?;
        let is_whole =
            |len: u64| len.is_multiple_of(BLOCK_LEN as u64) && (2..1 << 20).contains(&(len / BLOCK_LEN as u64));
        let mut flash = Self { file, path: path.to_owned(), bytes };
        if flash.was_never_used() {
            if !is_whole(size_bytes) {
                return Err(length(size_bytes));
            }
            flash.fill(size_bytes as usize).map_err(|source| failed("write", source))?;
        }
        match is_whole(flash.bytes.len() as u64) {
            true => Ok(flash),
            false => Err(length(flash.bytes.len() as u64)),
        }
    }

    /// Takes the place of another file, which is gone then; durably, and for good or not at all.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn rename(&mut self, path: &Path) -> Result<(), FlashFileError> {
        let renamed = self.file.sync_all().and_then(|()| std::fs::rename(&self.path, path));
        renamed.and_then(|()| sync_folder(path)).map_err(|source| self.failed("rename", source))?;
        self.path = path.to_owned();
        Ok(())
    }

    /// Whether the file is new. One that was being made when the power failed has erased bytes, and zeros where the file
    /// system knew its length before its content; a store is neither.
    fn was_never_used(&self) -> bool {
        self.bytes.iter().all(|&byte| byte == 0xff || byte == 0)
    }

    /// Makes the file `len` erased bytes, durably and under a name that is durable.
    fn fill(&mut self, len: usize) -> io::Result<()> {
        self.bytes = vec![0xff; len];
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&self.bytes)?;
        self.file.set_len(len as u64)?;
        self.file.sync_all()?;
        sync_folder(&self.path)
    }

    /// Writes `bytes` to the file and then to the copy in memory.
    fn put(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashFileError> {
        let mut write = || {
            self.file.seek(SeekFrom::Start(u64::from(offset)))?;
            self.file.write_all(bytes)
        };
        write().map_err(|source| self.failed("write", source))?;
        self.bytes[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn failed(&self, action: &'static str, source: io::Error) -> FlashFileError {
        FlashFileError::Io { action, path: self.path.display().to_string(), source }
    }
}

/// Whether the file that was opened still has its name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = file.metadata().and_then(|ours| Ok(ours.ino() == std::fs::metadata(path)?.ino()));
    same.unwrap_or(false)
}

/// As above, where a file that is open cannot be replaced.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Makes a name durable.
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
        self.put(from, &vec![0xff; (to - from) as usize])
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashFileError> {
        check_write(self, offset, bytes.len()).map_err(FlashFileError::Access)?;
        // A chip could not do it: what runs on this file shall run there.
        if self.bytes[offset as usize..][..bytes.len()].iter().any(|&byte| byte != 0xff) {
            return Err(FlashFileError::Access(NorFlashErrorKind::Other));
        }
        self.put(offset, bytes)
    }
}

impl Flash for FlashFile {
    fn sync(&mut self) -> Result<(), FlashFileError> {
        self.file.sync_data().map_err(|source| self.failed("sync", source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let message = FlashFile::open(&path, 5000).unwrap_err().to_string();
        assert!(message.contains("5000 bytes"), "{message}");
        let first = FlashFile::open(&path, 8192).unwrap();
        let message = FlashFile::open(&path, 8192).unwrap_err().to_string();
        assert!(message.ends_with("store is in use by another process"), "{message}");
        drop(first);
        FlashFile::open(&path, 8192).unwrap();
        std::fs::write(&path, b"notes").unwrap();
        assert!(matches!(FlashFile::open(&path, 8192), Err(FlashFileError::Length { found: 5, .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"notes", "what is no flash is left alone");
        // Cut off while it was being made.
        std::fs::write(&path, [[0xff; 100], [0; 100]].concat()).unwrap();
        assert_eq!(FlashFile::open(&path, 8192).unwrap().capacity(), 8192);
    }
}
