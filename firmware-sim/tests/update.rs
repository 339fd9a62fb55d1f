//! A new bundle is received in parts, through power cuts, and tried only when it is complete, checked and committed. It is
//! confirmed, or the board rolls back. Classes and supports stay.
#![expect(clippy::print_stdout, reason = "counts of power cuts, shown with --nocapture")]

use ed25519_dalek::{Signer, SigningKey};
use macula_edge::bundle::{BundleError, HEADER_LEN, PART_LEN, PartKind, PublicKey, SIGNATURE_LEN, verify, write};
use macula_edge::encoder::FeaturesOnly;
use macula_edge::protocol::message::{
    BundleReport, Candidate, CandidateState, FORGETTING_CONFIRMATION, Input, RollbackReason, Status,
};
use macula_edge::protocol::{Reason, Reply, Request};
use macula_edge::session::{ATTEMPTS_MAX, Bundle, BundleSummary};
use macula_edge::store::StoreError;
use macula_firmware_sim::board::{BLOCK, Board, Running, Shape};
use macula_firmware_sim::flash::Cut;
use macula_firmware_sim::seed::Seed;
use sha2::{Digest, Sha256};

const DIM: usize = 8;
const SHAPE: Shape = Shape { slot_blocks: 4, ..Shape::features_only(DIM) };

/// The content of test bundles: signed like real ones, with a few bytes for manifest and encoder.
#[derive(Clone, Copy)]
struct Head {
    /// Whether a key signed it that the board trusts.
    trusted: bool,
    counter: u8,
    /// Identity of its encoder.
    dim: u8,
    /// Whether its golden images pass.
    golden: bool,
}

const GOOD: Head = Head { trusted: true, counter: 0, dim: DIM as u8, golden: true };

fn key(trusted: bool) -> SigningKey {
    SigningKey::from_bytes(&[trusted.into(); 32])
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

/// Accepts bundles that a trusted key signed.
fn accept(slot: u8, len: u32, read: &mut dyn FnMut(u32, &mut [u8]) -> bool) -> Result<BundleSummary, u32> {
    assert!(slot < 2);
    let mut last = [0; 1];
    assert!(read(len - 1, &mut last) && !read(len, &mut last), "exactly the bundle can be read");
    let (encoder, counter, _) = parse(len, read).map_err(|error| error.code())?;
    Ok(BundleSummary { identity: encoder.identity, counter })
}

/// The encoder of a verified bundle, its counter, and whether its golden images pass.
fn parse(len: u32, read: &mut dyn FnMut(u32, &mut [u8]) -> bool) -> Result<(FeaturesOnly, u64, bool), BundleError> {
    let header = verify(len, read, &[public(&key(true))])?;
    let mut manifest = [0; 2];
    assert!(read(header.needed(PartKind::Manifest)?.start, &mut manifest));
    let [dim, golden] = manifest;
    let identity = if usize::from(dim) == DIM { SHAPE.features().identity } else { [dim; 16] };
    Ok((FeaturesOnly { identity, dim: dim.into() }, header.counter, golden == 1))
}

/// The bundle of a start; a board without a factory bundle has its encoder in its firmware.
fn parse_slot(board: &Board, bundle: Bundle) -> (FeaturesOnly, u64, bool) {
    let slot = board.slot(bundle.slot);
    // A factory bundle states its own length.
    let len = if bundle.len > 0 { bundle.len } else { u32::from_le_bytes(slot[12..16].try_into().unwrap()) };
    let mut read = |at: u32, into: &mut [u8]| {
        let found = slot.get(at as usize..).and_then(|rest| rest.get(..into.len()));
        found.map(|found| into.copy_from_slice(found)).is_some()
    };
    parse(len, &mut read).unwrap_or((SHAPE.features(), 0, true))
}

/// A bundle of `len` bytes.
fn bundle(head: Head, len: usize, seed: u64) -> Vec<u8> {
    let mut seed = Seed::new(seed);
    let encoder: Vec<u8> = (0..len - BUNDLE_HEAD).map(|_| seed.next_u64() as u8).collect();
    let manifest = [head.dim, head.golden.into()];
    let (key, mut bytes) = (key(head.trusted), Vec::new());
    let parts: [(PartKind, &[u8]); 2] = [(PartKind::Manifest, &manifest), (PartKind::Blob, &encoder)];
    let sign = |signed: &[u8]| key.sign(signed).to_bytes();
    write(&parts, head.counter.into(), public(&key), sign, &mut |piece| bytes.extend_from_slice(piece)).unwrap();
    assert_eq!(bytes.len(), len);
    bytes
}

/// Error number: the key is not trusted.
const UNKNOWN_KEY: u64 = 6;

/// Error number: a part does not match its hash.
const OTHER_PART: u64 = 10;

/// Bytes of a bundle of two parts before the second one.
const BUNDLE_HEAD: usize = HEADER_LEN + 2 * PART_LEN + SIGNATURE_LEN + 16;

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

type Device<'b> = Running<'b, FeaturesOnly>;

/// The content of a reply: an offset, a slot, or a reason. `None` after a power cut.
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

/// Sends a bundle in parts of `part` bytes, from where the device continues, and commits it.
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
fn two_bundles_alternate_between_the_slots() {
    let mut board = Board::new(SHAPE, accept);
    // Parts and a bundle that end inside a flash word.
    let (first, second) = (bundle(GOOD, 9001, 1), bundle(Head { counter: GOOD.counter + 1, ..GOOD }, 4 * BLOCK, 2));
    let mut device = board.start(SHAPE.features()).unwrap();
    assert_eq!(slots(&mut device), [0, 0]);
    assert_eq!(send(&mut device, &first, 100), Some(Said::Taken(1)));
    assert_eq!(slots(&mut device), [0, 1], "not before the next start");
    assert_eq!(ask(&mut device, &Request::BundleCommit), Some(Said::Taken(1)), "committed again");
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
    assert_eq!(send(&mut device, &bundle(GOOD, 5000, 1), 200), Some(Said::Taken(1)));
    let other = bundle(GOOD, 6000, 2);
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
    assert_eq!(send(&mut device, &bundle(GOOD, 5000, 1), 200), Some(Said::Taken(1)));
    let mut device = board.start(SHAPE.features()).unwrap();
    let mut message = [0; 64];
    let len = Request::FactoryReset { confirmation: "forget everything" }.write(&mut message).unwrap();
    assert_eq!(Reply::parse(&device.answer(&message[..len])), Ok(Reply::Done));
    assert_eq!(slots(&mut device), [1, 1]);
    assert_eq!(slots(&mut board.start(SHAPE.features()).unwrap()), [1, 1]);
}

#[test]
fn transfers_out_of_order_are_refused() {
    let mut board = Board::new(SHAPE, accept);
    let mut device = board.start(SHAPE.features()).unwrap();
    let (bytes, bad) = (bundle(GOOD, 5000, 1), bundle(Head { trusted: false, ..GOOD }, 5000, 1));
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

    // The sent bundle is not the announced one.
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
    assert_eq!(send(&mut device, &bad, 240), refused(Reason::BundleRefused, UNKNOWN_KEY, 0));
    assert_eq!(slots(&mut device), [0, 0]);
    assert_eq!(send(&mut device, &bytes, 240), Some(Said::Taken(1)));
    assert_eq!(slots(&mut device), [0, 1]);

    let none = Shape { slot_blocks: 0, ..SHAPE };
    let mut board = Board::new(none, accept);
    let mut device = board.start(none.features()).unwrap();
    assert_eq!(ask(&mut device, &begin(10, [0; 32])), refused(Reason::NoBundles, 0, 0));
    assert_eq!(slots(&mut device), [255, 255]);
}

/// Starts the board: selects the bundle, tests its encoder with the golden images, opens the store.
fn switch_on(board: &mut Board) -> Result<Device<'_>, StoreError> {
    let mut start = board.begin_start()?;
    loop {
        let (encoder, counter, golden) = parse_slot(board, start.bundle);
        let why = match golden {
            true if board.would_forget(start, encoder.identity)? => RollbackReason::WouldForget,
            true => return board.start_with(start, encoder, counter),
            false => RollbackReason::Golden,
        };
        assert!(start.is_pending, "{why:?}: there is nothing to go back to");
        start = board.roll_back(why)?;
    }
}

/// Teaches two classes before an update.
fn teach(device: &mut Device<'_>) -> Vec<u8> {
    for (class, name) in ["nodule", "vessel"].into_iter().enumerate() {
        answered(device, &Request::AddClass { name });
        for number in 0..3 {
            let mut feature = [0; 2 * DIM];
            feature[4 * class + 2 * (number % 2)..][..2].copy_from_slice(&i16::MAX.to_le_bytes());
            let (source, input) = ([(10 * class + number) as u8 + 1; 16], Input::Feature(&feature));
            answered(device, &Request::Learn { class: class as u8, source, operator: 1, time_s: 1, input });
        }
    }
    device.state()
}

/// Sends a request that must not be refused; `None` after a power cut.
fn answered(device: &mut Device<'_>, request: &Request<'_>) -> Option<Vec<u8>> {
    let mut message = [0; 512];
    let len = request.write(&mut message).unwrap();
    let reply = device.answer(&message[..len]);
    let refused = matches!(Reply::parse(&reply), Ok(Reply::Refused(_)));
    assert!(!refused || device.is_off(), "{:?}", Reply::parse(&reply));
    (!device.is_off()).then_some(reply)
}

/// Checks that the device predicts.
fn serves(device: &mut Device<'_>) {
    let mut feature = [0; 2 * DIM];
    feature[4..6].copy_from_slice(&i16::MAX.to_le_bytes());
    let request = Request::Predict { input: Input::Feature(&feature), head: 1, error_rate_permille: 100 };
    let reply = answered(device, &request).unwrap();
    assert!(matches!(Reply::parse(&reply), Ok(Reply::Prediction(answer)) if answer.class == 1), "{reply:?}");
}

fn bundles(device: &mut Device<'_>) -> BundleReport {
    let reply = answered(device, &Request::Bundles).unwrap();
    match Reply::parse(&reply) {
        Ok(Reply::Bundles(report)) => report,
        other => panic!("{other:?}"),
    }
}

/// A board with two classes that runs its factory bundle.
fn board_with_classes(old: &[u8]) -> (Board, Vec<u8>) {
    let mut board = Board::new(SHAPE, accept);
    board.program(old).unwrap();
    let state = teach(&mut switch_on(&mut board).unwrap());
    (board, state)
}

/// Restarts after power cuts until the board serves.
fn restart(board: &mut Board) -> Device<'_> {
    switch_on(board).unwrap_or_else(|error| panic!("neither the old bundle nor the new one: {error}"))
}

const STYLES: usize = 3;

fn cut(style: usize, at: u64) -> Cut {
    [Cut::Clean, Cut::Torn(at), Cut::Subset(at.wrapping_mul(0x9E37_79B9_7F4A_7C15))][style]
}

/// Cuts the power at each flash operation of an update in turn: during the transfer, the commit, the trial start, and the
/// confirmation or rollback. Afterwards the old or the complete new bundle is in use, the state is the same byte for byte,
/// and the update can be completed.
fn cut_everywhere(new: Head, ends_in: u8) {
    let old = bundle(GOOD, 3000, 1);
    let new_bytes = bundle(new, 10_001, 3);
    let (support_set, state) = board_with_classes(&old);
    let (mut cuts, mut went_on, mut found_new) = (0, 0, 0);
    for style in 0..STYLES {
        for at in 0.. {
            let mut board = support_set.clone();
            let what = format!("cut {at}, {:?}", cut(style, at));
            board.power_cut = Some((board.flash.operations + at, cut(style, at)));
            // The cut may come in any of these steps.
            let sent = switch_on(&mut board).ok().and_then(|mut device| send(&mut device, &new_bytes, 240));
            let tried = sent.is_some() && switch_on(&mut board).is_ok();
            if tried && !board.flash.is_off() {
                let mut device = restart(&mut board);
                assert_eq!(
                    (slots(&mut device), device.state()),
                    ([ends_in; 2], state.clone()),
                    "the run without a cut"
                );
                break;
            }
            cuts += 1;
            let mut device = restart(&mut board);
            assert_eq!(device.state(), state, "{what}: classes and supports");
            serves(&mut device);
            let used = status(&mut device);
            assert_eq!(used.bundle_slot, used.bundle_slot_next, "{what}: a candidate is tried when the power comes");
            went_on += u32::from(used.bundle_received > 0);
            found_new += u32::from(used.bundle_slot == 1);
            assert!(new.golden || used.bundle_slot == 0, "{what}: confirmed without its golden images");
            assert!(board.slot(0).starts_with(&old), "{what}: the old bundle is changed");
            if used.bundle_slot == 1 {
                assert!(board.slot(1).starts_with(&new_bytes), "{what}: used before it is complete");
            }
            assert_eq!(send(&mut restart(&mut board), &new_bytes, 240), Some(Said::Taken(1)), "{what}");
            assert!(board.slot(1).starts_with(&new_bytes), "{what}: differs from the sent bundle");
            let mut device = restart(&mut board);
            assert_eq!((slots(&mut device), device.state()), ([ends_in; 2], state.clone()), "{what}: at the end");
        }
    }
    println!("{cuts} power cuts in an update: {went_on} transfers went on, {found_new} found the new bundle in use");
    assert!(cuts > 250 && went_on > 100 && (found_new > 0) == new.golden);
}

#[test]
fn power_cuts_at_every_operation_of_an_update() {
    cut_everywhere(Head { counter: 1, ..GOOD }, 1);
}

#[test]
fn power_cuts_while_a_bundle_fails_its_golden_images() {
    cut_everywhere(Head { counter: 1, golden: false, ..GOOD }, 0);
}

/// Cuts the power after each part: durable parts are not sent again.
#[test]
fn power_cuts_after_every_part() {
    let new = bundle(GOOD, 9_000, 3);
    let (support_set, state) = board_with_classes(&bundle(GOOD, 3000, 1));
    let begin = Request::BundleBegin { len: new.len() as u32, sha256: sha256(&new) };
    for parts in 0..=new.len().div_ceil(240) {
        let mut board = support_set.clone();
        let mut device = restart(&mut board);
        let Some(Said::Next(mut next)) = ask(&mut device, &begin) else { panic!() };
        for _ in 0..parts {
            let bytes = &new[next as usize..new.len().min(next as usize + 240)];
            let Some(Said::Next(then)) = ask(&mut device, &Request::BundleChunk { offset: next, bytes }) else {
                panic!()
            };
            next = then;
        }
        let mut device = restart(&mut board);
        assert_eq!((slots(&mut device), device.state()), ([0; 2], state.clone()), "after {parts} parts");
        serves(&mut device);
        let whole_blocks = next - next % BLOCK as u32;
        assert_eq!(ask(&mut device, &begin), Some(Said::Next(whole_blocks)), "after {parts} parts");
        assert_eq!(send(&mut device, &new, 240), Some(Said::Taken(1)));
        let mut device = restart(&mut board);
        assert_eq!((slots(&mut device), device.state()), ([1; 2], state.clone()), "after {parts} parts");
    }
}

#[test]
fn a_bundle_that_crashes_the_device_is_rolled_back() {
    let (mut board, state) = board_with_classes(&bundle(GOOD, 3000, 1));
    let new = bundle(GOOD, 5000, 2);
    assert_eq!(send(&mut restart(&mut board), &new, 240), Some(Said::Taken(1)));
    for attempt in 1..=ATTEMPTS_MAX {
        let start = board.begin_start().unwrap();
        assert!(start.is_pending && start.bundle.slot == 1, "attempt {attempt}");
        // The start crashes here.
    }
    let mut device = restart(&mut board);
    assert_eq!((slots(&mut device), device.state()), ([0; 2], state));
    serves(&mut device);
    let state = CandidateState::RolledBack { reason: RollbackReason::NeverCompleted as u8 };
    assert_eq!(bundles(&mut device).candidate, Some(Candidate { slot: 1, sha256: sha256(&new), state }));
    // A host sends it again: it is here already and is tried again.
    let begin = Request::BundleBegin { len: new.len() as u32, sha256: sha256(&new) };
    assert_eq!(ask(&mut device, &begin), Some(Said::Next(new.len() as u32)));
    assert_eq!(ask(&mut device, &Request::BundleCommit), Some(Said::Taken(1)));
    assert_eq!(bundles(&mut device).candidate.unwrap().state, CandidateState::Pending { attempts: 0 });
    let mut device = restart(&mut board);
    let report = bundles(&mut device);
    assert_eq!((report.slot, report.sha256, report.candidate), (1, sha256(&new), None));
}

#[test]
fn a_refused_bundle_leaves_the_confirmed_one_in_use() {
    let (mut board, state) = board_with_classes(&bundle(Head { counter: 5, ..GOOD }, 3000, 1));
    let mut device = restart(&mut board);
    assert_eq!(bundles(&mut device).counter, 5, "of the factory bundle");
    let older = bundle(Head { counter: 4, ..GOOD }, 5000, 2);
    assert_eq!(send(&mut device, &older, 240), Some(Said::Refused(Reason::BundleOlder, 4, 5)));
    serves(&mut device);
    assert_eq!(
        send(&mut device, &bundle(Head { trusted: false, ..GOOD }, 5000, 2), 240),
        Some(Said::Refused(Reason::BundleRefused, UNKNOWN_KEY, 0))
    );
    serves(&mut device);
    let (mut swapped, other) =
        (bundle(Head { counter: 6, ..GOOD }, 5000, 2), bundle(Head { counter: 7, ..GOOD }, 5000, 3));
    swapped[BUNDLE_HEAD..].copy_from_slice(&other[BUNDLE_HEAD..]);
    assert_eq!(send(&mut device, &swapped, 240), Some(Said::Refused(Reason::BundleRefused, OTHER_PART, 0)));
    serves(&mut device);
    // The counter rises at the confirmation: a bundle that fails its golden images does not raise it.
    let failing = bundle(Head { counter: 9, golden: false, ..GOOD }, 5000, 2);
    assert_eq!(send(&mut device, &failing, 240), Some(Said::Taken(1)));
    let mut device = restart(&mut board);
    let report = bundles(&mut device);
    let reason = RollbackReason::Golden as u8;
    assert_eq!((report.counter, report.candidate.unwrap().state), (5, CandidateState::RolledBack { reason }));
    serves(&mut device);
    let newer = bundle(Head { counter: 7, ..GOOD }, 5000, 4);
    assert_eq!(send(&mut device, &newer, 240), Some(Said::Taken(1)));
    let mut device = restart(&mut board);
    assert_eq!((slots(&mut device), bundles(&mut device).counter, device.state()), ([1; 2], 7, state));
    let between = bundle(Head { counter: 6, ..GOOD }, 5000, 5);
    assert_eq!(send(&mut device, &between, 240), Some(Said::Refused(Reason::BundleOlder, 6, 7)));
    // A factory reset keeps bundle and counter.
    answered(&mut device, &Request::FactoryReset { confirmation: "forget everything" });
    let mut device = restart(&mut board);
    assert_eq!((slots(&mut device), bundles(&mut device).counter), ([1; 2], 7));
}

#[test]
fn another_bundle_of_the_counter_in_use_is_refused() {
    let factory = bundle(Head { counter: 5, ..GOOD }, 3000, 1);
    let (mut board, _) = board_with_classes(&factory);
    let mut device = restart(&mut board);
    let other = bundle(Head { counter: 5, ..GOOD }, 3000, 2);
    let refused = Some(Said::Refused(Reason::BundleSameCounter, 5, 0));
    assert_eq!(send(&mut device, &other, 240), refused, "the hash of the factory bundle is not known");
    serves(&mut device);
    assert_eq!(send(&mut device, &factory, 240), Some(Said::Taken(1)), "the same bundle may come again");
    let mut device = restart(&mut board);
    assert_eq!((slots(&mut device), bundles(&mut device).counter), ([1; 2], 5));
    assert_eq!(send(&mut device, &other, 240), refused, "also once its hash is in the store");
    let mut device = restart(&mut board);
    serves(&mut device);
    let newer = bundle(Head { counter: 6, ..GOOD }, 3000, 2);
    assert_eq!(send(&mut device, &newer, 240), Some(Said::Taken(0)));
}

/// Commits with permission to forget supports.
const FORGETTING: Request<'static> = Request::BundleCommitForgetting { confirmation: FORGETTING_CONFIRMATION };

#[test]
fn another_encoder_needs_permission_to_forget() {
    let (mut board, state) = board_with_classes(&bundle(GOOD, 3000, 1));
    let other = bundle(Head { dim: 12, ..GOOD }, 5000, 2);
    let mut device = restart(&mut board);
    assert_eq!(send(&mut device, &other, 240), Some(Said::Refused(Reason::WouldForget, 6, 6)));
    serves(&mut device);
    let wrong = Request::BundleCommitForgetting { confirmation: "yes" };
    assert_eq!(ask(&mut device, &wrong), Some(Said::Refused(Reason::NotConfirmed, 0, 0)));
    // Nothing is sent again, and nothing is forgotten before the next start.
    assert_eq!(ask(&mut device, &FORGETTING), Some(Said::Taken(1)));
    assert_eq!(device.state(), state);
    let mut device = restart(&mut board);
    assert_eq!((slots(&mut device), device.session.support_set().dim()), ([1; 2], 12));
    assert!(device.session.support_set().supports().is_empty());
    assert!(device.session.support_set().names().iter().all(|name| name.is_free()));

    // Samples learned after a commit that needed no permission.
    let mut board = Board::new(SHAPE, accept);
    board.program(&bundle(GOOD, 3000, 1)).unwrap();
    let mut device = restart(&mut board);
    assert_eq!(send(&mut device, &other, 240), Some(Said::Taken(1)));
    let state = teach(&mut device);
    let mut device = restart(&mut board);
    assert_eq!((slots(&mut device), device.state()), ([0; 2], state));
    let reason = RollbackReason::WouldForget as u8;
    assert_eq!(bundles(&mut device).candidate.unwrap().state, CandidateState::RolledBack { reason });
}

/// Cuts the power at each operation of the start that restarts the store for another encoder: the board has the old encoder
/// with all supports, or the new one with an empty store.
#[test]
fn power_cuts_while_the_encoder_changes() {
    let other = bundle(Head { dim: 12, counter: 3, ..GOOD }, 5000, 2);
    let (mut support_set, state) = board_with_classes(&bundle(GOOD, 3000, 1));
    let mut device = restart(&mut support_set);
    send(&mut device, &other, 240);
    assert_eq!(ask(&mut device, &FORGETTING), Some(Said::Taken(1)));
    let mut cuts = [0; 2];
    for style in 0..STYLES {
        for at in 0.. {
            let mut board = support_set.clone();
            board.power_cut = Some((board.flash.operations + at, cut(style, at)));
            let done = switch_on(&mut board).is_ok() && !board.flash.is_off();
            let seen = if done { None } else { Some(board.begin_start().unwrap()) };
            let mut device = restart(&mut board);
            assert_eq!((slots(&mut device), device.session.support_set().dim()), ([1; 2], 12), "cut {at}");
            assert_eq!(bundles(&mut device).counter, 3);
            assert_ne!(device.state(), state);
            match seen {
                Some(start) => cuts[usize::from(start.is_pending)] += 1,
                None => break,
            }
        }
    }
    println!("cuts that found the store restarted, or not yet: {cuts:?}");
    assert!(cuts.iter().all(|&cuts| cuts > 5));
}

/// A power cut at any point of a factory reset leaves the confirmed bundle in use.
#[test]
fn power_cuts_in_a_factory_reset_leave_the_bundle() {
    let (mut reset, state) = board_with_classes(&bundle(Head { counter: 1, ..GOOD }, 3000, 1));
    assert_eq!(
        send(&mut restart(&mut reset), &bundle(Head { counter: 2, ..GOOD }, 5000, 2), 240),
        Some(Said::Taken(1))
    );
    let failing = bundle(Head { counter: 3, golden: false, ..GOOD }, 5000, 3);
    assert_eq!(send(&mut restart(&mut reset), &failing, 240), Some(Said::Taken(0)));
    assert_eq!(slots(&mut restart(&mut reset)), [1; 2]);
    let mut found = [0; 2];
    for style in 0..STYLES {
        for at in 0.. {
            let mut board = reset.clone();
            let mut device = restart(&mut board);
            let first = device.session.flash_mut().operations;
            device.session.flash_mut().cut_at(first + at, cut(style, at));
            let mut message = [0; 64];
            let len = Request::FactoryReset { confirmation: "forget everything" }.write(&mut message).unwrap();
            device.answer(&message[..len]);
            let was_cut = device.is_off();
            let mut device = restart(&mut board);
            assert_eq!((slots(&mut device), bundles(&mut device).counter), ([1; 2], 2), "cut {at}");
            let is_empty = device.session.support_set().supports().is_empty();
            assert!(is_empty || device.state() == state, "cut {at}: a part is forgotten");
            found[usize::from(is_empty)] += 1;
            if !was_cut {
                break;
            }
        }
    }
    assert!(found.iter().all(|&found| found > 2), "{found:?}");
}
