//! Bounds the memory that decoding an ONNX file takes, before it is decoded.
//!
//! An empty message takes two bytes in the file and up to 1.5 kB once decoded, so a file of 100 MB could take 70 GB. The scan
//! walks the nested messages without allocating, and stops when their cost exceeds the limit.

use super::error::RuntimeError;

/// Bytes that decoding may take, in addition to the file itself.
const DECODED_BYTES_MAX: u64 = 1 << 30;
/// Deepest nesting of messages; prost stops at 100.
const DEPTH_MAX: usize = 64;

/// Messages of an ONNX file that nest or repeat.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    /// Nested small messages, such as names, types and text; the number is their cost per byte.
    Small(u64),
}

impl Message {
    /// The message in field `number`; `None` for text, bytes and packed numbers.
    fn field(self, number: u64) -> Option<Self> {
        use Message::{Attribute, Graph, Model, Node, Small, Tensor};
        match (self, number) {
            (Model, 7) => Some(Graph),
            (Model, 8 | 14) => Some(Small(64)),
            // Training and functions, which admission refuses anyway.
            (Model, 20 | 25) => Some(Small(1_024)),
            (Graph, 1) => Some(Node),
            (Graph, 5) => Some(Tensor),
            (Graph, 11..=14) => Some(Small(128)),
            (Graph, 15) => Some(Small(512)),
            (Node, 5) => Some(Attribute),
            (Attribute, 5 | 10) => Some(Tensor),
            (Attribute, 6 | 11) => Some(Graph),
            (Attribute, 15 | 22 | 23) => Some(Small(512)),
            (Tensor, 3 | 13) => Some(Small(64)),
            _ => None,
        }
    }

    /// An upper bound for the size of the decoded struct.
    fn size(self) -> u64 {
        match self {
            Self::Attribute => 2_048,
            _ => 512,
        }
    }
}

/// Checks that decoding `bytes` takes a bounded amount of memory.
///
/// # Errors
/// [`RuntimeError::Malformed`] for invalid fields, [`RuntimeError::Limit`] for too many.
pub(super) fn check(bytes: &[u8], path: &str) -> Result<(), RuntimeError> {
    let mut scan = Scan { cost: 0 };
    match scan.message(Message::Model, bytes, 0) {
        Ok(()) => Ok(()),
        Err(Stop::Cost) => Err(RuntimeError::Limit {
            path: path.to_owned(),
            what: "bytes once decoded",
            found: scan.cost,
            limit: DECODED_BYTES_MAX,
        }),
        Err(Stop::Broken(message)) => {
            Err(RuntimeError::Malformed { path: path.to_owned(), message: message.to_owned() })
        }
    }
}

enum Stop {
    Cost,
    Broken(&'static str),
}

struct Scan {
    cost: u64,
}

impl Scan {
    fn message(&mut self, kind: Message, mut bytes: &[u8], depth: usize) -> Result<(), Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::Broken("its messages are nested too deep"));
        }
        while !bytes.is_empty() {
            let tag = varint(&mut bytes)?;
            match tag & 7 {
                0 => {
                    varint(&mut bytes)?;
                    self.spend(8)?;
                }
                1 => skip(&mut bytes, 8)?,
                5 => skip(&mut bytes, 4)?,
                2 => {
                    let len = varint(&mut bytes)?;
                    let len = usize::try_from(len).map_err(|_| CUT)?;
                    let body = bytes.get(..len).ok_or(CUT)?;
                    bytes = &bytes[len..];
                    self.body(kind, tag >> 3, body, depth)?;
                }
                _ => return Err(Stop::Broken("it has a field of an unknown wire type")),
            }
        }
        Ok(())
    }

    fn body(&mut self, kind: Message, field: u64, body: &[u8], depth: usize) -> Result<(), Stop> {
        match kind.field(field) {
            Some(Message::Small(cost)) => self.spend(cost.saturating_mul(body.len() as u64 + 2)),
            Some(inner) => {
                self.spend(inner.size())?;
                self.message(inner, body, depth + 1)
            }
            // Raw data and floats keep their size; packed integers of one byte grow to four or eight.
            None if matches!(kind, Message::Tensor) && matches!(field, 4 | 9 | 10) => self.spend(32),
            None if matches!(kind, Message::Tensor) && field == 5 => self.spend(32 + 4 * body.len() as u64),
            None => self.spend(32 + 8 * body.len() as u64),
        }
    }

    fn spend(&mut self, bytes: u64) -> Result<(), Stop> {
        self.cost = self.cost.saturating_add(bytes);
        if self.cost > DECODED_BYTES_MAX { Err(Stop::Cost) } else { Ok(()) }
    }
}

const CUT: Stop = Stop::Broken("it ends within a field");

fn varint(bytes: &mut &[u8]) -> Result<u64, Stop> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(CUT)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Stop::Broken("it has a number of more than ten bytes"))
}

fn skip(bytes: &mut &[u8], len: usize) -> Result<(), Stop> {
    *bytes = bytes.get(len..).ok_or(CUT)?;
    Ok(())
}
