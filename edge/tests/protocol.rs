//! Every message of the protocol in bytes, compared with `docs/protocol.md`.

use macula_edge::protocol::frame::{CHECKSUM_LEN, send_frame};
use macula_edge::protocol::message::{
    BundleReport, Candidate, CandidateState, Decision, FORGETTING_CONFIRMATION, HelloReply, Input, LineCounters,
    Neighbour, OperatingPoint, OperatingPointReport, Outcome, Prediction, Provenance, RESET_CONFIRMATION,
    RollbackReason, SelfTest, StatePart, Status, Target, TestResult, Threshold, VERSION, Wear, message_max,
};
use macula_edge::protocol::{Client, Endpoint, Reason, Refusal, Reply, Request, packet_max};

const FEATURE: [u8; 4] = [0xFF, 0x7F, 0x00, 0x80];
const PROVENANCE: Provenance = Provenance { class: 2, operator: 7, time_s: 1_700_000_000 };
const NEAR: Neighbour = Neighbour { source: [0x11; 16], provenance: PROVENANCE, similarity: 0.5 };

const POINT: OperatingPoint = OperatingPoint { class: 2, target: Target::Sensitivity { permille: 950 } };
const PREDICTION: Prediction<'static> = Prediction {
    head: 0,
    class: 2,
    probability: 0.75,
    set: &[0b0000_0110],
    known: true,
    enough: false,
    shots_needed: 19,
    nearest: [Some(NEAR), None, None],
};

fn requests() -> Vec<Request<'static>> {
    let costs = OperatingPoint { target: Target::Costs { missed: 20, false_alarm: 1 }, ..POINT };
    let (source, operator, time_s) = ([0x11; 16], 7, 1_700_000_000);
    vec![
        Request::Hello { version: VERSION },
        Request::Status,
        Request::Classes { from: 0 },
        Request::ImageBegin { width: 28, height: 300, channels: 1 },
        Request::ImageChunk { offset: 200, bytes: &[0, 128, 255] },
        Request::Embed { input: Input::Image },
        Request::AddClass { name: "Ödem" },
        Request::RenameClass { class: 2, name: "scar" },
        Request::RemoveClass { class: 2 },
        Request::Learn { class: 2, source, operator, time_s, input: Input::Feature(&FEATURE) },
        Request::Learn { class: 2, source, operator, time_s: 0, input: Input::Image },
        Request::Forget { source },
        Request::Predict { input: Input::Feature(&FEATURE), head: 2, error_rate_permille: 200 },
        Request::Why { input: Input::Measured(&FEATURE, 300) },
        Request::ExportState { cursor: 300 },
        Request::MergeState { name: "scar", source, operator, time_s, feature: &FEATURE },
        Request::BundleBegin { len: 70_000, sha256: [0x22; 32] },
        Request::BundleChunk { offset: 70_000, bytes: &[1, 2, 3] },
        Request::BundleCommit,
        Request::FactoryReset { confirmation: RESET_CONFIRMATION },
        Request::SelfTest,
        Request::Bundles,
        Request::BundleCommitForgetting { confirmation: FORGETTING_CONFIRMATION },
        Request::OperatingPoint,
        Request::SetOperatingPoint { point: Some(POINT) },
        Request::SetOperatingPoint { point: None },
        Request::Decide { input: Input::Feature(&FEATURE), head: 0, error_rate_permille: 200, point: None },
        Request::Decide { input: Input::Image, head: 0, error_rate_permille: 100, point: Some(costs) },
    ]
}

fn replies() -> Vec<Reply<'static>> {
    let wear = Wear {
        bytes_programmed: 100_000,
        erases: 12,
        free_bytes: 4096,
        learned: 3,
        learned_bytes: 912,
        learned_erases: 1,
    };
    let line = LineCounters { requests: 200, repeated: 3, stale: 1, corrupted: 2, oversized: 0 };
    let passed = TestResult { outcome: Outcome::Passed, found: 20, expected: 20 };
    let failed = TestResult { outcome: Outcome::Failed, found: 0, expected: 1 };
    let absent = TestResult { outcome: Outcome::Absent, found: 0, expected: 0 };
    let threshold = Threshold { score: -0.5, detected: 19, positives: 20, rejected: 15, negatives: 40 };
    let report = OperatingPointReport { point: POINT, threshold: Some(threshold) };
    vec![
        Reply::Hello(HelloReply {
            version: VERSION,
            program: "macula-board",
            program_version: "0.1.0",
            identity: [0x33; 16],
            dim: 128,
            classes: 8,
            supports: 64,
            message_max: 328,
            image_bytes_max: 784,
            channels: 1,
            bundle_bytes_max: 65_536,
        }),
        Reply::Refused(Reason::NoSuchClass.with(9, 8)),
        Reply::Done,
        Reply::Status(Status {
            now_s: 1_700_000_000,
            classes: 2,
            classes_limit: 8,
            supports: 20,
            supports_limit: 64,
            revision: 25,
            wear,
            line,
            bundle_slot: 0,
            bundle_slot_next: 1,
            bundle_received: 4096,
            bundle_len: 70_000,
        }),
        Reply::Class { class: 2, name: "scar", supports: 10 },
        Reply::NoMoreClasses,
        Reply::Staged { next: 200, len: 784 },
        Reply::Feature { feature: &FEATURE, length: Some(256) },
        Reply::ClassAdded { class: 2, new: true },
        Reply::ClassRemoved { supports: 10 },
        Reply::Learned { class: 2, new: true, supports: 11 },
        Reply::Forgotten { record: Some(PROVENANCE) },
        Reply::Forgotten { record: None },
        Reply::Prediction(PREDICTION),
        Reply::Why { nearest: [Some(NEAR), None, None, None, None] },
        Reply::State { revision: 25, next: 3, part: StatePart::Class { class: 2, name: "scar" } },
        Reply::State {
            revision: 25,
            next: 10,
            part: StatePart::Support { source: [0x11; 16], provenance: PROVENANCE, feature: &FEATURE },
        },
        Reply::State { revision: 25, next: 10, part: StatePart::End { sha256: [0x22; 32] } },
        Reply::Bundle { next: 4096 },
        Reply::BundleTaken { slot: 1 },
        Reply::SelfTest(SelfTest { store: passed, supports: passed, encoder: absent, memory: failed }),
        Reply::Bundles(bundles(Some(CandidateState::Pending { attempts: 1 }))),
        Reply::Bundles(bundles(Some(CandidateState::RolledBack { reason: RollbackReason::Golden as u8 }))),
        Reply::Bundles(bundles(None)),
        Reply::OperatingPoint(Some(report)),
        Reply::OperatingPoint(None),
        Reply::Decision {
            prediction: PREDICTION,
            point: Some(report),
            decision: Some(Decision { score: 0.5, positive: true }),
        },
        Reply::Decision { prediction: PREDICTION, point: None, decision: None },
    ]
}

fn bundles(state: Option<CandidateState>) -> BundleReport {
    let candidate = state.map(|state| Candidate { slot: 1, sha256: [0x33; 32], state });
    BundleReport { slot: 0, sha256: [0x22; 32], counter: 300, candidate }
}

/// The document's rows below `heading`: the cells of each.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md")).unwrap();
    let section = document.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no section {heading}"));
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// Bytes as the document writes them: `0a ff`, and `11×16` for sixteen times 11.
fn bytes(cell: &str) -> Vec<u8> {
    let byte = |text: &str| u8::from_str_radix(text, 16).unwrap_or_else(|_| panic!("{text} in {cell}"));
    let expand = |word: &str| match word.split_once('×') {
        Some((value, count)) => vec![byte(value); count.parse().unwrap()],
        None => vec![byte(word)],
    };
    cell.trim_matches('`').split_whitespace().flat_map(expand).collect()
}

fn hex(bytes: &[u8]) -> String {
    let runs = bytes.chunk_by(|a, b| a == b).map(|run| match run.len() {
        8.. => format!("{:02x}×{}", run[0], run.len()),
        _ => run.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
    });
    runs.collect::<Vec<_>>().join(" ")
}

/// Compares a section of the document with messages: number, name and bytes, in order, with none left over.
fn compare(heading: &str, messages: &[(String, Vec<u8>)]) {
    let rows = rows(heading);
    for (index, (name, made)) in messages.iter().enumerate() {
        let row = rows.get(index).unwrap_or_else(|| panic!("{heading} lacks {name}: `{}`", hex(made)));
        assert_eq!(row[0], made[0].to_string(), "{heading}, {name}");
        assert_eq!(&row[1], name, "{heading}, row {index}");
        assert_eq!(&bytes(row.last().unwrap()), made, "{heading}, {name} is `{}`", hex(made));
    }
    assert_eq!(rows.len(), messages.len(), "{heading} has rows that no message makes");
}

fn name(debug: String) -> String {
    debug.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned()
}

#[test]
fn the_document_shows_every_request() {
    let written = requests().into_iter().map(|request| {
        let mut message = [0; 512];
        let len = request.write(&mut message).unwrap();
        assert_eq!(Request::parse(&message[..len]), Ok(request));
        assert!(Request::parse(&message[..len - 1]).is_err(), "{request:?}, cut short");
        assert!(Request::parse(&message[..len + 1]).is_err(), "{request:?} and a byte more");
        assert_eq!(request.write(&mut message[..len - 1]), Err(Reason::MessageTooLong.with(0, len as u64 - 1)));
        (name(format!("{request:?}")), message[..len].to_vec())
    });
    let written: Vec<_> = written.collect();
    // The numbers follow each other without a gap: no request is missing here.
    let last = written.iter().map(|(_, message)| message[0]).max().unwrap();
    assert!((0..=last).all(|number| written.iter().any(|(_, message)| message[0] == number)));
    assert!(Request::parse(&[last + 1, 0, 0, 0]).is_err(), "request {} is not in this list", last + 1);
    compare("Requests", &written);
    let replies: Vec<String> = rows("Replies").into_iter().map(|row| row[1].clone()).collect();
    for row in rows("Requests") {
        assert!(row[3].split(", ").all(|name| replies.iter().any(|reply| reply == name)), "{row:?}: no such reply");
    }
}

#[test]
fn the_document_shows_every_reply() {
    let written = replies().into_iter().map(|reply| {
        let mut message = [0; 512];
        let len = reply.write(&mut message).unwrap();
        assert_eq!(Reply::parse(&message[..len]), Ok(reply));
        assert!(Reply::parse(&message[..len - 1]).is_err() && Reply::parse(&message[..len + 1]).is_err());
        (name(format!("{reply:?}")), message[..len].to_vec())
    });
    let written: Vec<_> = written.collect();
    let last = written.iter().map(|(_, message)| message[0]).max().unwrap();
    assert!((0..=last).all(|number| written.iter().any(|(_, message)| message[0] == number)));
    compare("Replies", &written);
}

#[test]
fn reasons_keep_their_numbers() {
    let rows = rows("Reasons");
    for (row, &reason) in rows.iter().zip(Reason::ALL) {
        assert_eq!(row[0], (reason as u16).to_string(), "{reason:?}");
        assert_eq!(row[1], format!("{reason:?}"));
        assert_eq!(reason.with(1, 2).reason(), Some(reason));
        let sentence = reason.with(41, 42).to_string();
        assert!(sentence.len() > 10, "{sentence}");
    }
    assert_eq!(rows.len(), Reason::ALL.len());
    for code in [0, 38, u16::MAX] {
        assert_eq!(Refusal { code, found: 0, limit: 0 }.reason(), None);
    }
}

#[test]
fn rollback_reasons_keep_their_numbers() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md")).unwrap();
    for (number, rollback_reason) in (1..).zip(RollbackReason::ALL) {
        assert_eq!((rollback_reason as u8, RollbackReason::from_repr(number)), (number, Some(rollback_reason)));
        assert!(document.contains(&format!("{number} ")), "{rollback_reason}");
    }
    assert_eq!((RollbackReason::from_repr(0), RollbackReason::from_repr(6)), (None, None));
}

#[test]
fn the_longest_messages_fit() {
    for dim in [1, 64, 92, 93, 128, 4096] {
        let (feature, name) = (vec![0xFF; 2 * dim], "n".repeat(32));
        let (source, time_s, operator) = ([0xFF; 16], u64::MAX, u32::MAX);
        let near = Neighbour { source, provenance: Provenance { class: 255, operator, time_s }, similarity: -1.0 };
        let mut message = vec![0; message_max(dim)];
        let input = Input::Measured(&feature, u16::MAX);
        Request::Learn { class: 255, source, operator, time_s, input }.write(&mut message).unwrap();
        Request::MergeState { name: &name, source, operator, time_s, feature: &feature }.write(&mut message).unwrap();
        let part = StatePart::Support { source, provenance: near.provenance, feature: &feature };
        Reply::State { revision: u32::MAX, next: u32::MAX, part }.write(&mut message).unwrap();
        Reply::Why { nearest: [Some(near); 5] }.write(&mut message).unwrap();
        let all = u32::MAX;
        let hello = HelloReply {
            version: 255,
            program: &name,
            program_version: &name,
            identity: source,
            dim: u16::MAX,
            classes: 255,
            supports: all,
            message_max: all,
            image_bytes_max: all,
            channels: 255,
            bundle_bytes_max: all,
        };
        Reply::Hello(hello).write(&mut message).unwrap();
        let prediction = Prediction {
            head: 3,
            class: 254,
            probability: 1.0,
            set: &[0xFF; 32],
            known: true,
            enough: true,
            shots_needed: u16::MAX,
            nearest: [Some(near); 3],
        };
        Reply::Prediction(prediction).write(&mut message).unwrap();
        let target = Target::Costs { missed: u16::MAX, false_alarm: u16::MAX };
        let point = OperatingPoint { class: 254, target };
        let threshold = Threshold { score: 1.0, detected: all, positives: all, rejected: all, negatives: all };
        let report = OperatingPointReport { point, threshold: Some(threshold) };
        let decision = Some(Decision { score: 1.0, positive: true });
        let len = Reply::Decision { prediction, point: Some(report), decision }.write(&mut message).unwrap();
        assert_eq!(len, 196, "the longest reply, as `message_max` says");
        Request::Decide { input, head: 3, error_rate_permille: 500, point: Some(point) }.write(&mut message).unwrap();
        let wear = Wear {
            bytes_programmed: u64::MAX,
            erases: all,
            free_bytes: all,
            learned: all,
            learned_bytes: u64::MAX,
            learned_erases: all,
        };
        let line = LineCounters { requests: all, repeated: all, stale: all, corrupted: all, oversized: all };
        let status = Status {
            now_s: u64::MAX,
            classes: 255,
            classes_limit: 255,
            supports: all,
            supports_limit: all,
            revision: all,
            wear,
            line,
            bundle_slot: 255,
            bundle_slot_next: 255,
            bundle_received: all,
            bundle_len: all,
        };
        Reply::Status(status).write(&mut message).unwrap();
        let candidate =
            Some(Candidate { slot: 255, sha256: [0xFF; 32], state: CandidateState::Pending { attempts: 255 } });
        let report = BundleReport { slot: 255, sha256: [0xFF; 32], counter: u64::MAX, candidate };
        Reply::Bundles(report).write(&mut message).unwrap();
    }
}

#[test]
fn the_document_shows_the_frame_of_a_known_checksum() {
    let mut packet = [b"123456789".as_slice(), &[0; CHECKSUM_LEN]].concat();
    let mut frame = Vec::new();
    send_frame(&mut packet, &mut |piece| frame.extend_from_slice(piece));
    assert_eq!(bytes(rows("A frame")[2].last().unwrap()), frame, "{}", hex(&frame));
}

/// A device that counts executed requests: it answers with its count and the first byte of the request.
struct Counter {
    executed: u8,
}

impl Counter {
    /// Feeds a frame to the endpoint; returns what it sends.
    fn hear(&mut self, endpoint: &mut Endpoint<'_>, frame: &[u8]) -> Vec<u8> {
        let mut sent = Vec::new();
        for &byte in frame {
            let answer = |request: &[u8], _, reply: &mut [u8]| {
                self.executed += 1;
                reply[..2].copy_from_slice(&[self.executed, request[0]]);
                2
            };
            endpoint.receive(byte, answer, &mut |piece| sent.extend_from_slice(piece));
        }
        sent
    }
}

fn ask(client: &mut Client<'_>, request: &Request<'_>) -> Vec<u8> {
    let mut frame = Vec::new();
    client.request(request, &mut |piece| frame.extend_from_slice(piece)).unwrap();
    frame
}

fn hear(client: &mut Client<'_>, frame: &[u8]) -> Option<Vec<u8>> {
    frame.iter().find_map(|&byte| client.receive(byte).map(<[u8]>::to_vec))
}

#[test]
fn a_request_is_executed_once() {
    let (mut a, mut b, mut c, mut d) =
        ([0; packet_max(256)], [0; packet_max(256)], [0; packet_max(256)], [0; packet_max(256)]);
    let (mut endpoint, mut device) = (Endpoint::new(&mut a, &mut b), Counter { executed: 0 });
    let mut client = Client::new(0x1234_5678, &mut c, &mut d);
    let refused = |reply: Option<Vec<u8>>| {
        let reply = reply.unwrap();
        matches!(Reply::parse(&reply), Ok(Reply::Refused(refusal)) if refusal.reason() == Some(Reason::NoSession))
    };

    let early = ask(&mut client, &Request::SelfTest);
    let reply = device.hear(&mut endpoint, &early);
    assert!(refused(hear(&mut client, &reply)), "a request before hello");
    client.begin(0x1234_5678);
    let hello = ask(&mut client, &Request::Hello { version: VERSION });
    let reply = device.hear(&mut endpoint, &hello);
    let frames = rows("A frame");
    assert_eq!(bytes(frames[0].last().unwrap()), hello, "the document's hello is {}", hex(&hello));
    assert_eq!(bytes(frames[1].last().unwrap()), reply, "the document's reply is {}", hex(&reply));
    assert_eq!(hear(&mut client, &reply), Some(vec![1, 0]));
    assert_eq!(hear(&mut client, &reply), None, "a second copy of a reply");

    let second = ask(&mut client, &Request::SelfTest);
    let reply = device.hear(&mut endpoint, &second);
    assert_eq!(device.hear(&mut endpoint, &second), reply, "a repeated request gets the kept reply");
    assert_eq!(device.hear(&mut endpoint, &hello), [], "a late copy");
    assert_eq!(device.hear(&mut endpoint, &reply), [], "a line that echoes");
    assert_eq!(hear(&mut client, &reply), Some(vec![2, 19]));
    let third = ask(&mut client, &Request::BundleCommit);
    assert_eq!(hear(&mut client, &reply), None, "a late reply to an earlier request");
    let mut changed = third.clone();
    changed[5] ^= 4;
    assert_eq!(device.hear(&mut endpoint, &changed), []);
    let reply = device.hear(&mut endpoint, &third);
    assert_eq!(hear(&mut client, &reply), Some(vec![3, 17]));

    client.begin(5);
    let other = ask(&mut client, &Request::Hello { version: VERSION });
    let reply = device.hear(&mut endpoint, &other);
    assert_eq!(hear(&mut client, &reply), Some(vec![4, 0]));
    assert_eq!(device.hear(&mut endpoint, &hello), [], "a closed session stays closed");
    let late = device.hear(&mut endpoint, &third);
    assert!(!late.is_empty(), "its host is told");
    assert_eq!(hear(&mut client, &late), None, "and this one is not");
    assert_eq!(device.executed, 4);
    let expected = LineCounters { requests: 4, repeated: 1, stale: 3, corrupted: 1, oversized: 0 };
    assert_eq!(endpoint.counters(), expected);
    assert_eq!(device.hear(&mut endpoint, &[vec![0], vec![7; 400], vec![0]].concat()), []);
    assert_eq!(endpoint.counters().oversized, 1);
}
