//! Why a name cannot be opened as an encoder.

use std::io;

use super::StatedError;
use crate::blob::BlobFileError;
use crate::evaluate::EvaluateError;
use crate::{bundle, models, pretrain};

/// An encoder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The name stands for no encoder.
    #[error("no encoder '{name}': {found}; there are {}", known())]
    Unknown {
        /// What was asked for.
        name: String,
        /// What was found in its place.
        found: String,
    },
    /// The file or folder cannot be read.
    #[error("cannot read encoder {name}: {source}")]
    Read {
        /// What was asked for.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// A random encoder needs images to gather its batch norm statistics from, and a device has none.
    #[error(
        "encoder '{name}' is made anew for each dataset, and there is none here: `macula eval` and `macula embed --data` take it"
    )]
    Unfitted {
        /// What was asked for.
        name: String,
    },
    /// The weights cannot be trained further.
    #[error(
        "cannot start from '{name}', {what}: only a run's folder or a shipped model ({}) holds weights to train further",
        models::names()
    )]
    NotTrainable {
        /// What was asked for.
        name: String,
        /// What it is.
        what: &'static str,
    },
    /// The encoder is not the kind of file that is needed.
    #[error(
        "{name} is {what}, and {needed} is needed; `macula export {name} --out DIR` makes one of a run or a shipped model"
    )]
    NoFile {
        /// What was asked for.
        name: String,
        /// What it is.
        what: &'static str,
        /// `a file` or `an ONNX file`.
        needed: &'static str,
    },
    /// An ONNX file that does not state its preprocessing, and nobody has.
    #[error(
        "{name} does not state its preprocessing: give --preprocessing imagenet, clip, half, unit or bytes, or --mean and --std, as it was trained"
    )]
    Unstated {
        /// The file.
        name: String,
    },
    /// Preprocessing was stated for an encoder that brings its own.
    #[error(
        "{name} has preprocessing of its own: --preprocessing, --mean, --std, --layout, --size and --channels are for an ONNX file without"
    )]
    OwnPreprocessing {
        /// What was asked for.
        name: String,
    },
    /// The stated preprocessing does not fit the encoder.
    #[error("{name}: {source}")]
    Stated {
        /// The file.
        name: String,
        /// Why not.
        source: StatedError,
    },
    /// This program lacks what the encoder needs.
    #[error("cannot open encoder {name}: {lacks}")]
    Unsupported {
        /// What was asked for.
        name: String,
        /// What this program lacks.
        lacks: &'static str,
    },
    /// The ONNX file is no encoder.
    #[cfg(feature = "onnx")]
    #[error(transparent)]
    Onnx(#[from] crate::runtime::RuntimeError),
    /// The ONNX file cannot be opened or run, or its process failed.
    #[cfg(feature = "onnx")]
    #[error(transparent)]
    Isolated(#[from] crate::isolated::IsolatedError),
    /// The bundle is refused.
    #[error(transparent)]
    Bundle(#[from] bundle::OpenError),
    /// The blob is none.
    #[error(transparent)]
    Blob(#[from] BlobFileError),
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] pretrain::RunError),
    /// A baseline cannot be fitted to the images.
    #[error(transparent)]
    Fit(#[from] EvaluateError),
}

/// What a name may stand for.
fn known() -> String {
    let files = "FILE.onnx, FILE.macula, FILE.blob, an export's folder";
    match cfg!(feature = "host") {
        true => format!(
            "the shipped models {}, {files}, a run's folder, raw-pixels, colour-statistics, random:PRESET (pico, nano, micro, mobile)",
            models::names()
        ),
        false => format!("{files}, raw-pixels, colour-statistics"),
    }
}
