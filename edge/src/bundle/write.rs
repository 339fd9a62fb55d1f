//! Writes a bundle; used on the host and in tests.

use sha2::{Digest, Sha256};

use super::Header;
use super::format::{
    ALIGNMENT, BUNDLE_LEN_MAX, PARTS_MAX, Part, PartKind, PublicKey, SIGNATURE_LEN, signed_len as signed_len_of,
};

/// The parts do not make a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// There are no parts, or too many.
    #[error("the bundle would have {found} parts; 1 to {PARTS_MAX} are allowed")]
    Parts {
        /// How many.
        found: usize,
    },
    /// The parts are not in the order of their kinds, or a kind appears twice.
    #[error("the part '{kind}' appears twice or out of order")]
    Order {
        /// The part at the wrong place.
        kind: PartKind,
    },
    /// The bundle would be too large.
    #[error("the bundle would have {found} bytes; {BUNDLE_LEN_MAX} are allowed")]
    Length {
        /// Bytes of the bundle.
        found: u64,
    },
}

/// Writes a bundle in pieces.
///
/// * `parts`: in the order of their kinds, each once
/// * `counter`: see [`Header::counter`]
/// * `signer`: the public key of `sign`
/// * `sign`: makes the Ed25519 signature of bytes
/// * `out`: takes the pieces
///
/// # Errors
/// See [`WriteError`]; nothing has been written then.
pub fn write(
    parts: &[(PartKind, &[u8])],
    counter: u64,
    signer: PublicKey,
    sign: impl FnOnce(&[u8]) -> [u8; SIGNATURE_LEN],
    out: &mut impl FnMut(&[u8]),
) -> Result<(), WriteError> {
    let header = plan(parts, counter, signer)?;
    let mut signed = [0; signed_len_of(PARTS_MAX)];
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
    let mut header = Header { counter, signer, len: 0, parts: [Part::EMPTY; PARTS_MAX], count };
    let mut end = (signed_len_of(count) + SIGNATURE_LEN) as u64;
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
