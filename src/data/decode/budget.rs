//! Memory of decoding, checked before anything is allocated for an image.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use image::Limits;

use super::limits::{BYTES_MAX, is_allowed};
use super::refusal::Refusal;

/// Bytes that decoding one image may take while other threads decode theirs: 64 MiB, a colour photograph of 22 million
/// pixels. Images that take more are decoded one at a time, so that memory does not grow by [`BYTES_MAX`] per thread.
const BYTES_BESIDE_OTHERS: u64 = 1 << 26;

thread_local! {
    static ALLOWED: Cell<u64> = const { Cell::new(BYTES_MAX) };
}

/// Runs `decode`, which calls [`check`] before it allocates. If the image takes too much to be decoded beside others, runs
/// it again while no other large image is decoded.
pub(super) fn one_large_at_a_time<T>(decode: impl Fn() -> Result<T, Refusal>) -> Result<T, Refusal> {
    static LARGE: Mutex<()> = Mutex::new(());
    ALLOWED.set(BYTES_BESIDE_OTHERS);
    let decoded = decode();
    ALLOWED.set(BYTES_MAX);
    if !matches!(decoded, Err(Refusal::Large)) {
        return decoded;
    }
    let _alone = LARGE.lock().unwrap_or_else(PoisonError::into_inner);
    decode()
}

/// Bytes that decoding may take now: less while other images are decoded beside this one.
#[cfg(feature = "dicom")]
pub(super) fn allowed() -> u64 {
    ALLOWED.get()
}

/// Refuses an image that is too large, or that takes too much memory at `bytes_per_pixel`.
pub(super) fn check(width: u64, height: u64, bytes_per_pixel: u64) -> Result<(), Refusal> {
    check_bytes(width, height, width.saturating_mul(height).saturating_mul(bytes_per_pixel))
}

/// [`check`] with the bytes of all pixels.
pub(super) fn check_bytes(width: u64, height: u64, bytes: u64) -> Result<(), Refusal> {
    if width == 0 || height == 0 {
        return Err(format!("the size is {width}×{height} pixels").into());
    }
    if !is_allowed(width, height) {
        return Err(Refusal::TooLarge { width, height });
    }
    match bytes {
        _ if bytes > BYTES_MAX => Err(Refusal::TooMuchMemory { width, height, bytes }),
        _ if bytes > ALLOWED.get() => Err(Refusal::Large),
        _ => Ok(()),
    }
}

/// Limits on what a decoder of the `image` crate allocates.
pub(super) fn limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(BYTES_MAX);
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_takes_much_is_decoded_again_and_alone() {
        let tries = Cell::new(0);
        let decode = |width| {
            tries.set(tries.get() + 1);
            check(width, 8_192, 3)
        };
        assert_eq!((one_large_at_a_time(|| decode(1_024)), tries.take()), (Ok(()), 1));
        assert_eq!((one_large_at_a_time(|| decode(8_192)), tries.take()), (Ok(()), 2));
        assert!(matches!(one_large_at_a_time(|| decode(9_000)), Err(Refusal::TooLarge { .. })));
    }

    #[test]
    fn sizes_and_memory_have_limits() {
        assert_eq!(check(8_192, 8_192, 6), Ok(()));
        assert!(matches!(check(8_192, 8_192, 8), Err(Refusal::TooMuchMemory { bytes: 536_870_912, .. })));
        assert_eq!(check(8_193, 8_192, 1), Err(Refusal::TooLarge { width: 8_193, height: 8_192 }));
        assert_eq!(check(65_535, 1_024, 1), Ok(()));
        assert!(matches!(check(65_536, 1, 1), Err(Refusal::TooLarge { .. })));
        assert!(matches!(check(0, 5, 1), Err(Refusal::Reason(_))));
        assert!(matches!(check(u64::MAX, u64::MAX, u64::MAX), Err(Refusal::TooLarge { .. })));
    }
}
