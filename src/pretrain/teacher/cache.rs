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
use std::path::{Path, PathBuf};

use half::f16;
use sha2::{Digest, Sha256};

use super::key::CacheKey;
use crate::files::check_regular;

const MAGIC: &[u8; 8] = b"MACTEACH";
const SEAL: usize = 32;

/// Images per block.
pub(super) const BLOCK_IMAGES: usize = 64;

/// The file of features, created when the first block is written.
pub(super) struct FeatureCache {
    path: PathBuf,
    /// `None` if there is no file, or one with another or a damaged header, which the first block replaces.
    file: Option<File>,
    header: Vec<u8>,
    seal: [u8; SEAL],
    images: usize,
    /// Values of one image: V · D.
    each: usize,
    /// Whether the file was there with another or a damaged header.
    pub is_foreign: bool,
}

impl FeatureCache {
    /// Opens the file of `key` at `path`, if it is there.
    pub fn open(path: &Path, key: &CacheKey) -> io::Result<Self> {
        let header = header(key);
        let seal: [u8; SEAL] = Sha256::digest(&header).into();
        let header = [&header[..], &seal].concat();
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => Some(opened?),
        };
        let mut is_foreign = false;
        if let Some(opened) = &file {
            check_regular(&opened.metadata()?)?;
            let mut found = Vec::new();
            opened.take(header.len() as u64).read_to_end(&mut found)?;
            is_foreign = found != header;
        }
        file = file.filter(|_| !is_foreign);
        let (images, each) = (key.images, key.views * key.dim);
        Ok(Self { path: path.to_owned(), file, header, seal, images, each, is_foreign })
    }

    /// The file, which is created with its header if there is none yet.
    fn created(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let options = &mut OpenOptions::new();
            let mut file = options.read(true).write(true).create(true).truncate(true).open(&self.path)?;
            file.write_all(&self.header)?;
            self.file = Some(file);
        }
        self.file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
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
        self.header.len() as u64 + (self.images * self.each * 2 + self.blocks() * SEAL) as u64
    }

    fn start_of(&self, number: usize) -> u64 {
        self.header.len() as u64 + number as u64 * (BLOCK_IMAGES * self.each * 2 + SEAL) as u64
    }

    /// Whether the file is long enough to hold block `number`.
    pub fn reaches(&self, number: usize) -> io::Result<bool> {
        let len = (self.images_of(number).len() * self.each * 2 + SEAL) as u64;
        let found = self.file.as_ref().map_or(Ok(0), |file| file.metadata().map(|metadata| metadata.len()))?;
        Ok(found >= self.start_of(number) + len)
    }

    /// The features of block `number`, `[images, V, D]`; `None` if it is missing or damaged.
    pub fn read(&mut self, number: usize) -> io::Result<Option<Vec<f16>>> {
        if !self.reaches(number)? {
            return Ok(None);
        }
        let mut bytes = vec![0; self.images_of(number).len() * self.each * 2];
        let mut seal = [0; SEAL];
        let (start, file) = (self.start_of(number), self.created()?);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes)?;
        file.read_exact(&mut seal)?;
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
        let (start, file) = (self.start_of(number), self.created()?);
        file.seek(SeekFrom::Start(start))?;
        file.write_all(&bytes)?;
        file.sync_data()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageDigest;
    use crate::objective::{Distillation, Method, Teacher};
    use crate::pretrain::config::PretrainConfig;

    /// The key of 70 images, two blocks, with one view of 3 values.
    fn key(sha256: &str) -> CacheKey {
        let teacher = Teacher { encoder: "t".into(), sha256: sha256.into(), dim: 3, preprocessing: None };
        let settings = Distillation { teacher_views: 1, teachers: vec![teacher.clone()], ..Distillation::default() };
        let images: Vec<_> = (0..70).map(|index| (ImageDigest([index as u8; 16]), index)).collect();
        CacheKey::new(&PretrainConfig::new("phantoms", Method::Distill), &settings, &teacher, &images)
    }

    fn block(first: usize, images: usize) -> Vec<f16> {
        (first..first + 3 * images).map(|at| f16::from_f32(at as f32)).collect()
    }

    #[test]
    fn blocks_are_read_back_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features");
        let mut cache = FeatureCache::open(&path, &key("a")).unwrap();
        assert_eq!((cache.blocks(), cache.read(0).unwrap(), path.exists()), (2, None, false));
        cache.write(1, &block(7, 6)).unwrap();
        assert_eq!((cache.read(0).unwrap(), cache.read(1).unwrap()), (None, Some(block(7, 6))));
        cache.write(0, &block(0, 64)).unwrap();
        let mut again = FeatureCache::open(&path, &key("a")).unwrap();
        assert_eq!([0, 1].map(|number| again.read(number).unwrap()), [Some(block(0, 64)), Some(block(7, 6))]);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), again.bytes());
    }

    #[test]
    fn a_damaged_bit_is_noticed_and_another_key_has_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features");
        let mut cache = FeatureCache::open(&path, &key("a")).unwrap();
        cache.write(0, &block(0, 64)).unwrap();
        cache.write(1, &block(7, 6)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            std::fs::write(&path, damaged).unwrap();
            let mut cache = FeatureCache::open(&path, &key("a")).unwrap();
            let valid = [0, 1].map(|number| cache.read(number).unwrap().is_some());
            let expected = match at {
                at if at < cache.header.len() => [false; 2],
                at => [at as u64 >= cache.start_of(1), (at as u64) < cache.start_of(1)],
            };
            assert_eq!((valid, cache.is_foreign), (expected, at < cache.header.len()), "byte {at}");
        }
        std::fs::write(&path, &whole).unwrap();
        assert!(FeatureCache::open(&path, &key("b")).unwrap().is_foreign);
        assert_ne!(key("a").file_name(), key("b").file_name());
    }
}
