//! Requests to a device, which is then restarted. Each request is a byte for its kind and its fields.

use macula_edge::encoder::FeaturesOnly;
use macula_edge::feature::quantise;
use macula_edge::protocol::message::{FORGETTING_CONFIRMATION, Input as Sample, RESET_CONFIRMATION};
use macula_edge::protocol::{Reply, Request};
use macula_firmware_sim::board::{ANY_BUNDLE, Board, Running, Shape};

use sha2::{Digest, Sha256};

use crate::Outcome;
use crate::input::Input;

/// Dimensions of a feature.
const DIM: usize = 4;
/// Requests of one input at most.
const REQUESTS_MAX: usize = 64;
/// Content of bundles; the board accepts any.
const BUNDLE: [u8; 256] = [0xAB; 256];
const NAMES: [&str; 6] = ["nodule", "vessel", "Ödem", "no finding", "scar", ""];

/// Sends the requests that `data` describes. The state of the board is the same after a restart.
pub fn run(data: &[u8]) -> Outcome {
    let shape = Shape { store_blocks: 3, slot_blocks: 2, classes: 4, supports: 12, ..Shape::features_only(DIM) };
    let mut board = Board::new(shape, ANY_BUNDLE);
    let encoder = shape.features();
    let mut input = Input::new(data);
    let (mut accepted, mut last) = (0, None);
    // Twice, so that the second start reads what the first wrote.
    for _ in 0..2 {
        let mut running = board.start(encoder).expect("a board starts with its own store");
        if let Some(last) = last {
            assert_eq!(running.state(), last, "a start changed the support set");
        }
        for _ in 0..REQUESTS_MAX {
            if input.is_empty() {
                break;
            }
            accepted += usize::from(request(&mut running, &mut input));
        }
        last = Some(running.state());
    }
    let mut running = board.start(encoder).expect("a board starts with its own store");
    assert_eq!(Some(running.state()), last, "a start changed the support set");
    assert_eq!(answer(&mut running, &Request::SelfTest), Outcome::Accepted);
    if accepted > 0 { Outcome::Accepted } else { Outcome::Refused }
}

/// Sends the next request; returns whether it was carried out.
fn request(running: &mut Running<'_, FeaturesOnly>, input: &mut Input<'_>) -> bool {
    let kind = input.byte();
    let (class, name) = (input.byte(), NAMES[usize::from(kind >> 5) % NAMES.len()]);
    let source = [class & 15; 16];
    let feature = feature(class);
    let sample = if kind & 0x20 == 0 { Sample::Feature(&feature) } else { Sample::Measured(&feature, 300) };
    let (class, from) = (class % 5, u32::from(class));
    let request = match kind & 31 {
        0 | 1 => Request::AddClass { name },
        2..=7 => Request::Learn { class, source, operator: 1, time_s: 2, input: sample },
        8 | 9 => Request::Forget { source },
        10 => Request::Predict { input: sample, head: class, error_rate_permille: input.u16() % 600 },
        11 => Request::Why { input: sample },
        12 => Request::MergeState { name, source, operator: 1, time_s: 2, feature: &feature },
        13 => Request::RenameClass { class, name },
        14 => Request::RemoveClass { class },
        15 => Request::ExportState { cursor: from },
        16 => Request::Classes { from: class },
        17 => Request::Status,
        18 => Request::BundleBegin { len: from, sha256: Sha256::digest(&BUNDLE[..from as usize]).into() },
        19 => Request::BundleChunk { offset: input.byte().into(), bytes: &BUNDLE[..from as usize] },
        20 => Request::BundleCommit,
        21 => Request::BundleCommitForgetting { confirmation: FORGETTING_CONFIRMATION },
        22 => Request::Bundles,
        23 => Request::FactoryReset { confirmation: RESET_CONFIRMATION },
        24 => Request::ImageBegin { width: input.u16(), height: input.u16(), channels: class },
        25 => Request::ImageChunk { offset: input.u32(), bytes: input.take(from as usize) },
        26 => Request::Embed { input: if from & 1 == 0 { sample } else { Sample::Image } },
        27 => Request::Hello { version: class },
        28 => {
            let (source, feature) = (*b"any 16 bytes as ", input.take(2 * DIM));
            Request::Learn { class, source, operator: 0, time_s: 0, input: Sample::Feature(feature) }
        }
        29 => Request::SelfTest,
        _ => return check(&running.answer(input.take(from as usize))) == Outcome::Accepted,
    };
    answer(running, &request) == Outcome::Accepted
}

fn answer(running: &mut Running<'_, FeaturesOnly>, request: &Request<'_>) -> Outcome {
    let mut message = [0; 512];
    let len = request.write(&mut message).expect("there is room for any request");
    check(&running.answer(&message[..len]))
}

fn check(reply: &[u8]) -> Outcome {
    match Reply::parse(reply).expect("a device answers with a reply") {
        Reply::Refused(_) => Outcome::Refused,
        _ => Outcome::Accepted,
    }
}

/// One of 16 features of length 1.
fn feature(number: u8) -> Vec<u8> {
    let values = [0, 1, 2, 3].map(|bit| if number >> bit & 1 == 0 { 1.0 } else { -0.25 });
    let mut quantised = [0; DIM];
    quantise(&values, None, &mut quantised).expect("it has a direction");
    quantised.iter().flat_map(|value: &i16| value.to_le_bytes()).collect()
}
