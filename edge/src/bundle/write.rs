//! A bundle is written by whoever has the secret key: on a desk, and in tests of a device.

use core::fmt;

use sha2::{Digest, Sha256};

use super::format::{ALIGNMENT, BUNDLE_LEN_MAX, EMPTY, Header, PARTS_MAX, Part, PartKind, PublicKey, SIGNATURE_LEN};

/// Parts that make no bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// None, or too many.
    Parts {
        /// How many.
        found: usize,
    },
    /// They are not in the order of their kinds, or one stands twice.
    Order {
        /// The part that stands in the wrong place.
        kind: PartKind,
    },
    /// They are too large together.
    Length {
        /// Bytes of the bundle.
        found: u64,
    },
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Parts { found } => write!(f, "a bundle of {found} parts: 1 to {PARTS_MAX} are allowed"),
            Self::Order { kind } => write!(f, "the part '{kind}' of a bundle stands twice or before its place"),
            Self::Length { found } => write!(f, "a bundle of {found} bytes: {BUNDLE_LEN_MAX} are allowed"),
        }
    }
}

impl core::error::Error for WriteError {}

/// Writes a bundle, piece by piece.
///
/// * `parts`: in the order of their kinds, each once
/// * `counter`: see [`Header::counter`]
/// * `signer`: the public key of `sign`
/// * `sign`: gives the Ed25519 signature of bytes
/// * `out`: takes the pieces
///
/// # Errors
/// See [`WriteError`]; nothing was written then.
pub fn write(
    parts: &[(PartKind, &[u8])],
    counter: u64,
    signer: PublicKey,
    sign: impl FnOnce(&[u8]) -> [u8; SIGNATURE_LEN],
    out: &mut impl FnMut(&[u8]),
) -> Result<(), WriteError> {
    let header = plan(parts, counter, signer)?;
    let mut signed = [0; Header::signed_len(PARTS_MAX)];
    let signed_len = header.write(&mut signed);
    out(&signed[..signed_len]);
    out(&sign(&signed[..signed_len]));
    let mut at = (signed_len + SIGNATURE_LEN) as u32;
    for ((_, bytes), part) in parts.iter().zip(header.parts()) {
        out(&[0; ALIGNMENT as usize][..(part.offset - at) as usize]);
        out(bytes);
        at = part.range().end;
    }
    Ok(())
}

fn plan(parts: &[(PartKind, &[u8])], counter: u64, signer: PublicKey) -> Result<Header, WriteError> {
    let count = parts.len();
    if count == 0 || count > PARTS_MAX {
        return Err(WriteError::Parts { found: count });
    }
    if let Some(pair) = parts.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
        return Err(WriteError::Order { kind: pair[1].0 });
    }
    let mut header = Header { counter, signer, len: 0, parts: [EMPTY; PARTS_MAX], count };
    let mut end = (Header::signed_len(count) + SIGNATURE_LEN) as u64;
    for ((kind, bytes), part) in parts.iter().zip(&mut header.parts) {
        let offset = end.next_multiple_of(ALIGNMENT.into());
        end = offset + bytes.len() as u64;
        if end > BUNDLE_LEN_MAX.into() {
            return Err(WriteError::Length { found: end });
        }
        let sha256 = Sha256::digest(bytes).into();
        *part = Part { kind: *kind as u16, offset: offset as u32, len: bytes.len() as u32, sha256 };
    }
    header.len = end as u32;
    Ok(header)
}
