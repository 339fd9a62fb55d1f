//! Whose image a file is, without saying who that is: keyed hashes of identifiers, to keep the images of one patient in one
//! split.
//!
//! An identifier leaves this file only as an HMAC under a key of the running process, which is never stored. Equal
//! identifiers have equal hashes within the process, and nobody can test a guessed identifier against them.

use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::elements::Elements;
use super::file::{File, is_dicom};
use super::header::frames;
use super::tags::{self, Tag};
use crate::files::open_regular;

/// Bytes at the start of a file that are searched for identifiers first, and if they are not enough. Pictures and
/// signatures come after them.
const PREFIXES: [u64; 2] = [64 << 10, 4 << 20];

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// A keyed hash of an identifier.
pub type IdentityHash = [u8; 32];

/// The key of this process.
pub struct IdentityKey([u8; BLOCK]);

impl IdentityKey {
    /// A new key from the system's random generator.
    ///
    /// # Errors
    /// If the generator fails.
    pub fn random() -> Result<Self, String> {
        let mut key = [0; BLOCK];
        getrandom::fill(&mut key).map_err(|error| error.to_string())?;
        Ok(Self(key))
    }

    /// HMAC-SHA256 of a tag and its value. RFC 2104.
    fn hash(&self, tag: Tag, value: &[u8]) -> IdentityHash {
        let padded = |pad: u8| Sha256::new_with_prefix(self.0.map(|byte| byte ^ pad));
        let (group, element) = (tag.0.to_be_bytes(), tag.1.to_be_bytes());
        let inner = padded(0x36).chain_update(group).chain_update(element).chain_update(value).finalize();
        padded(0x5C).chain_update(inner).finalize().into()
    }
}

/// Keyed hashes of the identifiers of a file; none where the file has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// PatientID.
    pub patient: Option<IdentityHash>,
    /// StudyInstanceUID.
    pub study: Option<IdentityHash>,
    /// ImageLaterality, else Laterality.
    pub side: Option<IdentityHash>,
    /// Number of frames.
    pub frames: u32,
}

/// The identity of the file at `path`; none if it is not a readable DICOM file.
pub fn identity(path: &Path, key: &IdentityKey) -> Option<Identity> {
    let mut prefix = vec![0; 132];
    let mut file = open_regular(path).ok()?;
    file.read_exact(&mut prefix).ok().filter(|()| is_dicom(&prefix))?;
    for len in PREFIXES {
        let read = file.by_ref().take(len).read_to_end(&mut prefix).ok()?;
        let is_whole = (read as u64) < len;
        let found = of_bytes(&prefix, key, is_whole);
        if found.is_some() || is_whole {
            return found;
        }
    }
    None
}

/// * `is_whole`: whether `bytes` are all of the file; otherwise more elements may follow
fn of_bytes(bytes: &[u8], key: &IdentityKey, is_whole: bool) -> Option<Identity> {
    let file = File::read_start(bytes, PREFIXES[1]).ok()?;
    let elements = Elements::read(file.reader(), Some(tags::FRAMES)).ok()?;
    if !is_whole && !elements.has_ended {
        return None;
    }
    let hash = |tag: Tag| {
        let mut value = elements.bytes(tag)?.trim_ascii();
        while let Some(rest) = value.strip_suffix(b"\0") {
            value = rest.trim_ascii_end();
        }
        (!value.is_empty()).then(|| key.hash(tag, value))
    };
    Some(Identity {
        patient: hash(tags::PATIENT_ID),
        study: hash(tags::STUDY),
        side: hash(tags::IMAGE_LATERALITY).or(hash(tags::LATERALITY)),
        frames: frames(&elements).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_hmac_sha256_and_depend_on_the_key() {
        // RFC 4231, test case 2: a short key is padded with zeros. The data begin with what is a tag here.
        let mut key = [0; BLOCK];
        key[..4].copy_from_slice(b"Jefe");
        let hash = IdentityKey(key).hash(Tag(0x7768, 0x6174), b" do ya want for nothing?");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(base16ct::lower::encode_string(&hash), expected);
        let [one, other] = [0, 1].map(|_| IdentityKey::random().unwrap().hash(tags::PATIENT_ID, b"P1"));
        assert_ne!(one, other);
    }

    /// A file with `before` bytes before the identifiers and `after` bytes of pixels after them.
    fn file(before: u32, after: u32, is_deflated: bool) -> Vec<u8> {
        let syntax: &[u8] = if is_deflated { b"1.2.840.10008.1.2.1.99" } else { b"1.2.840.10008.1.2.1\0" };
        let short = |tag: [u8; 4], kind: &[u8; 2], value: &[u8]| {
            [&tag[..], kind, &(value.len() as u16).to_le_bytes(), value].concat()
        };
        let long =
            |tag: [u8; 4], len: u32| [&tag[..], b"OB\0\0", &len.to_le_bytes(), &vec![0; len as usize][..]].concat();
        let data_set = [
            long([0x09, 0, 0x01, 0x10], before),
            short([0x10, 0, 0x20, 0], b"LO", b"P1"),
            short([0x28, 0, 0x08, 0], b"IS", b"3 "),
            long([0xE0, 0x7F, 0x10, 0], after),
        ]
        .concat();
        let mut bytes = [&[0; 128][..], b"DICM", &short([2, 0, 0x10, 0], b"UI", syntax)[..]].concat();
        match is_deflated {
            false => bytes.extend(data_set),
            true => {
                let mut encoder = flate2::write::DeflateEncoder::new(&mut bytes, flate2::Compression::fast());
                std::io::Write::write_all(&mut encoder, &data_set).unwrap();
                encoder.finish().unwrap();
            }
        }
        bytes
    }

    #[test]
    fn identifiers_are_found_behind_other_elements_without_unpacking_pixels() {
        let (key, folder) = (IdentityKey([7; BLOCK]), tempfile::tempdir().unwrap());
        let path = folder.path().join("image");
        let of_file = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            identity(&path, &key)
        };
        let expected = Some(key.hash(tags::PATIENT_ID, b"P1"));
        // The first prefix ends after the number of frames, after the patient, and before both.
        let first = PREFIXES[0] as u32;
        for before in [0, first - 60, first - 50, first, 1 << 20] {
            for is_deflated in [false, true] {
                let found = of_file(&file(before, 200_000, is_deflated)).unwrap();
                assert_eq!(
                    (found.patient, found.frames),
                    (expected, 3),
                    "after {before} bytes, deflated: {is_deflated}"
                );
            }
        }
        assert_eq!(of_file(&file(6 << 20, 10, false)), None);
        // Zeros, which pack to almost nothing.
        let bytes = file(0, 32 << 20, true);
        assert!(bytes.len() < 1 << 20);
        assert_eq!(File::read_start(&bytes, 5_000).unwrap().unpacked_len(), 5_000);
        assert_eq!(of_file(&bytes).unwrap().patient, expected);
    }
}
