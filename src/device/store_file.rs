//! The file of a store: what it is a store of, and then the store itself.
//!
//! Blocks of 65,536 bytes as flash has them, 0xff where erased. The first one is written once:
//!
//! | offset | bytes | field                                        |
//! |-------:|------:|----------------------------------------------|
//! |      0 |     8 | `MACULAST`                                   |
//! |      8 |     2 | format version, little-endian                |
//! |     10 |     2 | length L of the card, little-endian          |
//! |     12 |     L | [`StoreCard`] in postcard, then JSON or nothing |
//! | 12 + L |     4 | CRC-32 of everything before, little-endian   |
//!
//! All versions keep this frame. The store of `macula-edge` lies in the blocks behind it (`docs/store-format.md`).

use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use macula_edge::store::Flash;

use super::slot_file::{SLOT_STARTS, SlotFile};
use super::{DeviceError, FlashFile, FlashFileError};

/// Bytes of an erase block: a support of 4,096 dimensions takes 8 KiB, and a block holds several.
const BLOCK_LEN: usize = 65_536;

const MAGIC: &[u8; 8] = b"MACULAST";
const VERSION: u16 = 1;
const FRAME_LEN: usize = 12;
const CHECKSUM_LEN: usize = 4;

/// Bytes that a support takes beside its feature, at most.
const SUPPORT_OVERHEAD: u64 = 64;

/// What a store is a store of.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StoreCard {
    /// Where its encoder was found when it was made, for whoever does not name it again.
    pub encoder: String,
    /// The encoder's identity.
    pub identity: [u8; 32],
    /// Feature dimensions D.
    pub dim: u32,
    /// Class slots C.
    pub classes: u32,
    /// Places for supports S.
    pub supports: u32,
    /// The preprocessing that was stated for its encoder, in JSON, where the encoder has none of its own. It stands
    /// behind the postcard, where an older program does not look.
    #[serde(skip)]
    pub preprocessing: Option<String>,
}

impl StoreCard {
    /// Bytes of the file: room for all supports, and an eighth and four blocks more, with which the store works.
    fn file_len(&self) -> u64 {
        let block = BLOCK_LEN as u64;
        let support = 2 * u64::from(self.dim) + SUPPORT_OVERHEAD;
        // A class takes at most as much as a support, and no block is filled to its last support.
        let records = u64::from(self.supports) + u64::from(self.classes);
        let a_block = (block - 2 * SUPPORT_OVERHEAD) / support - 1;
        let blocks = (records * 8 / 7).div_ceil(a_block.max(1));
        (blocks + 4) * block
    }

    fn frame(&self) -> Vec<u8> {
        // A struct of integers and a string always has its bytes.
        let mut card = postcard::to_allocvec(self).unwrap_or_default();
        card.extend(self.preprocessing.iter().flat_map(|json| json.bytes()));
        let mut bytes = [&MAGIC[..], &VERSION.to_le_bytes(), &(card.len() as u16).to_le_bytes(), &card].concat();
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        // Flash takes whole words; what is left erased is not looked at.
        bytes.resize(bytes.len().next_multiple_of(FlashFile::WRITE_SIZE), 0xff);
        bytes
    }

    /// The card in the first block of a file; none where nothing was ever written there.
    fn parse(block: &[u8], path: &Path) -> Result<Option<Self>, DeviceError> {
        let path = path.display().to_string();
        if block.iter().all(|&byte| byte == 0xff || byte == 0) {
            return Ok(None);
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
        let (mut card, json): (Self, _) =
            postcard::take_from_bytes(&block[FRAME_LEN..end]).map_err(|_| damaged("its card cannot be read"))?;
        if !json.is_empty() {
            card.preprocessing = Some(String::from_utf8_lossy(json).into_owned());
        }
        let sound = (1..=4096).contains(&card.dim) && (1..=255).contains(&card.classes) && card.supports <= 1 << 20;
        if sound { Ok(Some(card)) } else { Err(damaged("its card has a number out of range")) }
    }
}

/// Flash for one store and two bundles: the store's file, which this process alone has, and two beside it.
#[derive(Debug)]
pub struct StoreFile {
    flash: FlashFile,
    path: PathBuf,
    slots: [SlotFile; 2],
}

impl StoreFile {
    /// What the file at `path` is a store of; none where there is no file, or none that was ever used.
    ///
    /// # Errors
    /// When it cannot be read, is something else, is damaged, or was written by a later program.
    pub fn card(path: &Path) -> Result<Option<StoreCard>, DeviceError> {
        let mut block = Vec::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(BLOCK_LEN as u64).read_to_end(&mut block));
        match read {
            Ok(_) => StoreCard::parse(&block, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(DeviceError::Read { path: path.display().to_string(), source }),
        }
    }

    /// Opens the store of `card` at `path`; makes it where there is none.
    ///
    /// # Errors
    /// As [`Self::card`], and when the file is in use by another process or is the store of another encoder.
    pub fn open(path: &Path, card: &StoreCard) -> Result<Self, DeviceError> {
        let flash = FlashFile::open(path, card.file_len())?;
        let slots = [0, 1].map(|slot| SlotFile::beside(path, slot));
        let mut file = Self { flash, path: path.to_owned(), slots };
        // From here on the file is ours alone: what another process wrote a moment ago is seen.
        let mut block = vec![0; BLOCK_LEN.min(file.flash.capacity())];
        file.flash.read(0, &mut block)?;
        match StoreCard::parse(&block, path) {
            Ok(Some(found)) => found.check(card, path)?,
            Ok(None) => file.write_card(card)?,
            // The power failed while the card was written: nothing can lie behind it.
            Err(error) if file.is_erased_behind()? && error.is_damage() => file.write_card(card)?,
            Err(error) => return Err(error),
        }
        Ok(file)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where in the file the store lies.
    pub fn range(&self) -> Range<u32> {
        let blocks = self.flash.capacity() / BLOCK_LEN;
        BLOCK_LEN as u32..(blocks * BLOCK_LEN) as u32
    }

    /// Where the bundle of a slot lies.
    pub fn slot_path(&self, slot: u8) -> &Path {
        self.slots[usize::from(slot)].path()
    }

    /// Takes the place of the store at `path`, whose bundles are this one's from then on: there is the old store or this
    /// one, also after a crash.
    ///
    /// # Errors
    /// When the file cannot be renamed.
    pub fn take_place_of(&mut self, path: &Path) -> Result<(), DeviceError> {
        self.flash.rename(path)?;
        self.path = path.to_owned();
        self.slots = [0, 1].map(|slot| SlotFile::beside(path, slot));
        Ok(())
    }

    /// The slot that an address lies in, and where in it.
    fn slot_at(&mut self, offset: u32) -> Option<(&mut SlotFile, u32)> {
        let slot = SLOT_STARTS.iter().rposition(|&start| offset >= start)?;
        Some((&mut self.slots[slot], offset - SLOT_STARTS[slot]))
    }

    fn is_erased_behind(&mut self) -> Result<bool, DeviceError> {
        let mut behind = vec![0; self.flash.capacity().saturating_sub(BLOCK_LEN)];
        self.flash.read(BLOCK_LEN as u32, &mut behind)?;
        Ok(behind.iter().all(|&byte| byte == 0xff))
    }

    fn write_card(&mut self, card: &StoreCard) -> Result<(), DeviceError> {
        self.flash.erase(0, BLOCK_LEN as u32)?;
        self.flash.write(0, &card.frame())?;
        self.flash.sync()?;
        Ok(())
    }
}

impl StoreCard {
    /// Refuses any encoder but the store's.
    ///
    /// # Errors
    /// [`DeviceError::OtherEncoder`], which names both.
    pub fn check(&self, given: &Self, path: &Path) -> Result<(), DeviceError> {
        if self.identity == given.identity && self.dim == given.dim {
            return Ok(());
        }
        Err(self.other(given, path))
    }

    /// Why the store does not go with another encoder.
    pub(super) fn other(&self, given: &Self, path: &Path) -> DeviceError {
        let path = path.display().to_string();
        DeviceError::OtherEncoder { path, saved: self.describe(), given: given.describe() }
    }

    fn describe(&self) -> String {
        let identity: String = self.identity[..8].iter().map(|byte| format!("{byte:02x}")).collect();
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

    /// Of the store; a slot lies behind it.
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_keeps_stated_preprocessing_where_older_programs_do_not_look() {
        let plain = StoreCard {
            encoder: "net.onnx".to_owned(),
            identity: [7; 32],
            dim: 32,
            classes: 255,
            supports: 64,
            preprocessing: None,
        };
        let stated = StoreCard { preprocessing: Some("{\"channels\":1}".to_owned()), ..plain.clone() };
        for card in [&plain, &stated] {
            assert_eq!(StoreCard::parse(&card.frame(), Path::new("a.store")).unwrap().as_ref(), Some(card));
        }
        // An older program reads the postcard and nothing behind it.
        let frame = stated.frame();
        let len = usize::from(u16::from_le_bytes([frame[10], frame[11]]));
        assert_eq!(postcard::from_bytes::<StoreCard>(&frame[FRAME_LEN..FRAME_LEN + len]).unwrap(), plain);
    }
}
