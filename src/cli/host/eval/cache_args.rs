//! `--cache`: where features are kept between calls.

use std::path::{Path, PathBuf};

use crate::files::{Cache, WriteError};

/// Bytes of a GiB.
const GIB: u64 = 1 << 30;

/// Options of the cache of features.
#[derive(clap::Args)]
pub struct CacheArgs {
    /// Keep features in this folder and use those of the same encoder and images again; none for no cache
    /// [default: none; of `eval tasks`, macula in the user's cache folder]
    #[arg(long, value_name = "FOLDER|none")]
    cache: Option<PathBuf>,
    /// Limit of the cache in GiB; what was unused for longest is removed
    #[arg(long, value_name = "GIB", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    cache_size: u64,
}

impl CacheArgs {
    /// The cache that was asked for.
    ///
    /// # Errors
    /// If its folder cannot be created.
    pub fn open(&self) -> Result<Option<Cache>, WriteError> {
        let folder = self.cache.as_deref().filter(|folder| *folder != Path::new("none"));
        folder.map(|folder| Cache::open(folder, self.cache_size * GIB)).transpose()
    }

    /// The cache that was asked for, or that in the user's cache folder.
    ///
    /// # Errors
    /// As [`Self::open`]; a user's folder that cannot be created is not used.
    pub fn open_or_usual(&self) -> Result<Option<Cache>, WriteError> {
        match &self.cache {
            Some(_) => self.open(),
            None => Ok(Cache::user_folder().and_then(|folder| Cache::open(&folder, self.cache_size * GIB).ok())),
        }
    }
}
