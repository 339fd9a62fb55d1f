//! The session, request by request: replies, and refusals beside accepted requests.

use macula_edge::encoder::{EncodeError, Encoder, EncoderInfo, encode_pixels};
use macula_edge::feature::{CorpusStats, Length, UNIT};
use macula_edge::image;
use macula_edge::protocol::frame::{CHECKSUM_LEN, FrameReader, send_frame};
use macula_edge::protocol::message::{
    HelloReply, Input, OperatingPoint, OperatingPointReport, Outcome, Prediction, Provenance, StatePart, Target,
    VERSION,
};
use macula_edge::protocol::{Reason, Reply, Request};
use macula_firmware_sim::board::{ANY_BUNDLE, Board, Running, Shape};

const SHAPE: Shape = Shape { classes: 3, supports: 5, image_bytes: 60, slot_blocks: 0, ..Shape::features_only(3) };

/// An encoder whose feature is the sums of three thirds of a 3×2 image; it has corpus statistics.
struct Thirds;

/// 70 is √3 standard deviations, so that (0, 0, 70) has length 1.
const STD: [f32; 3] = [40.414_52; 3];

impl Encoder for Thirds {
    fn info(&self) -> EncoderInfo<'_> {
        let corpus = CorpusStats { mean: &[0.0; 3], std: &STD, length_max: Some(Length(300)) };
        let input = image::Shape::new(3, 2, 1).ok();
        EncoderInfo { identity: [3; 16], input, dim: 3, arena_words: 0, corpus: Some(corpus) }
    }

    fn encode(&self, pixels: &[u8], _: &mut [u32], feature: &mut [f32]) -> Result<(), EncodeError> {
        for (sum, third) in feature.iter_mut().zip(pixels.chunks(2)) {
            *sum = third.iter().map(|&pixel| f32::from(pixel)).sum();
        }
        Ok(())
    }

    fn self_test(&self, work: &mut [u32], feature: &mut [i16]) -> Result<Option<bool>, EncodeError> {
        encode_pixels(self, &[0, 0, 0, 0, 4, 5], work, feature)?;
        Ok(Some(feature == [0, 0, UNIT]))
    }
}

type Device<'b> = Running<'b, Thirds>;

/// Sends a request and passes the reply on.
fn ask<T>(device: &mut Device<'_>, request: &Request<'_>, seen: impl FnOnce(Reply<'_>) -> T) -> T {
    let mut message = [0; 512];
    let len = request.write(&mut message).unwrap();
    let reply = device.answer(&message[..len]);
    seen(Reply::parse(&reply).unwrap())
}

fn refused(device: &mut Device<'_>, request: &Request<'_>) -> (Reason, u64, u64) {
    ask(device, request, |reply| match reply {
        Reply::Refused(refusal) => (refusal.reason().unwrap(), refusal.found, refusal.limit),
        other => panic!("{request:?} is answered with {other:?}"),
    })
}

fn bytes(values: [i16; 3]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn with_device(test: impl FnOnce(&mut Device<'_>)) {
    let mut board = Board::new(SHAPE, ANY_BUNDLE);
    test(&mut board.start(Thirds).unwrap());
}

/// Two classes with two supports each, of sources 1 to 4: `a` along the first axis, `b` along the second.
fn teach(device: &mut Device<'_>) {
    for name in ["a", "b"] {
        ask(device, &Request::AddClass { name }, |reply| assert!(matches!(reply, Reply::ClassAdded { new: true, .. })));
    }
    let features = [[UNIT, 0, 0], [0, UNIT, 0], [32703, 2047, 0], [2047, 32703, 0]];
    for (source, feature) in (1..).zip(features) {
        let (class, feature) = ((source - 1) % 2, bytes(feature));
        let input = Input::Feature(&feature);
        let request = Request::Learn { class, source: [source; 16], operator: 9, time_s: 100, input };
        let expected = Reply::Learned { class, new: true, supports: u32::from(source).div_ceil(2) };
        ask(device, &request, |reply| assert_eq!(reply, expected));
    }
}

#[test]
fn hello_reports_the_limits() {
    with_device(|device| {
        ask(device, &Request::Hello { version: VERSION }, |reply| {
            let Reply::Hello(hello) = reply else { panic!("{reply:?}") };
            assert_eq!((hello.version, hello.program, hello.identity), (1, "macula-board", [3; 16]));
            assert_eq!((hello.dim, hello.classes, hello.supports, hello.message_max), (3, 3, 5, 256));
            assert_eq!((hello.image_bytes_max, hello.channels, hello.bundle_bytes_max), (60, 1, 0));
        });
        assert_eq!(refused(device, &Request::Hello { version: 2 }), (Reason::Version, 2, 1));
        let mut reply = [0; 256];
        let len = device.session.handle(&[200, 1, 2], 0, &mut reply);
        assert_eq!(Reply::parse(&reply[..len]), Ok(Reply::Refused(Reason::Malformed.with(3, 0))));
        assert_eq!(device.session.handle(&[1], 0, &mut []), 0, "no room for any answer");
        let len = device.session.handle(&[1], 0, &mut reply[..20]);
        assert_eq!(Reply::parse(&reply[..len]), Ok(Reply::Refused(Reason::MessageTooLong.with(0, 20))));
    });
}

#[test]
fn an_image_is_received_in_parts() {
    with_device(|device| {
        let begin = |width, height, channels| Request::ImageBegin { width, height, channels };
        let chunk = |offset, bytes| Request::ImageChunk { offset, bytes };
        assert_eq!(refused(device, &Request::Embed { input: Input::Image }), (Reason::ImageMissing, 0, 0));
        assert_eq!(refused(device, &begin(61, 1, 1)), (Reason::ImageBytes, 61, 60));
        assert_eq!(refused(device, &begin(0, 9, 1)), (Reason::ImageBytes, 0, 60));
        assert_eq!(refused(device, &begin(u16::MAX, u16::MAX, 3)), (Reason::ImageBytes, 12_884_508_675, 60));
        assert_eq!(refused(device, &begin(5, 5, 2)), (Reason::ImageChannels, 2, 3));
        let staged = |device: &mut Device<'_>, request: &Request<'_>, next| {
            ask(device, request, |reply| assert_eq!(reply, Reply::Staged { next, len: 6 }));
        };
        staged(device, &begin(3, 2, 1), 0);
        staged(device, &chunk(0, &[0, 0, 0]), 3);
        staged(device, &chunk(0, &[9, 9, 9]), 3);
        assert_eq!(refused(device, &Request::Embed { input: Input::Image }), (Reason::ImageMissing, 3, 6));
        assert_eq!(refused(device, &chunk(4, &[1])), (Reason::ImageOffset, 4, 3));
        assert_eq!(refused(device, &chunk(2, &[1, 2])), (Reason::ImageOffset, 2, 3));
        assert_eq!(refused(device, &chunk(3, &[1; 4])), (Reason::ImageOffset, 7, 6));
        assert_eq!(refused(device, &chunk(u32::MAX, &[1; 4])), (Reason::ImageOffset, 4_294_967_299, 6));
        staged(device, &chunk(3, &[0, 40, 30]), 6);
        // Thirds 0, 0 and 70: the first copy counts.
        let feature = bytes([0, 0, UNIT]);
        let expected = Reply::Feature { feature: &feature, length: Some(256) };
        ask(device, &Request::Embed { input: Input::Image }, |reply| assert_eq!(reply, expected));
        staged(device, &begin(3, 2, 1), 0);
        staged(device, &chunk(0, &[0; 6]), 6);
        assert_eq!(refused(device, &Request::Embed { input: Input::Image }), (Reason::EncoderFailed, 2, 0));
    });
}

#[test]
fn classes_and_supports_are_added_and_removed() {
    with_device(|device| {
        teach(device);
        assert_eq!(refused(device, &Request::AddClass { name: "" }), (Reason::Name, 0, 32));
        assert_eq!(refused(device, &Request::RenameClass { class: 1, name: "a" }), (Reason::NameTaken, 0, 0));
        assert_eq!(refused(device, &Request::RenameClass { class: 2, name: "x" }), (Reason::NoSuchClass, 2, 3));
        assert_eq!(refused(device, &Request::RemoveClass { class: 255 }), (Reason::NoSuchClass, 255, 3));
        let known = |class, new| Reply::ClassAdded { class, new };
        ask(device, &Request::AddClass { name: "b" }, |reply| assert_eq!(reply, known(1, false)));
        ask(device, &Request::AddClass { name: "c" }, |reply| assert_eq!(reply, known(2, true)));
        assert_eq!(refused(device, &Request::AddClass { name: "d" }), (Reason::ClassesFull, 0, 3));
        ask(device, &Request::RenameClass { class: 2, name: "d" }, |reply| assert_eq!(reply, Reply::Done));
        let expected = Reply::Class { class: 2, name: "d", supports: 0 };
        ask(device, &Request::Classes { from: 2 }, |reply| assert_eq!(reply, expected));
        ask(device, &Request::Classes { from: 3 }, |reply| assert_eq!(reply, Reply::NoMoreClasses));

        let feature = bytes([UNIT, 0, 0]);
        let learn = |class, source, bytes| Request::Learn {
            class,
            source: [source; 16],
            operator: 1,
            time_s: 0,
            input: Input::Feature(bytes),
        };
        assert_eq!(refused(device, &learn(1, 1, &feature)), (Reason::SourceTaken, 0, 0));
        assert_eq!(refused(device, &learn(0, 7, &feature[..5])), (Reason::FeatureBytes, 5, 6));
        let long = bytes([i16::MIN; 3]);
        assert_eq!(refused(device, &learn(0, 7, &long)), (Reason::FeatureLength, 56_755, 32_767));
        assert_eq!(refused(device, &learn(0, 7, &[0; 6])), (Reason::FeatureLength, 0, 32_767));
        device.now_s = 777;
        let learned = Reply::Learned { class: 0, new: true, supports: 3 };
        ask(device, &learn(0, 7, &feature), |reply| assert_eq!(reply, learned));
        let known = Reply::Learned { class: 0, new: false, supports: 3 };
        ask(device, &learn(0, 7, &feature), |reply| assert_eq!(reply, known));
        assert_eq!(refused(device, &learn(0, 8, &feature)), (Reason::SupportsFull, 0, 5));
        // A support that cannot be stored leaves no class behind.
        ask(device, &Request::RemoveClass { class: 2 }, |reply| assert_eq!(reply, Reply::ClassRemoved { supports: 0 }));
        let merge = |name, source| {
            let source = [source; 16];
            Request::MergeState { name, source, operator: 4, time_s: 5, feature: &feature }
        };
        assert_eq!(refused(device, &merge("new", 8)), (Reason::SupportsFull, 0, 5));
        assert_eq!(refused(device, &merge("new", 7)), (Reason::SourceTaken, 0, 0));
        ask(device, &Request::Classes { from: 2 }, |reply| assert_eq!(reply, Reply::NoMoreClasses));

        let record = Some(Provenance { class: 0, operator: 1, time_s: 777 });
        ask(device, &Request::Forget { source: [7; 16] }, |reply| assert_eq!(reply, Reply::Forgotten { record }));
        let nothing = Reply::Forgotten { record: None };
        ask(device, &Request::Forget { source: [7; 16] }, |reply| assert_eq!(reply, nothing));
        let learned = Reply::Learned { class: 2, new: true, supports: 1 };
        ask(device, &merge("new", 8), |reply| assert_eq!(reply, learned));
        ask(device, &Request::RemoveClass { class: 0 }, |reply| assert_eq!(reply, Reply::ClassRemoved { supports: 2 }));
        ask(device, &Request::Status, |reply| {
            let Reply::Status(status) = reply else { panic!("{reply:?}") };
            assert_eq!((status.now_s, status.classes, status.supports), (777, 2, 3));
            assert_eq!((status.classes_limit, status.supports_limit, status.wear.learned), (3, 5, 6));
            assert!(status.wear.learned_bytes >= 6 * 34 && status.wear.bytes_programmed > status.wear.learned_bytes);
        });
        let wrong = Request::FactoryReset { confirmation: "forget" };
        assert_eq!(refused(device, &wrong), (Reason::NotConfirmed, 0, 0));
        let reset = Request::FactoryReset { confirmation: "forget everything" };
        ask(device, &reset, |reply| assert_eq!(reply, Reply::Done));
        ask(device, &Request::Classes { from: 0 }, |reply| assert_eq!(reply, Reply::NoMoreClasses));
    });
}

#[test]
fn a_prediction_names_its_nearest_supports() {
    with_device(|device| {
        let feature = bytes([0, UNIT, 0]);
        let predict = |head, error_rate_permille| {
            let input = Input::Measured(&feature, 256);
            Request::Predict { input, head, error_rate_permille }
        };
        assert_eq!(refused(device, &predict(0, 200)), (Reason::NothingLearned, 0, 0));
        teach(device);
        assert_eq!(refused(device, &predict(4, 200)), (Reason::NoSuchHead, 4, 3));
        assert_eq!(refused(device, &predict(0, 0)), (Reason::ErrorRate, 0, 500));
        assert_eq!(refused(device, &predict(0, 501)), (Reason::ErrorRate, 501, 500));
        for head in 0..4 {
            ask(device, &predict(head, 500), |reply| {
                let Reply::Prediction(prediction) = reply else { panic!("{reply:?}") };
                let Prediction { class, probability, set, known, enough, shots_needed, nearest, .. } = prediction;
                assert_eq!((class, set, known, enough, shots_needed), (1, &[0b10][..], true, true, 1), "head {head}");
                assert!(probability > 0.5);
                let near = nearest[0].unwrap();
                assert_eq!((near.source, near.provenance.class, near.similarity), ([2; 16], 1, 1.0));
                assert_eq!(near.provenance, Provenance { class: 1, operator: 9, time_s: 100 });
            });
        }
        ask(device, &predict(0, 50), |reply| {
            let Reply::Prediction(prediction) = reply else { panic!("{reply:?}") };
            assert_eq!((prediction.enough, prediction.shots_needed, prediction.set), (false, 19, &[0b11][..]));
        });
        // Longer than the features of the corpus.
        let far = Request::Predict { input: Input::Measured(&feature, 301), head: 0, error_rate_permille: 100 };
        ask(device, &far, |reply| assert!(matches!(reply, Reply::Prediction(Prediction { known: false, .. }))));
        ask(device, &Request::Why { input: Input::Feature(&feature) }, |reply| {
            let Reply::Why { nearest } = reply else { panic!("{reply:?}") };
            let sources = nearest.map(|near| near.map_or(0, |near| near.source[0]));
            assert_eq!(sources, [2, 4, 3, 1, 0]);
        });
    });
}

const OF_B: OperatingPoint = OperatingPoint { class: 1, target: Target::Sensitivity { permille: 500 } };

fn set(point: Option<OperatingPoint>) -> Request<'static> {
    Request::SetOperatingPoint { point }
}

/// The operating point that the device reports.
fn point(device: &mut Device<'_>, request: &Request<'_>) -> Option<OperatingPointReport> {
    ask(device, request, |reply| match reply {
        Reply::OperatingPoint(report) => report,
        other => panic!("{request:?} is answered with {other:?}"),
    })
}

#[test]
fn an_operating_point_decides_and_goes_with_its_class() {
    with_device(|device| {
        assert_eq!(refused(device, &set(Some(OF_B))), (Reason::NoSuchClass, 1, 3));
        teach(device);
        let wrong = OperatingPoint { target: Target::Specificity { permille: 1000 }, ..OF_B };
        assert_eq!(refused(device, &set(Some(wrong))), (Reason::OperatingPoint, 1000, 999));
        assert_eq!(point(device, &Request::OperatingPoint), None);
        let report = point(device, &set(Some(OF_B))).unwrap();
        let threshold = report.threshold.unwrap();
        assert_eq!((report.point, threshold.positives, threshold.detected, threshold.negatives), (OF_B, 2, 2, 2));
        let programmed = |device: &mut Device<'_>| {
            ask(device, &Request::Status, |reply| match reply {
                Reply::Status(status) => (status.wear.bytes_programmed, status.revision),
                other => panic!("{other:?}"),
            })
        };
        let before = programmed(device);
        assert_eq!(point(device, &set(Some(OF_B))), Some(report));
        assert_eq!(programmed(device), before, "a repeated request writes nothing");

        let (like_b, like_a) = (bytes([0, UNIT, 0]), bytes([UNIT, 0, 0]));
        let decide = |feature, point| Request::Decide {
            input: Input::Feature(feature),
            head: 0,
            error_rate_permille: 500,
            point,
        };
        let costs = OperatingPoint { target: Target::Costs { missed: 1, false_alarm: 1 }, class: 0 };
        for (feature, given, positive) in [
            (&like_b, None, true),
            (&like_a, None, false),
            (&like_b, Some(OF_B), true),
            (&like_b, Some(costs), false),
            (&like_a, Some(costs), true),
        ] {
            let predict = Request::Predict { input: Input::Feature(feature), head: 0, error_rate_permille: 500 };
            let plain = ask(device, &predict, |reply| format!("{reply:?}"));
            ask(device, &decide(feature, given), |reply| {
                let Reply::Decision { prediction, point, decision: Some(decision) } = reply else {
                    panic!("{reply:?}")
                };
                assert_eq!(format!("{:?}", Reply::Prediction(prediction)), plain, "as without an operating point");
                let point = point.unwrap();
                assert_eq!((point.point, decision.positive), (given.unwrap_or(OF_B), positive));
                assert_eq!(decision.positive, point.threshold.unwrap().is_positive(decision.score));
            });
        }
        assert_eq!(
            refused(device, &decide(&like_b, Some(OperatingPoint { class: 2, ..OF_B }))),
            (Reason::NoSuchClass, 2, 3)
        );
        assert_eq!(refused(device, &decide(&like_b, Some(wrong))), (Reason::OperatingPoint, 1000, 999));

        // The threshold follows the supports: without one of b only the other is left, which has no score.
        let forget = |source| Request::Forget { source: [source; 16] };
        ask(device, &forget(2), |reply| assert!(matches!(reply, Reply::Forgotten { record: Some(_) })));
        assert_eq!(
            point(device, &Request::OperatingPoint),
            Some(OperatingPointReport { point: OF_B, threshold: None })
        );
        ask(device, &decide(&like_b, None), |reply| {
            assert!(matches!(reply, Reply::Decision { point: Some(_), decision: None, .. }), "{reply:?}");
        });
        ask(device, &Request::RemoveClass { class: 0 }, |reply| assert!(matches!(reply, Reply::ClassRemoved { .. })));
        assert!(point(device, &Request::OperatingPoint).is_some());
        ask(device, &Request::RemoveClass { class: 1 }, |reply| assert!(matches!(reply, Reply::ClassRemoved { .. })));
        assert_eq!(point(device, &Request::OperatingPoint), None);
    });
}

#[test]
fn an_operating_point_outlives_a_restart_but_not_a_reset() {
    let mut board = Board::new(SHAPE, ANY_BUNDLE);
    let expected = {
        let mut device = board.start(Thirds).unwrap();
        teach(&mut device);
        point(&mut device, &set(Some(OF_B)))
    };
    {
        let mut device = board.start(Thirds).unwrap();
        assert_eq!(point(&mut device, &Request::OperatingPoint), expected);
        assert_eq!(point(&mut device, &set(None)), None);
    }
    {
        let mut device = board.start(Thirds).unwrap();
        assert_eq!(point(&mut device, &Request::OperatingPoint), None);
        point(&mut device, &set(Some(OF_B)));
        let reset = Request::FactoryReset { confirmation: "forget everything" };
        ask(&mut device, &reset, |reply| assert_eq!(reply, Reply::Done));
        assert_eq!(point(&mut device, &Request::OperatingPoint), None);
        ["a", "b"].iter().for_each(|name| ask(&mut device, &Request::AddClass { name }, |_| ()));
        assert_eq!(point(&mut device, &Request::OperatingPoint), None);
    }
    assert_eq!(point(&mut board.start(Thirds).unwrap(), &Request::OperatingPoint), None);
}

#[test]
fn a_state_is_exported_and_merged_part_by_part() {
    let (mut first, mut second) = (Board::new(SHAPE, ANY_BUNDLE), Board::new(SHAPE, ANY_BUNDLE));
    let (mut from, mut to) = (first.start(Thirds).unwrap(), second.start(Thirds).unwrap());
    teach(&mut from);
    let mut names = [const { String::new() }; 3];
    let mut cursor = 0;
    let sha256 = loop {
        let (next, done) = ask(&mut from, &Request::ExportState { cursor }, |reply| match reply {
            Reply::State { next, part: StatePart::Class { class, name }, .. } => {
                names[usize::from(class)] = name.to_owned();
                (next, None)
            }
            Reply::State { next, part: StatePart::Support { source, provenance, feature }, .. } => {
                let Provenance { class, operator, time_s } = provenance;
                let name = &names[usize::from(class)];
                let merge = Request::MergeState { name, source, operator, time_s, feature };
                ask(&mut to, &merge, |reply| assert!(matches!(reply, Reply::Learned { new: true, .. }), "{reply:?}"));
                (next, None)
            }
            Reply::State { next, part: StatePart::End { sha256 }, .. } => (next, Some(sha256)),
            other => panic!("{other:?}"),
        });
        cursor = next;
        if let Some(sha256) = done {
            break sha256;
        }
    };
    assert_eq!(to.state(), from.state());
    assert_eq!(refused(&mut from, &Request::ExportState { cursor: cursor + 1 }), (Reason::Cursor, 8, 7));
    ask(&mut to, &Request::ExportState { cursor }, |reply| {
        assert_eq!(reply, Reply::State { revision: 6, next: cursor, part: StatePart::End { sha256 } });
    });
}

#[test]
fn a_self_test_passes_and_finds_damage() {
    with_device(|device| {
        teach(device);
        let outcomes = |device: &mut Device<'_>| {
            ask(device, &Request::SelfTest, |reply| match reply {
                Reply::SelfTest(test) => {
                    [test.store, test.supports, test.encoder, test.memory].map(|test| test.outcome)
                }
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(outcomes(device), [Outcome::Passed; 4]);
        // A flipped bit of the flash: store and memory differ.
        let flash = device.session.flash_mut();
        let rotten =
            flash.bytes().windows(16).position(|window| window == [2; 16]).expect("source 2 lies in the flash");
        flash.rot(8 * (rotten + 20));
        let damaged = ask(device, &Request::SelfTest, |reply| match reply {
            Reply::SelfTest(test) => test.store.outcome == Outcome::Failed,
            Reply::Refused(refusal) => refusal.reason() == Some(Reason::StoreFault),
            other => panic!("{other:?}"),
        });
        assert!(damaged);
    });
}

/// Bytes as the document writes them: `0a ff`, and `11×16` for sixteen times 11.
fn documented(cell: &str) -> Vec<u8> {
    let byte = |text: &str| u8::from_str_radix(text, 16).unwrap_or_else(|_| panic!("{text} in {cell}"));
    let expand = |word: &str| match word.split_once('×') {
        Some((value, count)) => vec![byte(value); count.parse().unwrap()],
        None => vec![byte(word)],
    };
    cell.trim_matches(['`', ' ', '|']).split_whitespace().flat_map(expand).collect()
}

/// The bytes before the message of a frame, and the message.
fn packet(frame: &[u8]) -> ([u8; 9], Vec<u8>) {
    let mut memory = [0; 512];
    let mut reader = FrameReader::new(&mut memory);
    let packet = frame.iter().find_map(|&byte| reader.push(byte).map(|packet| packet.unwrap().to_vec())).unwrap();
    (packet[..9].try_into().unwrap(), packet[9..].to_vec())
}

fn frame(header: [u8; 9], message: &[u8]) -> Vec<u8> {
    let mut packet = [&header, message, &[0; CHECKSUM_LEN]].concat();
    let mut frame = Vec::new();
    send_frame(&mut packet, &mut |piece| frame.extend_from_slice(piece));
    frame
}

/// The version of the program in a hello is not compared: it changes with each release.
fn without_version(message: &[u8]) -> Vec<u8> {
    match Reply::parse(message) {
        Ok(Reply::Hello(hello)) => {
            let mut written = [0; 256];
            let len = Reply::Hello(HelloReply { program_version: "0.1.0", ..hello }).write(&mut written).unwrap();
            written[..len].to_vec()
        }
        _ => message.to_vec(),
    }
}

#[test]
fn the_conversation_in_the_document_takes_place() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md")).unwrap();
    let section = document.split("\n## A conversation\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<Vec<&str>> = section
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 18 && rows.len().is_multiple_of(2), "{rows:?}");
    with_device(|device| {
        for pair in rows.chunks(2) {
            let [host, reply] = pair else { panic!("{pair:?}") };
            assert_eq!((host[0], reply[0]), ("host", "device"));
            let sent = documented(host[3]);
            assert_eq!(packet(&sent).1, documented(host[2]), "{}", host[1]);
            let (header, message) = packet(&device.receive(&sent));
            let message = without_version(&message);
            assert_eq!(message, documented(reply[2]), "the reply to '{}' is {message:02x?}", host[1]);
            let expected = frame(header, &message);
            assert_eq!(documented(reply[3]), expected, "the reply to '{}' is {expected:02x?}", host[1]);
            assert_eq!(frame(packet(&sent).0, &documented(host[2])), sent, "{}", host[1]);
        }
    });
}
