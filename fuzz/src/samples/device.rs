//! Inputs of a device: messages, frames, sessions, stores.

use macula_edge::protocol::message::Input as Sample;
use macula_edge::protocol::{Reply, Request};

type Seeds<const N: usize> = [(&'static str, Vec<u8>); N];

fn requests() -> [(&'static str, Request<'static>); 10] {
    let (source, feature) = ([3; 16], &[255, 127, 0, 0, 0, 0, 0, 0][..]);
    let input = Sample::Feature(feature);
    [
        ("hello", Request::Hello { version: 1 }),
        ("status", Request::Status),
        ("add-class", Request::AddClass { name: "Ödem" }),
        ("learn", Request::Learn { class: 1, source, operator: 70_000, time_s: 1_700_000_000, input }),
        ("predict", Request::Predict { input: Sample::Measured(feature, 300), head: 2, error_rate_permille: 100 }),
        ("image-chunk", Request::ImageChunk { offset: 300, bytes: &[1, 2, 3] }),
        ("bundle-begin", Request::BundleBegin { len: 1 << 20, sha256: [9; 32] }),
        ("export-state", Request::ExportState { cursor: 200 }),
        ("factory-reset", Request::FactoryReset { confirmation: "forget everything" }),
        ("merge", Request::MergeState { name: "scar", source, operator: 1, time_s: 0, feature }),
    ]
}

/// Requests and replies, each after a byte for its kind.
pub fn messages() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (name, request) in requests() {
        let mut bytes = [0; 128];
        let len = request.write(&mut bytes[1..]).expect("there is room");
        seeds.push((name.to_owned(), bytes[..=len].to_vec()));
    }
    for (name, reply) in [
        ("done", Reply::Done),
        ("class", Reply::Class { class: 2, name: "scar", supports: 300 }),
        ("staged", Reply::Staged { next: 70, len: 400 }),
        ("feature", Reply::Feature { feature: &[1, 2, 3, 4], length: Some(256) }),
        ("class-added", Reply::ClassAdded { class: 1, new: true }),
    ] {
        let mut bytes = [1; 128];
        let len = reply.write(&mut bytes[1..]).expect("there is room");
        seeds.push((format!("reply-{name}"), bytes[..=len].to_vec()));
    }
    seeds
}

/// Packets and noise. A packet is version, session, sequence number and message.
pub fn frames() -> Seeds<4> {
    let packet = |session: u8, sequence: u8, request: &Request<'_>| {
        let mut message = [0; 64];
        let len = request.write(&mut message).expect("there is room");
        let packet = [&[1, session, 0, 0, 0, sequence, 0, 0, 0][..], &message[..len]].concat();
        [&[packet.len() as u8], &packet[..]].concat()
    };
    let hello = packet(5, 1, &Request::Hello { version: 1 });
    let status = packet(5, 2, &Request::Status);
    [
        ("hello", [&[1][..], &hello].concat()),
        ("session", [&[1][..], &hello, &hello, &status, &packet(6, 1, &Request::Status), &status].concat()),
        ("noise", b"\x00\x00\x03ab\x00\x02\x01\xff\x00\x01\x00".to_vec()),
        ("short-packets", vec![1, 0, 1, 129, 3, 1, 2, 3]),
    ]
}

/// Sessions that learn, forget, predict, update a bundle and reset.
pub fn sessions() -> Seeds<4> {
    let taught = [0, 0, 0x20, 1, 2, 0, 2, 5, 3, 1, 3, 6, 10, 3, 50, 0, 11, 2];
    [
        ("taught", taught.to_vec()),
        ("forgotten", [&taught[..], &[8, 0, 14, 1, 15, 0, 16, 0, 17, 0]].concat()),
        ("bundle", vec![18, 200, 19, 100, 0, 19, 100, 100, 20, 0, 22, 0, 18, 9, 19, 9, 0, 21, 0, 22, 0]),
        ("reset", [&taught[..], &[12, 7, 13, 2, 29, 0, 23, 0], &taught].concat()),
    ]
}

/// Stores of one block and of several, with every kind of record.
pub fn stores() -> Seeds<5> {
    // Kind - 1, slot, filling, flags.
    let classes = [0, 0, 0, 0, 0, 1, 1, 0];
    let learned = [2, 0, 1, 0, 2, 1, 2, 0];
    let block = |records: &[&[u8]]| {
        let records = records.concat();
        [&[0, (records.len() / 4) as u8][..], &records].concat()
    };
    let first = block(&[&classes, &learned, &[4, 1, 24, 0]]);
    let second = block(&[&[3, 0, 1, 0], &[2, 0, 3, 0], &[1, 1, 0, 0]]);
    [
        ("taught", [&[0, 0xFF][..], &first, &[1]].concat()),
        ("two-blocks", [&[1, 0xAC][..], &first, &second, &[1]].concat()),
        ("anew", [&[1, 0x83][..], &first, &[4, 0], &[1]].concat()),
        ("unfinished", [&[1, 0x10][..], &first, &[8], &second[1..], &[1]].concat()),
        // A duplicate class: the current records take less room than all records.
        ("replaced", [&[0, 0xFF][..], &block(&[&classes, &classes, &learned, &learned, &[4, 1, 9, 0]]), &[1]].concat()),
    ]
}

/// Stores whose records once overflowed the count of used bytes.
pub fn bad_stores() -> Seeds<2> {
    let block = |records: &[&[u8]]| {
        let records = records.concat();
        [&[0, (records.len() / 4) as u8][..], &records].concat()
    };
    // A support of a class without a name was not counted, but subtracted when forgotten.
    let orphan = [2, 3, 9, 0];
    [
        ("support-without-class", [&[0, 0b100][..], &block(&[&orphan]), &[1]].concat()),
        ("class-named-after-its-support", [&[0, 0xFF][..], &block(&[&orphan, &[0, 0, 0, 0]]), &[1]].concat()),
    ]
}
