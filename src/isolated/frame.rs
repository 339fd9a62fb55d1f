//! Messages over the pipes between a program and the child process of an encoder.
//!
//! | offset | bytes | field                            |
//! |-------:|------:|----------------------------------|
//! |      0 |     1 | kind                             |
//! |      1 |     4 | length L, little-endian          |
//! |      5 |     L | payload                          |

use std::io::{self, Read, Write};

use crate::data::Preprocessing;
use crate::encoder::HostEncoderInfo;
use crate::runtime::{Arithmetic, Provenance};

/// Bytes before the payload.
pub(super) const HEAD_LEN: usize = 5;

/// Longest payload in bytes.
pub(super) const PAYLOAD_MAX: usize = 1 << 31;

/// To the child: [`Load`] in JSON.
pub(super) const LOAD: u8 = 1;
/// To the child: the path of the ONNX file.
pub(super) const PATH: u8 = 2;
/// To the child: the ONNX file itself.
pub(super) const MODEL: u8 = 3;
/// To the child: pixels of images of the input size.
pub(super) const ENCODE: u8 = 4;
/// From the child: the encoder is open; [`Card`] in JSON.
pub(super) const OPENED: u8 = 5;
/// From the child: why the file is not an encoder, as text.
pub(super) const REFUSED: u8 = 6;
/// From the child: features of the next images, f32, little-endian.
pub(super) const FEATURES: u8 = 7;
/// From the child: [`Fault`] in JSON; no more features follow.
pub(super) const FAILED: u8 = 8;

/// How to open the encoder.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Load {
    pub name: String,
    pub preprocessing: Option<Preprocessing>,
    pub arithmetic: Option<Arithmetic>,
    pub threads: usize,
    pub memory_bytes: u64,
}

/// The opened encoder.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Card {
    pub info: HostEncoderInfo,
    pub arithmetic: Arithmetic,
    pub provenance: Option<Provenance>,
}

/// Why an image could not be encoded.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) enum Fault {
    Encoder { message: String },
    NotFinite { image: usize, position: usize, value: String },
}

/// The header of a frame.
pub(super) fn head(kind: u8, len: usize) -> [u8; HEAD_LEN] {
    let [a, b, c, d] = (len as u32).to_le_bytes();
    [kind, a, b, c, d]
}

/// Kind of a frame and length of its payload.
pub(super) fn parse_head(head: [u8; HEAD_LEN]) -> (u8, usize) {
    let [kind, a, b, c, d] = head;
    (kind, u32::from_le_bytes([a, b, c, d]) as usize)
}

/// Writes a frame.
pub(super) fn write(out: &mut impl Write, kind: u8, payload: &[u8]) -> io::Result<()> {
    out.write_all(&head(kind, payload.len()))?;
    out.write_all(payload)?;
    out.flush()
}

/// Reads a frame; `None` at the end of the stream.
pub(super) fn read(from: &mut impl Read) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0; HEAD_LEN];
    match from.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        done => done?,
    }
    let (kind, len) = parse_head(head);
    if len > PAYLOAD_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut payload = Vec::new();
    match from.take(len as u64).read_to_end(&mut payload)? {
        found if found == len => Ok(Some((kind, payload))),
        _ => Ok(None),
    }
}

/// Values as bytes, little-endian.
pub(super) fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Bytes as values, little-endian.
pub(super) fn to_values(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}
