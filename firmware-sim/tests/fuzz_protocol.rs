//! Any input on the line or as a request is answered or dropped, without a panic and with bounded work.
//!
//! A fixed number of inputs is drawn by seed: random bytes, and valid inputs with changes, which reach deeper code.
//! Coverage-guided fuzzing is in `fuzz/`.
#![expect(clippy::print_stdout, reason = "counts of inputs, shown with --nocapture")]

use macula_edge::encoder::FeaturesOnly;
use macula_edge::protocol::frame::{FrameReader, frame_max, send_frame};
use macula_edge::protocol::message::{Input, StatePart, VERSION};
use macula_edge::protocol::{Client, Endpoint, Reason, Refusal, Reply, Request, packet_max};
use macula_firmware_sim::board::{ANY_BUNDLE, Board, Running, Shape};
use macula_firmware_sim::script::Script;
use macula_firmware_sim::seed::Seed;

const DIM: usize = 8;

/// Up to `limit` random bytes.
fn random(seed: &mut Seed, limit: u64) -> Vec<u8> {
    (0..seed.below(limit + 1)).map(|_| seed.next_u64() as u8).collect()
}

/// A changed copy: bits flipped, bytes set to special values of decoders, parts cut out, doubled or swapped for others.
fn mutate(seed: &mut Seed, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=seed.below(4) {
        let at = seed.below(bytes.len() as u64 + 1) as usize;
        let until = (at + seed.below(9) as usize).min(bytes.len());
        match seed.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << seed.below(8),
            1 if at < bytes.len() => bytes[at] = [0, 1, 0x7F, 0x80, 0xFE, 0xFF][seed.below(6) as usize],
            2 => drop(bytes.drain(at..until)),
            3 => bytes.truncate(at),
            4 => {
                let part = bytes[at..until].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let part = random(seed, 6);
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

/// Valid requests of every kind, as many more as the script has.
fn corpus() -> Vec<Vec<u8>> {
    let mut script = Script::new(3, DIM);
    let feature = script.feature(1);
    let input = Input::Feature(&feature);
    let requests = [
        Request::Hello { version: VERSION },
        Request::Status,
        Request::Classes { from: 1 },
        Request::ImageBegin { width: 7, height: 5, channels: 3 },
        Request::ImageChunk { offset: 0, bytes: &[7; 20] },
        Request::Embed { input },
        Request::Learn { class: 0, source: [5; 16], operator: 1, time_s: 2, input: Input::Measured(&feature, 256) },
        Request::BundleBegin { len: 6000, sha256: [9; 32] },
        Request::BundleChunk { offset: 0, bytes: &[1; 200] },
        Request::BundleCommit,
        Request::FactoryReset { confirmation: "forget everything" },
        Request::SelfTest,
    ];
    let written = requests.iter().map(|request| {
        let mut message = [0; 512];
        let len = request.write(&mut message).unwrap();
        message[..len].to_vec()
    });
    written.chain(script).collect()
}

#[test]
fn frames() {
    let mut seed = Seed::new(1);
    let mut memory = [0; 300];
    let mut reader = FrameReader::new(&mut memory);
    let (mut whole, mut dropped) = (0, 0);
    for round in 0..200_000 {
        let mut packet = [random(&mut seed, 260), vec![0; 4]].concat();
        let mut stream = Vec::new();
        send_frame(&mut packet, &mut |piece| stream.extend_from_slice(piece));
        assert!(stream.len() <= frame_max(packet.len() - 4));
        if round % 4 > 0 {
            stream = mutate(&mut seed, &stream);
        }
        if round % 4 == 1 {
            stream = random(&mut seed, 600);
        }
        for byte in stream {
            match reader.push(byte) {
                Some(Ok(_)) => whole += 1,
                Some(Err(_)) => dropped += 1,
                None => {}
            }
        }
        // The next frame is found after any noise.
        let mut next = *b"next\0\0\0\0";
        let mut found = None;
        send_frame(&mut next, &mut |piece| {
            for &byte in piece {
                if let Some(Ok(packet)) = reader.push(byte) {
                    found = Some(packet.to_vec());
                }
            }
        });
        assert_eq!(found.as_deref(), Some(&b"next"[..]), "round {round}");
    }
    println!("frames: 200000 inputs, {whole} whole, {dropped} dropped");
    assert!(whole >= 50_000 && dropped >= 50_000);
}

#[test]
fn messages() {
    let (mut seed, corpus) = (Seed::new(2), corpus());
    let (mut requests, mut replies) = (0, 0);
    for round in 0..400_000 {
        let valid = &corpus[seed.below(corpus.len() as u64) as usize];
        let message = if round % 4 == 0 { random(&mut seed, 100) } else { mutate(&mut seed, valid) };
        // A message that was read can be written, and is equal when read again.
        let mut written = [0; 1024];
        if let Ok(request) = Request::parse(&message) {
            requests += 1;
            let len = request.write(&mut written).unwrap();
            assert_eq!(Request::parse(&written[..len]), Ok(request), "{message:?}");
        }
        if let Ok(reply) = Reply::parse(&message) {
            replies += 1;
            let len = reply.write(&mut written).unwrap();
            // A NaN differs from itself: bytes are compared.
            let mut again = [0; 1024];
            let again_len = Reply::parse(&written[..len]).unwrap().write(&mut again).unwrap();
            assert_eq!(written[..len], again[..again_len], "{message:?}");
        }
    }
    println!("messages: 400000 inputs, {requests} are requests, {replies} are replies");
    assert!(requests > 40_000 && replies > 1000);
}

/// Memory and flash agree, and the state can be exported.
fn check(board: &mut Running<'_, FeaturesOnly>) {
    let mut message = [0; 16];
    let len = Request::SelfTest.write(&mut message).unwrap();
    let reply = board.answer(&message[..len]);
    let Ok(Reply::SelfTest(test)) = Reply::parse(&reply) else { panic!("{:?}", Reply::parse(&reply)) };
    assert_eq!((test.store.found, test.supports.found), (test.store.expected, test.supports.expected));
    let mut cursor = 0;
    for _ in 0..1000 {
        let len = Request::ExportState { cursor }.write(&mut message).unwrap();
        match Reply::parse(&board.answer(&message[..len])) {
            Ok(Reply::State { part: StatePart::End { .. }, .. }) => return,
            Ok(Reply::State { next, .. }) => cursor = next,
            other => panic!("{other:?}"),
        }
    }
    panic!("the state has no end");
}

#[test]
fn session() {
    let shape = Shape { image_bytes: 100, ..Shape::features_only(DIM) };
    let mut board =
        Board::new(shape, |slot, len, read| if len % 2 == 0 { ANY_BUNDLE(slot, len, read) } else { Err(5) });
    let (mut seed, corpus) = (Seed::new(3), corpus());
    let mut reasons = std::collections::BTreeMap::<u16, u32>::new();
    let mut carried_out = 0;
    for restart in 0..40 {
        let mut running = board.start(shape.features()).unwrap();
        for round in 0..1500 {
            let valid = &corpus[seed.below(corpus.len() as u64) as usize];
            let request = match round % 8 {
                0 => random(&mut seed, 80),
                1..4 => mutate(&mut seed, valid),
                _ => valid.clone(),
            };
            let reply = running.answer(&request);
            match Reply::parse(&reply) {
                Ok(Reply::Refused(Refusal { code, .. })) => *reasons.entry(code).or_default() += 1,
                Ok(_) => carried_out += 1,
                Err(error) => panic!("{request:?} is answered with {reply:?}: {error}"),
            }
        }
        check(&mut running);
        let state = running.state();
        assert_eq!(board.start(shape.features()).unwrap().state(), state, "restart {restart}");
    }
    println!("session: 60000 requests, {carried_out} carried out, refused by reason {reasons:?}");
    assert!(reasons.contains_key(&(Reason::Malformed as u16)) && reasons.len() > 12 && carried_out > 10_000);
    assert!(!reasons.contains_key(&(Reason::StoreFault as u16)), "the store failed on sound flash");
}

#[test]
fn endpoints() {
    let (mut a, mut b) = ([0; packet_max(256)], [0; packet_max(256)]);
    let (mut c, mut d) = ([0; packet_max(256)], [0; packet_max(256)]);
    let (mut endpoint, mut client) = (Endpoint::new(&mut a, &mut b), Client::new(1, &mut c, &mut d));
    let mut seed = Seed::new(4);
    let (mut carried_out, mut answered) = (0, 0);
    for round in 0..100_000u32 {
        let mut frame = Vec::new();
        if round % 100 == 0 {
            client.begin(round);
        }
        client.request(&Request::Hello { version: VERSION }, &mut |piece| frame.extend_from_slice(piece)).unwrap();
        if seed.below(3) > 0 {
            frame = mutate(&mut seed, &frame);
        }
        let mut sent = Vec::new();
        for byte in frame {
            let answer = |_: &[u8], _, reply: &mut [u8]| {
                carried_out += 1;
                // A device that lies about the length, or says nothing.
                [0, 1, reply.len(), usize::MAX][seed.below(4) as usize]
            };
            endpoint.receive(byte, answer, &mut |piece| sent.extend_from_slice(piece));
        }
        let sent = if round % 5 == 0 { mutate(&mut seed, &sent) } else { sent };
        answered += sent.iter().filter(|&&byte| client.receive(byte).is_some()).count();
    }
    println!("endpoints: 100000 frames, {carried_out} carried out, {answered} answers heard");
    assert!(carried_out > 30_000 && answered > 20_000 && answered <= carried_out);
}
