//! Errors of making a bundle.

use macula_edge::bundle::WriteError;
use macula_edge::feature::FeatureError;
use macula_edge::image::ImageError;

use super::OpenError;
use crate::blob::BlobFileError;
use crate::data::DataError;
use crate::encoder::EncodeError;
use crate::export::ParityError;
use crate::isolated::IsolatedError;
use crate::runtime::RuntimeError;

/// A bundle could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The ONNX file is not an encoder.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The encoder could not be opened or run.
    #[error(transparent)]
    Isolated(#[from] IsolatedError),
    /// The blob is invalid.
    #[error(transparent)]
    Blob(#[from] BlobFileError),
    /// Blob and ONNX file are different encoders.
    #[error(
        "features of the blob have {blob} dimensions, those of the ONNX file {onnx}; they must be the same encoder"
    )]
    OtherBlob {
        /// Dimensions of the blob's features.
        blob: usize,
        /// Dimensions of the ONNX file's features.
        onnx: usize,
    },
    /// The encoder failed on a golden image.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// An image cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An image is invalid.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The corpus could not be measured.
    #[error(transparent)]
    Parity(#[from] ParityError),
    /// Features cannot be quantised.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// No golden image was given.
    #[error("a bundle needs at least one golden image")]
    NoGolden,
    /// The golden images test nothing.
    #[error("features of the golden images are all equal or zero; pass different images, or check the encoder")]
    DeadGolden,
    /// The reference has another size.
    #[error("the reference has {found} values, but {images} images with features of {dim} dimensions need {}", images * dim)]
    ReferenceSize {
        /// Number of values found.
        found: usize,
        /// Number of golden images.
        images: usize,
        /// Dimensions of a feature.
        dim: usize,
    },
    /// A value of the reference is not finite.
    #[error("value {position} of row {image} of the reference is {value}, which is not finite")]
    ReferenceValue {
        /// The row, counted from 0.
        image: usize,
        /// Index in the row.
        position: usize,
        /// What was found.
        value: f32,
    },
    /// The corpus has no two images with different features.
    #[error("all images of the corpus have the same feature; pass different images")]
    NoCorpus,
    /// The manifest holds a value that no device accepts.
    #[error("{0}")]
    Manifest(String),
    /// The parts do not make a bundle.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The new bundle could not be opened again.
    #[error("the new bundle cannot be used: {0}")]
    Made(#[from] OpenError),
}
