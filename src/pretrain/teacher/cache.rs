//! The file of a teacher's features: a header, then blocks of images, each with a checksum.
//!
//! | bytes                 | what                                                                            |
//! |-----------------------|---------------------------------------------------------------------------------|
//! | 8                     | `MACTEACH`                                                                      |
//! | 4                     | length L of the key, little-endian                                              |
//! | L                     | the key, TOML ([`super::key`])                                                  |
//! | 32                    | SHA-256 of all before                                                           |
//! | then for each block:  |                                                                                 |
//! | 2 · images · V · D    | features in f16, little-endian: [`BLOCK_IMAGES`] images, fewer in the last      |
//! | 32                    | SHA-256 over the header's SHA-256, the number of the block in 8 bytes, features |
//!
//! A block belongs to its header and to its place. Blocks are written one by one, so an interrupted computation goes on where
//! it stopped.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use half::f16;
use sha2::{Digest, Sha256};

use super::key::CacheKey;

const MAGIC: &[u8; 8] = b"MACTEACH";
const SEAL: usize = 32;

/// Images per block.
pub(super) const BLOCK_IMAGES: usize = 64;

/// An open file of features.
pub(super) struct FeatureCache {
    file: File,
    header_len: u64,
    seal: [u8; SEAL],
    images: usize,
    /// Values of one image: V · D.
    each: usize,
    /// Whether the file was there with another or a damaged header, and was emptied.
    pub replaced: bool,
}

impl FeatureCache {
    /// Opens the file of `key` at `path`, or creates it. A file with another header is emptied.
    pub fn open(path: &Path, key: &CacheKey) -> io::Result<Self> {
        let header = header(key);
        let seal: [u8; SEAL] = Sha256::digest(&header).into();
        let header = [&header[..], &seal].concat();
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        crate::files::check_regular(&file.metadata()?)?;
        let mut found = Vec::new();
        (&file).take(header.len() as u64).read_to_end(&mut found)?;
        let replaced = found != header && !found.is_empty();
        if found != header {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header)?;
            file.sync_data()?;
        }
        let (images, each) = (key.images, key.views * key.dim);
        Ok(Self { file, header_len: header.len() as u64, seal, images, each, replaced })
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.images.div_ceil(BLOCK_IMAGES)
    }

    /// The images of block `number`, as positions in the list of images.
    pub fn images_of(&self, number: usize) -> std::ops::Range<usize> {
        number * BLOCK_IMAGES..((number + 1) * BLOCK_IMAGES).min(self.images)
    }

    /// Bytes of the complete file.
    pub fn bytes(&self) -> u64 {
        self.header_len + (self.images * self.each * 2 + self.blocks() * SEAL) as u64
    }

    fn start_of(&self, number: usize) -> u64 {
        self.header_len + number as u64 * (BLOCK_IMAGES * self.each * 2 + SEAL) as u64
    }

    /// Whether the file is long enough to hold block `number`.
    pub fn reaches(&self, number: usize) -> io::Result<bool> {
        let len = (self.images_of(number).len() * self.each * 2 + SEAL) as u64;
        Ok(self.file.metadata()?.len() >= self.start_of(number) + len)
    }

    /// The features of block `number`, `[images, V, D]`; `None` if it is missing or damaged.
    pub fn read(&mut self, number: usize) -> io::Result<Option<Vec<f16>>> {
        if !self.reaches(number)? {
            return Ok(None);
        }
        let mut bytes = vec![0; self.images_of(number).len() * self.each * 2];
        let mut seal = [0; SEAL];
        self.file.seek(SeekFrom::Start(self.start_of(number)))?;
        self.file.read_exact(&mut bytes)?;
        self.file.read_exact(&mut seal)?;
        if seal != self.seal_of(number, &bytes) {
            return Ok(None);
        }
        Ok(Some(bytes.chunks_exact(2).map(|pair| f16::from_le_bytes([pair[0], pair[1]])).collect()))
    }

    /// Writes block `number`.
    ///
    /// # Panics
    /// When `features` is not as long as its images.
    pub fn write(&mut self, number: usize, features: &[f16]) -> io::Result<()> {
        assert_eq!(features.len(), self.images_of(number).len() * self.each, "one block");
        let mut bytes: Vec<u8> = features.iter().flat_map(|value| value.to_le_bytes()).collect();
        bytes.extend(self.seal_of(number, &bytes));
        self.file.seek(SeekFrom::Start(self.start_of(number)))?;
        self.file.write_all(&bytes)?;
        self.file.sync_data()
    }

    fn seal_of(&self, number: usize, features: &[u8]) -> [u8; SEAL] {
        let hash = Sha256::new_with_prefix(self.seal).chain_update((number as u64).to_le_bytes());
        hash.chain_update(features).finalize().into()
    }
}

fn header(key: &CacheKey) -> Vec<u8> {
    let text = key.to_toml();
    [&MAGIC[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}
