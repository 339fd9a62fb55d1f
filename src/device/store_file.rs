//! The file of a store: a header that describes it, then the store itself.
//!
//! Blocks of 65,536 bytes as in flash; erased bytes are 0xff. The first block is written once:
//!
//! | offset | bytes | field                                        |
//! |-------:|------:|----------------------------------------------|
//! |      0 |     8 | `MACULAST`                                   |
//! |      8 |     2 | format version, little-endian                |
//! |     10 |     2 | length L of the header, little-endian        |
//! |     12 |     L | [`StoreHeader`] in postcard, then JSON or nothing |
//! | 12 + L |     4 | CRC-32 of everything before, little-endian   |
//!
//! All versions keep this frame. The store of `macula-edge` lies in the blocks behind it (`docs/store-format.md`).

use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use macula_edge::feature::DIM_MAX;
use macula_edge::store::Flash;

use super::slot_file::{SLOT_STARTS, SlotFile};
use super::{DeviceError, FlashFile, FlashFileError};
use crate::encoder::EncoderId;
use crate::files::open_regular;

/// Bytes of an erase block: a support of 4,096 dimensions takes 8 KiB, and a block holds several.
const BLOCK_LEN: usize = 65_536;

const MAGIC: &[u8; 8] = b"MACULAST";
const VERSION: u16 = 1;
const FRAME_LEN: usize = 12;
const CHECKSUM_LEN: usize = 4;

/// Most bytes of a stored support besides its feature.
const SUPPORT_OVERHEAD: u64 = 64;

/// Bytes that are read to find out whether a file is blank: more than any store has.
const BLANK_MAX: u64 = 4 << 30;

/// The description of a store.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StoreHeader {
    /// Name of its encoder when the store was made; the default when no encoder is given.
    pub encoder: String,
    /// The encoder's identity.
    pub identity: EncoderId,
    /// Feature dimensions D.
    pub dim: u32,
    /// Class slots C.
    pub classes: u32,
    /// Places for supports S.
    pub supports: u32,
    /// The preprocessing that the user stated for an encoder without its own, in JSON. It lies behind the postcard, which
    /// older programs do not read.
    #[serde(skip)]
    pub preprocessing: Option<String>,
}

impl StoreHeader {
    /// Bytes of the file: room for all supports, an eighth more, and four blocks for compaction.
    fn file_len(&self) -> u64 {
        let block = BLOCK_LEN as u64;
        let support = 2 * u64::from(self.dim) + SUPPORT_OVERHEAD;
        // A class takes at most as much as a support, and a block is not filled to its end.
        let records = u64::from(self.supports) + u64::from(self.classes);
        let a_block = (block - 2 * SUPPORT_OVERHEAD) / support - 1;
        let blocks = (records * 8 / 7).div_ceil(a_block.max(1));
        (blocks + 4) * block
    }

    /// Refuses numbers out of range, before a file or memory is made for them.
    fn limits(&self) -> Result<(), String> {
        let Self { dim, classes, supports, .. } = *self;
        let range = |what: &str, found: u32, limits: [u32; 2]| match (limits[0]..=limits[1]).contains(&found) {
            true => Ok(()),
            false => Err(format!("{found} {what}; {} to {} are allowed", limits[0], limits[1])),
        };
        range("dimensions of a feature", dim, [1, DIM_MAX as u32])?;
        range("classes", classes, [1, 255])?;
        range("samples", supports, [0, 1 << 20])?;
        // Beyond it lie the slots of bundles.
        let (found, limit) = (self.file_len(), u64::from(SLOT_STARTS[0]));
        if found > limit {
            return Err(format!(
                "{supports} samples of {dim} dimensions need {found} bytes; {limit} are allowed: lower the number of samples"
            ));
        }
        Ok(())
    }

    fn frame(&self, path: &Path) -> Result<Vec<u8>, DeviceError> {
        let failed = |message: String| DeviceError::Header { path: path.display().to_string(), message };
        self.limits().map_err(failed)?;
        let mut header = postcard::to_allocvec(self).map_err(|error| failed(error.to_string()))?;
        header.extend(self.preprocessing.iter().flat_map(|json| json.bytes()));
        // The first block holds all of it.
        let len = u16::try_from(header.len()).ok().filter(|&len| usize::from(len) <= BLOCK_LEN - 2 * FRAME_LEN);
        let len = len.ok_or_else(|| failed(format!("{} bytes, the limit is {BLOCK_LEN}", header.len())))?;
        let mut bytes = [&MAGIC[..], &VERSION.to_le_bytes(), &len.to_le_bytes(), &header].concat();
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        // Flash takes whole words; erased padding is ignored.
        bytes.resize(bytes.len().next_multiple_of(FlashFile::WRITE_SIZE), 0xff);
        Ok(bytes)
    }

    /// Reads the header in the first block of a file.
    fn parse(block: &[u8], path: &Path) -> Result<Self, DeviceError> {
        let path = path.display().to_string();
        if is_blank(block) {
            return Err(DeviceError::Blank { path });
        }
        if !block.starts_with(MAGIC) {
            return Err(DeviceError::NotAStore { path });
        }
        let damaged = |message: &str| DeviceError::Damaged { path: path.clone(), message: message.to_owned() };
        let word = |at: usize| block.get(at..at + 2).map(|word| u16::from_le_bytes([word[0], word[1]]));
        let (Some(found), Some(len)) = (word(8), word(10)) else { return Err(damaged("it is cut off")) };
        let end = FRAME_LEN + usize::from(len);
        let Some(stored) = block.get(end..end + CHECKSUM_LEN) else {
            return Err(damaged("its first block is cut off"));
        };
        if stored != crc32fast::hash(&block[..end]).to_le_bytes() {
            return Err(damaged("the checksum of its first block is wrong"));
        }
        if found > VERSION {
            return Err(DeviceError::NewerVersion { path, found, limit: VERSION });
        }
        let (mut header, json): (Self, _) =
            postcard::take_from_bytes(&block[FRAME_LEN..end]).map_err(|_| damaged("its header cannot be read"))?;
        if !json.is_empty() {
            header.preprocessing = Some(String::from_utf8_lossy(json).into_owned());
        }
        let sound = header.limits().is_ok();
        if sound { Ok(header) } else { Err(damaged("its header has a number out of range")) }
    }
}

/// Whether nothing was ever written to the bytes.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0xff || byte == 0)
}

/// Flash for one store and two bundles: the store's file, which only this process uses, and two files beside it.
#[derive(Debug)]
pub struct StoreFile {
    flash: FlashFile,
    path: PathBuf,
    slots: [SlotFile; 2],
}

impl StoreFile {
    /// Reads the header of the store at `path`; `None` when there is no file.
    ///
    /// # Errors
    /// When it cannot be read, is not a store, is damaged, or was written by a later program.
    pub fn header(path: &Path) -> Result<Option<StoreHeader>, DeviceError> {
        let failed = |source| DeviceError::Read { path: path.display().to_string(), source };
        let file = match open_regular(path) {
            Ok(file) => file,
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error.source)),
        };
        let mut block = Vec::new();
        file.take(BLOCK_LEN as u64).read_to_end(&mut block).map_err(failed)?;
        StoreHeader::parse(&block, path).map(Some)
    }

    /// Removes the file at `path` if it is blank: empty, or only zeros or erased bytes. Any other file stays.
    ///
    /// # Errors
    /// When it cannot be read or removed.
    pub fn remove_blank(path: &Path) -> Result<(), DeviceError> {
        let failed = |source| DeviceError::Read { path: path.display().to_string(), source };
        let mut file = match open_regular(path) {
            Ok(file) => file.take(BLANK_MAX),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error.source)),
        };
        let mut piece = vec![0; BLOCK_LEN];
        loop {
            match file.read(&mut piece).map_err(failed)? {
                0 if file.limit() > 0 => break,
                0 => return Ok(()),
                len if !is_blank(&piece[..len]) => return Ok(()),
                _ => {}
            }
        }
        std::fs::remove_file(path).map_err(|source| DeviceError::Write { path: path.display().to_string(), source })
    }

    /// Opens the store of `header` at `path`, or makes it atomically when there is no file.
    ///
    /// # Errors
    /// As [`Self::header`], and when the file is in use by another process or is the store of another encoder.
    pub fn open(path: &Path, header: &StoreHeader) -> Result<Self, DeviceError> {
        let frame = header.frame(path)?;
        if std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            FlashFile::create(path, header.file_len(), &frame, false)?;
        }
        let flash = FlashFile::open(path, header.file_len())?;
        let slots = [0, 1].map(|slot| SlotFile::beside(path, slot));
        let mut file = Self { flash, path: path.to_owned(), slots };
        // The file is locked now, so this reads what another process wrote before.
        let mut block = vec![0; BLOCK_LEN.min(file.flash.capacity())];
        file.flash.read(0, &mut block)?;
        match StoreHeader::parse(&block, path) {
            Ok(found) => {
                found.check(header, path)?;
                // Memory is allocated by the header: a file that cannot hold as much is refused first.
                if (file.flash.capacity() as u64) < found.file_len() / 2 {
                    let message =
                        format!("it has {} bytes; its header needs {}", file.flash.capacity(), found.file_len());
                    return Err(DeviceError::Damaged { path: path.display().to_string(), message });
                }
            }
            // The power failed while an earlier program wrote the header: nothing lies behind it.
            Err(error) if error.is_damage() && file.is_erased_behind()? => file.write_header(&frame)?,
            Err(error) => return Err(error),
        }
        Ok(file)
    }

    /// A store of `header` in memory, which is lost when this is dropped. It has no bundles.
    ///
    /// # Errors
    /// When a number of the header is out of range.
    pub fn in_memory(header: &StoreHeader) -> Result<Self, DeviceError> {
        let path = PathBuf::from("memory");
        let flash = FlashFile::in_memory(header.file_len(), &header.frame(&path)?)?;
        let slots = [0, 1].map(|slot| SlotFile::beside(&path, slot));
        Ok(Self { flash, path, slots })
    }

    /// The path of the store.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The range of the store in the file.
    pub fn range(&self) -> Range<u32> {
        let blocks = self.flash.capacity() / BLOCK_LEN;
        BLOCK_LEN as u32..(blocks * BLOCK_LEN) as u32
    }

    /// The path of a slot.
    pub fn slot_path(&self, slot: u8) -> &Path {
        self.slots[usize::from(slot)].path()
    }

    /// Replaces the store at `path` atomically and takes over its slots.
    ///
    /// # Errors
    /// When the file cannot be renamed.
    pub fn take_place_of(&mut self, path: &Path) -> Result<(), DeviceError> {
        self.flash.rename(path)?;
        self.path = path.to_owned();
        self.slots = [0, 1].map(|slot| SlotFile::beside(path, slot));
        Ok(())
    }

    /// The slot of an address, and the offset in it.
    fn slot_at(&mut self, offset: u32) -> Option<(&mut SlotFile, u32)> {
        let slot = SLOT_STARTS.iter().rposition(|&start| offset >= start)?;
        Some((&mut self.slots[slot], offset - SLOT_STARTS[slot]))
    }

    fn is_erased_behind(&mut self) -> Result<bool, DeviceError> {
        let mut behind = vec![0; self.flash.capacity().saturating_sub(BLOCK_LEN)];
        self.flash.read(BLOCK_LEN as u32, &mut behind)?;
        Ok(behind.iter().all(|&byte| byte == 0xff))
    }

    fn write_header(&mut self, frame: &[u8]) -> Result<(), DeviceError> {
        self.flash.erase(0, BLOCK_LEN as u32)?;
        self.flash.write(0, frame)?;
        self.flash.sync()?;
        Ok(())
    }
}

impl StoreHeader {
    /// Checks that `given` has the store's encoder.
    ///
    /// # Errors
    /// [`DeviceError::OtherEncoder`], which names both.
    pub fn check(&self, given: &Self, path: &Path) -> Result<(), DeviceError> {
        if self.identity == given.identity && self.dim == given.dim {
            return Ok(());
        }
        Err(self.other(given, path))
    }

    /// The error for another encoder.
    pub(super) fn other(&self, given: &Self, path: &Path) -> DeviceError {
        let path = path.display().to_string();
        DeviceError::OtherEncoder { path, saved: self.describe(), given: given.describe() }
    }

    fn describe(&self) -> String {
        let identity = &self.identity.to_string()[..16];
        format!("'{}' ({identity}…, {} dimensions)", self.encoder, self.dim)
    }
}

impl ErrorType for StoreFile {
    type Error = FlashFileError;
}

impl ReadNorFlash for StoreFile {
    const READ_SIZE: usize = FlashFile::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashFileError> {
        match self.slot_at(offset) {
            Some((slot, at)) => slot.read(at, bytes),
            None => self.flash.read(offset, bytes),
        }
    }

    /// The capacity of the store; the slots lie behind it.
    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl NorFlash for StoreFile {
    const WRITE_SIZE: usize = FlashFile::WRITE_SIZE;
    const ERASE_SIZE: usize = BLOCK_LEN;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashFileError> {
        match self.slot_at(from) {
            Some((slot, at)) => slot.erase(at, at + (to - from)),
            None => self.flash.erase(from, to),
        }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashFileError> {
        match self.slot_at(offset) {
            Some((slot, at)) => slot.write(at, bytes),
            None => self.flash.write(offset, bytes),
        }
    }
}

impl Flash for StoreFile {
    fn sync(&mut self) -> Result<(), FlashFileError> {
        for slot in &mut self.slots {
            slot.sync()?;
        }
        self.flash.sync()
    }

    fn refresh(&mut self) -> Result<(), FlashFileError> {
        self.flash.refresh()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_keeps_stated_preprocessing_and_older_programs_ignore_it() {
        let plain = StoreHeader {
            encoder: "net.onnx".to_owned(),
            identity: EncoderId([7; 32]),
            dim: 32,
            classes: 255,
            supports: 64,
            preprocessing: None,
        };
        let stated = StoreHeader { preprocessing: Some("{\"channels\":1}".to_owned()), ..plain.clone() };
        let path = Path::new("a.store");
        for header in [&plain, &stated] {
            assert_eq!(StoreHeader::parse(&header.frame(path).unwrap(), path).unwrap(), *header);
        }
        // An older program reads the postcard and nothing behind it.
        let frame = stated.frame(path).unwrap();
        let len = usize::from(u16::from_le_bytes([frame[10], frame[11]]));
        assert_eq!(postcard::from_bytes::<StoreHeader>(&frame[FRAME_LEN..FRAME_LEN + len]).unwrap(), plain);
        let long = StoreHeader { encoder: "x".repeat(70_000), ..plain.clone() };
        assert!(matches!(long.frame(path), Err(DeviceError::Header { .. })), "it is not cut off");
        let large = StoreHeader { dim: 1536, supports: 1 << 20, ..plain };
        assert!(
            matches!(large.frame(path), Err(DeviceError::Header { .. })),
            "it would reach into the slots of bundles"
        );
    }

    #[test]
    fn a_store_is_made_atomically_and_other_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.store");
        let encoder = "raw-pixels".to_owned();
        let header = StoreHeader {
            encoder,
            identity: EncoderId([7; 32]),
            dim: 8,
            classes: 4,
            supports: 16,
            preprocessing: None,
        };
        assert!(StoreFile::header(&path).unwrap().is_none());
        drop(StoreFile::open(&path, &header).unwrap());
        assert_eq!(StoreFile::header(&path).unwrap(), Some(header.clone()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
        StoreFile::remove_blank(&path).unwrap();
        assert!(path.exists(), "a store is not blank");
        let mut bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..2 * BLOCK_LEN]).unwrap();
        assert!(matches!(StoreFile::open(&path, &header), Err(DeviceError::Damaged { .. })), "cut off");
        // Its header is damaged and nothing lies behind it: the power failed while an earlier program wrote it.
        bytes[20] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        drop(StoreFile::open(&path, &header).unwrap());
        *bytes.last_mut().unwrap() = 0;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(StoreFile::open(&path, &header), Err(DeviceError::Damaged { .. })));
        for content in [vec![], vec![0; 7], vec![0xff; 200_000]] {
            std::fs::write(&path, &content).unwrap();
            assert!(matches!(StoreFile::header(&path), Err(DeviceError::Blank { .. })));
            assert!(StoreFile::open(&path, &header).is_err());
            assert_eq!(std::fs::read(&path).unwrap(), content);
            StoreFile::remove_blank(&path).unwrap();
            assert!(!path.exists());
        }
        assert!(matches!(StoreFile::header(Path::new("/dev/zero")), Err(DeviceError::Read { .. })));
        assert!(matches!(StoreFile::header(folder.path()), Err(DeviceError::Read { .. })));
    }
}
