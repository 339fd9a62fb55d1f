//! Exports an encoder: files are made, run and compared with the trained encoder before they are written.

use std::path::{Path, PathBuf};

use super::blobs::{F16_BLOB_FILE, INT8_BLOB_FILE, MadeBlob};
use super::graph::OnnxError;
use super::onnx::to_onnx;
use super::parity::{Candidate, F16_TOLERANCE, F32_TOLERANCE, Parity, ParityError, Sample, compare};
use crate::encoder::{FoldedEncoder, HostEncoder};
use crate::files::{WriteError, remove_if_present, write_atomic, write_json};
use crate::native::{GraphError, NativeEncoder, Precision};
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
    /// It has no ONNX form.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A file cannot be run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The native engine cannot run it.
    #[error(transparent)]
    Engine(#[from] GraphError),
    /// The parity check failed to run.
    #[error(transparent)]
    Parity(#[from] ParityError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file of an older export could not be removed.
    #[error("cannot remove {path} of an older export: {source}")]
    Remove {
        /// The file.
        path: String,
        /// The reason.
        source: std::io::Error,
    },
}

/// Largest allowed errors, as a share of a feature's length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerances {
    /// For the f32 file.
    pub f32: f64,
    /// For the f16 file.
    pub f16: f64,
}

impl Default for Tolerances {
    fn default() -> Self {
        Self { f32: F32_TOLERANCE, f16: F16_TOLERANCE }
    }
}

/// The result of an export.
#[derive(Debug)]
pub struct Exported {
    /// The report. If it did not pass, the folder holds no encoder.
    pub parity: Parity,
    /// The files written, with their sizes in bytes.
    pub files: Vec<(PathBuf, usize)>,
}

/// Writes `encoder` to the existing `folder` as [`F32_FILE`] and [`F16_FILE`], with `blobs` and the report
/// [`PARITY_FILE`].
///
/// 1. All files are made and run in memory, on `sample`, and compared with `trainer`: ONNX files by tract and, in f32, by
///    the native engine.
/// 2. The old report is removed, so that a folder with a report always has complete encoders.
/// 3. If the parity check passed, the encoders are written; otherwise those of an older export are removed. So are
///    blobs that this export does not make.
/// 4. The new report is written.
///
/// # Errors
/// See [`ExportError`]. A failed parity check is no error; see [`Parity::passed`].
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
    let native = NativeEncoder::new(encoder.clone(), single.info().clone(), Precision::F32)?;
    let mut candidates: Vec<Candidate> = vec![
        ("f32", single.arithmetic().to_string(), single, tolerances.f32),
        ("f16", half.arithmetic().to_string(), half, tolerances.f16),
    ];
    for blob in blobs {
        candidates.push((blob.label, blob.computed_in.to_owned(), &blob.encoder, blob.tolerance));
    }
    candidates.push(("f32", native.info().arithmetic.clone(), &native, tolerances.f32));
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
    remove_if_present(path).map_err(|source| ExportError::Remove { path: path.display().to_string(), source })
}
