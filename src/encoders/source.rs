//! The run, file or training record behind the name of an encoder.

use std::path::{Path, PathBuf};

use macula_edge::encoder::Arithmetic;

use super::OpenError;
use super::resolve::{Found, has_weights};
use super::tiles::untiled_name;
use crate::blob::BlobFile;
use crate::data::DicomReading;
use crate::encoder::{InputShape, Preset};
use crate::pretrain::{CONFIG, Run, TrainingImages};

/// Loads the run or shipped model `name`, from which training can start.
///
/// # Errors
/// When the name is unknown, the encoder has no trainable weights, or the run cannot be read.
pub fn open_run(name: &str) -> Result<Run, OpenError> {
    let path = Path::new(name);
    match Found::of(name)? {
        Found::Shipped | Found::Run => {}
        // A run may have been exported into its own folder, or an export may have its weights.
        Found::Onnx(_) if has_weights(path) => {}
        other => return Err(OpenError::NotTrainable { name: name.to_owned(), what: other.kind() }),
    }
    Ok(Run::load(path)?)
}

/// The preset of the encoder `name`, if it is a random encoder, a run or a shipped model.
pub fn preset_of(name: &str) -> Option<Preset> {
    let name = untiled_name(name);
    if let Ok(Found::Random(preset)) = Found::of(name) {
        return preset.parse().ok();
    }
    open_run(name).ok().and_then(|run| run.network.spec().name.parse().ok())
}

/// How the encoder `name` reads DICOM files: as its run did if it has trainable weights, otherwise as without options.
pub fn dicom_reading_of(name: &str) -> DicomReading {
    open_run(untiled_name(name)).map(|run| run.config.dicom).unwrap_or_default()
}

/// The record of the images that the encoder `name` was trained on, if its run folder has one.
///
/// # Errors
/// When the record cannot be read.
pub fn training_images(name: &str) -> Result<Option<TrainingImages>, OpenError> {
    let name = untiled_name(name);
    let split = InputShape::split_from(name).filter(|_| !Path::new(name).exists());
    let folder = Path::new(split.map_or(name, |(base, _)| base));
    let is_run = folder.join(CONFIG).is_file();
    Ok(if is_run { TrainingImages::of_run(folder)? } else { None })
}

/// The file of the encoder `name`: an ONNX file (of an export folder, too), a bundle or a blob.
///
/// # Errors
/// When the name is unknown or the encoder is not such a file.
pub fn model_file(name: &str) -> Result<PathBuf, OpenError> {
    match Found::of(name)? {
        Found::Onnx(path) => Ok(path),
        Found::Bundle | Found::Blob => Ok(name.into()),
        other => Err(OpenError::NoFile { name: name.to_owned(), what: other.kind(), needed: "a file" }),
    }
}

/// The arithmetic of the blob `name`.
///
/// # Errors
/// When it cannot be read, or is no blob.
pub fn blob_arithmetic(name: &str) -> Result<Arithmetic, OpenError> {
    Ok(BlobFile::open(Path::new(name))?.blob()?.arithmetic())
}

/// The ONNX file of the encoder `name`, which may be an export folder.
///
/// # Errors
/// As [`model_file`].
pub fn onnx_file(name: &str) -> Result<PathBuf, OpenError> {
    match Found::of(name)? {
        Found::Onnx(path) => Ok(path),
        other => Err(OpenError::NoFile { name: name.to_owned(), what: other.kind(), needed: "an ONNX file" }),
    }
}
