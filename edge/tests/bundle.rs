//! Bundles with every bit changed, cut at every byte, signed by other keys, and mixed from two.

use ed25519_dalek::{Signer, SigningKey};
use macula_edge::bundle::format::{entry, header, signed_len};
use macula_edge::bundle::{
    BundleError, CorpusPart, Golden, HEADER_LEN, Header, PART_LEN, PartKind, PublicKey, SIGNATURE_LEN, WriteError,
    claimed_signer, verify, write,
};
use macula_edge::feature::{CorpusStats, Length};
use macula_edge::image::{RawImage, Shape};

const MANIFEST: &[u8] = b"{\"format\": 1}";
const BLOB: &[u8] = b"the encoder, thirty-three bytes..";
const GOLDEN: &[u8] = &[7; 48];

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

fn made(parts: &[(PartKind, &[u8])], counter: u64, key: &SigningKey) -> Vec<u8> {
    let mut bytes = Vec::new();
    let sign = |signed: &[u8]| key.sign(signed).to_bytes();
    write(parts, counter, public(key), sign, &mut |piece| bytes.extend_from_slice(piece)).unwrap();
    bytes
}

fn small(counter: u64, blob: &[u8]) -> Vec<u8> {
    made(&[(PartKind::Manifest, MANIFEST), (PartKind::Blob, blob), (PartKind::Golden, GOLDEN)], counter, &key(1))
}

fn check(bytes: &[u8]) -> Result<Header, BundleError> {
    verify_with(bytes, &[public(&key(9)), public(&key(1))])
}

fn verify_with(bytes: &[u8], trusted: &[PublicKey]) -> Result<Header, BundleError> {
    let mut read = |at: u32, into: &mut [u8]| {
        let found = bytes.get(at as usize..).and_then(|rest| rest.get(..into.len()));
        found.is_some_and(|found| {
            into.copy_from_slice(found);
            true
        })
    };
    verify(bytes.len() as u32, &mut read, trusted)
}

/// Signs a changed bundle again, so that the checks behind the signature are tested.
fn signed_again(bytes: &mut [u8], key: &SigningKey) {
    let (signed, rest) = bytes.split_at_mut(signed_len(bytes[header::PARTS].into()));
    rest[..SIGNATURE_LEN].copy_from_slice(&key.sign(signed).to_bytes());
}

#[test]
fn a_written_bundle_is_read() {
    let bytes = small(7, BLOB);
    let header = check(&bytes).unwrap();
    assert_eq!((header.counter, header.len as usize, header.signer), (7, bytes.len(), public(&key(1))));
    for (kind, expected) in [(PartKind::Manifest, MANIFEST), (PartKind::Blob, BLOB), (PartKind::Golden, GOLDEN)] {
        let range = header.needed(kind).unwrap();
        assert_eq!(range.start % 16, 0);
        assert_eq!(&bytes[range.start as usize..range.end as usize], expected, "{kind}");
    }
    assert_eq!(header.part(PartKind::Onnx), None);
    assert_eq!(header.needed(PartKind::Onnx), Err(BundleError::Missing { kind: PartKind::Onnx }));
}

#[test]
fn every_changed_bit_is_refused() {
    let bytes = small(7, BLOB);
    assert!(check(&bytes).is_ok());
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&changed).is_err(), "bit {bit} changed, the bundle was accepted");
    }
}

#[test]
fn every_truncation_and_every_addition_is_refused() {
    let bytes = small(7, BLOB);
    for len in 0..bytes.len() {
        assert!(check(&bytes[..len]).is_err(), "the first {len} bytes were taken");
    }
    for more in 1..20 {
        let longer = [&bytes[..], &vec![0; more]].concat();
        assert!(matches!(check(&longer), Err(BundleError::Length { .. })), "{more} bytes more were taken");
    }
}

#[test]
fn only_a_trusted_key_is_accepted() {
    let bytes = small(7, BLOB);
    let signer = public(&key(1));
    let mut read = |at: u32, into: &mut [u8]| {
        into.copy_from_slice(&bytes[at as usize..][..into.len()]);
        true
    };
    assert_eq!(claimed_signer(bytes.len() as u32, &mut read), Ok(signer));
    assert_eq!(claimed_signer(10, &mut read), Err(BundleError::NotABundle));
    assert_eq!(verify_with(&bytes, &[public(&key(2))]), Err(BundleError::UnknownKey { signer }));
    assert_eq!(verify_with(&bytes, &[]), Err(BundleError::UnknownKey { signer }));
    // Another key's signature with a trusted key in the header.
    let mut forged = bytes.clone();
    signed_again(&mut forged, &key(2));
    assert_eq!(check(&forged), Err(BundleError::Signature));
    // A key of small order, for which one signature fits every message, is refused.
    let mut weak = bytes;
    weak[header::SIGNER..header::RESERVED].fill(0);
    let small_order = PublicKey([0; 32]);
    assert!(verify_with(&weak, &[small_order]).is_err());
}

/// Two valid bundles of the same shape: no part, table or signature of one may replace that of the other.
#[test]
fn a_part_swapped_between_two_bundles_is_refused() {
    let mut other = BLOB.to_vec();
    other.reverse();
    let (first, second) = (small(7, BLOB), small(8, &other));
    assert!(check(&second).is_ok());
    let part = check(&first).unwrap().needed(PartKind::Blob).unwrap();
    let table = HEADER_LEN..signed_len(3);
    let (entry, signature) = (signed_len(1)..signed_len(2), table.end..table.end + SIGNATURE_LEN);
    let counter = header::COUNTER..header::SIGNER;
    for range in [part.start as usize..part.end as usize, counter, table, entry, signature] {
        let mut swapped = first.clone();
        swapped[range.clone()].copy_from_slice(&second[range.clone()]);
        assert!(check(&swapped).is_err(), "bytes {range:?} of another bundle were taken");
    }
}

/// A signed table is checked as well: it must not point elsewhere.
#[test]
fn a_signed_table_with_wrong_offsets_is_refused() {
    let bytes = small(7, BLOB);
    let at = |part: usize, field: usize| HEADER_LEN + PART_LEN * part + field;
    for (at, value, expected) in [
        (at(0, entry::OFFSET), 0u8, BundleError::Place { part: 0 }),
        (at(1, entry::OFFSET), bytes[at(1, entry::OFFSET)] + 16, BundleError::Place { part: 1 }),
        (at(2, entry::LEN + 3), 0xff, BundleError::Place { part: 2 }),
        (at(1, entry::KIND), PartKind::Manifest as u8, BundleError::Place { part: 1 }),
        (at(0, entry::KIND), 0, BundleError::Place { part: 0 }),
        (at(0, entry::KIND + 2), 1, BundleError::Place { part: 0 }),
        (at(2, entry::LEN), 47, BundleError::Length { found: bytes.len() as u32 - 1, stated: bytes.len() as u32 }),
        (header::RESERVED + 4, 1, BundleError::NotABundle),
    ] {
        let mut wrong = bytes.clone();
        wrong[at] = value;
        signed_again(&mut wrong, &key(1));
        assert_eq!(check(&wrong), Err(expected), "byte {at} is {value}");
    }
    let mut later = bytes.clone();
    later[header::VERSION] = 2;
    assert_eq!(check(&later), Err(BundleError::Version { found: 2 }));
    for parts in [0, 17] {
        let mut many = bytes.clone();
        many[header::PARTS] = parts;
        assert_eq!(check(&many), Err(BundleError::Parts { found: parts.into() }));
    }
}

#[test]
fn a_kind_of_later_programs_is_ignored() {
    let mut bytes = small(7, BLOB);
    bytes[signed_len(2) + entry::KIND] = 200;
    signed_again(&mut bytes, &key(1));
    let header = check(&bytes).unwrap();
    assert_eq!((header.parts().len(), header.part(PartKind::Golden)), (3, None));
}

#[test]
fn bytes_that_cannot_be_read_are_an_error() {
    let bytes = small(7, BLOB);
    for cut in [0, 64, 208, 300, bytes.len() as u32 - 1] {
        let mut read = |at: u32, into: &mut [u8]| {
            let inside = at + into.len() as u32 <= cut;
            if inside {
                into.copy_from_slice(&bytes[at as usize..][..into.len()]);
            }
            inside
        };
        let found = verify(bytes.len() as u32, &mut read, &[public(&key(1))]);
        assert!(matches!(found, Err(BundleError::Read { .. })), "{found:?}");
    }
}

#[test]
fn invalid_combinations_of_parts_are_not_written() {
    let sign = |_: &[u8]| -> [u8; 64] { panic!("nothing is to be signed") };
    let mut out = |_: &[u8]| panic!("nothing is to be written");
    let signer = public(&key(1));
    assert_eq!(write(&[], 1, signer, sign, &mut out), Err(WriteError::Parts { found: 0 }));
    let twice = [(PartKind::Blob, BLOB), (PartKind::Blob, BLOB)];
    assert_eq!(write(&twice, 1, signer, sign, &mut out), Err(WriteError::Order { kind: PartKind::Blob }));
    let backward = [(PartKind::Blob, BLOB), (PartKind::Manifest, MANIFEST)];
    assert_eq!(write(&backward, 1, signer, sign, &mut out), Err(WriteError::Order { kind: PartKind::Manifest }));
}

// ---- The document ---------------------------------------------------------------------------------------------------

fn section(heading: &str) -> String {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/bundle-format.md")).unwrap();
    let section = document.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no section {heading}"));
    section.split("\n## ").next().unwrap().to_owned()
}

fn rows(heading: &str) -> Vec<Vec<String>> {
    let section = section(heading);
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn the_document_shows_a_bundle_byte_for_byte() {
    let made = made(&[(PartKind::Manifest, b"{}"), (PartKind::Blob, b"\x01\x02\x03")], 7, &key(1));
    assert!(check(&made).is_ok());
    let shown: Vec<u8> = rows("An example")
        .iter()
        .flat_map(|row| row[2].trim_matches('`').split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let hex: Vec<String> = made.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(shown, made, "the bundle is {}", hex.join(" "));
}

#[test]
fn the_document_names_the_kinds_and_the_reasons() {
    let kinds: Vec<_> = rows("Parts").iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let expected: Vec<_> =
        PartKind::ALL.iter().map(|&kind| ((kind as u16).to_string(), kind.name().to_owned())).collect();
    assert_eq!(kinds, expected);
    assert!(PartKind::ALL.iter().all(|&kind| PartKind::from_repr(kind as u16) == Some(kind)));
    let reasons: Vec<_> = rows("Reasons").iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let meanings = (1..).map_while(|code| Some((code.to_string(), BundleError::meaning(code)?.to_owned())));
    assert_eq!(reasons, meanings.collect::<Vec<_>>());
    let (kind, part) = (PartKind::Onnx, 0);
    for (index, error) in [
        BundleError::Read { at: 0 },
        BundleError::NotABundle,
        BundleError::Version { found: 2 },
        BundleError::Length { found: 0, stated: 0 },
        BundleError::Parts { found: 0 },
        BundleError::UnknownKey { signer: PublicKey([0; 32]) },
        BundleError::Signature,
        BundleError::Place { part },
        BundleError::Filling { part },
        BundleError::Hash { part },
        BundleError::Older { found: 1, highest: 2 },
        BundleError::Missing { kind },
        BundleError::Content { kind },
        BundleError::Golden { image: 0 },
        BundleError::Limits,
        BundleError::SameCounter { found: 1 },
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(error.code() as usize, index + 1, "{error:?}");
    }
}

// ---- Parts ----------------------------------------------------------------------------------------------------------

fn golden_part() -> Vec<u8> {
    let mut part = Vec::new();
    let mut out = |piece: &[u8]| part.extend_from_slice(piece);
    Golden::write_head(2, 3, &mut out);
    let pixels: Vec<u8> = (0..15).collect();
    Golden::write_image(&RawImage::new(5, 3, 1, &pixels).unwrap(), &[3.0, 0.0, -4.0], &mut out);
    Golden::write_image(&RawImage::new(1, 2, 3, &pixels[..6]).unwrap(), &[0.0, 0.5, 0.0], &mut out);
    part
}

#[test]
fn golden_images_come_back_as_they_were_written() {
    let part = golden_part();
    let golden = Golden::parse(&part).unwrap();
    assert_eq!((golden.count(), golden.dim()), (2, 3));
    let images: Vec<_> = golden.images().collect();
    let shapes: Vec<_> = images.iter().map(|golden| golden.image.shape()).collect();
    assert_eq!(shapes, [Shape::new(5, 3, 1).unwrap(), Shape::new(1, 2, 3).unwrap()]);
    assert_eq!(images[1].image.pixels(), [0, 1, 2, 3, 4, 5]);
    assert!(images[0].feature().eq([3.0, 0.0, -4.0]));
    // 0.1 of a length of 5; of 0.5 the whole length.
    assert!((images[0].error(&[3.0, 0.1, -4.0]) - 0.02).abs() < 1e-8);
    assert_eq!(images[1].error(&[0.0, 0.0, 0.0]), 1.0);
    for bad in [&[3.0, f32::NAN, -4.0][..], &[3.0, 0.0], &[f32::INFINITY, 0.0, 0.0]] {
        assert_eq!(images[0].error(bad), f64::INFINITY);
    }
}

#[test]
fn the_corpus_comes_back_as_it_was_written() {
    // The six bytes of three values that version 0.1.0 appended are ignored.
    for unused in [&[5, 0, 253, 255, 7, 0][..], &[]] {
        let mut part = Vec::new();
        let mut out = |piece: &[u8]| part.extend_from_slice(piece);
        let (mean, std, length_max) = (&[0.5, -1.0], &[2.0, 0.0], Some(Length(300)));
        CorpusPart::write(CorpusStats { mean, std, length_max }, &mut out);
        part[6] = u8::from(!unused.is_empty());
        part.extend_from_slice(unused);
        let corpus = CorpusPart::parse(&part).unwrap();
        assert_eq!((corpus.dim(), corpus.length_max()), (2, Some(Length(300))));
        assert!(corpus.mean().eq([0.5, -1.0]) && corpus.std().eq([2.0, 0.0]));
    }
}

/// A part that was cut, extended or changed is refused or read within its end.
#[test]
fn damaged_parts_are_refused() {
    let golden = golden_part();
    let mut corpus = Vec::new();
    let mut out = |piece: &[u8]| corpus.extend_from_slice(piece);
    CorpusPart::write(CorpusStats { mean: &[0.5, -1.0], std: &[2.0, 0.0], length_max: None }, &mut out);
    for len in 0..golden.len() {
        assert!(Golden::parse(&golden[..len]).is_none(), "{len} bytes of golden images");
    }
    for len in 0..corpus.len() {
        assert!(CorpusPart::parse(&corpus[..len]).is_none(), "{len} bytes of a corpus");
    }
    assert!(Golden::parse(&[&golden[..], &[0]].concat()).is_none());
    assert!(CorpusPart::parse(&[&corpus[..], &[0]].concat()).is_none());
    for bit in 0..golden.len() * 8 {
        let mut changed = golden.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Some(golden) = Golden::parse(&changed) {
            assert_eq!(golden.images().count(), golden.count(), "bit {bit}");
        }
    }
    for (at, value) in [(7, 0xff), (6, 0x2), (3, 0), (11 + 8, 0xff)] {
        let mut changed = corpus.clone();
        changed[at] = value;
        let is_part = CorpusPart::parse(&changed).is_some();
        assert_eq!(is_part, changed == corpus, "byte {at} is {value}");
    }
}
