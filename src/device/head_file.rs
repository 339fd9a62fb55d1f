//! A taught head as a file.
//!
//! | offset | bytes | field                                        |
//! |-------:|------:|----------------------------------------------|
//! |      0 |     8 | `MACULAHD`                                   |
//! |      8 |     2 | format version, little-endian                |
//! |     10 |     8 | payload length L, little-endian              |
//! |     18 |     L | [`TaughtHead`] in postcard                   |
//! | 18 + L |     4 | CRC-32 of everything before, little-endian   |
//!
//! All versions keep this frame, so that an older program can tell a newer head from a damaged one.

use std::io;
use std::path::Path;

use super::TaughtHead;
use crate::files::{self, WriteError};

const MAGIC: &[u8; 8] = b"MACULAHD";
const VERSION: u16 = 1;
const HEADER_LEN: usize = 18;
const CHECKSUM_LEN: usize = 4;

/// A head could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HeadFileError {
    /// The file cannot be read.
    #[error("cannot read head {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{path} is not a head: it does not begin with MACULAHD")]
    NotAHead {
        /// The file.
        path: String,
    },
    /// The file has another length than it says.
    #[error("head {path} is damaged: {available} bytes, {needed} are needed")]
    Length {
        /// The file.
        path: String,
        /// Bytes that its header asks for.
        needed: u64,
        /// Bytes there are.
        available: u64,
    },
    /// The bytes are not those that were written.
    #[error("head {path} is damaged: checksum {stored:08x} is stored, the bytes have {computed:08x}")]
    BadChecksum {
        /// The file.
        path: String,
        /// In the file.
        stored: u32,
        /// Of the bytes.
        computed: u32,
    },
    /// A later program wrote it.
    #[error("head {path} has format version {found}, this program reads up to {VERSION}")]
    NewerVersion {
        /// The file.
        path: String,
        /// Its version.
        found: u16,
    },
    /// The bytes are whole and still describe no head.
    #[error("head {path} is damaged: {message}")]
    Invalid {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl HeadFileError {
    /// Whether the stored bytes are at fault, rather than what was asked for.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Length { .. } | Self::BadChecksum { .. } | Self::Invalid { .. })
    }
}

/// Replaces `path` by `head`, or leaves it as it was.
///
/// # Errors
/// When the file cannot be written.
pub fn save(head: &TaughtHead, path: &Path) -> Result<(), HeadFileError> {
    let invalid = |message: String| HeadFileError::Invalid { path: path.display().to_string(), message };
    let payload = postcard::to_allocvec(head).map_err(|error| invalid(error.to_string()))?;
    files::write_whole(path, &frame(VERSION, &payload))?;
    Ok(())
}

/// Reads the head at `path`, checked before it is parsed.
///
/// # Errors
/// When the file cannot be read, is no head, is damaged, or was written by a later program.
pub fn load(path: &Path) -> Result<TaughtHead, HeadFileError> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| HeadFileError::Read { path: name.clone(), source })?;
    let payload = new_checked(&bytes, &name)?;
    let invalid = |message: String| HeadFileError::Invalid { path: name.clone(), message };
    let (head, rest): (TaughtHead, &[u8]) =
        postcard::take_from_bytes(payload).map_err(|error| invalid(error.to_string()))?;
    if !rest.is_empty() {
        return Err(invalid(format!("{} bytes follow the head", rest.len())));
    }
    head.check().map_err(invalid)?;
    Ok(head)
}

fn frame(version: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LEN + payload.len() + CHECKSUM_LEN);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// Checks magic, length, checksum and version, and returns the payload.
fn new_checked<'b>(bytes: &'b [u8], path: &str) -> Result<&'b [u8], HeadFileError> {
    let path = path.to_owned();
    // What is cut off inside the magic is a truncated head; what differs from it is something else.
    if !bytes.iter().zip(MAGIC).all(|(a, b)| a == b) || bytes.is_empty() {
        return Err(HeadFileError::NotAHead { path });
    }
    let available = bytes.len() as u64;
    let frame_len = (HEADER_LEN + CHECKSUM_LEN) as u64;
    if available < frame_len {
        return Err(HeadFileError::Length { path, needed: frame_len, available });
    }
    let field = |start: usize| bytes[start..start + 8].try_into().expect("eight bytes");
    let needed = u64::from_le_bytes(field(10)).saturating_add(frame_len);
    if needed != available {
        return Err(HeadFileError::Length { path, needed, available });
    }
    let (covered, stored) = bytes.split_at(bytes.len() - CHECKSUM_LEN);
    let (stored, computed) = (u32::from_le_bytes(stored.try_into().expect("four bytes")), crc32fast::hash(covered));
    if stored != computed {
        return Err(HeadFileError::BadChecksum { path, stored, computed });
    }
    let version = u16::from_le_bytes([bytes[8], bytes[9]]);
    if version > VERSION {
        return Err(HeadFileError::NewerVersion { path, found: version });
    }
    if version == 0 {
        return Err(HeadFileError::Invalid { path, message: "format version 0".to_owned() });
    }
    Ok(&covered[HEADER_LEN..])
}
