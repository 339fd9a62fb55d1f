//! The digest that identifies an encoder.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::data::Preprocessing;

/// SHA-256 of everything that determines an encoder's features: equal identities give equal features.
///
/// A store can be opened only with the encoder whose features it keeps. Devices identify an encoder by
/// [`Self::short`]. Values of released forms never change. They cover:
///
/// | form                          | bytes that are hashed                                                              |
/// |-------------------------------|------------------------------------------------------------------------------------|
/// | run, shipped model            | preprocessing and spec in TOML; name, shape and values of each tensor              |
/// | ONNX file                     | the file; files beside it with its weights; preprocessing that it does not state   |
/// | blob, on the host             | the blob                                                                           |
/// | blob, on a bare device        | its content, without identity and checksum (`docs/blob-format.md`)                 |
/// | bundle                        | the identity of its ONNX file or blob; statistics that only the bundle brings      |
/// | raw pixels, colour statistics | the name, preprocessing                                                            |
/// | random encoder                | spec, preprocessing, values of parameters and of batch norm statistics             |
/// | tiled encoder                 | the tiles; the identity of the encoder that reads them                             |
#[derive(Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct EncoderId(pub [u8; 32]);

impl EncoderId {
    /// The digest of `bytes`.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        IdHash::new(bytes).finish()
    }

    /// The first 16 bytes, by which devices and stores identify an encoder.
    pub fn short(&self) -> [u8; 16] {
        let [first, _] = bytemuck::cast::<_, [[u8; 16]; 2]>(self.0);
        first
    }
}

impl fmt::Display for EncoderId {
    /// All bytes in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", base16ct::HexDisplay(&self.0))
    }
}

impl fmt::Debug for EncoderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An encoder that another was taught by: its name, never a path, and its identity in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TeacherId {
    /// Its name, the last component of a path.
    pub name: String,
    /// Its [`EncoderId`].
    pub sha256: String,
}

/// An [`EncoderId`] in the making: takes the parts of an encoder in the order of its form.
#[derive(Clone)]
pub struct IdHash(Sha256);

impl IdHash {
    /// Begins with `bytes`.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::new_with_prefix(bytes))
    }

    /// Adds bytes or text.
    #[must_use]
    pub fn bytes(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.update(bytes);
        self
    }

    /// Adds values, each as 4 bytes in little-endian order.
    #[must_use]
    pub fn values<'a>(mut self, values: impl IntoIterator<Item = &'a f32>) -> Self {
        values.into_iter().for_each(|value| self.0.update(value.to_le_bytes()));
        self
    }

    /// Adds every field of `preprocessing`; a range only where it states one.
    ///
    /// * `separator`: what stands between size and values: `" "` for baselines, `""` for ONNX files
    #[must_use]
    pub fn preprocessing(self, preprocessing: &Preprocessing, separator: &str) -> Self {
        let Preprocessing { channels, height, width, filter, mean, std, range } = preprocessing;
        let hash = self.bytes(format!("{channels} {height} {width} {filter:?}{separator}"));
        let hash = hash.values(mean.iter().chain(std));
        range.iter().fold(hash, |hash, range| hash.bytes(range.identity_bytes()))
    }

    /// The digest.
    pub fn finish(self) -> EncoderId {
        EncoderId(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ValueRange;

    #[test]
    fn preprocessing_is_hashed_field_by_field_and_a_missing_range_adds_nothing() {
        let plain = Preprocessing { mean: vec![0.5], std: vec![0.25], ..Preprocessing::unit(1, 8, 8) };
        let id = |recipe: &Preprocessing| IdHash::new("raw-pixels ").preprocessing(recipe, " ").finish();
        let before = [&b"raw-pixels 1 8 8 Triangle "[..], &0.5f32.to_le_bytes(), &0.25f32.to_le_bytes()].concat();
        assert_eq!(id(&plain), EncoderId::of_bytes(&before));
        let with = |high| Preprocessing { range: ValueRange::new(0.0, high).ok(), ..plain.clone() };
        let ids = [plain.clone(), with(1023.0), with(4095.0)].map(|recipe| id(&recipe));
        assert!(ids[0] != ids[1] && ids[1] != ids[2]);
    }

    #[test]
    fn a_short_identity_is_the_first_16_bytes() {
        let id = EncoderId::of_bytes(b"abc");
        assert!(id.to_string().starts_with("ba7816bf8f01cfea414140de5dae2223b00361a3"));
        assert_eq!(id.short()[..], id.0[..16]);
    }
}
