//! Packets on a line that loses, changes and inserts bytes.
//!
//! If the first byte is even, the rest is noise. If it is odd, the rest is packets, each after its 8-bit length, which are
//! sent with a valid checksum.

use macula_edge::protocol::frame::{CHECKSUM_LEN, FrameReader, send_frame};
use macula_edge::protocol::{Client, Endpoint, Reply, Request};

use crate::Outcome;
use crate::input::Input;

/// Bytes of memory of each end.
const MEMORY: usize = 300;

/// Feeds the bytes that `data` describes to both ends of a line.
pub fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let as_packets = input.byte() & 1 == 1;
    let mut line = Vec::new();
    let mut packets = 0;
    if as_packets {
        while !input.is_empty() {
            let len = input.byte();
            let packet = input.take(len.into());
            frame(packet, &mut line);
            packets += usize::from(packet.len() + CHECKSUM_LEN <= MEMORY);
        }
        assert_eq!(whole_frames(&line), packets, "a frame was lost");
    } else {
        line = input.rest().to_vec();
    }
    let answered = device(&line);
    host(&line);
    if answered > 0 || packets > 0 { Outcome::Accepted } else { Outcome::Refused }
}

fn frame(packet: &[u8], line: &mut Vec<u8>) {
    let mut sent = packet.to_vec();
    sent.extend([0; CHECKSUM_LEN]);
    let start = line.len();
    send_frame(&mut sent, &mut |piece| line.extend_from_slice(piece));
    let (mut memory, mut found) = (vec![0; packet.len() + CHECKSUM_LEN], None);
    let mut reader = FrameReader::new(&mut memory);
    for &byte in &line[start..] {
        if let Some(Ok(packet)) = reader.push(byte) {
            found = Some(packet.to_vec());
        }
    }
    assert_eq!(found.as_deref(), Some(packet), "a packet changed in transit");
}

fn whole_frames(line: &[u8]) -> usize {
    let mut memory = [0; MEMORY];
    let mut reader = FrameReader::new(&mut memory);
    line.iter().filter(|&&byte| reader.push(byte).is_some_and(|packet| packet.is_ok())).count()
}

/// Feeds the line to a device, then sends a request, which must be answered. Returns the number of earlier answers.
fn device(line: &[u8]) -> usize {
    let (mut received, mut kept) = (vec![0; MEMORY], vec![0; MEMORY]);
    let mut endpoint = Endpoint::new(&mut received, &mut kept);
    let (answers, mut sent) = (std::cell::Cell::new(0), Vec::new());
    let mut push = |byte: u8, sent: &mut Vec<u8>| {
        let answer = |_: &[u8], _, room: &mut [u8]| {
            answers.set(answers.get() + 1);
            Reply::Done.write(room).expect("there is room for a short reply")
        };
        endpoint.receive(byte, answer, &mut |piece| sent.extend_from_slice(piece));
    };
    line.iter().for_each(|&byte| push(byte, &mut sent));
    let before = answers.get();
    assert!(before <= whole_frames(line), "more answers than requests");
    let sent_frames = whole_frames(&sent);
    assert!(sent_frames >= before && sent_frames <= whole_frames(line), "{sent_frames} frames were sent");

    // A session that cannot occur on the line: its number is a checksum of the line.
    let (mut from, mut to) = (vec![0; MEMORY], vec![0; MEMORY]);
    let mut client = Client::new(crc32fast::hash(line), &mut from, &mut to);
    let mut hello = Vec::new();
    client.request(&Request::Hello { version: 1 }, &mut |piece| hello.extend_from_slice(piece)).expect("it is short");
    sent.clear();
    hello.iter().for_each(|&byte| push(byte, &mut sent));
    let reply = sent.iter().find_map(|&byte| client.receive(byte).map(<[u8]>::to_vec));
    assert_eq!(reply.as_deref().map(Reply::parse), Some(Ok(Reply::Done)), "a request after noise is not answered");
    before
}

/// Feeds the line to a host that waits for a reply.
fn host(line: &[u8]) {
    let (mut from, mut to) = (vec![0; MEMORY], vec![0; MEMORY]);
    let mut client = Client::new(7, &mut from, &mut to);
    client.request(&Request::Status, &mut |_| {}).expect("it is short");
    let replies = line.iter().filter(|&&byte| client.receive(byte).is_some()).count();
    assert!(replies <= 1, "one request had {replies} replies");
}
