//! Identity of an image: a digest of its size and decoded pixels. It does not depend on the file format.

use std::fmt;
use std::str::FromStr;

use rayon::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use super::{DataError, Dataset, Image};

/// The first 16 bytes of the SHA-256 of an image's width and height (8 bytes each, little-endian) and decoded pixels.
///
/// A grey image stored as RGB has the digest of its one-channel form, so that equal images are found however they are
/// stored. 16 bytes suffice: the probability of a collision among 2³² images is 2⁻⁶⁵.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageDigest(pub [u8; 16]);

impl ImageDigest {
    /// The digest of `image`.
    pub fn of(image: &Image) -> Self {
        let mut hash = Sha256::new();
        hash.update((image.width as u64).to_le_bytes());
        hash.update((image.height as u64).to_le_bytes());
        if image.channels > 1 && image.is_grey() {
            let grey: Vec<u8> = image.pixels.iter().step_by(image.channels).copied().collect();
            hash.update(&grey);
        } else {
            hash.update(&image.pixels);
        }
        let whole: [u8; 32] = hash.finalize().into();
        let mut first = [0; 16];
        first.copy_from_slice(&whole[..16]);
        Self(first)
    }
}

impl fmt::Display for ImageDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", base16ct::HexDisplay(&self.0))
    }
}

impl FromStr for ImageDigest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut bytes = [0; 16];
        match base16ct::mixed::decode(text, &mut bytes) {
            Ok(decoded) if decoded.len() == 16 => Ok(Self(bytes)),
            _ => Err(format!("'{text}' is not a digest of 32 hexadecimal digits")),
        }
    }
}

impl Serialize for ImageDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImageDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Dataset {
    /// The digests of the images `indices`, in that order, with an error for each that cannot be read.
    pub fn digests(&self, indices: &[usize], progress: &(dyn Fn(usize) + Sync)) -> Vec<Result<ImageDigest, DataError>> {
        let digest = |&index: &usize| {
            let digest = self.load(index).map(|image| ImageDigest::of(&image));
            progress(1);
            digest
        };
        indices.par_iter().map(digest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_depends_on_shape_and_pixels_but_not_on_grey_or_rgb() {
        let grey = Image { width: 3, height: 2, channels: 1, pixels: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(ImageDigest::of(&grey), ImageDigest::of(&grey.to_rgb()));
        assert_ne!(ImageDigest::of(&grey), ImageDigest::of(&Image { width: 2, height: 3, ..grey.clone() }));
        let digest = ImageDigest::of(&grey);
        assert_eq!(digest.to_string().parse::<ImageDigest>(), Ok(digest));
        // Python: hashlib.sha256(struct.pack("<QQ", 3, 2) + bytes([1, 2, 3, 4, 5, 6])).hexdigest()[:32]
        assert_eq!(digest.to_string(), "5712236db8edede94854b1642388a78c");
        assert!(["", "+0000000000000000000000000000000", "g"].iter().all(|text| text.parse::<ImageDigest>().is_err()));
    }
}
