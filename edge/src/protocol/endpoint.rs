//! The device's end of a line: a request is executed once, however often it arrives.
//!
//! A host opens a session with [`Request::Hello`] under a random number and counts its requests upwards. It waits for the
//! reply before the next request and sends the same packet again until the reply comes. So
//!
//! - a request with the last sequence number is a repetition: the kept reply is sent again, nothing is executed;
//! - a lower sequence number is a late copy: dropped;
//! - a higher one is a new request;
//! - another session begins with hello; anything else in it is refused with `NoSession`. A restarted device has no session,
//!   so its host learns of the restart this way;
//! - a closed session stays closed: a late copy of its hello is dropped, because copies of its requests might follow.
//!
//! [`Request::Hello`]: super::message::Request::Hello

use super::frame::{CHECKSUM_LEN, FrameError, FrameReader, send_frame};
use super::message::{LineCounters, Reply, Request};
use super::packet::{Direction, HEADER_LEN, Header, packet_max};
use super::refusal::Reason;

/// Closed sessions that are remembered. Copies arrive some frames late, not some sessions.
const CLOSED: usize = 4;

/// Bytes of the longest refusal.
const REFUSAL_MAX: usize = 32;

/// The device's end of one line, over memory that the caller lends.
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
    /// An endpoint without an open session.
    ///
    /// * `received`, `kept`: [`packet_max`] bytes of the longest message each
    pub fn new(received: &'m mut [u8], kept: &'m mut [u8]) -> Self {
        let (session, closed, counters) = (None, [None; CLOSED], LineCounters::default());
        Self { reader: FrameReader::new(received), kept, kept_len: 0, session, closed, counters }
    }

    /// The line counters.
    pub fn counters(&self) -> LineCounters {
        self.counters
    }

    /// Takes one byte from the line. When it completes a new request, `answer` executes it. The reply's frame goes to
    /// `send` in pieces.
    ///
    /// * `answer`: gets the request's message, the counters and memory for the reply; returns the reply's length
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
        let action = match header.direction {
            // An echo of this device's own reply.
            Direction::Reply => Action::Drop,
            Direction::Request => action_for(self.session, &self.closed, header, message),
        };
        match action {
            Action::Drop => count(&mut self.counters.stale),
            Action::Resend => {
                count(&mut self.counters.repeated);
                send_frame(&mut self.kept[..self.kept_len], send);
            }
            Action::Refuse => refuse(header, send),
            Action::Execute => {
                count(&mut self.counters.requests);
                self.kept_len = execute(header, message, self.counters, self.kept, answer);
                self.open(header);
                send_frame(&mut self.kept[..self.kept_len], send);
            }
        }
    }

    /// Makes the session of an executed request the open one.
    fn open(&mut self, Header { session: number, sequence: last, .. }: Header) {
        if let Some(old) = self.session.replace(Session { number, last })
            && old.number != number
        {
            self.closed.rotate_right(1);
            self.closed[0] = Some(old.number);
        }
    }
}

/// What to do with a request.
enum Action {
    Drop,
    /// Send the kept reply again.
    Resend,
    /// Refuse with `NoSession`.
    Refuse,
    Execute,
}

fn action_for(session: Option<Session>, closed: &[Option<u32>], header: Header, message: &[u8]) -> Action {
    match session {
        Some(open) if open.number == header.session => match header.sequence {
            sequence if sequence == open.last => Action::Resend,
            sequence if sequence < open.last => Action::Drop,
            _ => Action::Execute,
        },
        _ if !matches!(Request::parse(message), Ok(Request::Hello { .. })) => Action::Refuse,
        _ if closed.contains(&Some(header.session)) => Action::Drop,
        _ => Action::Execute,
    }
}

/// Writes the reply's packet; returns its length with room for the checksum.
fn execute(
    header: Header,
    message: &[u8],
    counters: LineCounters,
    kept: &mut [u8],
    answer: impl FnOnce(&[u8], LineCounters, &mut [u8]) -> usize,
) -> usize {
    // Memory too short even for a header holds no reply.
    let Some(room) = kept.len().checked_sub(HEADER_LEN + CHECKSUM_LEN) else { return 0 };
    kept[..HEADER_LEN].copy_from_slice(&Header { direction: Direction::Reply, ..header }.to_bytes());
    let reply_len = answer(message, counters, &mut kept[HEADER_LEN..][..room]).min(room);
    packet_max(reply_len)
}

/// Refuses with `NoSession`. This reply is not kept: it belongs to no session.
fn refuse(header: Header, send: &mut impl FnMut(&[u8])) {
    let mut packet = [0; packet_max(REFUSAL_MAX)];
    let refusal = Reply::Refused(Reason::NoSession.with(header.session.into(), 0));
    let write = |_: &[u8], _, room: &mut [u8]| refusal.write(room).unwrap_or(0);
    let packet_len = execute(header, &[], LineCounters::default(), &mut packet, write);
    send_frame(&mut packet[..packet_len], send);
}

fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}
