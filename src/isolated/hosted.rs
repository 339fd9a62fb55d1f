//! An ONNX encoder in this process or in a child.

use super::child::ChildProcess;
use super::{IsolatedEncoder, IsolatedError, OnnxHost, OnnxSource, Worker};
use crate::encoder::{EncodeError, HostEncoder, HostEncoderInfo};
use crate::export::has_own_form;
use crate::files;
use crate::runtime::{Arithmetic, OnnxEncoder, OpenOptions, Provenance, RuntimeError, decode};

/// Longest file whose form is checked.
const OWN_BYTES_MAX: u64 = 1 << 30;

/// An ONNX encoder in this process or in a child.
pub enum HostedEncoder {
    /// In this process.
    InProcess(Box<OnnxEncoder>),
    /// In a child process.
    Isolated(Box<IsolatedEncoder>),
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
    /// When the file is not an encoder, or its process fails.
    pub fn open(&self, name: &str, source: OnnxSource, options: &OpenOptions) -> Result<HostedEncoder, IsolatedError> {
        match self {
            Self::Child(worker) if !is_own(name, &source)? => {
                let isolated = IsolatedEncoder::open(name, worker.clone(), source, options.clone())?;
                let hosted = HostedEncoder::Isolated(Box::new(isolated));
                try_out(&hosted).map_err(|error| match worker.is_stopped() {
                    true => IsolatedError::Stopped { encoder: name.to_owned() },
                    false => error,
                })?;
                Ok(hosted)
            }
            _ => Ok(HostedEncoder::InProcess(Box::new(open_here(name, &source, options)?))),
        }
    }
}

fn open_here(name: &str, source: &OnnxSource, options: &OpenOptions) -> Result<OnnxEncoder, IsolatedError> {
    Ok(match source {
        OnnxSource::Path(path) => OnnxEncoder::open_with(path, options)?,
        OnnxSource::Bytes(bytes) => OnnxEncoder::from_bytes(name, bytes, options)?,
    })
}

fn is_own(name: &str, source: &OnnxSource) -> Result<bool, IsolatedError> {
    let read = |error: files::ReadError| RuntimeError::Read { path: name.to_owned(), source: error.source };
    Ok(match source {
        OnnxSource::Path(path) => {
            has_own_form(&decode(&files::read_bounded(path, OWN_BYTES_MAX).map_err(read)?, name)?)
        }
        OnnxSource::Bytes(bytes) => has_own_form(&decode(bytes, name)?),
    })
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
            Self::Isolated(encoder) => encoder.arithmetic(),
        }
    }

    /// Its provenance, if `export` wrote it.
    pub fn provenance(&self) -> Option<&Provenance> {
        match self {
            Self::InProcess(encoder) => encoder.provenance(),
            Self::Isolated(encoder) => encoder.provenance(),
        }
    }

    fn encoder(&self) -> &dyn HostEncoder {
        match self {
            Self::InProcess(encoder) => &**encoder,
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
