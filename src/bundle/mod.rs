//! Bundles on the host: made from an export or a foreign ONNX file, signed, and opened as encoders.
//!
//! The container and its verification are the device's own ([`macula_edge::bundle`]); `docs/bundle-format.md` has the
//! bytes.

#[cfg(feature = "onnx")]
mod corpus; //    statistics of the features of a corpus
mod encoder; //   the encoder in a bundle
mod error; //     errors
#[cfg(feature = "onnx")]
mod golden; //    golden images
mod key; //       key files
#[cfg(feature = "onnx")]
mod make; //      from an encoder to a bundle
#[cfg(feature = "onnx")]
mod make_error;
mod manifest; //  the manifest
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
    make::{BundleContents, Origin, make},
    make_error::MakeError,
};
