//! The host's end of a line: one request at a time, sent again until its reply comes.
//!
//! It has no clock: the caller decides when a reply is late and calls [`Client::resend`].

use super::frame::{CHECKSUM_LEN, FrameReader, send_frame};
use super::message::Request;
use super::packet::{Direction, HEADER_LEN, Header, packet_max};
use super::refusal::{Reason, Refusal};

/// The host's end of one line, over memory that the caller lends.
#[derive(Debug)]
pub struct Client<'m> {
    reader: FrameReader<'m>,
    /// The packet of the last request, with room for the checksum.
    packet: &'m mut [u8],
    packet_len: usize,
    session: u32,
    sequence: u32,
    /// Whether a reply is awaited.
    waiting: bool,
}

impl<'m> Client<'m> {
    /// Begins `session`, a random number that no host used with this device recently. The first request must be
    /// [`Request::Hello`].
    ///
    /// * `received`, `packet`: [`packet_max`] bytes of the longest message each
    pub fn new(session: u32, received: &'m mut [u8], packet: &'m mut [u8]) -> Self {
        Self { reader: FrameReader::new(received), packet, packet_len: 0, session, sequence: 0, waiting: false }
    }

    /// Begins another session, after `NoSession`: the device was restarted.
    pub fn begin(&mut self, session: u32) {
        (self.session, self.sequence, self.packet_len, self.waiting) = (session, 0, 0, false);
    }

    /// Sends a request. A reply to the one before is no longer accepted.
    ///
    /// # Errors
    /// [`Reason::MessageTooLong`] when the memory lent does not hold it; [`Reason::NoSession`] after 2³² - 1 requests.
    pub fn request(&mut self, request: &Request<'_>, send: &mut impl FnMut(&[u8])) -> Result<(), Refusal> {
        let sequence = self.sequence.checked_add(1).ok_or(Reason::NoSession.with(self.session.into(), 0))?;
        let too_long = Reason::MessageTooLong.with(0, 0);
        let room = self.packet.len().checked_sub(HEADER_LEN + CHECKSUM_LEN).ok_or(too_long)?;
        let message_len = request.write(&mut self.packet[HEADER_LEN..][..room])?;
        let header = Header { direction: Direction::Request, session: self.session, sequence };
        self.packet[..HEADER_LEN].copy_from_slice(&header.to_bytes());
        (self.sequence, self.packet_len, self.waiting) = (sequence, packet_max(message_len), true);
        self.resend(send);
        Ok(())
    }

    /// Sends the last request again, unchanged.
    pub fn resend(&mut self, send: &mut impl FnMut(&[u8])) {
        send_frame(&mut self.packet[..self.packet_len], send);
    }

    /// Takes one byte from the line; returns the message of the awaited reply with its last byte. Broken frames, late
    /// replies to earlier requests and second copies are dropped.
    pub fn receive(&mut self, byte: u8) -> Option<&[u8]> {
        let packet = self.reader.push(byte)?.ok()?;
        let awaited = Header { direction: Direction::Reply, session: self.session, sequence: self.sequence };
        let (header, message) = Header::split(packet)?;
        (header == awaited && core::mem::take(&mut self.waiting)).then_some(message)
    }
}
