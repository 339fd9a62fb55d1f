//! From an image to a feature on the device: what any encoder is to a session, and the blob, an encoder
//! that needs no operating system.
//!
//! A blob ([`Blob`], format in `docs/blob-format.md`) is read where it lies, in flash; [`BlobEncoder`] runs it in
//! memory that the caller lends. Weights are f16 (computed in f32) or int8 (computed in integers). Both give the
//! same bytes on every CPU: integers, or f32 in a fixed order without fused multiply-add.

use core::fmt;

use crate::feature::{FeatureError, Length};
use crate::image::{ImageError, RawImage};

pub mod format; // offsets, numbers and limits of a blob
mod error;
mod node;
mod graph;
mod blob;
mod kernel;
mod conv_f16;
mod conv_int8;
mod run;
mod features_only;

pub use blob::{Blob, Golden, InputChannel};
pub use error::BlobError;
pub use features_only::FeaturesOnly;
pub use format::{Activation, Arithmetic};
pub use node::{Node, Op, Requantise, Value};
pub use run::BlobEncoder;

/// What the features of an encoder look like over the images it was pretrained on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CorpusStats {
    /// The length that 95 % of the corpus's images do not exceed.
    pub length_max: Option<Length>,
}

/// An image could not be turned into a feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EmbedError {
    /// The image cannot be made into what the encoder reads.
    Image(ImageError),
    /// The feature that came out, or the place for it, is of no use.
    Feature(FeatureError),
    /// The encoder itself failed; the number is its own.
    Encoder {
        /// What it says of the fault.
        code: u32,
    },
}

impl fmt::Display for EmbedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(error) => error.fmt(f),
            Self::Feature(error) => error.fmt(f),
            Self::Encoder { code } => write!(f, "the encoder failed with code {code}"),
        }
    }
}

impl core::error::Error for EmbedError {}

impl From<ImageError> for EmbedError {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

impl From<FeatureError> for EmbedError {
    fn from(error: FeatureError) -> Self {
        Self::Feature(error)
    }
}

/// Turns an image into a quantised feature.
pub trait Embedder {
    /// The first 16 bytes of the SHA-256 of what decides the features. Two encoders of one identity give the same.
    fn identity(&self) -> [u8; 16];

    /// Dimensions of a feature, `D`.
    fn dim(&self) -> usize;

    /// What the features look like over the unlabelled corpus, as far as anybody measured it.
    fn corpus(&self) -> CorpusStats;

    /// The feature of `image`, of unit length, `[D]`.
    ///
    /// # Errors
    /// When the image is not one the encoder can take, or its feature has no direction.
    fn embed(&mut self, image: &RawImage<'_>, feature: &mut [i16]) -> Result<(), EmbedError>;

    /// The length of the feature that was made last, where the encoder knows its corpus.
    fn length(&self) -> Option<Length> {
        None
    }

    /// Whether an image whose feature is known gives it, to the last bit; nothing where the encoder has no such image.
    ///
    /// * `feature`: `[D]`, overwritten
    ///
    /// # Errors
    /// As [`Self::embed`].
    fn self_test(&mut self, feature: &mut [i16]) -> Result<Option<bool>, EmbedError> {
        let _ = feature;
        Ok(None)
    }
}

impl<E: Embedder + ?Sized> Embedder for &mut E {
    fn identity(&self) -> [u8; 16] {
        E::identity(self)
    }

    fn dim(&self) -> usize {
        E::dim(self)
    }

    fn corpus(&self) -> CorpusStats {
        E::corpus(self)
    }

    fn embed(&mut self, image: &RawImage<'_>, feature: &mut [i16]) -> Result<(), EmbedError> {
        E::embed(self, image, feature)
    }

    fn length(&self) -> Option<Length> {
        E::length(self)
    }

    fn self_test(&mut self, feature: &mut [i16]) -> Result<Option<bool>, EmbedError> {
        E::self_test(self, feature)
    }
}
