//! An ONNX encoder in this process or in a child.

use std::borrow::Cow;
use std::path::Path;

use super::child::ChildProcess;
use super::{IsolatedEncoder, IsolatedError, OnnxHost, OnnxSource, Runtime, Worker};
use crate::encoder::{EncodeError, FoldedEncoder, HostEncoder, HostEncoderInfo};
use crate::export::read_own_form;
use crate::files;
use crate::native::{GraphError, NativeEncoder, Precision};
use crate::runtime::{
    Arithmetic, OnnxEncoder, OnnxFile, OpenOptions, Provenance, RuntimeError, check_corpus, decode, pb,
};

/// Longest file that is read.
const OWN_BYTES_MAX: u64 = 1 << 30;

/// An ONNX encoder, wherever it runs.
pub enum HostedEncoder {
    /// In this process, by tract.
    InProcess(Box<OnnxEncoder>),
    /// In this process, by the native engine.
    Native(Box<NativeOnnx>),
    /// In a child process, by tract.
    Isolated(Box<IsolatedEncoder>),
}

/// A file of our own on the native engine.
pub struct NativeOnnx {
    encoder: NativeEncoder,
    arithmetic: Arithmetic,
    provenance: Option<Provenance>,
}

impl Worker {
    pub(super) fn start(&self, encoder: &str) -> Result<ChildProcess, IsolatedError> {
        ChildProcess::start(&self.program, self.argument).map_err(|source| IsolatedError::Start {
            encoder: encoder.to_owned(),
            program: self.program.to_string_lossy().into_owned(),
            source,
        })
    }
}

impl OnnxHost {
    /// Opens an ONNX file. One that runs in a child must encode two test images first.
    ///
    /// # Errors
    /// When the file is not an encoder, its process fails, or the native engine is asked for and cannot run it.
    pub fn open(&self, name: &str, source: OnnxSource, options: &OpenOptions) -> Result<HostedEncoder, IsolatedError> {
        let (bytes, path) = match &source {
            OnnxSource::Path(path) => {
                let read = |error: files::ReadError| RuntimeError::Read { path: name.to_owned(), source: error.source };
                (Cow::Owned(files::read_bounded(path, OWN_BYTES_MAX).map_err(read)?), Some(&**path))
            }
            OnnxSource::Bytes(bytes) => (Cow::Borrowed(bytes), None),
        };
        let model = decode(&bytes, name)?;
        self.open_decoded(self.runtime(), name, path, &bytes, model, options)
    }

    /// As [`Self::open`] of a file that was decoded already; `runtime` computes it if it is an encoder of our own.
    ///
    /// * `path`: of the file, if it is on disk
    /// * `bytes`: the file
    /// * `model`: what they decode to
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_decoded(
        &self,
        runtime: Runtime,
        name: &str,
        path: Option<&Path>,
        bytes: &[u8],
        model: pb::ModelProto,
        options: &OpenOptions,
    ) -> Result<HostedEncoder, IsolatedError> {
        let folder = path.and_then(Path::parent);
        let own = read_own_form(&model);
        if own.is_none() && runtime == Runtime::Native {
            return Err(IsolatedError::NotNative { encoder: name.to_owned() });
        }
        match (self, own) {
            (_, Some(own)) if runtime != Runtime::Tract => {
                let file = OnnxFile::of(model, name, bytes, folder, options)?;
                Ok(HostedEncoder::Native(Box::new(NativeOnnx::new(own, file)?)))
            }
            (Self::Child(worker), None) => {
                drop(model);
                let source =
                    path.map_or_else(|| OnnxSource::Bytes(bytes.to_vec()), |path| OnnxSource::Path(path.to_owned()));
                let isolated = IsolatedEncoder::open(name, worker.clone(), source, options.clone())?;
                let hosted = HostedEncoder::Isolated(Box::new(isolated));
                try_out(&hosted).map_err(|error| match worker.is_stopped() {
                    true => IsolatedError::Stopped { encoder: name.to_owned() },
                    false => error,
                })?;
                Ok(hosted)
            }
            _ => {
                let file = OnnxFile::of(model, name, bytes, folder, options)?;
                Ok(HostedEncoder::InProcess(Box::new(OnnxEncoder::plan(file, folder)?)))
            }
        }
    }
}

impl NativeOnnx {
    fn new(own: FoldedEncoder, file: OnnxFile) -> Result<Self, IsolatedError> {
        let OnnxFile { info, arithmetic, provenance, .. } = file;
        let precision = if arithmetic == Arithmetic::F16 { Precision::F16 } else { Precision::F32 };
        let name = info.name.clone();
        let refused = |error: GraphError| RuntimeError::Malformed { path: name, message: error.to_string() };
        let encoder = NativeEncoder::new(own, info, precision).map_err(refused)?;
        check_corpus(encoder.corpus(), encoder.feature_dim(), encoder.name())?;
        Ok(Self { encoder, arithmetic, provenance })
    }
}

/// Encodes a grey image and one that varies, so that an encoder that fails on any image fails here.
fn try_out(encoder: &HostedEncoder) -> Result<(), IsolatedError> {
    let len = encoder.preprocessing().input_len();
    let pixels: Vec<u8> = std::iter::repeat_n(128, len).chain((0..len).map(|at| (at * 7 % 256) as u8)).collect();
    encoder.encode_batch(&pixels).map_err(IsolatedError::Trial)?;
    Ok(())
}

impl HostedEncoder {
    /// Precision that it computes in.
    pub fn arithmetic(&self) -> Arithmetic {
        match self {
            Self::InProcess(encoder) => encoder.arithmetic(),
            Self::Native(native) => native.arithmetic,
            Self::Isolated(encoder) => encoder.arithmetic(),
        }
    }

    /// Its provenance, if `export` wrote it.
    pub fn provenance(&self) -> Option<&Provenance> {
        match self {
            Self::InProcess(encoder) => encoder.provenance(),
            Self::Native(native) => native.provenance.as_ref(),
            Self::Isolated(encoder) => encoder.provenance(),
        }
    }

    fn encoder(&self) -> &dyn HostEncoder {
        match self {
            Self::InProcess(encoder) => &**encoder,
            Self::Native(native) => &native.encoder,
            Self::Isolated(encoder) => &**encoder,
        }
    }
}

impl HostEncoder for HostedEncoder {
    fn info(&self) -> &HostEncoderInfo {
        self.encoder().info()
    }

    fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError> {
        self.encoder().encode_batch(pixels)
    }
}
