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

/// Bytes at the start of a file that are searched for identifiers. Pictures and signatures come after them.
const PREFIX_MAX: u64 = 4 << 20;

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
    file.take(PREFIX_MAX).read_to_end(&mut prefix).ok()?;
    of_bytes(&prefix, key)
}

fn of_bytes(bytes: &[u8], key: &IdentityKey) -> Option<Identity> {
    let file = File::read(bytes).ok()?;
    let elements = Elements::read(file.reader(), Some(tags::FRAMES)).ok()?;
    let hash = |tag: Tag| {
        let value = elements.bytes(tag)?.trim_ascii();
        let value = value.strip_suffix(b"\0").unwrap_or(value);
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
}
