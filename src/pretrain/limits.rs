//! How much memory parts of a run may take.

/// Most bytes of prefetched views.
pub(super) const AHEAD_BYTES_MAX: usize = 256 << 20;

/// Most network inputs that are embedded together outside of training.
pub(super) const EMBED_TOGETHER: usize = 256;

/// Most bytes of network inputs that are embedded together.
const EMBED_BYTES_MAX: usize = 16 << 20;

/// Share of a limit of the process that the images kept in memory may take, and that views made ahead may take.
pub(super) const CACHE_SHARE: usize = 4;
const AHEAD_SHARE: usize = 8;

/// Network inputs of `len` values that are embedded together: fewer if they are large, but enough for all threads.
pub(super) fn embed_together(len: usize) -> usize {
    (EMBED_BYTES_MAX / (size_of::<f32>() * len)).clamp(16, EMBED_TOGETHER)
}

/// Most images of which views are made ahead: for `batches` of `batch_size` images whose views have `image_bytes` each, in a process
/// that may have `limit` bytes.
pub(super) fn images_ahead(batches: usize, batch_size: usize, image_bytes: usize, limit: Option<usize>) -> usize {
    let bytes = limit.map_or(AHEAD_BYTES_MAX, |limit| AHEAD_BYTES_MAX.min(limit / AHEAD_SHARE));
    batches.saturating_mul(batch_size).min(bytes / image_bytes.max(1))
}

/// Most bytes of decoded training images that are kept, where `cache_bytes` are allowed; held-out images may take a quarter more.
pub(super) fn cache_bytes(cache_bytes: usize, limit: Option<usize>) -> usize {
    limit.map_or(cache_bytes, |limit| cache_bytes.min(limit / CACHE_SHARE * 4 / 5))
}
