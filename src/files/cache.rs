//! A folder of values that can be computed again: checksummed, written atomically, bounded in size.
//!
//! An entry is one file, `KEY.cache`, KEY in hexadecimal:
//!
//! | bytes | content                                       |
//! |-------|-----------------------------------------------|
//! | 8     | `MACULAC1`                                    |
//! | 32    | the key                                       |
//! | n     | the value                                     |
//! | 32    | SHA-256 of everything before                  |
//!
//! A damaged entry counts as absent, so a cache never changes a result.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::beside::remove_if_present;
use super::{WriteError, read_bounded, write_atomic};

const MAGIC: &[u8; 8] = b"MACULAC1";
const EXTENSION: &str = "cache";
const HEADER: usize = MAGIC.len() + 32;
const CHECKSUM: usize = 32;

/// Identifies a value: a digest of all that determines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheKey(pub [u8; 32]);

/// A folder of entries.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
    bytes_max: u64,
}

impl Cache {
    /// The cache in `folder`, which is created if it is missing. Its entries take at most `bytes_max` bytes.
    ///
    /// # Errors
    /// If the folder cannot be created.
    pub fn open(folder: &Path, bytes_max: u64) -> Result<Self, WriteError> {
        let failed = |source| WriteError { path: folder.display().to_string(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        Ok(Self { folder: folder.to_owned(), bytes_max })
    }

    /// The folder `macula` in the user's cache folder: `$XDG_CACHE_HOME`, or `.cache` in `$HOME`. `None` if neither is set.
    pub fn user_folder() -> Option<PathBuf> {
        let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = path("XDG_CACHE_HOME").or_else(|| path("HOME").map(|home| home.join(".cache")))?;
        Some(base.join("macula"))
    }

    /// The value of `key`; `None` if there is none or it is damaged. The entry counts as used now.
    pub fn get(&self, key: CacheKey) -> Option<Vec<u8>> {
        let path = self.path(key);
        let mut bytes = read_bounded(&path, self.bytes_max).ok()?;
        let end = bytes.len().checked_sub(CHECKSUM).filter(|&end| end >= HEADER)?;
        let is_whole = Sha256::digest(&bytes[..end])[..] == bytes[end..];
        if !is_whole || &bytes[..MAGIC.len()] != MAGIC || bytes[MAGIC.len()..HEADER] != key.0 {
            return None;
        }
        // Without a new time the entry is only removed earlier.
        File::open(&path).and_then(|file| file.set_modified(SystemTime::now())).ok();
        bytes.truncate(end);
        bytes.drain(..HEADER);
        Some(bytes)
    }

    /// Keeps `value` and removes the entries that were not used for longest until the cache is within its limit. A value
    /// that is larger than the limit is not kept.
    ///
    /// # Errors
    /// If the entry cannot be written.
    pub fn put(&self, key: CacheKey, value: &[u8]) -> Result<(), WriteError> {
        let len = HEADER + value.len() + CHECKSUM;
        if len as u64 > self.bytes_max {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&key.0);
        bytes.extend_from_slice(value);
        let checksum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&checksum);
        write_atomic(&self.path(key), &bytes)?;
        self.shrink().map_err(|source| WriteError { path: self.folder.display().to_string(), source })
    }

    fn path(&self, key: CacheKey) -> PathBuf {
        self.folder.join(format!("{:x}.{EXTENSION}", base16ct::HexDisplay(&key.0)))
    }

    fn shrink(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            // Another process may remove entries at the same time.
            if let Some(metadata) = fs::metadata(&path).ok().filter(|metadata| metadata.is_file())
                && path.extension().is_some_and(|extension| extension == EXTENSION)
            {
                entries.push((metadata.modified()?, path, metadata.len()));
            }
        }
        entries.sort();
        let mut total: u64 = entries.iter().map(|(.., len)| len).sum();
        for (_, path, len) in entries {
            if total <= self.bytes_max {
                break;
            }
            remove_if_present(&path)?;
            total -= len;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_value_is_read_back_and_a_damaged_one_is_absent() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("new"), 1 << 20).unwrap();
        let (key, other) = (CacheKey([7; 32]), CacheKey([8; 32]));
        assert_eq!(cache.get(key), None);
        cache.put(key, b"value").unwrap();
        cache.put(other, b"").unwrap();
        assert_eq!((cache.get(key), cache.get(other)), (Some(b"value".to_vec()), Some(Vec::new())));
        let path = cache.path(key);
        let whole = fs::read(&path).unwrap();
        for bit in 0..8 * whole.len() {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, damaged).unwrap();
            assert_eq!(cache.get(key), None, "bit {bit}");
        }
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            assert_eq!(cache.get(key), None, "{len} bytes");
        }
        // An entry under the name of another key.
        fs::copy(cache.path(other), &path).unwrap();
        assert_eq!(cache.get(key), None);
        cache.put(key, b"again").unwrap();
        assert_eq!(cache.get(key), Some(b"again".to_vec()));
    }

    #[test]
    fn the_entry_unused_for_longest_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let entry = (HEADER + CHECKSUM + 100) as u64;
        let cache = Cache::open(folder.path(), 3 * entry).unwrap();
        fs::write(folder.path().join("notes.txt"), [0; 5000]).unwrap();
        let key = |number: u8| CacheKey([number; 32]);
        for number in 0..3 {
            cache.put(key(number), &[number; 100]).unwrap();
            let old = SystemTime::now() - Duration::from_secs(100 - u64::from(number));
            File::open(cache.path(key(number))).unwrap().set_modified(old).unwrap();
        }
        assert!(cache.get(key(0)).is_some(), "the oldest is used again");
        cache.put(key(3), &[3; 100]).unwrap();
        let kept: Vec<bool> = (0..4).map(|number| cache.get(key(number)).is_some()).collect();
        assert_eq!(kept, [true, false, true, true]);
        cache.put(key(4), &[0; 1000]).unwrap();
        assert_eq!(cache.get(key(4)), None, "larger than the cache");
        assert!(folder.path().join("notes.txt").exists(), "other files are not counted and not removed");
    }
}
