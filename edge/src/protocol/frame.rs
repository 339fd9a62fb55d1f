//! Frames: packets on a line that loses, changes and inserts bytes.
//!
//! | bytes | field                                                                             |
//! |------:|-----------------------------------------------------------------------------------|
//! |     1 | 0: ends any noise before                                                          |
//! |       | packet and checksum, stuffed by COBS (consistent overhead byte stuffing): without a byte 0 |
//! |     1 | 0: the end                                                                        |
//!
//! The checksum is the CRC-32 of the packet (polynomial 0x04C11DB7 reflected, initial value and final xor 0xFFFFFFFF:
//! zlib's), four bytes little-endian. It detects every error burst of up to 32 bits and all but one in 2³² of
//! longer errors.
//!
//! Cheshire and Baker 1999, "Consistent overhead byte stuffing".

use cobs::{DecodeResult, DecoderState};
use crc::{CRC_32_ISO_HDLC, Crc};

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Bytes of the checksum.
pub const CHECKSUM_LEN: usize = 4;

/// Longest run of one overhead byte.
const RUN_MAX: usize = 254;

/// Bytes of the longest frame of a packet with `packet_len` bytes.
pub const fn frame_max(packet_len: usize) -> usize {
    let checked = packet_len + CHECKSUM_LEN;
    // A run of 254 is followed by one more overhead byte, also at the end.
    1 + checked + checked / RUN_MAX + 1 + 1
}

/// Passes the frame of `packet` to `send` in pieces. The last [`CHECKSUM_LEN`] bytes of `packet` are overwritten.
///
/// Nothing is copied, so no memory for a whole frame is needed.
pub fn send_frame(packet: &mut [u8], send: &mut impl FnMut(&[u8])) {
    let Some(packet_len) = packet.len().checked_sub(CHECKSUM_LEN) else { return };
    let checksum = CRC.checksum(&packet[..packet_len]);
    packet[packet_len..].copy_from_slice(&checksum.to_le_bytes());
    send(&[0]);
    stuff(packet, send);
    send(&[0]);
}

/// COBS: each run of up to 254 bytes without a 0, behind its length plus 1; 255 means that no 0 follows the run.
fn stuff(mut rest: &[u8], send: &mut impl FnMut(&[u8])) {
    loop {
        let window = &rest[..rest.len().min(RUN_MAX)];
        let run = window.iter().position(|&byte| byte == 0).unwrap_or(window.len());
        send(&[run as u8 + 1]);
        send(&rest[..run]);
        if run == rest.len() {
            return;
        }
        // A full run does not replace a 0.
        rest = &rest[if run == RUN_MAX { run } else { run + 1 }..];
    }
}

/// A frame was dropped; the next one is not affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The bytes are not valid COBS or too few.
    #[error("the frame is broken")]
    Broken,
    /// The checksum differs.
    #[error("the frame carries checksum {stored:08x}; its bytes give {computed:08x}")]
    Checksum {
        /// The checksum in the frame.
        stored: u32,
        /// The checksum of its bytes.
        computed: u32,
    },
    /// The packet is longer than the memory for it.
    #[error("the frame is longer than {limit} bytes")]
    Oversized {
        /// Bytes of memory for packet and checksum.
        limit: usize,
    },
}

/// Finds frames in a stream of bytes, one byte at a time, in memory that the caller lends.
///
/// A 0 ends anything before it, so the frame after noise is found. The work per byte is constant, except for the last byte
/// of a frame, which costs the checksum.
#[derive(Debug)]
pub struct FrameReader<'m> {
    state: DecoderState,
    buffer: &'m mut [u8],
    len: usize,
    oversized: bool,
}

impl<'m> FrameReader<'m> {
    /// * `buffer`: holds a packet and [`CHECKSUM_LEN`] bytes; longer packets are dropped
    pub fn new(buffer: &'m mut [u8]) -> Self {
        Self { state: DecoderState::Idle, buffer, len: 0, oversized: false }
    }

    /// Takes the next byte; returns the packet without its checksum, or why it was dropped, with the last byte of a frame.
    pub fn push(&mut self, byte: u8) -> Option<Result<&mut [u8], FrameError>> {
        let result = match self.state.feed(byte) {
            Ok(DecodeResult::NoData) => return None,
            Ok(DecodeResult::DataContinue(decoded)) => {
                self.keep(decoded);
                return None;
            }
            Ok(DecodeResult::DataComplete) => self.check(),
            Err(_) => Err(FrameError::Broken),
        };
        // A packet that is too long counts as that, however it ends.
        let result = if self.oversized { Err(FrameError::Oversized { limit: self.buffer.len() }) } else { result };
        (self.len, self.oversized) = (0, false);
        Some(result.map(|packet_len| &mut self.buffer[..packet_len]))
    }

    fn keep(&mut self, byte: u8) {
        match self.buffer.get_mut(self.len) {
            Some(place) => {
                *place = byte;
                self.len += 1;
            }
            None => self.oversized = true,
        }
    }

    /// Checks the checksum; returns the length of the packet.
    fn check(&self) -> Result<usize, FrameError> {
        let Some((packet, &stored)) = self.buffer[..self.len].split_last_chunk::<CHECKSUM_LEN>() else {
            return Err(FrameError::Broken);
        };
        let (stored, computed) = (u32::from_le_bytes(stored), CRC.checksum(packet));
        match stored == computed {
            true => Ok(packet.len()),
            false => Err(FrameError::Checksum { stored, computed }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::vec::Vec;

    fn frame(packet: &[u8]) -> Vec<u8> {
        let mut packet = [packet, &[0xEE; CHECKSUM_LEN]].concat();
        let mut frame = Vec::new();
        send_frame(&mut packet, &mut |piece| frame.extend_from_slice(piece));
        frame
    }

    /// Packets and errors that a reader with room for `limit` bytes finds in a stream.
    fn read(stream: &[u8], limit: usize) -> Vec<Result<Vec<u8>, FrameError>> {
        let mut buffer = [0xAA; 2048];
        let mut reader = FrameReader::new(&mut buffer[..limit]);
        stream.iter().filter_map(|&byte| reader.push(byte).map(|found| found.map(|packet| packet.to_vec()))).collect()
    }

    /// The frame of `123456789`, whose CRC-32 every catalogue lists as cbf43926.
    const DIGITS: [u8; 16] = *b"\x00\x0e123456789\x26\x39\xf4\xcb\x00";

    #[test]
    fn a_frame_in_bytes() {
        assert_eq!(frame(b"123456789"), DIGITS);
        assert_eq!(read(&DIGITS, 13), [Ok(b"123456789".to_vec())]);
        // Of nothing: the CRC of no bytes is 0.
        assert_eq!(frame(b""), [0, 1, 1, 1, 1, 1, 0]);
        assert_eq!(read(&frame(b""), 4), [Ok(Vec::new())]);
    }

    #[test]
    fn stuffing_agrees_with_the_cobs_crate() {
        for packet_len in (0..600).chain([1015, 1016, 1017, 2000]) {
            for zero_every in [1, 2, 7, 250, 254, 255, 256, 10_000] {
                let packet: Vec<u8> = (0..packet_len)
                    .map(|i| if i % zero_every == zero_every - 1 { 0 } else { 1 + (i % 255) as u8 })
                    .collect();
                let frame = frame(&packet);
                let checked = [&packet[..], &CRC.checksum(&packet).to_le_bytes()].concat();
                assert!(frame.len() <= frame_max(packet_len), "{packet_len} {zero_every}: {}", frame.len());
                // Theirs leaves out the last overhead byte where a run of 254 ends the packet; both decode.
                let mut theirs = std::vec![0; frame.len() + 8];
                let theirs_len = cobs::encode(&checked, &mut theirs);
                theirs.truncate(theirs_len);
                let stuffed = &frame[1..frame.len() - 1];
                if theirs.len() + 1 == stuffed.len() {
                    theirs.push(1);
                }
                assert_eq!(stuffed, theirs, "{packet_len} {zero_every}");
                assert_eq!(read(&frame, packet_len + CHECKSUM_LEN), [Ok(packet)], "{packet_len} {zero_every}");
            }
        }
    }

    #[test]
    fn every_changed_bit_is_detected_and_the_next_frame_is_found() {
        for bit in 0..DIGITS.len() * 8 {
            let mut stream = DIGITS.to_vec();
            stream[bit / 8] ^= 1 << (bit % 8);
            stream.extend(DIGITS);
            let found = read(&stream, 64);
            assert_eq!(found.last(), Some(&Ok(b"123456789".to_vec())), "bit {bit}");
            // The first byte only ends what came before; changed, it breaks the frame, too.
            assert_eq!(found.iter().filter(|found| found.is_ok()).count(), 1, "bit {bit} went unnoticed");
        }
        for lost in 0..DIGITS.len() {
            let mut stream = DIGITS.to_vec();
            stream.remove(lost);
            stream.extend(DIGITS);
            let whole = read(&stream, 64).into_iter().filter(|found| found.is_ok()).count();
            // A frame without its first byte, or without its last when another frame follows, is still complete.
            assert_eq!(whole, if lost == 0 || lost == DIGITS.len() - 1 { 2 } else { 1 }, "byte {lost}");
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_dropped_and_the_next_one_is_found() {
        let stream = [frame(&[7; 300]), frame(b"ok"), std::vec![9; 1000], frame(b"ok")].concat();
        let found = read(&stream, 64);
        let oversized = Err(FrameError::Oversized { limit: 64 });
        assert_eq!(found, [oversized.clone(), Ok(b"ok".to_vec()), oversized, Ok(b"ok".to_vec())]);
        assert_eq!(read(&frame(&[7; 60]), 64), [Ok(std::vec![7; 60])], "as long as there is room for");
        assert_eq!(read(&frame(&[7; 61]), 64), [Err(FrameError::Oversized { limit: 64 })]);
        assert_eq!(read(&[0, 3, 1, 1, 0], 64), [Err(FrameError::Broken)], "two bytes hold no checksum");
        assert_eq!(read(&[0, 0, 0, 0], 64), [], "nothing between zeros");
    }
}
