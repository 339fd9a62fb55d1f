//! How large an image may be, checked before anything is allocated for it.
//!
//! The largest images of the trades that this program is for fit: a mammogram of 4,096 × 6,144 at 16 bits, a retina
//! photograph of 50 million pixels in colour, a telephone's picture of 64. The scan of a whole slide does not: cut it
//! into tiles first.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use image::Limits;
use macula_edge::image::SIDE_MAX;

use super::refusal::Refusal;

/// Pixels an image may have: 2²⁶, as 8,192 × 8,192.
pub const PIXELS_MAX: u64 = 1 << 26;

/// Bytes that decoding one image may take at once, beside the file itself: 384 MiB. That is 6 for each of
/// [`PIXELS_MAX`]: 16-bit colour, or 8-bit colour and its turned copy.
pub const BYTES_MAX: u64 = 6 * PIXELS_MAX;

/// Bytes that decoding one image may take while other threads decode theirs: 64 MiB, a colour photograph of 22 million
/// pixels. Those that take more are decoded one at a time, so that memory does not grow with the threads by
/// [`BYTES_MAX`] each.
const BYTES_BESIDE_OTHERS: u64 = 1 << 26;

thread_local! {
    static ALLOWED: Cell<u64> = const { Cell::new(BYTES_MAX) };
}

/// Runs `decode`, which asks [`check`] before it allocates; again, and alone, if the image takes much.
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

/// Bytes an image file may have: 16-bit colour of the most pixels, not compressed.
pub const FILE_BYTES_MAX: u64 = BYTES_MAX;

/// Whether an image may have this size: no side is 0 or beyond what can be resized, and the area has a limit.
pub fn is_allowed(width: u64, height: u64) -> bool {
    let sides = 1..=SIDE_MAX as u64;
    sides.contains(&width) && sides.contains(&height) && width * height <= PIXELS_MAX
}

/// Refuses an image that is too large, or whose decoding takes `bytes_per_pixel` of memory and thereby too much.
pub(super) fn check(width: u64, height: u64, bytes_per_pixel: u64) -> Result<(), Refusal> {
    check_bytes(width, height, width.saturating_mul(height).saturating_mul(bytes_per_pixel))
}

/// As [`check`], with the bytes of the whole image.
pub(super) fn check_bytes(width: u64, height: u64, bytes: u64) -> Result<(), Refusal> {
    if width == 0 || height == 0 {
        return Err(format!("it is {width}×{height} pixels").into());
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

/// What a decoder of the `image` crate may allocate for itself.
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
