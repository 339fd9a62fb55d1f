//! An export: all files made, run, compared with the trainer, and only then written.

use std::path::{Path, PathBuf};

use super::blobs::{F16_BLOB_FILE, INT8_BLOB_FILE, MadeBlob};
use super::onnx::{OnnxError, to_onnx};
use super::parity::{Candidate, F16_TOLERANCE, F32_TOLERANCE, Parity, ParityError, Sample, compare};
use crate::encoder::{FoldedEncoder, HostEncoder};
use crate::files::{WriteError, write_atomic, write_json};
use crate::runtime::{ElementType, Metadata, OnnxEncoder, OpenOptions, RuntimeError, encode};

/// Name of the f32 file in the folder of an export.
pub const F32_FILE: &str = "encoder.onnx";
/// Name of the f16 file in the folder of an export.
pub const F16_FILE: &str = "encoder.f16.onnx";
/// Name of the report in the folder of an export.
pub const PARITY_FILE: &str = "parity.json";

/// An encoder could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It cannot be written as ONNX.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// What was written cannot be run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The comparison failed to run.
    #[error(transparent)]
    Parity(#[from] ParityError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// An older export is in the way.
    #[error("cannot remove {path}, which this export did not make: {source}")]
    Remove {
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
}

/// Largest errors that an export may show, as a share of a feature's length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerances {
    /// Of the f32 file.
    pub f32: f64,
    /// Of the f16 file.
    pub f16: f64,
}

impl Default for Tolerances {
    fn default() -> Self {
        Self { f32: F32_TOLERANCE, f16: F16_TOLERANCE }
    }
}

/// What an export left in its folder.
#[derive(Debug)]
pub struct Exported {
    /// The report. Where it did not pass, the folder holds no encoder.
    pub parity: Parity,
    /// The encoders written, with their sizes in bytes.
    pub files: Vec<(PathBuf, usize)>,
}

/// Writes `encoder` to `folder` as [`F32_FILE`] and [`F16_FILE`], `blobs`, and the report as [`PARITY_FILE`].
///
/// 1. All files are made in memory and run there on `sample`, beside `trainer`.
/// 2. Where an error is over its tolerance, encoders of an earlier export are removed and the
///    report alone is written: an encoder in the folder is one that the report speaks well of.
///    So is a blob that this export does not make.
/// 3. Otherwise the old report goes first and the new one comes last, so that a folder with a
///    report is a folder whose encoders are whole.
///
/// `folder` exists already.
///
/// # Errors
/// See [`ExportError`]; a failed comparison is none, [`Parity::passed`] tells.
pub fn export(
    trainer: &dyn HostEncoder,
    encoder: &FoldedEncoder,
    metadata: &Metadata,
    blobs: &[MadeBlob],
    sample: &Sample,
    tolerances: Tolerances,
    folder: &Path,
) -> Result<Exported, ExportError> {
    let made = |file, element| -> Result<_, ExportError> {
        let bytes = encode(&to_onnx(encoder, element, metadata)?);
        let opened = OnnxEncoder::from_bytes(file, &bytes, &OpenOptions::default())?;
        Ok((folder.join(file), bytes, opened))
    };
    let files = [made(F32_FILE, ElementType::F32)?, made(F16_FILE, ElementType::F16)?];
    let [(.., single), (.., half)] = &files;
    let mut candidates: Vec<Candidate> = vec![
        ("f32", single.arithmetic().to_string(), single, tolerances.f32),
        ("f16", half.arithmetic().to_string(), half, tolerances.f16),
    ];
    for blob in blobs {
        candidates.push((blob.label, blob.computed_in.to_owned(), &blob.encoder, blob.tolerance));
    }
    let parity = compare(trainer, &candidates, sample)?;
    let report = folder.join(PARITY_FILE);
    remove(&report)?;
    let mut written = Vec::new();
    let onnx = files.iter().map(|(path, bytes, _)| (path.clone(), bytes));
    let made: Vec<_> = onnx.chain(blobs.iter().map(|blob| (folder.join(blob.file), &blob.bytes))).collect();
    for name in [F32_FILE, F16_FILE, F16_BLOB_FILE, INT8_BLOB_FILE] {
        let path = folder.join(name);
        match made.iter().find(|(made, _)| *made == path).filter(|_| parity.passed) {
            Some((_, bytes)) => {
                write_atomic(&path, bytes)?;
                written.push((path, bytes.len()));
            }
            None => remove(&path)?,
        }
    }
    write_json(&report, &parity)?;
    Ok(Exported { parity, files: written })
}

fn remove(path: &Path) -> Result<(), ExportError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(ExportError::Remove { path: path.display().to_string(), source })
        }
        _ => Ok(()),
    }
}
