//! Opens an encoder by any name: a shipped model, a run, an export, an ONNX file, a bundle, a blob, a baseline.
//!
//! Every command resolves `--encoder`, `--bundle` and `--init` here, so that a name means the same everywhere. Preprocessing
//! is never guessed: if an ONNX file does not state its own, the user must.

mod baseline; // the baselines of an evaluation
mod error; //   errors
mod fitted; //  preprocessing of baselines
mod open; //    from a name to an encoder
mod resolve; // the encoder that a name refers to
#[cfg(feature = "host")]
mod source; //  the run, file or training record behind a name
#[cfg(feature = "host")]
mod seen; //    test images that an encoder was trained on
#[cfg_attr(not(feature = "onnx"), allow(dead_code, reason = "only an ONNX file is given preprocessing"))]
mod stated; //  preprocessing that the user states
mod tiles; //   names of encoders that read tiles

pub use crate::encoder::Layout;
pub use baseline::{Baseline, BaselineError};
pub use error::OpenError;
pub use fitted::{EncoderInput, channels_of, is_fitted};
#[cfg(feature = "onnx")]
pub use open::preprocessing_of;
pub use open::{OpenOptions, Opened, open};
pub use resolve::is_bundle;
#[cfg(feature = "host")]
pub use seen::leave_out_seen;
#[cfg(feature = "host")]
pub use source::{blob_arithmetic, dicom_reading_of, model_file, onnx_file, open_run, preset_of, training_images};
pub use stated::{KnownPreprocessing, Stated, StatedError};
pub use tiles::{tiled_name, untiled_name};
