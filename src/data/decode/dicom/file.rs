//! The file around a data set: preamble, transfer syntax, and the data set, which may be compressed. PS3.10 chapter 7.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::read::DeflateDecoder;

use super::super::budget;
use super::super::limits::BYTES_MAX;
use super::super::refusal::Refusal;
use super::elements::{Elements, Reader};
use super::syntax::{self, Syntax};
use super::tags;

/// Bytes before the magic number, which mean nothing.
const PREAMBLE: usize = 128;
const MAGIC: &[u8] = b"DICM";

/// Bytes of an unpacked data set at most, half of what decoding may take.
const UNPACKED_MAX: u64 = BYTES_MAX / 2;

/// Whether a file that begins with `prefix` is DICOM.
pub(in super::super) fn is_dicom(prefix: &[u8]) -> bool {
    prefix.get(PREAMBLE..PREAMBLE + MAGIC.len()) == Some(MAGIC)
}

/// A data set and how it is written.
pub(super) struct File<'a> {
    /// Begins with the data set at `at`.
    bytes: Cow<'a, [u8]>,
    at: usize,
    pub syntax: Syntax,
}

impl<'a> File<'a> {
    /// * `bytes`: a file with the magic number
    pub fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        Self::unpacked_by(bytes, inflate)
    }

    /// As [`Self::read`] for the first bytes of a file. Of a deflated data set, at most `len` bytes are unpacked.
    pub fn read_start(bytes: &'a [u8], len: u64) -> Result<Self, Refusal> {
        Self::unpacked_by(bytes, |packed| {
            let mut start = Vec::new();
            // The rest of the file is missing, so an error is no damage.
            _ = DeflateDecoder::new(packed).take(len).read_to_end(&mut start);
            Ok(start)
        })
    }

    fn unpacked_by(bytes: &'a [u8], unpack: impl Fn(&[u8]) -> Result<Vec<u8>, Refusal>) -> Result<Self, Refusal> {
        let mut reader = Reader::new(bytes, PREAMBLE + MAGIC.len(), syntax::META);
        // The group of file meta information ends where the next group begins, which may be in another syntax.
        let mut uid = None;
        while bytes.get(reader.at..reader.at + 2).is_some_and(|group| group == [0x02, 0x00]) {
            let (found, after) = Elements::one(reader)?;
            uid = uid.or(found.text(tags::TRANSFER_SYNTAX)?);
            reader = after;
        }
        let uid = uid.ok_or_else(|| format!("the DICOM file has no {}", tags::TRANSFER_SYNTAX))?;
        let mut syntax = syntax::of_uid(uid)?;
        // Some writers name an explicit syntax and write an implicit one.
        let has_type =
            bytes.get(reader.at + 4..reader.at + 6).is_none_or(|kind| kind.iter().all(u8::is_ascii_uppercase));
        syntax.is_explicit &= has_type || syntax.is_deflated;
        match syntax.is_deflated {
            false => Ok(Self { bytes: Cow::Borrowed(bytes), at: reader.at, syntax }),
            true => Ok(Self { bytes: Cow::Owned(unpack(&bytes[reader.at..])?), at: 0, syntax }),
        }
    }

    /// Bytes of memory that an unpacked data set takes.
    pub fn unpacked_len(&self) -> u64 {
        match &self.bytes {
            Cow::Borrowed(_) => 0,
            Cow::Owned(bytes) => bytes.len() as u64,
        }
    }

    /// A reader at the first element of the data set.
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(&self.bytes, self.at, self.syntax)
    }
}

/// Unpacks a deflated data set, at most [`UNPACKED_MAX`] bytes of it.
fn inflate(packed: &[u8]) -> Result<Vec<u8>, Refusal> {
    let (limit, mut bytes) = (budget::allowed().min(UNPACKED_MAX), Vec::new());
    DeflateDecoder::new(packed)
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("the deflated data set is truncated or damaged: {error}"))?;
    match bytes.len() as u64 > limit {
        // It is unpacked again while no other large image is decoded.
        true if limit < UNPACKED_MAX => Err(Refusal::Large),
        true => Err(format!("the deflated data set has more than {UNPACKED_MAX} bytes, which is the limit").into()),
        false => Ok(bytes),
    }
}
