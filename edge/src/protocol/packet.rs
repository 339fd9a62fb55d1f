//! Packets, the content of frames: a message with its session and sequence number.
//!
//! | offset | bytes | field                                                              |
//! |-------:|------:|--------------------------------------------------------------------|
//! |      0 |     1 | version of the protocol, 1; in a reply its highest bit is set      |
//! |      1 |     4 | session, little-endian                                             |
//! |      5 |     4 | sequence number of the request in its session, little-endian       |
//! |      9 |     L | message                                                            |

use super::frame::CHECKSUM_LEN;
use super::message::VERSION;

/// Bytes before the message.
pub const HEADER_LEN: usize = 9;

/// This bit marks a reply, so that an echo on the line is not taken for a request.
const REPLY: u8 = 0x80;

/// Bytes of memory for a packet with a message of up to `message_max` bytes and the frame's checksum.
pub const fn packet_max(message_max: usize) -> usize {
    HEADER_LEN + message_max + CHECKSUM_LEN
}

/// The direction of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Reply,
}

/// The fields before the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub direction: Direction,
    pub session: u32,
    pub sequence: u32,
}

impl Header {
    /// Splits a packet into header and message; `None` when it is too short or of another version.
    pub fn split(packet: &[u8]) -> Option<(Self, &[u8])> {
        let (&[kind, s0, s1, s2, s3, n0, n1, n2, n3], message) = packet.split_first_chunk::<HEADER_LEN>()?;
        let direction = if kind & REPLY == 0 { Direction::Request } else { Direction::Reply };
        let header = Self {
            direction,
            session: u32::from_le_bytes([s0, s1, s2, s3]),
            sequence: u32::from_le_bytes([n0, n1, n2, n3]),
        };
        (kind & !REPLY == VERSION).then_some((header, message))
    }

    /// The bytes of the header.
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let kind = VERSION | if self.direction == Direction::Reply { REPLY } else { 0 };
        let ([s0, s1, s2, s3], [n0, n1, n2, n3]) = (self.session.to_le_bytes(), self.sequence.to_le_bytes());
        [kind, s0, s1, s2, s3, n0, n1, n2, n3]
    }
}
