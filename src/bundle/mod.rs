//! A bundle on the desk: made of an export or of somebody's ONNX file, signed, and opened as an encoder.
//!
//! The container and its verification are the device's own ([`macula_edge::bundle`]); `docs/bundle-format.md` has the
//! bytes.

#[cfg(feature = "onnx")]
mod corpus; //    statistics of the features of a corpus
mod encoder; //   the encoder in a bundle
mod error; //     why a bundle cannot be used
#[cfg(feature = "onnx")]
mod golden; //    images that show whether an encoder is still the same
mod key; //       files of keys
#[cfg(feature = "onnx")]
mod make; //      from an encoder to a bundle
mod manifest; //  what a bundle says of itself
mod open; //      a bundle in memory, verified

pub use encoder::BundleEncoder;
pub use error::OpenError;
pub use key::{KeyError, KeyPair, PUBLIC_HEAD, SECRET_HEAD, read_public};
pub use macula_edge::bundle::{BundleError, PartKind, PublicKey};
pub use manifest::{EncoderCard, FORMAT_VERSION, GoldenCard, Limits, Manifest, PROGRAM_COMMIT, Provenance};
pub use open::Bundle;
#[cfg(feature = "onnx")]
pub use {
    corpus::measure,
    golden::{GOLDEN_IMAGES, drawn},
    make::{Ingredients, MakeError, Origin, make},
};
