//! How a run is computed.

use crate::ranks::Ranks;

/// Options that do not change the result of a run, except that other ranks round differently.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Continue the run in the folder.
    pub resume: bool,
    /// Treat an unreadable image as an error.
    pub strict: bool,
    /// Most bytes of resized pixels kept in memory.
    pub cache_bytes: usize,
    /// Batches whose views are made ahead of the steps, on threads of low priority; 0 for none. They take at most 256 MiB.
    pub prefetch: usize,
    /// Most bytes of memory of the process while it trains. Values are computed again in every step as far as that is needed.
    pub memory: Option<usize>,
    /// The processes that train together.
    pub ranks: Ranks,
    /// Report views of some training images at the start and their features at the end ([`super::Event::Views`],
    /// [`super::Event::Embedded`]).
    pub pictures: bool,
}

impl Default for Options {
    fn default() -> Self {
        let (resume, strict, pictures) = (false, false, false);
        Self { resume, strict, cache_bytes: 512 << 20, prefetch: 2, memory: None, ranks: Ranks::ONE, pictures }
    }
}
