//! Signed bundles. The target signs the input, so that it reaches the code behind the signature check.
//!
//! | bytes | field                                                                  |
//! |------:|------------------------------------------------------------------------|
//! |     1 | number of parts - 1 in the lower three bits; bit 7: change a header byte |
//! |     2 | position of that byte in header and table; value to XOR                |
//!
//! and each part:
//!
//! | bytes | field                                                                  |
//! |------:|------------------------------------------------------------------------|
//! |     1 | its kind, 0 to 4                                                        |
//! | 2 + N | a slice; the last part is the rest of the input                         |

use macula::bundle::{Bundle, KeyPair, PartKind};
use macula_edge::bundle::format::{header, signed_len};
use macula_edge::bundle::{BundleError, Golden, SIGNATURE_LEN, verify, write};

use crate::Outcome;
use crate::input::Input;

/// Signs and opens the bundle that `data` describes.
pub fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let (count, at, change) = (input.byte(), input.byte(), input.byte());
    let (changes, count) = (count & 0x80 != 0, 1 + usize::from(count & 7));
    let mut parts: Vec<(PartKind, &[u8])> = Vec::new();
    for index in 1..=count {
        let kind = PartKind::ALL[usize::from(input.byte()) % PartKind::ALL.len()];
        let bytes = if index == count { input.rest() } else { input.slice() };
        if parts.iter().all(|&(known, _)| known != kind) {
            parts.push((kind, bytes));
        }
    }
    parts.sort_by_key(|&(kind, _)| kind);
    let key = KeyPair::from_secret([7; 32]);
    let mut bytes = Vec::new();
    write(&parts, 3, key.public(), |signed| key.sign(signed), &mut |piece| bytes.extend_from_slice(piece))
        .expect("parts in order make a bundle");
    let signed_len = signed_len(parts.len());
    let at = usize::from(at) % signed_len;
    let changes = changes && change != 0 && !(header::SIGNER..header::RESERVED).contains(&at);
    if changes {
        bytes[at] ^= change;
        let signature = key.sign(&bytes[..signed_len]);
        bytes[signed_len..][..SIGNATURE_LEN].copy_from_slice(&signature);
    }
    open(bytes, &key, changes)
}

fn open(bytes: Vec<u8>, key: &KeyPair, changed: bool) -> Outcome {
    let read = |at: u32, into: &mut [u8]| {
        let found = bytes.get(at as usize..).and_then(|rest| rest.get(..into.len()));
        found.map(|found| into.copy_from_slice(found)).is_some()
    };
    let verified = verify(bytes.len() as u32, &mut { read }, &[key.public()]);
    assert!(verify(bytes.len() as u32, &mut { read }, &[]).is_err(), "no key is trusted");
    match &verified {
        Ok(header) => assert_eq!(header.len as usize, bytes.len()),
        Err(error) => assert!(changed, "an unchanged signed bundle was refused: {error}"),
    }
    assert!(!matches!(verified, Err(BundleError::UnknownKey { .. })), "the signer is trusted");
    let Ok(bundle) = Bundle::from_bytes("b.macula", bytes, &[key.public()]) else { return Outcome::Refused };
    assert!(verified.is_ok(), "opened, but not verified");
    if let Ok(golden) = bundle.golden() {
        check_golden(&golden);
    }
    if let Ok(Some(statistics)) = bundle.corpus() {
        let dim = bundle.manifest().encoder.feature_dim;
        assert_eq!((statistics.mean.len(), statistics.std.len()), (dim, dim));
    }
    match bundle.encoder() {
        Ok((_, worst)) => assert!(worst <= bundle.manifest().golden.tolerance),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    Outcome::Accepted
}

fn check_golden(golden: &Golden<'_>) {
    assert_eq!(golden.images().count(), golden.count());
    for image in golden.images() {
        assert_eq!(image.feature().count(), golden.dim());
        assert_eq!(image.image.pixels().len(), image.image.shape().pixels_len());
    }
}
