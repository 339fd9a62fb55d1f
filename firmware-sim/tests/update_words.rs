//! A bundle in parts that are shorter than a flash word is accepted, in one request per part.

use macula_edge::decide::Predictor;
use macula_edge::encoder::FeaturesOnly;
use macula_edge::protocol::message::{chunk_max, message_max};
use macula_edge::protocol::{Reply, Request};
use macula_edge::session::{BundleSlots, BundleSummary, Memory, Profile, Session};
use macula_edge::store::{Store, buffer_len};
use macula_edge::support_set::{ClassName, SupportRecord, SupportSet};
use macula_firmware_sim::flash::SimFlash;
use sha2::{Digest, Sha256};

const BLOCK: u32 = 4096;
const STORE_BLOCKS: u32 = 16;
const SLOT_BLOCKS: u32 = 4;
const IDENTITY: [u8; 16] = [7; 16];

/// Sends a bundle of 10,000 bytes to a device whose flash takes words of `W` bytes, in parts of `part` bytes, and commits
/// it; gives the number of parts.
fn parts_needed<const W: usize>(dim: usize, part: usize) -> usize {
    let (mut names, mut records, mut features) =
        (vec![ClassName::FREE; 4], vec![SupportRecord::EMPTY; 8], vec![0i16; 8 * dim]);
    let mut support_set = SupportSet::new(dim, &mut names, &mut records, &mut features).unwrap();
    let flash = SimFlash::<4, W, { BLOCK as usize }>::new((STORE_BLOCKS + 2 * SLOT_BLOCKS) as usize);
    let mut buffer = vec![0; buffer_len::<SimFlash<4, W, { BLOCK as usize }>>(dim)];
    let store = Store::open(flash, 0..STORE_BLOCKS * BLOCK, IDENTITY, &mut buffer, &mut support_set).unwrap();
    let (mut feature, mut bytes, mut probabilities) = (vec![0; dim], vec![0; 2 * dim], vec![0.0; 4]);
    let mut scratch = vec![0.0; Predictor::scratch_len(dim, 4, 8)];
    let memory = Memory {
        image: &mut [],
        work: &mut [],
        feature: &mut feature,
        bytes: &mut bytes,
        scratch: &mut scratch,
        probabilities: &mut probabilities,
    };
    let accept = |_, _, _: &mut dyn FnMut(u32, &mut [u8]) -> bool| Ok(BundleSummary { identity: IDENTITY, counter: 0 });
    let starts = [STORE_BLOCKS, STORE_BLOCKS + SLOT_BLOCKS].map(|block| block * BLOCK);
    let slots =
        BundleSlots { starts, len: SLOT_BLOCKS * BLOCK, in_use: 0, accept: &accept, keeps: &|_: &[u8; 16]| false };
    let message_max = message_max(dim);
    let profile = Profile { program: "test", program_version: "1", message_max: message_max as u32 };
    let encoder = FeaturesOnly { identity: IDENTITY, dim };
    let mut session = Session::new(profile, encoder, store, support_set, memory, Some(slots)).unwrap();

    let bundle: Vec<u8> = (0..10_000u32).map(|index| (index * 7) as u8).collect();
    let (mut request, mut reply) = (vec![0; message_max], vec![0; message_max]);
    let mut next = |message: Request<'_>| {
        let len = message.write(&mut request).unwrap();
        let len = session.handle(&request[..len], 0, &mut reply);
        match Reply::parse(&reply[..len]).unwrap() {
            Reply::Bundle { next } => Ok(next as usize),
            Reply::BundleTaken { slot } => Err(slot),
            other => panic!("{other:?}"),
        }
    };
    let part = part.min(chunk_max(message_max));
    let sha256 = Sha256::digest(&bundle).into();
    let begin = Request::BundleBegin { len: bundle.len() as u32, sha256 };
    let (mut at, mut parts) = (next(begin).unwrap(), 0);
    while at < bundle.len() {
        let end = (at + part).min(bundle.len());
        let then = next(Request::BundleChunk { offset: at as u32, bytes: &bundle[at..end] }).unwrap();
        assert_eq!(then, end, "words of {W} bytes, parts of {part}");
        // A part that was taken may come again.
        assert_eq!(next(Request::BundleChunk { offset: at as u32, bytes: &bundle[at..end] }), Ok(end));
        (at, parts) = (then, parts + 1);
    }
    // The device has read all of it back and compared its hash.
    assert_eq!(next(Request::BundleCommit), Err(1));
    parts
}

#[test]
fn parts_of_a_bundle_may_end_inside_a_flash_word() {
    for part in [1, 3, 100, 239, 240, 255, 256, 257, 1000] {
        for dim in [8, 93, 128] {
            let counts = [
                parts_needed::<4>(dim, part),
                parts_needed::<8>(dim, part),
                parts_needed::<128>(dim, part),
                parts_needed::<256>(dim, part),
            ];
            let part = part.min(chunk_max(message_max(dim)));
            assert_eq!(counts, [10_000usize.div_ceil(part); 4], "parts of {part}");
        }
    }
}
