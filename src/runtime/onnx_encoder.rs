//! An ONNX file as an encoder: exported by Macula, or foreign with one image in and one vector out.

use std::path::{Path, PathBuf};

use super::arithmetic::Arithmetic;
use super::error::RuntimeError;
use super::metadata::Provenance;
use super::onnx_file::{OnnxFile, OpenOptions, check_corpus};
use super::plan::Plan;
use super::{external, limits};
use crate::data::{Normaliser, Preprocessing};
use crate::encoder::{EncodeError, HostEncoder, HostEncoderInfo, encode_each};

/// An ONNX encoder, run by tract.
pub struct OnnxEncoder {
    info: HostEncoderInfo,
    normaliser: Normaliser,
    plan: Plan,
    arithmetic: Arithmetic,
    preprocessing_is_assumed: bool,
    provenance: Option<Provenance>,
}

impl OnnxEncoder {
    /// Opens the ONNX file at `path`.
    ///
    /// A file without preprocessing in its metadata is assumed to take values from -1 to 1 (mean 0.5 and std 0.5 per
    /// channel): see [`Self::preprocessing_is_assumed`] and [`Self::open_with`].
    ///
    /// # Errors
    /// When the file is not an encoder; see [`RuntimeError`].
    pub fn open(path: &Path) -> Result<Self, RuntimeError> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// Opens the ONNX file at `path` with `options`.
    ///
    /// # Errors
    /// As [`Self::open`], and when the preprocessing does not fit the model's input.
    pub fn open_with(path: &Path, options: &OpenOptions) -> Result<Self, RuntimeError> {
        let name = path.display().to_string();
        let bytes = limits::read_file(path)?;
        let folder = path.parent().map_or(PathBuf::new(), Path::to_path_buf);
        Self::load(&name, &bytes, Some(&folder), options)
    }

    /// Opens the ONNX file `bytes`; errors call it `name`.
    ///
    /// # Errors
    /// As [`Self::open_with`].
    pub fn from_bytes(name: &str, bytes: &[u8], options: &OpenOptions) -> Result<Self, RuntimeError> {
        Self::load(name, bytes, None, options)
    }

    fn load(name: &str, bytes: &[u8], folder: Option<&Path>, options: &OpenOptions) -> Result<Self, RuntimeError> {
        Self::plan(OnnxFile::read(name, bytes, folder, options)?, folder)
    }

    /// Plans a file that was read; `folder` is that of [`OnnxFile::read`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn plan(file: OnnxFile, folder: Option<&Path>) -> Result<Self, RuntimeError> {
        let OnnxFile { mut model, input, info, arithmetic, preprocessing_is_assumed, provenance } = file;
        external::take_in(&mut model, folder, &info.name)?;
        let Preprocessing { channels, height, width, .. } = info.preprocessing;
        let plan = Plan::new(model, &input, [channels, height, width], arithmetic, &info.name)?;
        check_corpus(info.corpus.as_ref(), plan.feature_dim(), &info.name)?;
        let normaliser = info.preprocessing.normaliser();
        let info = HostEncoderInfo { feature_dim: plan.feature_dim(), ..info };
        Ok(Self { info, normaliser, plan, arithmetic, preprocessing_is_assumed, provenance })
    }

    /// Precision that it computes in.
    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// Whether preprocessing is assumed, because neither the file nor the caller states it.
    pub fn preprocessing_is_assumed(&self) -> bool {
        self.preprocessing_is_assumed
    }

    /// Its provenance, if Macula exported it.
    pub fn provenance(&self) -> Option<&Provenance> {
        self.provenance.as_ref()
    }

    /// Checks the size of the model's input.
    ///
    /// # Errors
    /// [`RuntimeError::InputMismatch`].
    pub fn require_input(&self, channels: usize, height: usize, width: usize) -> Result<(), RuntimeError> {
        let (model, given) = (self.plan.shape(), [channels, height, width]);
        if model == given {
            return Ok(());
        }
        Err(RuntimeError::InputMismatch { path: self.info.name.clone(), model, given })
    }

    /// Features `[N, D]` of N images that are normalised already, `[N, H, W, C]`.
    ///
    /// # Errors
    /// As [`HostEncoder::encode_batch`].
    pub fn encode_normalised(&self, input: &[f32]) -> Result<Vec<f32>, EncodeError> {
        encode_each(&self.info, input, |image, feature| self.plan.run(image, feature))
    }
}

impl HostEncoder for OnnxEncoder {
    fn info(&self) -> &HostEncoderInfo {
        &self.info
    }

    fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError> {
        encode_each(&self.info, pixels, |image, feature| {
            let mut input = vec![0.0; image.len()];
            self.normaliser.fill(&mut input, image);
            self.plan.run(&input, feature)
        })
    }
}
