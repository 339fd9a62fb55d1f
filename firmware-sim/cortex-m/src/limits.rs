//! The encoder in this image and its memory sizes, from `build.rs`.

include!(concat!(env!("OUT_DIR"), "/limits.rs"));

/// The encoder's blob lies in flash, at a multiple of 4 bytes, and is read there.
#[repr(C, align(8))]
struct Aligned<T>(T);

static ENCODER: Aligned<[u8; BLOB_BYTES]> = Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/encoder.blob")));

/// The encoder's blob; `None` on a board that takes features only.
pub fn blob() -> Option<&'static [u8]> {
    match BLOB_BYTES {
        0 => None,
        _ => Some(&ENCODER.0),
    }
}
