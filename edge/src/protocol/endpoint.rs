//! The device's end of a line: a request is carried out once, however often it arrives.
//!
//! A host opens a session with [`Request::Hello`] under a number that it draws, and counts its requests upwards. It
//! waits for the reply before the next request and sends the same packet again until it comes. So
//!
//! - a request with the last sequence number is a repetition: the kept reply is sent again, nothing is carried out;
//! - a lower one is a late copy: dropped;
//! - a higher one is new;
//! - another session begins with hello; anything else in it is refused with `NoSession`. A device that was started
//!   again has no session, so its host learns of the restart this way;
//! - a session that is over stays over: a late copy of its hello is dropped, or copies of its requests might follow.
//!
//! [`Request::Hello`]: super::message::Request::Hello

use super::frame::{CHECKSUM_LEN, FrameError, FrameReader, send_frame};
use super::message::{LineCounters, Reply, Request};
use super::packet::{Direction, HEADER_LEN, Header, packet_max};
use super::refusal::Reason;

/// Sessions that are remembered as over. Copies arrive late by some frames, not by sessions.
const CLOSED: usize = 4;

/// Bytes of the longest refusal.
const REFUSAL_MAX: usize = 32;

/// One line's end, over memory that the caller lends.
#[derive(Debug)]
pub struct Endpoint<'m> {
    reader: FrameReader<'m>,
    /// The packet of the last reply, with room for the checksum.
    kept: &'m mut [u8],
    kept_len: usize,
    session: Option<Session>,
    closed: [Option<u32>; CLOSED],
    counters: LineCounters,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    number: u32,
    /// Sequence number of the last request.
    last: u32,
}

impl<'m> Endpoint<'m> {
    /// No session is open.
    ///
    /// * `received`, `kept`: [`packet_max`] bytes each; what is lent decides the longest message
    pub fn new(received: &'m mut [u8], kept: &'m mut [u8]) -> Self {
        let (session, closed, counters) = (None, [None; CLOSED], LineCounters::default());
        Self { reader: FrameReader::new(received), kept, kept_len: 0, session, closed, counters }
    }

    /// What came over the line so far.
    pub fn counters(&self) -> LineCounters {
        self.counters
    }

    /// Takes one byte from the line. Where it ends a new request, `answer` carries it out; where it ends any that is
    /// to be answered, the frame goes to `send` in pieces.
    ///
    /// * `answer`: gets the request's message, the counters so far and memory for the reply's; tells the reply's length
    pub fn receive(
        &mut self,
        byte: u8,
        answer: impl FnOnce(&[u8], LineCounters, &mut [u8]) -> usize,
        send: &mut impl FnMut(&[u8]),
    ) {
        let packet = match self.reader.push(byte) {
            None => return,
            Some(Ok(packet)) => packet,
            Some(Err(FrameError::Oversized { .. })) => return count(&mut self.counters.oversized),
            Some(Err(_)) => return count(&mut self.counters.corrupted),
        };
        let Some((header, message)) = Header::split(packet) else { return count(&mut self.counters.corrupted) };
        let due = match header.direction {
            // Our own voice.
            Direction::Reply => Due::Nothing,
            Direction::Request => due(self.session, &self.closed, header, message),
        };
        match due {
            Due::Nothing => count(&mut self.counters.stale),
            Due::Again => {
                count(&mut self.counters.repeated);
                send_frame(&mut self.kept[..self.kept_len], send);
            }
            Due::NoSession => refuse(header, send),
            Due::New => {
                count(&mut self.counters.requests);
                self.kept_len = carry_out(header, message, self.counters, self.kept, answer);
                self.open(header);
                send_frame(&mut self.kept[..self.kept_len], send);
            }
        }
    }

    /// The session of a request that was carried out is the open one.
    fn open(&mut self, Header { session: number, sequence: last, .. }: Header) {
        if let Some(old) = self.session.replace(Session { number, last })
            && old.number != number
        {
            self.closed.rotate_right(1);
            self.closed[0] = Some(old.number);
        }
    }
}

/// What a request calls for.
enum Due {
    Nothing,
    Again,
    NoSession,
    New,
}

fn due(session: Option<Session>, closed: &[Option<u32>], header: Header, message: &[u8]) -> Due {
    match session {
        Some(open) if open.number == header.session => match header.sequence {
            sequence if sequence == open.last => Due::Again,
            sequence if sequence < open.last => Due::Nothing,
            _ => Due::New,
        },
        _ if !matches!(Request::parse(message), Ok(Request::Hello { .. })) => Due::NoSession,
        _ if closed.contains(&Some(header.session)) => Due::Nothing,
        _ => Due::New,
    }
}

/// Writes the reply's packet; tells its length with room for the checksum.
fn carry_out(
    header: Header,
    message: &[u8],
    counters: LineCounters,
    kept: &mut [u8],
    answer: impl FnOnce(&[u8], LineCounters, &mut [u8]) -> usize,
) -> usize {
    // Memory too short even for a header can answer nothing.
    let Some(room) = kept.len().checked_sub(HEADER_LEN + CHECKSUM_LEN) else { return 0 };
    kept[..HEADER_LEN].copy_from_slice(&Header { direction: Direction::Reply, ..header }.to_bytes());
    let reply_len = answer(message, counters, &mut kept[HEADER_LEN..][..room]).min(room);
    packet_max(reply_len)
}

/// The one reply that is not kept: it belongs to no session.
fn refuse(header: Header, send: &mut impl FnMut(&[u8])) {
    let mut packet = [0; packet_max(REFUSAL_MAX)];
    let refusal = Reply::Refused(Reason::NoSession.with(header.session.into(), 0));
    let write = |_: &[u8], _, room: &mut [u8]| refusal.write(room).unwrap_or(0);
    let packet_len = carry_out(header, &[], LineCounters::default(), &mut packet, write);
    send_frame(&mut packet[..packet_len], send);
}

fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}
