//! Errors of opening an encoder by name.

use std::io;

use super::StatedError;
use crate::blob::BlobFileError;
use crate::evaluate::EvaluateError;
use crate::{bundle, models, pretrain};

/// An encoder could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No encoder has this name.
    #[error("no encoder '{name}': {found}; an encoder is one of {}", known())]
    Unknown {
        /// The name.
        name: String,
        /// What was found instead.
        found: String,
    },
    /// No test image is left.
    #[error("{name} was trained with labels on all {images} test images")]
    AllSeen {
        /// The encoder.
        name: String,
        /// The test images.
        images: usize,
    },
    /// The file or folder cannot be read.
    #[error("cannot read encoder {name}: {source}")]
    Read {
        /// The name.
        name: String,
        /// The reason.
        source: io::Error,
    },
    /// A random encoder needs images to calibrate its batch norm statistics, and there are none.
    #[error(
        "encoder '{name}' is calibrated on a dataset, and none was given; use `macula eval` or `macula embed --data`"
    )]
    Unfitted {
        /// The name.
        name: String,
    },
    /// Training cannot start from this encoder.
    #[error(
        "cannot start training from '{name}', which is {what}; use a run's folder or a shipped model ({})",
        models::names()
    )]
    NotTrainable {
        /// The name.
        name: String,
        /// Its kind.
        what: &'static str,
    },
    /// The input of this encoder cannot be changed.
    #[error(
        "{name} is {what}, whose input is fixed; another input needs a run, a shipped model or an export made with --weights"
    )]
    FixedInput {
        /// The name.
        name: String,
        /// Its kind.
        what: &'static str,
    },
    /// The encoder is not a file of the kind that is needed.
    #[error("{name} is {what}, but {needed} is needed; `macula export` makes one from a run or a shipped model")]
    NoFile {
        /// The name.
        name: String,
        /// Its kind.
        what: &'static str,
        /// `a file` or `an ONNX file`.
        needed: &'static str,
    },
    /// Neither the ONNX file nor the user states the preprocessing.
    #[error(
        "{name} does not state its preprocessing; pass the one it was trained with: --preprocessing imagenet, clip, half, unit or bytes, or --mean and --std"
    )]
    Unstated {
        /// The file.
        name: String,
    },
    /// Preprocessing was stated for an encoder that has its own.
    #[error(
        "{name} states its own preprocessing; remove --preprocessing, --mean, --std, --layout, --size and --channels"
    )]
    OwnPreprocessing {
        /// The name.
        name: String,
    },
    /// The stated preprocessing does not fit the encoder.
    #[error("{name}: {source}")]
    Stated {
        /// The file.
        name: String,
        /// The reason.
        source: StatedError,
    },
    /// This build cannot run the encoder.
    #[error("cannot open encoder {name}: {lacks}")]
    Unsupported {
        /// The name.
        name: String,
        /// The missing feature.
        lacks: &'static str,
    },
    /// The ONNX file is not an encoder.
    #[cfg(feature = "onnx")]
    #[error(transparent)]
    Onnx(#[from] crate::runtime::RuntimeError),
    /// The ONNX file could not be opened or run, or its process failed.
    #[cfg(feature = "onnx")]
    #[error(transparent)]
    Isolated(#[from] crate::isolated::IsolatedError),
    /// The bundle was refused.
    #[error(transparent)]
    Bundle(#[from] bundle::OpenError),
    /// The file is not a valid blob.
    #[error(transparent)]
    Blob(#[from] BlobFileError),
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] pretrain::RunError),
    /// A baseline could not be fitted to the images.
    #[error(transparent)]
    Fit(#[from] EvaluateError),
}

/// The kinds of names.
fn known() -> String {
    let files = "FILE.onnx, FILE.macula, FILE.blob, an export's folder";
    match cfg!(feature = "host") {
        true => format!(
            "the shipped models {}, {files}, a run's folder, raw-pixels, colour-statistics, random:PRESET (pico, nano, micro, mobile), or tiles:TILES: before one of these",
            models::names()
        ),
        false => format!("{files}, raw-pixels, colour-statistics, or tiles:TILES: before one of these"),
    }
}
