//! A new bundle arrives in parts, through power cuts, and is used only once it is whole, checked and committed.
#![expect(clippy::print_stdout, reason = "counts of power cuts, shown with --nocapture")]

use macula_edge::encoder::FeaturesOnly;
use macula_edge::protocol::message::Status;
use macula_edge::protocol::{Reason, Reply, Request};
use macula_firmware_sim::board::{BLOCK, Board, Running, Shape};
use macula_firmware_sim::flash::Cut;
use macula_firmware_sim::seed::Seed;
use sha2::{Digest, Sha256};

const DIM: usize = 8;
const SHAPE: Shape = Shape { slot_blocks: 4, ..Shape::features_only(DIM) };

/// Accepts what begins with `good`, read by its parts.
fn accept(slot: u8, len: u32, read: &mut dyn FnMut(u32, &mut [u8]) -> bool) -> Result<(), u32> {
    assert!(slot < 2);
    let (mut head, mut last) = ([0; 4], [0; 1]);
    assert!(read(0, &mut head) && read(len - 1, &mut last) && !read(len, &mut last), "exactly the bundle can be read");
    if head == *b"good" { Ok(()) } else { Err(77) }
}

fn bundle(head: &[u8; 4], len: usize, seed: u64) -> Vec<u8> {
    let mut seed = Seed::new(seed);
    let mut bytes: Vec<u8> = (0..len).map(|_| seed.next_u64() as u8).collect();
    bytes[..4].copy_from_slice(head);
    bytes
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

type Device<'b> = Running<'b, FeaturesOnly>;

/// What a reply says: an offset, a slot, or why not. `None` where the power failed.
#[derive(Debug, PartialEq)]
enum Said {
    Next(u32),
    Taken(u8),
    Refused(Reason, u64, u64),
}

fn ask(device: &mut Device<'_>, request: &Request<'_>) -> Option<Said> {
    let mut message = [0; 512];
    let len = request.write(&mut message).unwrap();
    let reply = device.answer(&message[..len]);
    if device.is_off() {
        return None;
    }
    match Reply::parse(&reply).unwrap() {
        Reply::Bundle { next } => Some(Said::Next(next)),
        Reply::BundleTaken { slot } => Some(Said::Taken(slot)),
        Reply::Refused(refusal) => Some(Said::Refused(refusal.reason().unwrap(), refusal.found, refusal.limit)),
        other => panic!("{other:?}"),
    }
}

/// Sends the whole bundle and commits, going on from where the device says; in parts of `part` bytes.
fn send(device: &mut Device<'_>, bytes: &[u8], part: usize) -> Option<Said> {
    let begin = Request::BundleBegin { len: bytes.len() as u32, sha256: sha256(bytes) };
    let mut said = ask(device, &begin)?;
    while let Said::Next(next) = said {
        let rest = &bytes[next as usize..];
        if rest.is_empty() {
            return ask(device, &Request::BundleCommit);
        }
        let request = Request::BundleChunk { offset: next, bytes: &rest[..rest.len().min(part)] };
        said = ask(device, &request)?;
        assert_ne!(said, Said::Next(next), "it goes on");
    }
    Some(said)
}

fn status(device: &mut Device<'_>) -> Status {
    let mut message = [0; 8];
    let len = Request::Status.write(&mut message).unwrap();
    match Reply::parse(&device.answer(&message[..len])) {
        Ok(Reply::Status(status)) => status,
        other => panic!("{other:?}"),
    }
}

fn slots(device: &mut Device<'_>) -> [u8; 2] {
    let status = status(device);
    [status.bundle_slot, status.bundle_slot_next]
}

#[test]
fn two_bundles_take_turns() {
    let mut board = Board::new(SHAPE, accept);
    // Parts that end within a word of the flash, and a bundle that does.
    let (first, second) = (bundle(b"good", 9001, 1), bundle(b"good", 4 * BLOCK, 2));
    let mut device = board.start(SHAPE.features()).unwrap();
    assert_eq!(slots(&mut device), [0, 0]);
    assert_eq!(send(&mut device, &first, 100), Some(Said::Taken(1)));
    assert_eq!(slots(&mut device), [0, 1], "not before the next start");
    assert_eq!(ask(&mut device, &Request::BundleCommit), Some(Said::Taken(1)), "asked again");
    assert_eq!(send(&mut device, &first, 100), Some(Said::Taken(1)), "sent again: it is here");
    assert_eq!(&board.slot(1)[..first.len()], first);
    let mut device = board.start(SHAPE.features()).unwrap();
    assert_eq!(slots(&mut device), [1, 1]);
    assert_eq!(send(&mut device, &second, 239), Some(Said::Taken(0)));
    assert_eq!((board.slot(0), &board.slot(1)[..first.len()]), (&second[..], &first[..]));
    assert_eq!(slots(&mut board.start(SHAPE.features()).unwrap()), [0, 0]);
}

#[test]
fn a_pending_bundle_is_not_used_while_another_overwrites_it() {
    let mut board = Board::new(SHAPE, accept);
    let mut device = board.start(SHAPE.features()).unwrap();
    assert_eq!(send(&mut device, &bundle(b"good", 5000, 1), 200), Some(Said::Taken(1)));
    let other = bundle(b"good", 6000, 2);
    let begin = Request::BundleBegin { len: 6000, sha256: sha256(&other) };
    assert_eq!(ask(&mut device, &begin), Some(Said::Next(0)));
    assert_eq!(slots(&mut device), [0, 0], "its slot is about to be erased");
    let mut device = board.start(SHAPE.features()).unwrap();
    assert_eq!(slots(&mut device), [0, 0]);
    assert_eq!(send(&mut device, &other, 200), Some(Said::Taken(1)));
}

#[test]
fn a_factory_reset_keeps_the_bundle() {
    let mut board = Board::new(SHAPE, accept);
    let mut device = board.start(SHAPE.features()).unwrap();
    assert_eq!(send(&mut device, &bundle(b"good", 5000, 1), 200), Some(Said::Taken(1)));
    let mut device = board.start(SHAPE.features()).unwrap();
    let mut message = [0; 64];
    let len = Request::FactoryReset { confirmation: "forget everything" }.write(&mut message).unwrap();
    assert_eq!(Reply::parse(&device.answer(&message[..len])), Ok(Reply::Done));
    assert_eq!(slots(&mut device), [1, 1]);
    assert_eq!(slots(&mut board.start(SHAPE.features()).unwrap()), [1, 1]);
}

#[test]
fn refusals_beside_an_acceptance() {
    let mut board = Board::new(SHAPE, accept);
    let mut device = board.start(SHAPE.features()).unwrap();
    let (bytes, bad) = (bundle(b"good", 5000, 1), bundle(b"bad!", 5000, 1));
    let limit = 4 * BLOCK as u64;
    let refused = |reason, found, limit| Some(Said::Refused(reason, found, limit));
    let begin = |len, hash| Request::BundleBegin { len, sha256: hash };
    assert_eq!(ask(&mut device, &Request::BundleCommit), refused(Reason::BundleMissing, 0, 0));
    let chunk = |offset, bytes| Request::BundleChunk { offset, bytes };
    assert_eq!(ask(&mut device, &chunk(0, &[1; 8])), refused(Reason::BundleMissing, 0, 0));
    assert_eq!(ask(&mut device, &begin(0, [0; 32])), refused(Reason::BundleBytes, 0, limit));
    assert_eq!(ask(&mut device, &begin(limit as u32 + 1, [0; 32])), refused(Reason::BundleBytes, limit + 1, limit));
    assert_eq!(ask(&mut device, &begin(5000, sha256(&bytes))), Some(Said::Next(0)));
    assert_eq!(ask(&mut device, &chunk(8, &[1; 8])), refused(Reason::BundleOffset, 8, 0));
    assert_eq!(ask(&mut device, &chunk(0, &bytes[..80])), Some(Said::Next(80)));
    assert_eq!(ask(&mut device, &chunk(0, &bytes[..80])), Some(Said::Next(80)), "a part that was taken");
    assert_eq!(
        ask(&mut device, &chunk(u32::MAX, &[1; 8])),
        refused(Reason::BundleOffset, u64::from(u32::MAX) + 8, 5000)
    );
    assert_eq!(ask(&mut device, &Request::BundleCommit), refused(Reason::BundleMissing, 80, 5000));

    // Announced as one thing, sent as another.
    let mut changed = bytes.clone();
    changed[4000] ^= 1;
    let mut next = 80;
    while next < 5000 {
        let part = &changed[next..5000.min(next + 240)];
        let Some(Said::Next(there)) = ask(&mut device, &chunk(next as u32, part)) else { panic!("at {next}") };
        next = there as usize;
    }
    assert_eq!(ask(&mut device, &Request::BundleCommit), refused(Reason::BundleHash, 0, 0));
    assert_eq!(ask(&mut device, &Request::BundleCommit), refused(Reason::BundleMissing, 0, 0), "it is dropped");
    assert_eq!(send(&mut device, &bad, 240), refused(Reason::BundleRefused, 77, 0));
    assert_eq!(slots(&mut device), [0, 0]);
    assert_eq!(send(&mut device, &bytes, 240), Some(Said::Taken(1)));
    assert_eq!(slots(&mut device), [0, 1]);

    let none = Shape { slot_blocks: 0, ..SHAPE };
    let mut board = Board::new(none, accept);
    let mut device = board.start(none.features()).unwrap();
    assert_eq!(ask(&mut device, &begin(10, [0; 32])), refused(Reason::NoBundles, 0, 0));
    assert_eq!(slots(&mut device), [255, 255]);
}

/// The power fails at each operation in turn: the old bundle or the new one is used, the new one only when whole; and
/// a transfer that was cut goes on with what was safe.
#[test]
fn power_cuts_at_every_operation() {
    let new = bundle(b"good", 10_001, 3);
    let (mut cuts, mut went_on) = (0, 0);
    for style in 0..3 {
        for at in 0.. {
            let mut board = Board::new(SHAPE, accept);
            let mut device = board.start(SHAPE.features()).unwrap();
            let flash = device.session.flash_mut();
            let cut = [Cut::Clean, Cut::Torn(at), Cut::Subset(at.wrapping_mul(0x9E37_79B9_7F4A_7C15))][style];
            let first = flash.operations;
            flash.cut_at(first + at, cut);
            let said = send(&mut device, &new, 240);
            if said == Some(Said::Taken(1)) && !board.flash.is_off() {
                break;
            }
            cuts += 1;
            let mut device = board.start(SHAPE.features()).unwrap_or_else(|error| panic!("cut {at} {cut:?}: {error}"));
            let used = status(&mut device);
            assert_eq!(used.bundle_slot, used.bundle_slot_next);
            went_on += u32::from(used.bundle_received > 0);
            if used.bundle_slot == 1 {
                assert_eq!(&board.slot(1)[..new.len()], new, "cut {at} {cut:?}: used before it is whole");
                continue;
            }
            assert_eq!(send(&mut device, &new, 240), Some(Said::Taken(1)), "cut {at} {cut:?}");
            assert_eq!(&board.slot(1)[..new.len()], new);
            assert_eq!(slots(&mut board.start(SHAPE.features()).unwrap()), [1, 1]);
        }
    }
    println!("{cuts} power cuts while a bundle arrived, {went_on} transfers went on where they were");
    assert!(cuts > 250 && went_on > 100);
}

/// The encoder a bundle holds: its dimension in byte 4, the rest is its name.
fn encoder(bundle: &[u8]) -> Option<FeaturesOnly> {
    let identity = bundle[..16].try_into().unwrap();
    bundle.starts_with(b"good").then(|| FeaturesOnly { identity, dim: bundle[4].into() })
}

/// Starts the board as a board does: first which bundle, then its encoder, then the store.
fn start(board: &mut Board) -> Result<(u8, Device<'_>), macula_edge::store::StoreError> {
    let slot = board.slot_to_start(|bytes| encoder(bytes).map(|encoder| encoder.identity))?;
    let encoder = encoder(board.slot(slot)).unwrap_or(SHAPE.features());
    Ok((slot, board.start_in(slot, encoder)?))
}

#[test]
fn a_new_encoder_starts_with_a_store_of_its_own() {
    let mut new = bundle(b"good", 5000, 1);
    new[4] = 12;
    for at in 0.. {
        let mut board = Board::new(SHAPE, accept);
        let (slot, mut device) = start(&mut board).unwrap();
        assert_eq!((slot, device.session.taught().dim()), (0, DIM));
        let mut message = [0; 64];
        let len = Request::AddClass { name: "old" }.write(&mut message).unwrap();
        device.answer(&message[..len]);
        assert_eq!(send(&mut device, &new, 200), Some(Said::Taken(1)));
        // The power fails while the store is made anew.
        let first = board.flash.operations;
        let slot = board.slot_to_start(|bytes| encoder(bytes).map(|encoder| encoder.identity)).unwrap();
        board.flash.cut_at(first + at, Cut::Torn(at));
        let _ = board.start_in(slot, encoder(board.slot(slot)).unwrap());
        let was_cut = board.flash.is_off();
        let (slot, mut device) = start(&mut board).unwrap();
        assert_eq!((slot, device.session.taught().dim()), (1, 12), "cut {at}");
        assert_eq!(slots(&mut device), [1, 1]);
        assert!(device.session.taught().names().iter().all(|name| name.is_free()), "taught with another encoder");
        if !was_cut {
            assert!(at > 5, "making a store anew takes more than {at} operations");
            return;
        }
    }
}
