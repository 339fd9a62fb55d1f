//! Verifies the signature and the hashes of a bundle.

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use super::format::{ALIGNMENT, HEADER_LEN, PARTS_MAX, Part, PublicKey, SIGNATURE_LEN, signed_len};
use super::{BundleError, Header};

/// Bytes that are read and hashed at once.
const PIECE_LEN: usize = 512;

/// Verifies a bundle; returns its header.
///
/// 1. Magic, version, length and the number of parts give the place of the signature.
/// 2. The signer must be trusted, and the signature must match the header and the table (RFC 8032, strict).
/// 3. Only then is the table read: each part must lie at its only place.
/// 4. Each part must match its hash, and the bytes between two parts must be 0.
///
/// * `len`: bytes of the bundle
/// * `read`: reads bytes at an offset in the bundle; `false` when that fails
/// * `trusted`: keys whose bundles are accepted; without keys every bundle is refused
///
/// # Errors
/// The first check that fails.
pub fn verify(
    len: u32,
    read: &mut dyn FnMut(u32, &mut [u8]) -> bool,
    trusted: &[PublicKey],
) -> Result<Header, BundleError> {
    let mut read = |at: u32, bytes: &mut [u8]| if read(at, bytes) { Ok(()) } else { Err(BundleError::Read { at }) };
    let mut signed = [0; signed_len(PARTS_MAX)];
    let (first, table) = signed.split_first_chunk_mut::<HEADER_LEN>().ok_or(BundleError::NotABundle)?;
    if len < HEADER_LEN as u32 {
        return Err(BundleError::NotABundle);
    }
    read(0, first)?;
    let count = Header::count_of(first, len)?;
    let signed_len = signed_len(count);
    if len < (signed_len + SIGNATURE_LEN) as u32 {
        return Err(BundleError::Length { found: len, stated: (signed_len + SIGNATURE_LEN) as u32 });
    }
    let signer = Header::signer_of(first);
    if !trusted.contains(&signer) {
        return Err(BundleError::UnknownKey { signer });
    }
    read(HEADER_LEN as u32, &mut table[..signed_len - HEADER_LEN])?;
    let mut signature = [0; SIGNATURE_LEN];
    read(signed_len as u32, &mut signature)?;
    let key = VerifyingKey::from_bytes(&signer.0).map_err(|_| BundleError::UnknownKey { signer })?;
    let signed = &signed[..signed_len];
    // Strict: a key or a signature of small order would let one signature pass for several messages.
    key.verify_strict(signed, &Signature::from_bytes(&signature)).map_err(|_| BundleError::Signature)?;
    let header = Header::read(signed, count)?;
    for (index, part) in header.parts().iter().enumerate() {
        let next = header.parts().get(index + 1);
        check_part(part, index as u16, next, &mut read)?;
    }
    Ok(header)
}

/// The signer that a bundle states, unverified.
///
/// # Errors
/// When the bytes do not begin as a bundle.
pub fn claimed_signer(len: u32, read: &mut dyn FnMut(u32, &mut [u8]) -> bool) -> Result<PublicKey, BundleError> {
    let mut first = [0; HEADER_LEN];
    if len < HEADER_LEN as u32 {
        return Err(BundleError::NotABundle);
    }
    if !read(0, &mut first) {
        return Err(BundleError::Read { at: 0 });
    }
    Header::count_of(&first, len)?;
    Ok(Header::signer_of(&first))
}

fn check_part(
    part: &Part,
    index: u16,
    next: Option<&Part>,
    read: &mut impl FnMut(u32, &mut [u8]) -> Result<(), BundleError>,
) -> Result<(), BundleError> {
    let mut hash = Sha256::new();
    let mut bytes = [0; PIECE_LEN];
    let mut at = part.offset;
    let end = part.range().end;
    while at < end {
        let piece = &mut bytes[..PIECE_LEN.min((end - at) as usize)];
        read(at, piece)?;
        hash.update(&*piece);
        at += piece.len() as u32;
    }
    if hash.finalize()[..] != part.sha256 {
        return Err(BundleError::Hash { part: index });
    }
    let Some(next) = next else { return Ok(()) };
    let mut filling = [0; ALIGNMENT as usize];
    let filling = &mut filling[..(next.offset - end) as usize];
    if !filling.is_empty() {
        read(end, filling)?;
    }
    if filling.iter().all(|&byte| byte == 0) { Ok(()) } else { Err(BundleError::Filling { part: index }) }
}
