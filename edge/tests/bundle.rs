//! Bundles made here: changed in every bit, cut at every byte, signed by others, put together of two.

use ed25519_dalek::{Signer, SigningKey};
use macula_edge::bundle::{BundleError, Header, PartKind, PublicKey, WriteError, verify, write};

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

/// Signs again what was changed by whoever has the key, so that only the checks behind the signature stand.
fn signed_again(bytes: &mut [u8], key: &SigningKey) {
    let parts = usize::from(u16::from_le_bytes([bytes[10], bytes[11]]));
    let (signed, rest) = bytes.split_at_mut(64 + 48 * parts);
    rest[..64].copy_from_slice(&key.sign(signed).to_bytes());
}

#[test]
fn what_was_written_is_found() {
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
        assert!(check(&changed).is_err(), "bit {bit} went unnoticed");
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
fn only_a_trusted_key_is_believed() {
    let bytes = small(7, BLOB);
    let signer = public(&key(1));
    assert_eq!(verify_with(&bytes, &[public(&key(2))]), Err(BundleError::UnknownKey { signer }));
    assert_eq!(verify_with(&bytes, &[]), Err(BundleError::UnknownKey { signer }));
    // A stranger's signature under a trusted name.
    let mut forged = bytes.clone();
    signed_again(&mut forged, &key(2));
    assert_eq!(check(&forged), Err(BundleError::Signature));
    // A key of small order, for which one signature fits every message, is none that is believed.
    let mut weak = bytes;
    weak[24..56].fill(0);
    let small_order = PublicKey([0; 32]);
    assert!(verify_with(&weak, &[small_order]).is_err());
}

/// Two bundles that are both good, of the same shape: no part of one may stand in the other, nor its table or signature.
#[test]
fn a_part_swapped_between_two_bundles_is_refused() {
    let mut other = BLOB.to_vec();
    other.reverse();
    let (first, second) = (small(7, BLOB), small(8, &other));
    let header = check(&first).unwrap();
    assert!(check(&second).is_ok());
    let part = header.needed(PartKind::Blob).unwrap();
    let table = 64..64 + 48 * 3;
    let (entry, signature) = (64 + 48..64 + 96, table.end..table.end + 64);
    for range in [part.start as usize..part.end as usize, 16..24, table, entry, signature] {
        let mut swapped = first.clone();
        swapped[range.clone()].copy_from_slice(&second[range.clone()]);
        assert!(check(&swapped).is_err(), "bytes {range:?} of another bundle were taken");
    }
}

/// What only the owner of the key can write is checked as well: a table that points elsewhere reaches nothing.
#[test]
fn a_signed_table_that_lies_is_refused() {
    let bytes = small(7, BLOB);
    let entry = |part: usize, field: usize| 64 + 48 * part + field;
    for (at, value, expected) in [
        (entry(0, 4), 0u8, BundleError::Place { part: 0 }),
        (entry(1, 4), bytes[entry(1, 4)] + 16, BundleError::Place { part: 1 }),
        (entry(2, 11), 0xff, BundleError::Place { part: 2 }),
        (entry(1, 0), PartKind::Manifest as u8, BundleError::Place { part: 1 }),
        (entry(0, 0), 0, BundleError::Place { part: 0 }),
        (entry(0, 2), 1, BundleError::Place { part: 0 }),
        (entry(2, 8), 47, BundleError::Length { found: bytes.len() as u32 - 1, stated: bytes.len() as u32 }),
        (60, 1, BundleError::NotABundle),
    ] {
        let mut lying = bytes.clone();
        lying[at] = value;
        signed_again(&mut lying, &key(1));
        assert_eq!(check(&lying), Err(expected), "byte {at} is {value}");
    }
    let mut later = bytes.clone();
    later[8] = 2;
    assert_eq!(check(&later), Err(BundleError::Version { found: 2 }));
    for parts in [0, 17] {
        let mut many = bytes.clone();
        many[10] = parts;
        assert_eq!(check(&many), Err(BundleError::Parts { found: parts.into() }));
    }
}

#[test]
fn a_kind_of_later_programs_is_passed_over() {
    let mut bytes = small(7, BLOB);
    bytes[64 + 96] = 200;
    signed_again(&mut bytes, &key(1));
    let header = check(&bytes).unwrap();
    assert_eq!((header.parts().len(), header.part(PartKind::Golden)), (3, None));
}

#[test]
fn bytes_that_cannot_be_read_are_told() {
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
fn parts_that_make_no_bundle_are_not_written() {
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
    let shown: Vec<u8> = rows("A whole bundle")
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
    assert!(PartKind::ALL.iter().all(|&kind| PartKind::from_number(kind as u16) == Some(kind)));
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
        BundleError::Older { found: 1, seen: 2 },
        BundleError::Missing { kind },
        BundleError::Content { kind },
        BundleError::Golden { image: 0 },
        BundleError::Limits,
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(error.code() as usize, index + 1, "{error:?}");
    }
}
