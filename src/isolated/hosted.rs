//! An ONNX encoder, wherever it runs.

use super::child::ChildProcess;
use super::{IsolatedEncoder, IsolatedError, OnnxHost, OnnxSource, Worker};
use crate::encoder::{EncodeError, HostEncoder, HostEncoderInfo};
use crate::export::has_own_form;
use crate::files;
use crate::runtime::{Arithmetic, OnnxEncoder, OpenOptions, Provenance, RuntimeError, decode};

/// Most bytes of a file that is looked at for its form.
const OWN_BYTES_MAX: u64 = 1 << 30;

/// An ONNX encoder, wherever it runs.
pub enum HostedEncoder {
    /// In this process.
    InProcess(Box<OnnxEncoder>),
    /// In one of its own.
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
    /// Opens an ONNX file; one from elsewhere makes the features of two images before it is taken.
    ///
    /// # Errors
    /// A file that is no encoder, or what became of its process.
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

/// Has it make the features of a grey image and of one that varies.
fn try_out(encoder: &HostedEncoder) -> Result<(), IsolatedError> {
    let len = encoder.preprocessing().input_len();
    let pixels: Vec<u8> = std::iter::repeat_n(128, len).chain((0..len).map(|at| (at * 7 % 256) as u8)).collect();
    encoder.encode_batch(&pixels).map_err(IsolatedError::Trial)?;
    Ok(())
}

impl HostedEncoder {
    /// In which precision it computes.
    pub fn arithmetic(&self) -> Arithmetic {
        match self {
            Self::InProcess(encoder) => encoder.arithmetic(),
            Self::Isolated(encoder) => encoder.arithmetic(),
        }
    }

    /// Where it comes from, if it is a file of ours.
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
