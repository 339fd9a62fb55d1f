//! A firmware slot: a file beside the store, as long as the bytes written to it.
//!
//! It is a separate file and not a range of the store's file: other programs can read it as a bundle, no space is reserved,
//! and a bundle of any size does not change the store. Only the store says which of the two slots is used, so that this
//! changes in one write.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::FlashFileError;
use super::flash_file::sync_folder;
use crate::files::path_beside;

/// Most bytes of a slot, a multiple of every erase block.
pub const SLOT_LEN: u32 = 0x0fff_0000;

/// Flash addresses of the slots, behind every store.
pub const SLOT_STARTS: [u32; 2] = [0xe000_0000, 0xf000_0000];

/// A file that is written like flash. It is opened on first use.
#[derive(Debug)]
pub struct SlotFile {
    path: PathBuf,
    file: Option<File>,
}

impl SlotFile {
    /// Slot `slot` beside `store`; the file need not exist yet.
    pub fn beside(store: &Path, slot: u8) -> Self {
        let ending = if slot == 0 { ".a.macula" } else { ".b.macula" };
        Self { path: path_beside(store, ending), file: None }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads; bytes that were never written read as erased.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self, at: u32, bytes: &mut [u8]) -> Result<(), FlashFileError> {
        bytes.fill(0xff);
        if self.file.is_none() && !self.path.exists() {
            return Ok(());
        }
        let mut read = 0;
        self.with("read", |file| {
            file.seek(SeekFrom::Start(at.into()))?;
            while read < bytes.len() {
                match file.read(&mut bytes[read..])? {
                    0 => break,
                    more => read += more,
                }
            }
            Ok(())
        })
    }

    /// Writes; a gap between the end and `at` is filled with erased bytes.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), FlashFileError> {
        self.with("write", |file| {
            let len = file.seek(SeekFrom::End(0))?;
            if let Some(gap) = u64::from(at).checked_sub(len).filter(|&gap| gap > 0) {
                file.write_all(&vec![0xff; gap as usize])?;
            }
            file.seek(SeekFrom::Start(at.into()))?;
            file.write_all(bytes)
        })
    }

    /// Erases; at the end of the file this shortens it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashFileError> {
        self.with("write", |file| {
            let len = file.seek(SeekFrom::End(0))?;
            if len > u64::from(to) {
                file.seek(SeekFrom::Start(from.into()))?;
                return file.write_all(&vec![0xff; (to - from) as usize]);
            }
            if len > u64::from(from) { file.set_len(from.into()) } else { Ok(()) }
        })
    }

    /// Syncs the file (fsync).
    ///
    /// # Errors
    /// When the medium fails.
    pub fn sync(&mut self) -> Result<(), FlashFileError> {
        if self.file.is_none() { Ok(()) } else { self.with("sync", |file| file.sync_data()) }
    }

    fn with<T>(
        &mut self,
        action: &'static str,
        act: impl FnOnce(&mut File) -> io::Result<T>,
    ) -> Result<T, FlashFileError> {
        let path = self.path.display().to_string();
        let failed = |action, source| FlashFileError::Io { action, path, source };
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open(&self.path).map_err(|source| failed("open", source))?),
        };
        let path = self.path.display().to_string();
        act(file).map_err(|source| FlashFileError::Io { action, path, source })
    }
}

/// Opens the file, or makes it durably.
fn open(path: &Path) -> io::Result<File> {
    let is_new = !path.exists();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        options.mode(crate::files::PRIVATE_FILE).custom_flags(flags);
    }
    let file = options.open(path)?;
    crate::files::check_regular(&file.metadata()?)?;
    if is_new {
        sync_folder(path)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_behaves_like_flash() {
        let folder = tempfile::tempdir().unwrap();
        let mut slot = SlotFile::beside(&folder.path().join("ward.store"), 1);
        let mut bytes = [0; 4];
        slot.read(2, &mut bytes).unwrap();
        assert_eq!((bytes, slot.path().exists()), ([0xff; 4], false), "nothing is made by reading");
        slot.erase(0, 8).unwrap();
        slot.write(0, &[1; 8]).unwrap();
        slot.write(8, &[2; 4]).unwrap();
        slot.sync().unwrap();
        assert_eq!(
            std::fs::read(folder.path().join("ward.store.b.macula")).unwrap(),
            [[1; 4], [1; 4], [2; 4]].concat()
        );
        slot.erase(8, 16).unwrap();
        slot.read(6, &mut bytes).unwrap();
        assert_eq!(bytes, [1, 1, 0xff, 0xff]);
        slot.write(16, &[3; 4]).unwrap();
        slot.erase(0, 8).unwrap();
        slot.read(14, &mut bytes).unwrap();
        assert_eq!((bytes, std::fs::metadata(slot.path()).unwrap().len()), ([0xff, 0xff, 3, 3], 20));
    }
}
